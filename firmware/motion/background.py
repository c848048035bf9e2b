"""The background model of the motion detector: the picture without movement.

A frame is first brought to the background's light. The background follows slowly, whatever is there
(a median rather than a mean), but not below somebody who stays (`hold`). It knows of each pixel how
restless it is from frame to frame (noise, leaves; drops and flakes, which are rare in any one
pixel, count little) and how far it sways. Time constants are those of ten frames a second.
"""

import numpy as np

from firmware.motion.decimation import SCALE, Shorts
from firmware.motion.illumination import BLACK, Bools, Exposure, Floats, LocalLight, unlit
from firmware.motion.limits import Limits

Box = tuple[slice, slice]

FINE = 16
"""Unrest and sway are kept in so many parts of a unit."""
GROUND_PART, GROUND_STEP = 2, 6
"""The background follows a quarter (2**-2) of the way every eighth frame, at most so many units: 2
levels a second."""
UNREST_PART = 3
"""The unrest follows an eighth of the way every second frame: within about 2 s ..."""
UNREST_STEP = 4 * SCALE * FINE
UNREST_FACTOR, UNREST_FACTOR_IN_WEATHER = 2.5, 1.5
"""In weather only what is hot twice counts: less is enough."""
SWAY_PART = 4
"""... and the sway (how far pixels are from the background) a sixteenth every fourth: in 6 s."""
SWAY_STEP = 4 * SCALE * FINE
SWAY_FACTOR = 2.0
ODD_LIGHT = 0.02
CLIPPED, NEARLY_CLIPPED = 250 * SCALE, 180 * SCALE
ODD_LIGHT_S = 0.6
"""Another exposure that lasts longer than a flash becomes the background's own."""
CHANGE_FACTOR = 1.0
"""Of the threshold: what a pixel changes by, from frame to frame, where something moves."""


