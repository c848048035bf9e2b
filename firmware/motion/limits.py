"""The levels between which each pixel of the motion detector is cold.

Nothing is learnt here (see firmware.motion.background). A quiet frame costs two operations: the
levels are computed anew only when something was learnt.
"""

import numpy as np
from numpy.typing import NDArray

from firmware.motion.decimation import Shorts

Bools = NDArray[np.bool_]


class Limits:
    """The levels of one size of the picture."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._high, self._low = np.zeros(shape, np.int16), np.zeros(shape, np.int16)
        self._below = np.zeros(shape, np.int16)
        self._span = np.zeros(shape, np.uint16)
        self.threshold: Shorts = np.zeros(shape, np.int16)
        """What a pixel must be brighter or darker by."""
        self._work = np.empty(shape, np.int16)

    def set_high(self, ground: Shorts) -> None:
        """Take the brightest background around each pixel."""
        _spread(ground, np.maximum, self._high, self._work)

    def set_low(self, ground: Shorts) -> None:
        """Take the darkest background around each pixel."""
        _spread(ground, np.minimum, self._low, self._work)

    def set_threshold(self, unrest: Shorts, sway: Shorts, contrast: int) -> None:
        """Set the threshold: the greater of unrest and sway, and contrast beyond it. To be called
        after `set_high` and `set_low`."""
        np.maximum(unrest, sway, out=self.threshold)
        self.threshold += np.int16(contrast)
        np.subtract(self._low, self.threshold, out=self._below)
        span = np.add(self._high, self.threshold, out=self._span.view(np.int16))
        span -= self._below

    def hot(self, now: Shorts, out: Bools) -> Bools:
        """Return which pixels are brighter, or darker, than all of the background around them."""
        above = np.subtract(now, self._below, out=self._work)  # below zero: huge without a sign
        return np.greater(above.view(np.uint16), self._span, out=out)


def _spread(plane: Shorts, extreme: np.ufunc, out: Shorts, work: Shorts) -> None:
    """Write the greatest (or least) of each pixel and its eight neighbours to `out`.

    Left and right are taken without regard to the rows' ends, which is four times as fast: the
    outermost columns also look at the other side of the picture.
    """
    extreme(plane[1:], plane[:-1], out=work[1:])
    work[0] = plane[0]
    extreme(work[:-1], plane[1:], out=work[:-1])
    flat, flat_work = out.reshape(-1), work.reshape(-1)
    extreme(flat_work[1:], flat_work[:-1], out=flat[1:])
    flat[0] = flat_work[0]
    extreme(flat[:-1], flat_work[1:], out=flat[:-1])
