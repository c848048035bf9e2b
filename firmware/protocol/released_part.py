"""The granted part of a clip: its description, and the check that a file holds it.

What was granted may be less than the clip. `part_within` says which whole GOPs and spans lie in
a range, the same on both sides; a released file holds these alone, and its times count from its
own first picture. `check_part` puts the offset back, so the leaves are those that were signed
(firmware.protocol.footage).
"""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Annotated, Literal, Protocol

import msgspec

from firmware.protocol.encoding import Document, Id, WireError
from firmware.protocol.footage import (
    SOUND_UNIT_90K,
    TICKS_PER_MS,
    ClipManifest,
    Gop,
    GopHasher,
    SoundHasher,
)
from firmware.protocol.nal_units import MAX_NAL_UNITS

SOUND_SLACK_90K = 4
"""How far sound in a file may lie from its exact time: MP4 counts it in 1/48,000 s (44 µs)."""

Provenance = Annotated[str, msgspec.Meta(pattern=r"^(c2pa|none: [ -~]{1,200})\Z")]


class ReleasedPart(Document, frozen=True, kw_only=True):
    """The description of a released file's part of a clip: `part-N.json`, also for a whole clip.

    The spans lie inside the pictures; `span_count` is 0 without sound. It isn't signed: the
    manifest and the grant give the same numbers (`part_within`), and the leaves prove them.
    `provenance` is "c2pa" if the file carries C2PA content credentials, else "none: " and why.
    `corrected_ms` is how much later the clip began than its manifest says, as the doorbell learnt
    once it knew the time; 0 for a clip that was recorded by a clock that was right.
    """

    v: Literal[1] = 1
    clip_id: Id
    first_gop: Annotated[int, msgspec.Meta(ge=0, le=999)]
    gop_count: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    first_span: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    span_count: Annotated[int, msgspec.Meta(ge=0, le=1000)]
    provenance: Provenance
    corrected_ms: Annotated[int, msgspec.Meta(ge=-(2**53 - 1), le=2**53 - 1)] = 0


class Picture(Protocol):
    """One access unit read from a file; `pts_90k` counts from the file's begin."""

    @property
    def pts_90k(self) -> int: ...

    @property
    def is_key(self) -> bool: ...

    @property
    def nal_units(self) -> list[bytes]: ...


class Sounding(Protocol):
    """One unit of sound read from a file; `pts_90k` counts from the file's begin."""

    @property
    def pts_90k(self) -> int: ...

    @property
    def data(self) -> bytes: ...


def part_within(
    manifest: ClipManifest,
    *,
    from_ms: int,
    to_ms: int,
    with_sound: bool,
    provenance: str,
    corrected_ms: int = 0,
) -> ReleasedPart:
    """Return the whole GOPs between two wall times, and their sound; WireError if there is none.

    A range that reaches the clip's last millisecond reaches its end. Sound outside the pictures
    is left out, since no player would play it: spans are rounded inwards once more.
    """
    if manifest.is_clock_trusted and corrected_ms:
        raise WireError("a clip whose clock was right has no other time than its own")
    started_ms = manifest.started_ms + corrected_ms
    begin_90k = (from_ms - started_ms) * TICKS_PER_MS
    end_90k = (to_ms - started_ms) * TICKS_PER_MS
    is_to_end = end_90k >= manifest.duration_90k // TICKS_PER_MS * TICKS_PER_MS
    borders = [*(gop.first_pts_90k for gop in manifest.gops), manifest.duration_90k]
    gops = [
        number
        for number in range(len(manifest.gops))
        if borders[number] >= begin_90k
        and (borders[number + 1] <= end_90k or (is_to_end and number + 1 == len(manifest.gops)))
    ]
    if not gops:
        raise WireError("no whole group of pictures lies between these times; choose a longer part")
    spans = spans_within(manifest, gops[0], gops[-1]) if with_sound else []
    return ReleasedPart(
        clip_id=manifest.clip_id,
        first_gop=gops[0],
        gop_count=len(gops),
        first_span=spans[0] if spans else 0,
        span_count=len(spans),
        provenance=provenance,
        corrected_ms=corrected_ms,
    )


