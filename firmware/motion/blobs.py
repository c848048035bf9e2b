"""Blobs of one frame, and their tracking from frame to frame."""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from firmware.capture.camera_output import TICKS_PER_S
from firmware.motion.zones import CELL

FORGET_90K = round(0.35 * TICKS_PER_S)
"""A blob that wasn't seen for so long is over."""
REACH, REACH_IN_WEATHER = 3, 1
"""Cells; drops and flakes would carry a track on from one to the next."""
MAX_TRACKS = 12
PLACES = 30
"""Frames that a track's places are kept for: three seconds."""
SOON_FRAMES = 10
TRAVEL_SIZES, TRAVEL_CELLS = 0.7, 1.5
"""Who walks goes so far within a second: this part of their size, or so many cells ..."""
CONFINED_SIZES, SAME_SIZE = 1.0, 1.25
"""What stays this near and of about this size for three seconds is a flag, or leaves, or stands."""
SHRUNK = 3
CHANGED_SIZE = 1.5
AGAIN = 0.4
"""Who moved before is told again when they come nearer, go away, or travel this part of it."""
DIRECT, QUICK_DIRECT = 0.55, 0.85
"""... and this part of the way that they go is the way from there to here: leaves go to and fro."""
STEADY_SIZES, QUICK_STEADY_SIZES = 1.0, 0.7
"""From frame to frame a walker's step changes by no more of their size; an insect's does, and so
does what is one leaf now and another then."""
QUICK_SIZES = 0.5
"""In a frame."""
GROWTH, GROWTH_FRAMES = 2.0, 6
"""Who comes nearer is so many times as large in the second half of their frames (of three seconds,
at least so many) as in the first."""
STIRRED_PX = 3
"""Pixels that change even of those who stand."""
FADES = 0.98
"""In a frame: to half in three seconds and a half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Connected cells of one frame with hot pixels; `changed_px` of them changed since the last."""

    cells: int
    hot_px: int
    centre: tuple[float, float]
    """Column and row, in cells."""
    changed_px: int
    is_light: bool

    @property
    def is_changing(self) -> bool:
        """Whether so much changed that it moves."""
        return self.changed_px >= max(4, self.hot_px // 12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a track was: the middle of its hot pixels, in cells, and how many they were."""

    column: float
    row: float
    hot_px: int


@dataclass(slots=True, kw_only=True)
class Track:
    """A blob that is followed; `solid_frames` are those in which it wasn't mere light."""

    cells: int
    hot_px: int
    began_90k: int
    seen_90k: int
    changed_90k: int
    """When it last moved; `stirred_90k`: when anything in it did."""
    stirred_90k: int
    largest_px: int
    places: deque[Place]
    """Those of the last second, the newest last."""
    recent_px: float = 0.0
    """The largest of the last seconds: it fades."""
    frames: int = 1
    solid_frames: int = 0
    changing_frames: int = 0
    empty_frames: int = 0
    """Those, in a row, in which nobody was in it any more."""
    first_cells: int = 0
    first_px: int = 0
    has_moved: bool = False
    moved_before: bool = False

    def has_gone(self, sizes: float, cells: float = math.inf) -> bool:
        """Return whether it went straight, within the last second, so many times its own size or
        so many cells, to where it hadn't been before."""
        before, places = list(self.places)[:-SOON_FRAMES], list(self.places)[-SOON_FRAMES:]
        largest_px = max(place.hot_px for place in places)
        size = largest_px**0.5 / CELL
        least = min(sizes * size, cells)
        here = places[-1]
        if here.hot_px * SHRUNK < largest_px:  # what is left of it is elsewhere than its middle
            return False
        gone = _distance(places[0], here)
        way = sum(_distance(a, b) for a, b in pairwise(places))
        turns = [_turn(a, b, c) for a, b, c in zip(places, places[1:], places[2:], strict=False)]
        steady, direct = STEADY_SIZES, DIRECT
        if self.is_quick():
            steady, direct = QUICK_STEADY_SIZES, QUICK_DIRECT
        return (
            gone >= max(least, direct * way)
            and sum(turns) <= steady * size * len(turns)
            and all(_distance(place, here) >= least / 2 for place in before)
        )

    def is_quick(self) -> bool:
        """Return whether its steps are as large as insects', drops' and flakes'."""
        places = list(self.places)[-SOON_FRAMES:]
        size = max(place.hot_px for place in places) ** 0.5 / CELL
        way = sum(_distance(a, b) for a, b in pairwise(places))
        return bool(way > QUICK_SIZES * size * (len(places) - 1))

    def is_upright(self) -> bool:
        """Return whether it goes up or down rather than across."""
        places = list(self.places)[-SOON_FRAMES:]
        return abs(places[-1].row - places[0].row) > abs(places[-1].column - places[0].column)

    def is_confined(self) -> bool:
        """Return whether it stayed in one place for three seconds, and didn't grow or shrink."""
        if len(self.places) < PLACES or not 1 / SAME_SIZE < self._growth() < SAME_SIZE:
            return False
        size = max(place.hot_px for place in self.places) ** 0.5 / CELL
        here = self.places[-1]
        return all(_distance(place, here) <= CONFINED_SIZES * size for place in self.places)

    def has_travelled(self, near_px: float) -> bool:
        """Return whether it went somewhere within the last second, or grew and is near."""
        if self.changing_frames * 3 < self.frames:
            return False
        if self.moved_before and not 1 / CHANGED_SIZE < self._growth() < CHANGED_SIZE:
            return True
        part = AGAIN if self.moved_before else 1.0
        return self.has_gone(part * TRAVEL_SIZES, part * TRAVEL_CELLS) or self._has_grown(near_px)

    def _has_grown(self, near_px: float) -> bool:
        count = len(self.places)
        is_near = self.hot_px >= (near_px if count < 3 * GROWTH_FRAMES else near_px / 2)
        return count >= GROWTH_FRAMES and is_near and self._growth() >= GROWTH

    def _growth(self) -> float:
        sizes = [place.hot_px for place in self.places]
        half = len(sizes) // 2
        return float(sum(sizes[-half:]) / max(1, sum(sizes[:half])))


def follow(
    tracks: list[Track],
    blobs: list[Blob],
    at_90k: int,
    grown: Callable[[int], int],
    *,
    reach: int = REACH,
) -> list[Track]:
    """Return the tracks after one more frame: gone on, joined, begun or forgotten.

    `grown` adds all neighbours to a set of cells: a blob goes on within `reach` cells of itself.
    """
    left = sorted(blobs, key=lambda blob: -blob.hot_px)
    kept = []
    for track in sorted(tracks, key=lambda track: track.began_90k):
        near = track.cells
        for _ in range(reach):
            near = grown(near)
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
    solid_px = sum(blob.hot_px for blob in blobs if not blob.is_light)
    is_solid = solid_px * 2 > sum(blob.hot_px for blob in blobs)
    if is_solid and not track.solid_frames:
        track.began_90k, track.frames, track.largest_px = at_90k, 0, 0
    track.cells = 0
    for blob in blobs:
        track.cells |= blob.cells
    track.seen_90k = at_90k
    track.frames += 1
    track.hot_px = sum(blob.hot_px for blob in blobs)
    track.largest_px = max(track.largest_px, track.hot_px)
    track.places.append(_place(blobs))
    track.recent_px = max(track.recent_px * FADES, track.hot_px)
    track.solid_frames += is_solid
    track.empty_frames = 0 if is_solid else track.empty_frames + 1
    if any(blob.is_changing for blob in blobs):
        track.changed_90k = at_90k
        track.changing_frames += 1
    if any(blob.changed_px >= STIRRED_PX for blob in blobs):
        track.stirred_90k = at_90k


def _distance(a: Place, b: Place) -> float:
    return math.hypot(a.column - b.column, a.row - b.row)


def _turn(a: Place, b: Place, c: Place) -> float:
    """Return how much the step from b to c differs from that from a to b."""
    return math.hypot(c.column - 2 * b.column + a.column, c.row - 2 * b.row + a.row)


def _place(blobs: list[Blob]) -> Place:
    total = max(1, sum(blob.hot_px for blob in blobs))
    return Place(
        column=sum(blob.centre[0] * blob.hot_px for blob in blobs) / total,
        row=sum(blob.centre[1] * blob.hot_px for blob in blobs) / total,
        hot_px=total,
    )


def _begun(blob: Blob, at_90k: int) -> Track:
    return Track(
        cells=blob.cells,
        hot_px=blob.hot_px,
        began_90k=at_90k,
        seen_90k=at_90k,
        changed_90k=at_90k,
        stirred_90k=at_90k,
        largest_px=blob.hot_px,
        places=deque([_place([blob])], PLACES),
        solid_frames=not blob.is_light,
        changing_frames=blob.is_changing,
        first_cells=blob.cells,
        first_px=blob.hot_px,
    )
