"""Trimming of opened evidence to whole GOPs, rounded inwards; the result still verifies.

The trimmed folder has all papers of the original, the shortened clip, and `trim-N.json`, which
says which part is left. Only the folder's owner says why it was cut; that is no proof of anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, islice

from firmware.protocol.encoding import WireError
from firmware.protocol.footage import ClipManifest
from firmware.protocol.media.byte_source import ByteSource, MemorySource
from firmware.protocol.media.mp4 import Mp4, Sample
from firmware.protocol.media.tags import tags_of_manifest
from firmware.protocol.released_part import ReleasedPart, part_within
from relay.verify.document_reader import Files, clip_of
from relay.verify.mp4_writer import SOUND_UNIT_90K, plain_mp4
from relay.verify.recordings import (
    TRIMMED,
    check_pictures,
    check_signature,
    check_sound,
    check_within,
    end_of_gop,
    part_of,
)

TICKS_PER_MS = 90


@dataclass(frozen=True, slots=True, kw_only=True)
class Trimmed:
    """The evidence with one clip shortened; `begin_s` and `end_s` count as a player does."""

    files: Mapping[str, ByteSource]
    part: ReleasedPart
    begin_s: float
    end_s: float


def trim(files: Files, number: int, *, from_s: float, to_s: float) -> Trimmed:
    """Return the evidence with clip `number` cut to the whole GOPs between two of its seconds."""
    manifest = check_signature(files, number)
    check_pictures(files, number)
    has_sound = check_sound(files, number)
    here = part_of(files, number, manifest)
    part = _chosen(manifest, here, from_s=from_s, to_s=to_s, with_sound=has_sound)
    mp4 = _cut(clip_of(files, number), manifest, here, part)
    begin = manifest.gops[here.first_gop].first_pts_90k
    last = part.first_gop + part.gop_count - 1
    return Trimmed(
        files={
            **files,
            f"clip-{number}.mp4": mp4,
            f"trim-{number}.json": MemorySource(part.encode()),
        },
        part=part,
        begin_s=(manifest.gops[part.first_gop].first_pts_90k - begin) / 90_000,
        end_s=(end_of_gop(manifest, last) - begin) / 90_000,
    )


def _chosen(
    manifest: ClipManifest, here: ReleasedPart, *, from_s: float, to_s: float, with_sound: bool
) -> ReleasedPart:
    if not 0 <= from_s < to_s:
        raise WireError("choose a part that begins at 0 s or later, and ends after it begins")
    begin_90k = manifest.gops[here.first_gop].first_pts_90k
    end_90k = end_of_gop(manifest, here.first_gop + here.gop_count - 1)
    first_ms = (begin_90k + round(from_s * 90_000)) // TICKS_PER_MS
    last_ms = -(-min(begin_90k + round(to_s * 90_000), end_90k) // TICKS_PER_MS)
    part = part_within(
        manifest,
        from_ms=manifest.started_ms + here.corrected_ms + first_ms,
        to_ms=manifest.started_ms + here.corrected_ms + last_ms,
        with_sound=with_sound,
        provenance=TRIMMED,
        corrected_ms=here.corrected_ms,
    )
    check_within(manifest, part, here)
    return part


def _cut(
    source: ByteSource, manifest: ClipManifest, here: ReleasedPart, part: ReleasedPart
) -> ByteSource:
    mp4 = Mp4(source)
    begin = manifest.gops[part.first_gop].first_pts_90k
    shift = begin - manifest.gops[here.first_gop].first_pts_90k
    counts = [gop.unit_count for gop in manifest.gops[here.first_gop :]]
    first = sum(counts[: part.first_gop - here.first_gop])
    kept = counts[part.first_gop - here.first_gop :][: part.gop_count]
    pictures = [
        replace(sample, pts_90k=sample.pts_90k - shift)
        for sample in islice(mp4.picture_samples(), first, first + sum(kept))
    ]
    return plain_mp4(
        source,
        pictures,
        _cut_sound(mp4, manifest, here, part, begin) if part.span_count else [],
        keys=list(accumulate(kept[:-1], initial=0)),
        width=manifest.width,
        height=manifest.height,
        rotation=manifest.shown_rotation,
        tags=tags_of_manifest(manifest, part.first_gop),
    )


def _cut_sound(
    mp4: Mp4, manifest: ClipManifest, here: ReleasedPart, part: ReleasedPart, begin_90k: int
) -> list[Sample]:
    """Return the part's sound at its exact times, from the part's first picture."""
    track = manifest.sound_track
    if track is None:
        return []
    counts = [span.unit_count for span in track.spans[here.first_span :]]
    first = sum(counts[: part.first_span - here.first_span])
    last = first + sum(counts[part.first_span - here.first_span :][: part.span_count])
    due_90k = track.spans[part.first_span].first_pts_90k - begin_90k
    return [
        replace(sample, pts_90k=due_90k + number * SOUND_UNIT_90K)
        for number, sample in enumerate(islice(mp4.sound_samples(), first, last))
    ]
