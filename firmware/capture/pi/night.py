"""Night detection by the sensor's gain and exposure, with hysteresis.

Pure rules; no camera here. The measure is darkness = gain × exposure time ÷ a day's frame time.
Gain alone won't do: in night mode exposures grow and gain falls, and night would end at once.
"""

NIGHT_FROM = 8.0
"""A gain of 8 at full exposure: noise begins to cover what moves."""
DAY_BELOW = 2.5
LIT_RATIO = 3.0
"""Infrared light makes the picture brighter too: day must be this much brighter than lit night."""
NIGHT_AFTER_NS = 3_000_000_000
DAY_AFTER_NS = 20_000_000_000
"""Longer than a visitor stands close and bright in the infrared light, or a car shines in."""
LIT_AFTER_NS = 5_000_000_000


class NightSwitch:
    """Detects night from the metadata of successive pictures."""

    def __init__(self, *, day_frame_us: int) -> None:
        self._day_frame_us = day_frame_us
        self._changing_since_ns: int | None = None
        self._night_since_ns = 0
        self._lit_darkness: float | None = None
        self.is_night = False
        self.darkness = 0.0

    def see(self, *, gain: float, exposure_us: int, at_ns: int) -> bool:
        """Take one picture's gain and exposure; return whether night or day has just begun."""
        self.darkness = gain * exposure_us / self._day_frame_us
        if not self._has_lasted(self._is_other(self.darkness, at_ns), at_ns):
            return False
        self.is_night = not self.is_night
        self._changing_since_ns = None
        self._lit_darkness = None
        self._night_since_ns = at_ns
        return True

    def _is_other(self, darkness: float, at_ns: int) -> bool:
        if not self.is_night:
            return darkness >= NIGHT_FROM
        if self._lit_darkness is None and at_ns - self._night_since_ns >= LIT_AFTER_NS:
            self._lit_darkness = darkness
        if self._lit_darkness is None:
            return False
        return darkness <= min(DAY_BELOW, self._lit_darkness / LIT_RATIO)

    def _has_lasted(self, is_other: bool, at_ns: int) -> bool:
        if not is_other:
            self._changing_since_ns = None
            return False
        if self._changing_since_ns is None:
            self._changing_since_ns = at_ns
        wait_ns = DAY_AFTER_NS if self.is_night else NIGHT_AFTER_NS
        return at_ns - self._changing_since_ns >= wait_ns
