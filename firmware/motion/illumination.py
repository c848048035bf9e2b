"""Illumination: exposure, local light, and changes by light alone.

Pictures are decimated ones (`firmware.motion.decimation`); a change of light multiplies what is
above video's black.
"""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from firmware.motion.decimation import SCALE, Shorts

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
_Plane = TypeVar("_Plane", Shorts, Bools)

BLACK = 16 * SCALE
"""Video's black: what a change of exposure leaves alone."""
DARKEST = 4 * SCALE
"""Above black: less would make a ratio noise."""
MOST = 2 * 255 * SCALE
"""The most that a picture may have in another light."""
SAME_LIGHT = 0.004
"""A gain of so much is none."""
LEAST_SEEN = 0.15
"""Of the sampled pixels: where less is free, the exposure can't be measured."""
EVEN_LIGHT = 0.03
"""Blocks whose gains differ from 1 by no more are in the background's light."""
BLOCK = 8
"""Pixels in the side of a block, for the local light."""
SOFT_EDGE = 0.5
"""Of light, even the steepest 3 % change by less than this part of the whole within 2 pixels."""
NOVEL = 0.42
"""Of the edges along its outline, before and now, so much differs where somebody stands."""
CLEARLY = 1.1
"""Times as strong is an outline that is one of the background's rather than of the picture's."""
TEXTURE = 0.6
"""The background's texture is seen below mere light with at least this correlation ..."""
TEXTURE_LEVELS = 2.0
"""... where the background has so much texture (differences of neighbours, root mean square)."""
TEXTURE_PX = 24


