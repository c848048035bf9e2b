"""The background model of the motion detector: the picture without movement.

It follows slowly, whatever is there (a median rather than a mean), and knows of each pixel how
restless it is from frame to frame (noise, rain) and how far it sways (leaves).
"""

import numpy as np

from firmware.motion.illumination import (
    BLACK,
    Bools,
    Floats,
    LocalLight,
    exposure,
    lit,
    sampled_light,
)
from firmware.motion.limits import Limits

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
ODD_LIGHT = 0.02
CLIPPED = 250.0
ODD_LIGHT_S = 0.6
"""Another exposure that lasts longer than a flash becomes the background's own."""
CHANGE_FACTOR = 1.4
"""Of the threshold: what a pixel changes by, from frame to frame, where something moves."""


class Background:
    """The picture without movement, and each pixel's unrest."""

    def __init__(self, first: Floats) -> None:
        self._ground = first.copy()
        self._unrest = np.full_like(first, 1.0)
        self._sway = np.full_like(first, 1.0)
        self._hot_for = np.zeros_like(first)
        self._previous, self._previous_gain = first, 1.0
        self._seen = 1
        self._turn = 0
        self._gain = 1.0
        self._odd_light_s = 0.0
        self._contrast = -1.0
        self._limits = Limits(first.shape)
        self._local_light = LocalLight(*first.shape)
        self._lit: Floats | None = None
        self._lit_picture = np.empty_like(first)
        self._work, self._more_work = np.empty_like(first), np.empty_like(first)
        self._note_ground()

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self._ground.shape

    @property
    def lit(self) -> Floats:
        """The background in the light of the frame that was judged last."""
        if self._lit is None:
            self._lit = lit(self._ground, self._gain, self._lit_picture)
        return self._lit

    def settle(self, now: Floats) -> None:
        """Average the first frames."""
        self._follow_exposure(now)
        change, before = self._change(now), self.lit.copy()
        self._seen += 1
        np.add(before, (now - before) / min(self._seen, 20), out=self._ground)
        self._unrest += (change - self._unrest) / min(self._seen, 10)
        self._sway += (np.abs(now - before) * SWAY_FACTOR - self._sway) / min(self._seen, 20)
        self._gain = 1.0
        self._note_ground()
        self._previous, self._previous_gain = now, 1.0

    def hot(self, now: Floats, contrast: float) -> Bools:
        """Return which pixels are brighter or darker than all background around them.

        What was learnt of unrest and sway counts every other frame: that is soon enough.
        """
        self._follow_exposure(now)
        if contrast != self._contrast or self._turn % 2 == 0:
            self._contrast = contrast
            unrest = np.multiply(self._unrest, UNREST_FACTOR, out=self._work)
            self._limits.set_threshold(unrest, self._sway, contrast)
        return self._judgeable(self._limits.hot(now, self._ground, self._gain))

    def hot_in_local_light(self, now: Floats) -> Bools:
        """Return the same, after `hot`, with the background lit as each part of the picture is."""
        gains = self._local_light.measure(now, self._ground, self._work)
        self._lit = lit(self._ground, gains, self._lit_picture)
        return self._judgeable(self._limits.hot_beside(now, self._lit))

    def changed_px(self, now: Floats, box: Box) -> int:
        """Return the number of pixels there that differ plainly from the last frame."""
        least = self._limits.threshold[box] * CHANGE_FACTOR
        return int(np.count_nonzero(self._change(now, box) > least))

    def learn(self, now: Floats, hot: Bools, interval_s: float) -> None:
        """Adapt slowly to the current frame: one part of the model per frame, in turn."""
        self._turn = (self._turn + 1) % 4
        if self._turn % 2:
            self._learn_unrest(self._change(now), 2 * interval_s)
        else:
            away = np.subtract(now, self.lit, out=self._work)
            if self._turn:
                self._learn_sway(away, 4 * interval_s)
            else:
                self._learn_staying(now, hot, 4 * interval_s)
                self._learn_ground(away, 4 * interval_s)
        self._previous, self._previous_gain = now, self._gain
        is_odd = abs(self._gain - 1) > 0.01
        self._odd_light_s = self._odd_light_s + interval_s if is_odd else 0.0
        if self._odd_light_s > ODD_LIGHT_S:
            self._learn_light(now)

    def _follow_exposure(self, now: Floats) -> None:
        self._gain = exposure(sampled_light(now), self._ground_light)
        self._lit = None

    def _change(self, now: Floats, box: Box = (slice(None), slice(None))) -> Floats:
        """Return what changed since the last frame, but for the exposure."""
        work = self._more_work[box]
        before = lit(self._previous[box], self._gain / self._previous_gain, work)
        change = np.subtract(now[box], before, out=work)
        return np.abs(change, out=change)

    def _judgeable(self, hot: Bools) -> Bools:
        """Return hot without pixels too bright to measure: in another light they are unknown."""
        if abs(self._gain - 1) > ODD_LIGHT:
            hot &= self._ground < CLIPPED
        return hot

    def _note_ground(self) -> None:
        """Mark the background as changed."""
        self._ground_light = sampled_light(self._ground)
        self._limits.forget()

    def _learn_ground(self, away: Floats, passed_s: float) -> None:
        most = GROUND_LEVELS_PER_S * passed_s
        away *= passed_s / GROUND_S
        self._ground += np.clip(away, -most, most, out=away)
        self._note_ground()
        self._limits.prepare(self._ground)

    def _learn_staying(self, now: Floats, hot: Bools, passed_s: float) -> None:
        if not hot.any():
            self._hot_for.fill(0)
            return
        self._hot_for += passed_s
        self._hot_for *= hot
        stays = self._hot_for > STAYING_S
        if stays.any():
            self._ground[stays] += (now[stays] - self._ground[stays]) * 0.7

    def _learn_unrest(self, change: Floats, passed_s: float) -> None:
        """Update the unrest: a passer-by changes a pixel in a few frames, each raises it little."""
        change -= self._unrest
        np.minimum(change, np.add(self._unrest, 4.0, out=self._work), out=change)
        change *= passed_s / UNREST_S
        self._unrest += change

    def _learn_sway(self, away: Floats, passed_s: float) -> None:
        far = np.abs(away, out=away)
        far *= SWAY_FACTOR
        far -= self._sway
        np.minimum(far, np.add(self._sway, 8.0, out=self._more_work), out=far)
        far *= passed_s / SWAY_S
        self._sway += far

    def _learn_light(self, now: Floats) -> None:
        clipped = self._ground >= CLIPPED
        self._ground[clipped] = BLACK + (now[clipped] - BLACK) / self._gain
        lit(self._ground, 1 + (self._gain - 1) * 0.1, self._ground)
        self._note_ground()
