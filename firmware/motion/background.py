"""The background of the motion detector: what the picture is without movement.

It follows slowly, whatever is there (a median rather than a mean), and knows of each pixel how
restless it is from frame to frame (noise, rain) and how far it sways (leaves).
"""

import numpy as np
from numpy.typing import NDArray

from firmware.motion.light import BLACK, LocalLight, exposure, lit

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Box = tuple[slice, slice]

GROUND_S = 3.0
"""Time constant of the background; it follows by at most GROUND_LEVELS_PER_S."""
GROUND_LEVELS_PER_S = 2.0
UNREST_S = 2.0
"""Time constant of the pixels' unrest."""
UNREST_FACTOR = 2.5
SWAY_S = 6.0
"""Time constant of the pixels' sway: how far they are from the background."""
SWAY_FACTOR = 2.0
STAYING_S = 4.0
"""What has been hot in one place for so long becomes background, within half a second."""
SAME_LIGHT = 0.004
"""A gain of so much is none."""
ODD_LIGHT = 0.02
CLIPPED = 250.0
ODD_LIGHT_S = 0.6
"""Another exposure that lasts longer than a flash becomes the background's own."""


class Background:
    """What the picture is without movement, and how restless each pixel is."""

    def __init__(self, first: Floats) -> None:
        self._ground = first.copy()
        self.lit = first.copy()
        self._unrest = np.full_like(first, 1.0)
        self._previous = first.copy()
        self._sway = np.full_like(first, 1.0)
        self._hot_for = np.zeros_like(first)
        self._seen = 1
        self._turn = 0
        self._gain = 1.0
        self._odd_light_s = 0.0
        self._is_spread = False
        self._high, self._low = np.empty_like(first), np.empty_like(first)
        self._work = np.empty_like(first)
        self._change = np.empty_like(first)
        self._limit = np.empty_like(first)
        self._local_light = LocalLight(*first.shape)
        self._hot: Bools = np.empty(first.shape, dtype=np.bool_)
        self._dark: Bools = np.empty(first.shape, dtype=np.bool_)

    def settle(self, now: Floats) -> None:
        """Average the first frames."""
        self._follow_exposure(now)
        np.copyto(self._ground, self.lit)
        self._gain = 1.0
        self._seen += 1
        self._ground += (now - self._ground) / min(self._seen, 20)
        self._unrest += (self._change - self._unrest) / min(self._seen, 10)
        away = np.abs(now - self.lit)
        self._sway += (away * SWAY_FACTOR - self._sway) / min(self._seen, 20)
        np.copyto(self._previous, now)

    def hot(self, now: Floats, contrast: float) -> Bools:
        """Return which pixels are brighter or darker than all background around them."""
        self._follow_exposure(now)
        limit = np.multiply(self._unrest, UNREST_FACTOR, out=self._limit)
        np.maximum(limit, self._sway, out=limit)
        limit += contrast
        return self._compare(now)

    def hot_in_local_light(self, now: Floats) -> Bools:
        """Return the same, after `hot`, with the background lit as each part of the picture is."""
        gains = self._local_light.measure(now, self._ground, self._work)
        lit(self._ground, gains, self.lit)
        self._is_spread = False
        hot = self._compare(now)
        self._is_spread = False
        return hot

    def changed_px(self, box: Box) -> int:
        """Return how many pixels there are plainly others than in the last frame."""
        return int(np.count_nonzero(self._change[box] > self._limit[box] * 1.4))

    def learn(self, now: Floats, hot: Bools, interval_s: float) -> None:
        """Follow what is there now, slowly: by turns one of the things to learn."""
        self._turn = (self._turn + 1) % 4
        if self._turn % 2:
            self._learn_unrest(2 * interval_s)
        else:
            away = np.subtract(now, self.lit, out=self._work)
            if self._turn:
                self._learn_sway(away, 4 * interval_s)
            else:
                self._learn_staying(now, hot, 4 * interval_s)
                self._learn_ground(away, 4 * interval_s)
                self._is_spread = False
        np.copyto(self._previous, now)
        is_odd = abs(self._gain - 1) > 0.01
        self._odd_light_s = self._odd_light_s + interval_s if is_odd else 0.0
        if self._odd_light_s > ODD_LIGHT_S:
            clipped = self._ground >= CLIPPED
            self._ground[clipped] = BLACK + (now[clipped] - BLACK) / self._gain
            lit(self._ground, np.float32(1 + (self._gain - 1) * 0.1), self._ground)
            self._is_spread = False

    def _learn_ground(self, away: Floats, passed_s: float) -> None:
        away *= passed_s / GROUND_S
        most = GROUND_LEVELS_PER_S * passed_s
        np.minimum(away, most, out=away)
        np.maximum(away, -most, out=away)
        self._ground += away

    def _learn_staying(self, now: Floats, hot: Bools, passed_s: float) -> None:
        self._hot_for += passed_s
        self._hot_for *= hot
        if self._hot_for.max() > STAYING_S:
            stays = self._hot_for > STAYING_S
            self._ground[stays] += (now[stays] - self._ground[stays]) * 0.7

    def _learn_unrest(self, passed_s: float) -> None:
        """Somebody who passes changes a pixel in a few frames; they raise it a little each."""
        most = np.multiply(self._unrest, 2, out=self._work)
        most += 4.0
        change = np.minimum(self._change, most, out=self._change)
        change -= self._unrest
        change *= passed_s / UNREST_S
        self._unrest += change

    def _learn_sway(self, away: Floats, passed_s: float) -> None:
        far = np.abs(away)
        far *= SWAY_FACTOR
        np.minimum(far, self._sway * 2 + 8, out=far)
        far -= self._sway
        far *= passed_s / SWAY_S
        self._sway += far

    def _compare(self, now: Floats) -> Bools:
        if not self._is_spread:
            _spread(self.lit, np.maximum, self._high, self._work)
            _spread(self.lit, np.minimum, self._low, self._work)
            self._is_spread = True
        np.subtract(now, self._high, out=self._work)
        np.greater(self._work, self._limit, out=self._hot)
        np.subtract(self._low, now, out=self._work)
        np.greater(self._work, self._limit, out=self._dark)
        hot = np.logical_or(self._hot, self._dark, out=self._hot)
        if abs(self._gain - 1) > ODD_LIGHT:
            hot &= self._ground < CLIPPED  # what they would be in another light isn't known
        return hot

    def _follow_exposure(self, now: Floats) -> None:
        """Light the background as this frame is, and measure what changed since the last."""
        gain = exposure(now, self._ground)
        if abs(gain - 1) < SAME_LIGHT:
            gain = 1.0
        if gain != self._gain or gain != 1.0 or not self._is_spread:
            lit(self._ground, np.float32(gain), self.lit)
            self._is_spread = False
        if gain == self._gain:
            np.subtract(now, self._previous, out=self._change)
        else:
            before = lit(self._previous, np.float32(gain / self._gain), self._change)
            np.subtract(now, before, out=self._change)
        self._gain = gain
        np.abs(self._change, out=self._change)


def _spread(plane: Floats, extreme: np.ufunc, out: Floats, work: Floats) -> Floats:
    """Return the greatest (or least) of each pixel and its eight neighbours.

    Left and right are taken without regard to the rows' ends, which is four times as fast: the
    outermost columns also look at the other side of the picture.
    """
    np.copyto(work, plane)
    extreme(work[1:], plane[:-1], out=work[1:])
    extreme(work[:-1], plane[1:], out=work[:-1])
    np.copyto(out, work)
    flat, flat_work = out.reshape(-1), work.reshape(-1)
    extreme(flat[1:], flat_work[:-1], out=flat[1:])
    extreme(flat[:-1], flat_work[1:], out=flat[:-1])
    return out