class Exposure:
    """The gain of the whole picture: the median ratio of one pixel in 25 to the background's."""

    def __init__(self, ground: Shorts) -> None:
        self.set_ground(ground)

    def set_ground(self, ground: Shorts) -> None:
        """Compare with this background from now on."""
        sampled = _one_in_25(ground)
        self._light = np.maximum(sampled.astype(np.float32) - BLACK, DARKEST)
        self._darker = sampled - _tolerance(self._light)
        self._brighter = sampled + _tolerance(self._light)
        self._middle = (sampled.size - 1) // 2

    def gain(self, now: Shorts, covered: Bools | None = None, before: float = 1.0) -> float:
        """Return the gain, measured where the background isn't covered; 1 if it is the same, and
        that of `before` if nearly all is covered."""
        if covered is not None:
            return self._gain_beside(now, covered, before)
        sampled = _one_in_25(now)
        if (
            np.count_nonzero(sampled < self._darker) <= self._middle
            and np.count_nonzero(sampled > self._brighter) <= self._middle
        ):
            return 1.0
        ratio = np.maximum(sampled.astype(np.float32) - BLACK, DARKEST) / self._light
        gain = float(np.partition(ratio.ravel(), self._middle)[self._middle])
        return 1.0 if abs(gain - 1) < SAME_LIGHT else gain

    def _gain_beside(self, now: Shorts, covered: Bools, before: float) -> float:
        is_free = ~_one_in_25(covered)
        count = int(np.count_nonzero(is_free))
        if count < LEAST_SEEN * is_free.size:
            return before
        light = np.maximum(_one_in_25(now)[is_free].astype(np.float32) - BLACK, DARKEST)
        gain = float(np.partition(light / self._light[is_free], count // 2)[count // 2])
        return 1.0 if abs(gain - 1) < SAME_LIGHT else gain


class LocalLight:
    """The local gain: how much brighter each part of a picture is than the background."""

    def __init__(self, height: int, width: int) -> None:
        self._down = _between_blocks(height)
        self._across = np.ascontiguousarray(_between_blocks(width).T)
        rows, columns = height // BLOCK, width // BLOCK
        self._beside = _fives((np.arange(columns) - 2).clip(0, max(0, columns - 5)), columns)
        self._around = _fives(np.arange(rows) - 2, rows)

    def measure(self, now: Shorts, ground: Shorts) -> Floats | None:
        """Return each pixel's gain: the median of the blocks around it, interpolated. None if it
        is 1 everywhere.

        It is the median of 5 in the column, of the medians of 5 in the row. The two outermost
        columns take the outermost five: who comes in from the side covers those two first, and
        would pass for light if they counted twice.
        """
        blocks = _sampled(now)
        blocks /= _sampled(ground)
        wide = _median_of_5([blocks.take(five, axis=1) for five in self._beside])
        smooth = _median_of_5([wide.take(five, axis=0) for five in self._around])
        if float(np.abs(smooth - 1).max()) < EVEN_LIGHT:
            return None
        gains: Floats = self._down @ (smooth @ self._across)
        return gains


def unlit(plane: Shorts, gain: Floats | float) -> Shorts:
    """Return the picture as it would be with so many times less light."""
    work = plane.astype(np.float32)
    work -= BLACK
    work /= gain
    work += BLACK + 0.5
    return np.clip(work, 0, MOST, out=work).astype(np.int16)


def is_soft(now: Shorts, ground: Shorts) -> bool:
    """Return whether the ratio to the background is smooth: a beam, a shadow, a blurred insect."""
    if min(now.shape) < 4:
        return False
    offset = 8 * SCALE - BLACK
    ratio = np.maximum(now.astype(np.float32) + offset, DARKEST)
    ratio /= np.maximum(ground.astype(np.float32) + offset, DARKEST)
    across = np.abs(ratio[:, 2:] - ratio[:, :-2]).ravel()
    down = np.abs(ratio[2:] - ratio[:-2]).ravel()
    steep = _rank(across, 0.97), _rank(down, 0.97)
    flat = ratio.ravel()
    return max(steep) < SOFT_EDGE * (_rank(flat, 0.98) - _rank(flat, 0.02))


def is_background(now: Shorts, ground: Shorts, hot: Bools, *, is_near: bool) -> bool:
    """Return whether what is hot is the background in another light, or where something was.

    Somebody who stands before the background has an outline that it hasn't; a shadow's or a beam's
    is mostly that of what it falls on, with the same edges on both sides, and the background's
    texture is still seen in it. Where something was, the outline is only the background's.
    """
    here = there = both = 0
    power_before = power_after = product = 0.0
    count = 0
    for axis in (0, 1):
        after, before = np.diff(now, axis=axis), np.diff(ground, axis=axis)
        is_outline = np.diff(hot, axis=axis)
        edge_after, edge_before = after[is_outline], before[is_outline]
        here += int(np.abs(edge_after).sum())
        there += int(np.abs(edge_before).sum())
        both += int(np.abs(edge_after - edge_before).sum())
        is_inner = hot[1:] & hot[:-1] if axis == 0 else hot[:, 1:] & hot[:, :-1]
        inner_after = after[is_inner].astype(np.float32)
        inner_before = before[is_inner].astype(np.float32)
        count += inner_after.size
        power_before += float(inner_before @ inner_before)
        power_after += float(inner_after @ inner_after)
        product += float(inner_before @ inner_after)
    if both < NOVEL * (here + there) or (not is_near and there > CLEARLY * here):
        return True
    has_texture = count >= TEXTURE_PX and power_before >= count * (TEXTURE_LEVELS * SCALE) ** 2
    return has_texture and product > TEXTURE * math.sqrt(power_before * power_after)


def _one_in_25(plane: _Plane) -> _Plane:
    return plane[2::5, 2::5]


def _tolerance(light: Floats) -> Shorts:
    return (light * SAME_LIGHT).astype(np.int16)


def _sampled(plane: Shorts) -> Floats:
    """Return the light of each 8×8 block: the mean of four of its pixels, above black."""
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    quarter = plane[BLOCK // 4 :: BLOCK // 2, BLOCK // 4 :: BLOCK // 2][: 2 * rows, : 2 * columns]
    tall = quarter[::2] + quarter[1::2]
    light: Floats = (tall[:, ::2] + tall[:, 1::2]).astype(np.float32)
    light *= 0.25
    light -= BLACK
    return np.maximum(light, DARKEST, out=light)


def _fives(firsts: NDArray[np.int_], count: int) -> list[NDArray[np.int_]]:
    """Return for five blocks from each first one on, which they are; none is beyond the edge."""
    return [(firsts + step).clip(0, max(0, count - 1)) for step in range(5)]


def _median_of_5(five: list[Floats]) -> Floats:
    a, b, c, d, e = five
    low = np.maximum(np.minimum(a, b), np.minimum(c, d))
    high = np.minimum(np.maximum(a, b), np.maximum(c, d))
    median: Floats = np.maximum(np.minimum(e, low), np.minimum(np.maximum(e, low), high))
    return median


def _between_blocks(length: int) -> Floats:
    """Return length × blocks weights that interpolate between the blocks' middles."""
    count = length // BLOCK
    place = ((np.arange(length) + 0.5) / BLOCK - 0.5).clip(0, count - 1)
    weights = 1 - np.abs(place[:, None] - np.arange(count)[None, :])
    return weights.clip(0, 1).astype(np.float32)


def _rank(values: Floats, part: float) -> float:
    place = int(part * (values.size - 1))
    return float(np.partition(values, place)[place])
