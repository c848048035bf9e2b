"""Blobs of one frame, and their tracking from frame to frame."""

from collections.abc import Callable
from dataclasses import dataclass

from firmware.capture.camera_output import TICKS_PER_S

FORGET_90K = round(0.35 * TICKS_PER_S)
"""A blob that wasn't seen for so long is over."""
MAX_TRACKS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Connected cells of one frame with hot pixels."""

    cells: int
    hot_px: int
    is_changing: bool
    is_light: bool


@dataclass(slots=True, kw_only=True)
class Track:
    """A blob that is followed; `solid_frames` are those in which it wasn't mere light."""

    cells: int
    began_90k: int
    seen_90k: int
    changed_90k: int
    largest_px: int
    frames: int = 1
    solid_frames: int = 0
    has_moved: bool = False


def follow(
    tracks: list[Track], blobs: list[Blob], at_90k: int, grown: Callable[[int], int]
) -> list[Track]:
    """Return the tracks after one more frame: gone on, joined, begun or forgotten.

    `grown` adds all neighbours to a set of cells: a blob goes on within three cells of itself.
    """
    left = sorted(blobs, key=lambda blob: -blob.hot_px)
    kept = []
    for track in sorted(tracks, key=lambda track: track.began_90k):
        near = grown(grown(grown(track.cells)))
        own = [blob for blob in left if blob.cells & near]
        if own:
            left = [blob for blob in left if not blob.cells & near]
            _go_on(track, own, at_90k)
            kept.append(track)
        elif at_90k - track.seen_90k <= FORGET_90K:
            kept.append(track)
    kept += [_begun(blob, at_90k) for blob in left]
    return kept[:MAX_TRACKS]


def _go_on(track: Track, blobs: list[Blob], at_90k: int) -> None:
    """Continue a track; one that was mere light until now begins at this frame."""
    is_solid = any(not blob.is_light for blob in blobs)
    if is_solid and not track.solid_frames:
        track.began_90k, track.frames, track.largest_px = at_90k, 0, 0
    track.cells = 0
    for blob in blobs:
        track.cells |= blob.cells
    track.seen_90k = at_90k
    track.frames += 1
    track.largest_px = max(track.largest_px, sum(blob.hot_px for blob in blobs))
    track.solid_frames += is_solid
    if any(blob.is_changing for blob in blobs):
        track.changed_90k = at_90k


def _begun(blob: Blob, at_90k: int) -> Track:
    return Track(
        cells=blob.cells,
        began_90k=at_90k,
        seen_90k=at_90k,
        changed_90k=at_90k,
        largest_px=blob.hot_px,
        solid_frames=not blob.is_light,
    )
