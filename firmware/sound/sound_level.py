"""How loud it is before the microphone, in decibels: all that is known of what was said.

Filled on the driver's thread, read on the loop. No sample outlives the call that measures it.
"""

import math
from array import array

FULL_SCALE = 32_768
QUIETEST_DBFS = -96.0
FALL_DB = 1.5
"""By so much the level falls each 20 ms, so that a bar can be read."""


class SoundLevel:
    """The level now, and the highest since the beginning; None before the first frame."""

    def __init__(self) -> None:
        self.now_dbfs: float | None = None
        self.highest_dbfs: float | None = None

    def take(self, samples: bytes) -> None:
        """Measure 20 ms of s16le, mono: the peak, which falls slowly."""
        peak_dbfs = _peak_dbfs(samples)
        before = self.now_dbfs
        self.now_dbfs = peak_dbfs if before is None else max(peak_dbfs, before - FALL_DB)
        self.highest_dbfs = max(peak_dbfs, self.highest_dbfs or QUIETEST_DBFS)


def _peak_dbfs(samples: bytes) -> float:
    values = array("h", samples)
    peak = max(max(values), -min(values)) if values else 0
    return QUIETEST_DBFS if peak == 0 else 20 * math.log10(peak / FULL_SCALE)
