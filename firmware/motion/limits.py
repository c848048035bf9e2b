"""The levels between which each pixel of the motion detector is cold.

Nothing is learnt here (see firmware.motion.background). A quiet frame costs three operations: what
it is compared with is computed anew only when something was learnt or when the light is another.
"""

import numpy as np

from firmware.motion.illumination import Bools, Floats, lit


class Limits:
    """The levels of one size of the picture."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._high, self._low = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self._above, self._below = np.empty(shape, np.float32), np.empty(shape, np.float32)
        self.threshold: Floats = np.empty(shape, np.float32)
        """What a pixel must be brighter or darker by."""
        self._work = np.empty(shape, np.float32)
        self._hot: Bools = np.empty(shape, np.bool_)
        self._dark: Bools = np.empty(shape, np.bool_)
        self._gain = 1.0
        self._has_high = self._has_low = self._is_known = False

    def set_threshold(self, unrest: Floats, sway: Floats, contrast: float) -> None:
        """Set the threshold: the greater of unrest and sway, and contrast beyond it."""
        np.maximum(unrest, sway, out=self.threshold)
        self.threshold += contrast
        self._is_known = False

    def forget(self) -> None:
        """Compute all anew for the next frame: the background is another."""
        self._has_high = self._has_low = self._is_known = False

    def prepare(self, ground: Floats) -> None:
        """Compute half of that now, so that no quiet frame takes much longer than the others."""
        if not self._has_high:
            _spread(ground, np.maximum, self._high, self._work)
            self._has_high = True

    def hot(self, now: Floats, ground: Floats, gain: float) -> Bools:
        """Return which pixels are brighter, or darker, than all of a background that is lit
        with so much gain around them."""
        self.prepare(ground)
        if not self._has_low:
            _spread(ground, np.minimum, self._low, self._work)
        if not self._is_known or gain != self._gain:
            np.add(lit(self._high, gain, self._above), self.threshold, out=self._above)
            np.subtract(lit(self._low, gain, self._below), self.threshold, out=self._below)
        self._has_low = self._is_known = True
        self._gain = gain
        return self._compared(now)

    def hot_beside(self, now: Floats, background: Floats) -> Bools:
        """Return the same of a background that is lit already."""
        self._is_known = False
        _spread(background, np.maximum, self._above, self._work)
        _spread(background, np.minimum, self._below, self._work)
        self._above += self.threshold
        self._below -= self.threshold
        return self._compared(now)

    def _compared(self, now: Floats) -> Bools:
        np.greater(now, self._above, out=self._hot)
        np.less(now, self._below, out=self._dark)
        return np.logical_or(self._hot, self._dark, out=self._hot)


def _spread(plane: Floats, extreme: np.ufunc, out: Floats, work: Floats) -> Floats:
    """Return the greatest (or least) of each pixel and its eight neighbours.

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
    return out
