"""Light on the background: exposure, local light, and what is light only.

Pictures are decimated ones, as float32; a change of light multiplies what is above video's black.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

BLACK = 16.0
"""Video's black: what a change of exposure leaves alone."""
DARKEST = 4.0
"""Levels above black below which a ratio would be noise."""
BLOCK = 8
"""Pixels in the side of a block, for the local light."""
SOFT_EDGE = 0.5
"""Of light, even the steepest 3 % change by less than this part of the whole within 2 pixels."""


class LocalLight:
    """How much brighter each part of a picture is than the background."""

    def __init__(self, height: int, width: int) -> None:
        self._down = _between_blocks(height)
        self._across = np.ascontiguousarray(_between_blocks(width).T)

    def measure(self, now: Floats, ground: Floats, out: Floats) -> Floats:
        """Return each pixel's gain: the median of the blocks around it, interpolated."""
        blocks = np.maximum(_sampled(now), DARKEST)
        blocks /= np.maximum(_sampled(ground), DARKEST)
        return np.matmul(self._down, _median_filtered(blocks) @ self._across, out=out)


def exposure(now: Floats, ground: Floats) -> float:
    """Return the gain of the whole picture: the median of one pixel in 25."""
    some = np.maximum(now[2::5, 2::5] - BLACK, DARKEST)
    some /= np.maximum(ground[2::5, 2::5] - BLACK, DARKEST)
    return _rank(some.ravel(), 0.5)


def lit(plane: Floats, gain: Floats | np.float32, out: Floats) -> Floats:
    """Return the picture as it would be with so many times the light."""
    np.subtract(plane, BLACK, out=out)
    out *= gain
    out += BLACK
    return np.clip(out, 0, 255, out=out)


def is_light(now: Floats, ground: Floats) -> bool:
    """Tell whether the ratio to the background is smooth: a beam, a shadow, a blurred insect."""
    ratio = np.maximum(now - BLACK + 8, DARKEST) / np.maximum(ground - BLACK + 8, DARKEST)
    if min(ratio.shape) < 4:
        return False
    across = np.abs(ratio[:, 2:] - ratio[:, :-2]).ravel()
    down = np.abs(ratio[2:] - ratio[:-2]).ravel()
    steep = _rank(across, 0.97), _rank(down, 0.97)
    flat = ratio.ravel()
    return max(steep) < SOFT_EDGE * (_rank(flat, 0.98) - _rank(flat, 0.02))


def _sampled(plane: Floats) -> Floats:
    """Return the mean of four pixels of each 8×8 block, above black."""
    at, more = BLOCK // 4, BLOCK * 3 // 4
    total = plane[at::BLOCK, at::BLOCK][: plane.shape[0] // BLOCK, : plane.shape[1] // BLOCK].copy()
    for row, column in ((at, more), (more, at), (more, more)):
        total += plane[row::BLOCK, column::BLOCK][: total.shape[0], : total.shape[1]]
    total *= 0.25
    total -= BLACK
    return total


def _median_filtered(blocks: Floats) -> Floats:
    """Return the median of 5 in the column, of the medians of 5 in the row, around each block."""
    wide = np.pad(blocks, 2, mode="edge")
    rows, columns = blocks.shape
    tall = _median_of_5([wide[:, at : at + columns] for at in range(5)])
    return _median_of_5([tall[at : at + rows] for at in range(5)])


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
