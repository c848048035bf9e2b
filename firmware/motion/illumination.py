"""Illumination changes of the background: exposure, local light, and changes by light alone.

Pictures are decimated ones, as float32; a change of light multiplies what is above video's black.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

BLACK = 16.0
"""Video's black: what a change of exposure leaves alone."""
DARKEST = 4.0
"""Levels above black below which a ratio would be noise."""
SAME_LIGHT = np.float32(0.004)
"""A gain of so much is none."""
BLOCK = 8
"""Pixels in the side of a block, for the local light."""
SOFT_EDGE = 0.5
"""Of light, even the steepest 3 % change by less than this part of the whole within 2 pixels."""


class LocalLight:
    """The local gain: how much brighter each part of a picture is than the background."""

    def __init__(self, height: int, width: int) -> None:
        self._down = _between_blocks(height)
        self._across = np.ascontiguousarray(_between_blocks(width).T)
        rows, columns = height // BLOCK, width // BLOCK
        self._beside = _fives((np.arange(columns) - 2).clip(0, max(0, columns - 5)), columns)
        self._around = _fives(np.arange(rows) - 2, rows)

    def measure(self, now: Floats, ground: Floats, out: Floats) -> Floats:
        """Return each pixel's gain: the median of the blocks around it, interpolated.

        It is the median of 5 in the column, of the medians of 5 in the row. The two outermost
        columns take the outermost five: who comes in from the side covers those two first, and
        would pass for light if they counted twice.
        """
        blocks = _sampled(now)
        blocks /= _sampled(ground)
        wide = _median_of_5([blocks.take(five, axis=1) for five in self._beside])
        smooth = _median_of_5([wide.take(five, axis=0) for five in self._around])
        return np.matmul(self._down, smooth @ self._across, out=out)


def sampled_light(plane: Floats) -> Floats:
    """Return the light of one pixel in 25, in a row: what `exposure` compares."""
    light: Floats = np.maximum(plane[2::5, 2::5] - BLACK, DARKEST)
    return light.ravel()


def exposure(now: Floats, ground: Floats) -> float:
    """Return the gain of the whole picture, the median of the pixels' own; 1 if it is the same."""
    ratio = now / ground
    middle = (ratio.size - 1) // 2
    darker, not_brighter = ratio <= 1 - SAME_LIGHT, ratio < 1 + SAME_LIGHT
    if np.count_nonzero(darker) <= middle < np.count_nonzero(not_brighter):
        return 1.0
    return float(np.partition(ratio, middle)[middle])


def lit(plane: Floats, gain: Floats | float, out: Floats) -> Floats:
    """Return the picture as it would be with so many times the light: the plane itself if with 1,
    else `out`."""
    if isinstance(gain, float):
        if gain == 1.0:
            return plane
        np.multiply(plane, np.float32(gain), out=out)
        out += np.float32(BLACK * (1 - gain))
    else:
        np.subtract(plane, BLACK, out=out)
        out *= gain
        out += BLACK
    return np.clip(out, 0, 255, out=out)


def is_light(now: Floats, ground: Floats) -> bool:
    """Return whether the ratio to the background is smooth: a beam, a shadow, a blurred insect."""
    ratio = np.maximum(now - BLACK + 8, DARKEST) / np.maximum(ground - BLACK + 8, DARKEST)
    if min(ratio.shape) < 4:
        return False
    across = np.abs(ratio[:, 2:] - ratio[:, :-2]).ravel()
    down = np.abs(ratio[2:] - ratio[:-2]).ravel()
    steep = _rank(across, 0.97), _rank(down, 0.97)
    flat = ratio.ravel()
    return max(steep) < SOFT_EDGE * (_rank(flat, 0.98) - _rank(flat, 0.02))


def _sampled(plane: Floats) -> Floats:
    """Return the light of each 8×8 block: the mean of four of its pixels, above black."""
    rows, columns = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    quarter = plane[BLOCK // 4 :: BLOCK // 2, BLOCK // 4 :: BLOCK // 2][: 2 * rows, : 2 * columns]
    tall = quarter[::2] + quarter[1::2]
    light = tall[:, ::2] + tall[:, 1::2]
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
