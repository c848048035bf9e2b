"""Exposure for faces: how many stops a picture is brightened or darkened, from its own luma.

libcamera's automatic exposure aims at a mean of the whole picture, the middle counting more, so a
face before a bright street is dark, and one in infrared light is burnt out. Its remedies don't
reach: no sensor's tuning file has a "custom" metering mode, and `ConstraintShadows` is of the whole
picture and missing for a Camera Module 3 on a Pi 3, 4 and Zero 2 W (src/ipa/rpi/vc4/data). So the
place of a visitor's head is measured here, and libcamera's ExposureValue corrected by it.

Pure rules and one measurement with NumPy; no camera here. Luma is as it is shown: turned upright,
and masked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from firmware.capture.pi.night import NIGHT_FROM

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from firmware.capture.i420 import Bytes

PLACE = (0.3, 0.1, 0.7, 0.6)
"""Left, top, right and bottom, as parts of the picture: where heads of visitors are."""
DARK_PART, BRIGHT_PART = 1 / 3, 1 / 6
"""Of the place's pixels: about what a person takes of it, and what a lit face does."""
TOO_DARK, LIFTED, TOO_LIGHT = 0.07, 0.2, 0.3
"""Of the dark part, linear: a face a good stop below middle grey, one that is lifted enough, and a
place in which nothing is dark."""
BURNT, LIT = 0.6, 0.25
"""Of the bright part by night, linear."""
MOST_EV, LEAST_DAY_EV, LEAST_NIGHT_EV = 1.5, -1.0, -2.0
"""libcamera aims at 0.165 of white, and at 0.9 at most: nearer to that, where parts are burnt out,
it goes on brightening without end."""
SEEN_EACH_NS = 300_000_000
AT_REST = 1.15
"""Of two measurements' dark and bright parts, at most: else libcamera still follows."""
FIRST_WAITS, MOST_WAITS = 3, 8
"""Measurements after a correction, at least and at most: it shows some pictures later."""
FIRST_STEP_EV, LONGEST_STEP_EV, SHORTEST_STEP_EV = 0.5, 0.75, 0.03
SETTLED_STEPS = 20
NOISE_TO_STOP, NOISE_TO_GO_BACK = 0.5 * NIGHT_FROM, 0.75 * NIGHT_FROM
"""Darkness as in night.py: what is lifted gets noisy, and alone must not begin a night."""
EVERY_NTH = 4
"""Of the rows and columns: fewer pixels tell as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLevels:
    """How dark and how bright the place of faces is: linear light, 1 for a white surface."""

    dark: float
    """The mean of its darkest third."""
    bright: float
    """The mean of its brightest sixth."""


def place_of(plane: NDArray[Any]) -> NDArray[Any]:
    """Return a view of the place of faces in a plane of a shown picture, thinned out."""
    height, width = plane.shape
    left, top, right, bottom = PLACE
    rows = slice(round(top * height), round(bottom * height), EVERY_NTH)
    return plane[rows, round(left * width) : round(right * width) : EVERY_NTH]


def levels_of(luma: Bytes, shown: NDArray[np.bool_] | None = None) -> PlaceLevels | None:
    """Measure the luma of the place of faces; `shown` says which of its pixels no mask hides.

    None if a mask hides nearly all of it.
    """
    import numpy as np  # it comes with picamera2, not with us

    seen = np.sort(luma.reshape(-1) if shown is None else luma[shown])
    if seen.size < max(1, luma.size // 10):
        return None
    dark, bright = (max(1, round(seen.size * part)) for part in (DARK_PART, BRIGHT_PART))
    return PlaceLevels(
        dark=_linear_mean(seen[:dark].tolist()), bright=_linear_mean(seen[-bright:].tolist())
    )


def _linear_mean(luma: list[int]) -> float:
    return sum(_LINEAR[level] for level in luma) / len(luma)


def _linear(level: int) -> float:
    """Undo sRGB's transfer function, which is near to libcamera's gamma curves."""
    value = min(1.0, max(0.0, (level - 16) / 219))
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


_LINEAR = tuple(_linear(level) for level in range(256))


class FaceExposure:
    """The correction of the exposure in stops, followed from picture to picture.

    By day what is dark in the place of faces counts: it is lifted (`is_backlight_lifted`), or the
    picture darkened where nothing in it is dark. By night lamps light a face and little else, so
    what is bright counts, and nothing is lifted: gain and time are near their end.

    How much a stop of ExposureValue changes isn't known beforehand: libcamera aims at a mean, so
    before a street that burns out a tenth of a stop can be the whole difference. Hence steps of a
    length that halves with each change of direction.
    """

    def __init__(self, *, is_backlight_lifted: bool) -> None:
        self._highest_ev = MOST_EV if is_backlight_lifted else 0.0
        self._seen_ns: int | None = None
        self._step_ev = FIRST_STEP_EV
        self._direction = 0
        self._has_turned = False
        self._settled = 0
        self._last: PlaceLevels | None = None
        self._waits = 0
        self.ev = 0.0

    def is_due(self, at_ns: int) -> bool:
        """Return whether a picture of this time is to be measured."""
        return self._seen_ns is None or at_ns - self._seen_ns >= SEEN_EACH_NS

    def see(
        self, levels: PlaceLevels | None, *, is_night: bool, darkness: float, at_ns: int
    ) -> bool:
        """Take one measurement and night.py's darkness; return whether `ev` has changed."""
        self._seen_ns = at_ns
        last, self._last = self._last, levels
        if levels is None:
            return False
        is_moving = last is None or not _is_near(levels, last)
        self._waits += 1
        if self._waits < (MOST_WAITS if is_moving else FIRST_WAITS):
            return False
        lowest, highest = (LEAST_NIGHT_EV, 0.0) if is_night else (LEAST_DAY_EV, self._highest_ev)
        wanted = _night_direction(levels, self.ev) if is_night else _day_direction(levels, self.ev)
        if self.ev >= 0 and darkness > NOISE_TO_STOP:
            is_noisy = self.ev > 0 and darkness > NOISE_TO_GO_BACK
            wanted = -1 if is_noisy else min(wanted, 0)
        before, self.ev = self.ev, self._stepped(wanted, lowest, highest)
        if self.ev != before:
            self._waits = 0
        return self.ev != before

    def reset(self) -> bool:
        """Correct nothing, where something else does it; return whether `ev` has changed."""
        before, self.ev = self.ev, 0.0
        return before != 0.0

    def _stepped(self, direction: int, lowest: float, highest: float) -> float:
        if direction == 0:
            self._settled += 1
            if self._settled >= SETTLED_STEPS:
                self._step_ev, self._direction, self._has_turned = FIRST_STEP_EV, 0, False
            return min(max(self.ev, lowest), highest)
        self._settled = 0
        if direction == -self._direction:
            self._step_ev = max(self._step_ev / 2, SHORTEST_STEP_EV)
            self._has_turned = True
        elif direction == self._direction and not self._has_turned:
            self._step_ev = min(self._step_ev * 1.5, LONGEST_STEP_EV)
        self._direction = direction
        stepped = self.ev + direction * self._step_ev
        if self.ev * stepped < 0:  # no correction at all comes first
            stepped = 0.0
        return min(max(stepped, lowest), highest)


def _is_near(one: PlaceLevels, other: PlaceLevels) -> bool:
    pairs = ((one.dark, other.dark), (one.bright, other.bright))
    return all(max(pair) <= AT_REST * min(pair) + 0.003 for pair in pairs)


def _day_direction(levels: PlaceLevels, ev: float) -> int:
    if levels.dark < TOO_DARK:
        return 1
    if levels.dark > (LIFTED if ev > 0 else TOO_LIGHT):
        return -1
    return 1 if ev < 0 and levels.dark < LIFTED else 0


def _night_direction(levels: PlaceLevels, ev: float) -> int:
    if ev > 0 or levels.bright > BURNT:
        return -1
    return 1 if ev < 0 and levels.bright < LIT else 0
