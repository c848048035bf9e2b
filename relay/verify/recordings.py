"""Checks of one recording: its signed manifest, the owner's range, its pictures and sound."""

from dataclasses import dataclass
from itertools import accumulate

import msgspec

from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.footage import ClipManifest, check_manifest
from firmware.protocol.grants import ClipRange
from firmware.protocol.media.byte_source import ByteSource, is_same
from firmware.protocol.media.mp4 import Mp4
from firmware.protocol.media.tags import tags_of_manifest
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
    clip_of,
    device_certificate,
    released_of,
    signed_manifest,
    statement_unverified,
    terms_unverified,
    trimmed_part,
)
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


def check_pictures(files: Files, number: int) -> tuple[int, ...]:
    """Check that the pictures are exactly the signed ones, in order and in time.

    Returns when each begins, from the first.
    """
    manifest = check_signature(files, number)
    part = part_of(files, number, manifest)
    source = clip_of(files, number)
    mp4 = Mp4(source)
    silent = msgspec.structs.replace(part, first_span=0, span_count=0)
    check_part(manifest, silent, mp4.pictures(), [])
    check_display(
        mp4,
        width=manifest.width,
        height=manifest.height,
        rotation=manifest.shown_rotation,
        created_1904_s=tags_of_manifest(manifest, part.first_gop).created_1904_s,
    )
    if trimmed_part(files, number) is not None and not is_same(
        source, rewritten(source, manifest, part)
    ):
        raise WireError("the trimmed file holds more than its pictures and sound")
    return tuple(sample.pts_90k for sample in mp4.picture_samples())


def rewritten(source: ByteSource, manifest: ClipManifest, part: ReleasedPart) -> ByteSource:
    """Return the MP4 that a trim to this part writes of a file that holds its pictures."""
    mp4 = Mp4(source)
    counts = [gop.unit_count for gop in manifest.gops[part.first_gop :][: part.gop_count]]
    return plain_mp4(
        source,
        list(mp4.picture_samples()),
        list(mp4.sound_samples()),
        keys=list(accumulate(counts[:-1], initial=0)),
        width=manifest.width,
        height=manifest.height,
        rotation=manifest.shown_rotation,
        tags=tags_of_manifest(manifest, part.first_gop),
    )


def check_sound(files: Files, number: int) -> bool:
    """Check that sound is present only if given, and is the signed one; return its presence."""
    manifest = check_signature(files, number)
    part = part_of(files, number, manifest)
    mp4 = Mp4(clip_of(files, number))
    if not terms_unverified(files).has_audio:
        if mp4.has_sound:
            raise WireError("it has sound, which the owner didn't give")
        return False
    if manifest.sound_track is None and mp4.has_sound:
        raise WireError("it has sound, but the doorbell recorded none")
    if part.span_count and not mp4.has_sound:
        raise WireError("its sound was given, and is missing")
    check_sound_part(manifest, part, mp4.sound())
    return mp4.has_sound
