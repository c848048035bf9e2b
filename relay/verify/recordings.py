"""Checks of one recording: its signed manifest, the owner's range, its pictures and sound."""

from dataclasses import dataclass

import msgspec

from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.footage import ClipManifest, check_manifest
from firmware.protocol.grants import ClipRange
from firmware.protocol.released_part import (
    ReleasedPart,
    check_part,
    check_sound_part,
    part_within,
    spans_within,
)
from relay.verify.display_checks import check_display
from relay.verify.document_reader import (
    Files,
    device_certificate,
    file_of,
    released_of,
    signed_manifest,
    statement_unverified,
    terms_unverified,
    trimmed_part,
)
from relay.verify.mp4 import ClipUnit, access_units, sound_units
from relay.verify.mp4_writer import plain_mp4

TRIMMED = "none: trimmed after the release"
"""What a trim says of C2PA: its claim went with the bytes that it was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording of which every check holds, with the manifest that the doorbell signed."""

    number: int
    manifest: ClipManifest
    manifest_digest: str
    part: ReleasedPart
    is_trimmed: bool
    """Cut once more after the doorbell released it."""
    has_sound: bool
    """Whether it has sound here; the manifest says whether it was recorded."""
    is_sound_given: bool
    """Whether the owner gave its sound; a part can hold no whole piece of it."""
    file_sha256: str
    picture_times_90k: tuple[int, ...]
    """When each picture was taken, from the recording's first."""

    @property
    def name(self) -> str:
        """The recording's file name."""
        return f"clip-{self.number}.mp4"

    @property
    def is_whole(self) -> bool:
        """Whether the recording is complete."""
        return self.part.gop_count == len(self.manifest.gops)

    @property
    def begin_90k(self) -> int:
        """The begin of this part in the recording."""
        return self.manifest.gops[self.part.first_gop].first_pts_90k

    @property
    def end_90k(self) -> int:
        """The end of this part in the recording."""
        return end_of_gop(self.manifest, self.part.first_gop + self.part.gop_count - 1)


def check_signature(files: Files, number: int) -> ClipManifest:
    """Check the doorbell's signature on the manifest; return the manifest."""
    device = statement_unverified(files).device
    manifest = check_manifest(signed_manifest(files, number), device_certificate(files).spki)
    if manifest.device != device:
        raise WireError("recorded by another doorbell")
    return manifest


def check_range(files: Files, number: int) -> str:
    """Check that the owner gave this recording, and that exactly the given range was released."""
    manifest = check_signature(files, number)
    released = released_of(files, number)
    given = _given(files, number)
    wanted = part_within(
        manifest,
        from_ms=given.from_ms,
        to_ms=given.to_ms,
        with_sound=terms_unverified(files).has_audio,
        provenance=released.provenance,
        corrected_ms=released.corrected_ms,
    )
    if released != wanted:
        raise WireError("more or less of it is here than the owner gave")
    part = part_of(files, number, manifest)
    if part == released and part.gop_count == len(manifest.gops):
        return "all of it"
    return (
        f"parts {part.first_gop + 1} to {part.first_gop + part.gop_count} of {len(manifest.gops)}"
    )


def _given(files: Files, number: int) -> ClipRange:
    digest = sha256_hex(signed_manifest(files, number).manifest.encode())
    given = [clip for clip in terms_unverified(files).clips if clip.manifest_digest == digest]
    if len(given) != 1:
        raise WireError("no grant names this recording")
    return given[0]


def part_of(files: Files, number: int, manifest: ClipManifest) -> ReleasedPart:
    """Return the present part of the recording: the released one, or the rest after a trim."""
    released = released_of(files, number)
    if released.clip_id != manifest.clip_id:
        raise WireError("the part named is of another recording")
    trimmed = trimmed_part(files, number)
    if trimmed is None:
        return released
    check_within(manifest, trimmed, released)
    return trimmed


def check_within(manifest: ClipManifest, inner: ReleasedPart, outer: ReleasedPart) -> None:
    """Raise WireError unless a trim's rest lies in the released part, with all of its sound.

    Nobody signed a trim: of what it says, only which pictures it leaves is its own choice.
    """
    end, outer_end = inner.first_gop + inner.gop_count, outer.first_gop + outer.gop_count
    is_inside = outer.first_gop <= inner.first_gop and end <= outer_end
    if inner.clip_id != outer.clip_id or not is_inside or outer_end > len(manifest.gops):
        raise WireError("the trim names more than was released")
    spans = spans_within(manifest, inner.first_gop, end - 1) if outer.span_count else []
    if (inner.first_span, inner.span_count) != (spans[0] if spans else 0, len(spans)):
        raise WireError("the trim leaves other sound than that of its pictures")
    if inner.corrected_ms != outer.corrected_ms:
        raise WireError("the trim gives the recording another time than the doorbell did")
    if inner.provenance != TRIMMED:
        raise WireError("the trim says something else than that it is one")


def end_of_gop(manifest: ClipManifest, index: int) -> int:
    """Return a GOP's end: the next GOP's begin, or the recording's end."""
    following = index + 1
    if following < len(manifest.gops):
        return manifest.gops[following].first_pts_90k
    return manifest.duration_90k


def check_pictures(files: Files, number: int) -> list[ClipUnit]:
    """Check that the pictures are exactly the signed ones, in order and in time; return them."""
    manifest = check_signature(files, number)
    part = part_of(files, number, manifest)
    mp4 = file_of(files, f"clip-{number}.mp4")
    units = access_units(mp4)
    silent = msgspec.structs.replace(part, first_span=0, span_count=0)
    check_part(manifest, silent, units, [])
    check_display(mp4, units, width=manifest.width, height=manifest.height)
    if trimmed_part(files, number) is not None and mp4 != _rewritten(mp4, manifest):
        raise WireError("the trimmed file holds more than its pictures and sound")
    return units


def _rewritten(mp4: bytes, manifest: ClipManifest) -> bytes:
    return plain_mp4(
        access_units(mp4), sound_units(mp4) or [], width=manifest.width, height=manifest.height
    )


def check_sound(files: Files, number: int) -> bool:
    """Check that sound is present only if given, and is the signed one; return its presence."""
    manifest = check_signature(files, number)
    part = part_of(files, number, manifest)
    units = sound_units(file_of(files, f"clip-{number}.mp4"))
    if not terms_unverified(files).has_audio:
        if units is not None:
            raise WireError("it has sound, which the owner didn't give")
        return False
    if manifest.sound_track is None and units is not None:
        raise WireError("it has sound, but the doorbell recorded none")
    if part.span_count and units is None:
        raise WireError("its sound was given, and is missing")
    check_sound_part(manifest, part, units or [])
    return units is not None