class Background:
    """The picture without movement, and each pixel's unrest."""

    def __init__(self, first: Shorts) -> None:
        self.ground = first.copy()
        """The background, in units of SCALE."""
        self.now = first.copy()
        """The last frame, in the background's light."""
        self._before = first.copy()
        self._unrest = np.full_like(first, SCALE * FINE)
        self._sway = np.full_like(first, SCALE * FINE)
        self._held: Bools | None = None
        self._seen = 1
        self._turn = 0
        self._gain = 1.0
        self._odd_light_s = 0.0
        self._contrast, self._is_known = 0, False
        self._limits = Limits(first.shape)
        self._exposure = Exposure(first)
        self._local_light = LocalLight(*first.shape)
        self._average = first.astype(np.float32)
        self._work, self._more_work = np.empty_like(first), np.empty_like(first)
        self._note_ground()

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.ground.shape

    @property
    def threshold(self) -> Shorts:
        """What each pixel must be brighter or darker by."""
        return self._limits.threshold

    def see(self, frame: Shorts, large: Bools | None) -> None:
        """Take the next frame; its exposure is measured beside those who are `large` in it."""
        self._gain = self._exposure.gain(frame, large, self._gain)
        if self._gain != 1.0:
            frame = unlit(frame, self._gain)
        self._before, self.now = self.now, frame

    def begin_anew(self) -> None:
        """Take the picture of now for the background; unrest and sway stay."""
        self.ground = self.now.copy()
        self._average = self.now.astype(np.float32)
        self._seen = 1
        self._held = None
        self._note_ground()

    def settle(self) -> None:
        """Average the first frames."""
        self._seen += 1
        away = np.abs(self.now - self.ground) * np.int16(FINE)
        self._average += (self.now - self._average) / min(self._seen, 20)
        np.copyto(self.ground, self._average + 0.5, casting="unsafe")
        change = np.abs(self.now - self._before) * np.int16(FINE)
        self._unrest += (change - self._unrest) // np.int16(min(self._seen, 10))
        self._sway += (away - self._sway) // np.int16(min(self._seen, 20))
        self._note_ground()

    def hot(self, contrast: int, out: Bools, *, is_weather: bool) -> Bools:
        """Return which pixels are brighter or darker than all background around them, in `out`.

        What was learnt counts every eighth frame: that is soon enough.
        """
        if contrast != self._contrast or not self._is_known:
            self._contrast, self._is_known = contrast, True
            factor = UNREST_FACTOR_IN_WEATHER if is_weather else UNREST_FACTOR
            unrest = (self._unrest * np.float32(factor / FINE)).astype(np.int16)
            sway = (self._sway * np.float32(SWAY_FACTOR / FINE)).astype(np.int16)
            self._limits.set_threshold(unrest, sway, contrast)
        hot = self._limits.hot(self.now, out)
        if abs(self._gain - 1) > ODD_LIGHT:
            self._cool_clipped(hot)
        return hot

    def _cool_clipped(self, hot: Bools) -> None:
        """Take from `hot` what is brighter than a background too bright to measure, or darker than
        the background but too bright to measure."""
        is_brighter = self.now > self.ground
        unknown = is_brighter & (self.ground >= CLIPPED)
        brightest = BLACK + (CLIPPED - BLACK) / self._gain
        unknown |= ~is_brighter & (self.now >= int(brightest))
        hot &= ~unknown

    def hot_in_local_light(self, hot: Bools, known: Bools | None) -> tuple[Bools, Shorts]:
        """Return which of these are hot in the light that each part of the picture has, or are
        `known` to be more than light, and the frame in the background's light."""
        gains = self._local_light.measure(self.now, self.ground)
        if gains is None:
            return hot, self.now
        now = unlit(self.now, gains)
        lit_hot = self._limits.hot(now, np.empty_like(hot))
        if known is not None:
            lit_hot |= known
        return lit_hot & hot, now

    def changed_px(self, box: Box) -> int:
        """Return the number of pixels there that differ plainly from the last frame."""
        change = np.abs(self.now[box] - self._before[box])
        return int(np.count_nonzero(change > self._limits.threshold[box] * CHANGE_FACTOR))

    def hold(self, pixels: Bools | None) -> None:
        """Learn nothing at these pixels until told otherwise."""
        self._held = pixels

    def absorb(self, pixels: Bools) -> None:
        """Take what is at these pixels for background."""
        np.copyto(self.ground, self.now, where=pixels)
        self._note_ground()

    def learn(self, seen: Shorts, interval_s: float) -> None:
        """Adapt slowly to the current frame, `seen` in the background's light: one part of the
        model per frame, in turn."""
        self._turn = (self._turn + 1) % 8
        if self._turn % 2:
            self._learn_unrest()
        elif self._turn == 4:
            self._learn_ground(seen)
        elif self._turn:
            self._learn_sway(seen)
        is_odd = abs(self._gain - 1) > 0.01
        self._odd_light_s = self._odd_light_s + interval_s if is_odd else 0.0
        if self._odd_light_s > ODD_LIGHT_S:
            self._learn_light()

    def _note_ground(self) -> None:
        """Take the background as changed."""
        self._exposure.set_ground(self.ground)
        self._limits.set_high(self.ground)
        self._limits.set_low(self.ground)
        self._is_known = False

    def _learn_ground(self, seen: Shorts) -> None:
        away = np.subtract(seen, self.ground, out=self._work)
        away >>= GROUND_PART
        np.maximum(away, -GROUND_STEP, out=away)
        np.minimum(away, GROUND_STEP, out=away)
        self._free(away)
        self.ground += away
        self._note_ground()

    def _learn_unrest(self) -> None:
        """Update the unrest: a passer-by changes a pixel in a few frames, each raises it little."""
        change = np.subtract(self.now, self._before, out=self._work)
        self._follow(self._unrest, np.abs(change, out=change), UNREST_STEP, UNREST_PART)

    def _learn_sway(self, seen: Shorts) -> None:
        away = np.subtract(seen, self.ground, out=self._work)
        self._follow(self._sway, np.abs(away, out=away), SWAY_STEP, SWAY_PART)

    def _follow(self, mean: Shorts, values: Shorts, most: int, part: int) -> None:
        values *= FINE
        values -= mean
        np.minimum(values, most, out=values)
        values >>= part
        self._free(values)
        mean += values

    def _free(self, steps: Shorts) -> None:
        if self._held is not None:
            steps[self._held] = 0

    def _learn_light(self) -> None:
        """Come a tenth nearer to the exposure of now; what is too bright to measure is copied, but
        for whoever stands before it."""
        by = 1 + (self._gain - 1) * 0.1
        clipped = (self.ground >= CLIPPED) & (self.now >= NEARLY_CLIPPED)
        self.ground[clipped] = self.now[clipped]
        for plane in (self.ground, self.now):
            np.copyto(plane, _relit(plane, by), casting="unsafe")
        self._note_ground()


def _relit(plane: Shorts, gain: float) -> Floats:
    work: Floats = plane.astype(np.float32)
    work -= BLACK
    work *= np.float32(gain)
    work += BLACK + 0.5
    return np.clip(work, 0, 255 * SCALE, out=work)