def spans_within(manifest: ClipManifest, first_gop: int, last_gop: int) -> list[int]:
    """Return which spans of its sound lie inside the pictures of these GOPs."""
    sound = manifest.sound_track
    if sound is None:
        return []
    is_to_end = last_gop + 1 == len(manifest.gops)
    begin_90k = manifest.gops[first_gop].first_pts_90k if first_gop else -SOUND_UNIT_90K
    end_90k = 0 if is_to_end else manifest.gops[last_gop + 1].first_pts_90k
    return [
        number
        for number, span in enumerate(sound.spans)
        if span.first_pts_90k >= begin_90k
        and (is_to_end or span.first_pts_90k + span.unit_count * SOUND_UNIT_90K <= end_90k)
    ]


def check_part(
    manifest: ClipManifest,
    part: ReleasedPart,
    pictures: Iterable[Picture],
    sound: Iterable[Sounding],
) -> None:
    """Return if a file holds exactly this part of the signed clip, at its times; else WireError."""
    signed = _signed_gops(manifest, part)
    offset_90k = signed[0].first_pts_90k
    pairs = zip_longest(_gops_of(pictures, offset_90k), signed)
    for number, (found, due) in enumerate(pairs, part.first_gop + 1):
        if found != due:
            raise WireError(f"the pictures differ from what was signed, from part {number} on")
    _check_sound_part(manifest, part, sound, offset_90k)


def check_whole(
    manifest: ClipManifest, pictures: Iterable[Picture], sound: Iterable[Sounding]
) -> None:
    """Return if a file holds the whole signed clip, with all its sound; else WireError."""
    track = manifest.sound_track
    part = ReleasedPart(
        clip_id=manifest.clip_id,
        first_gop=0,
        gop_count=len(manifest.gops),
        first_span=0,
        span_count=0 if track is None else len(track.spans),
        provenance="none: the whole clip",
    )
    check_part(manifest, part, pictures, sound)


def _gops_of(pictures: Iterable[Picture], offset_90k: int) -> Iterator[Gop]:
    """Yield each GOP when its last picture was hashed: a file may hold more than was signed."""
    hasher = GopHasher()
    for count, picture in enumerate(pictures):
        nal_units = picture.nal_units
        if picture.pts_90k < 0 or len(nal_units) > MAX_NAL_UNITS:
            raise WireError("a picture lies before the file's begin, or is of too many pieces")
        if picture.is_key and count:
            yield from hasher.finish()
            hasher = GopHasher()
        hasher.add(picture.pts_90k + offset_90k, picture.is_key, nal_units)
    yield from hasher.finish()


def check_sound_part(manifest: ClipManifest, part: ReleasedPart, sound: Iterable[Sounding]) -> None:
    """The same for the sound alone, whatever the pictures are."""
    _check_sound_part(manifest, part, sound, _signed_gops(manifest, part)[0].first_pts_90k)


def _signed_gops(manifest: ClipManifest, part: ReleasedPart) -> list[Gop]:
    signed = manifest.gops[part.first_gop : part.first_gop + part.gop_count]
    if part.clip_id != manifest.clip_id or len(signed) != part.gop_count:
        raise WireError("the released part isn't one of this clip")
    return signed


def _check_sound_part(
    manifest: ClipManifest, part: ReleasedPart, sound: Iterable[Sounding], offset_90k: int
) -> None:
    track = manifest.sound_track
    signed = track.spans[part.first_span :][: part.span_count] if track is not None else []
    if len(signed) != part.span_count:
        raise WireError("the released sound isn't of this clip")
    if not signed:
        if any(True for _ in sound):
            raise WireError("it has sound, which isn't part of what was released")
        return
    hasher = SoundHasher()
    due_90k = signed[0].first_pts_90k
    left = sum(span.unit_count for span in signed)
    for unit in sound:
        if abs(unit.pts_90k + offset_90k - due_90k) > SOUND_SLACK_90K:
            raise WireError("the sound lies at another time than was signed")
        if left == 0:
            raise WireError("the sound differs from what was signed")
        hasher.add(due_90k, unit.data)
        due_90k += SOUND_UNIT_90K
        left -= 1
    found = hasher.finish(lost_90k=0)
    if found is None or found.spans != signed:
        raise WireError("the sound differs from what was signed")
