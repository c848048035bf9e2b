"""Gaps in a camera's pictures, from their times alone.

A gap is a quarter of a second or more without a picture, where pictures came clearly faster before:
so neither a slow camera nor a night's long exposures make one, and a camera that skips does. Pure.
"""

from collections import deque

from firmware.capture.camera_output import TICKS_PER_S

LEAST_90K = TICKS_PER_S // 4
"""Longer than the slowest pictures that can be set: five a second."""
USUAL_OF = 9
"""The usual time between pictures is the median of so many."""
FACTOR = 1.8
"""One picture missing makes twice the usual time."""
UNUSUAL_90K = TICKS_PER_S
"""Before anything is usual."""
LEAST_KNOWN = 3
RECENT_90K = 600 * TICKS_PER_S
MOST_RECENT = 100


class GapCounter:
    """Counts the gaps between pictures that come in order."""

    def __init__(self) -> None:
        self._last_90k: int | None = None
        self._between: deque[int] = deque(maxlen=USUAL_OF)
        self.count = 0
        self.longest_90k = 0

    def add(self, pts_90k: int) -> int:
        """Take the next picture's time; return how long the gap before it is, or 0."""
        last_90k, self._last_90k = self._last_90k, pts_90k
        if last_90k is None:
            return 0
        between = self._between
        passed_90k = pts_90k - last_90k
        gap_90k = 0
        if passed_90k >= LEAST_90K and passed_90k >= self._least_90k():
            gap_90k = passed_90k
            self.count += 1
            self.longest_90k = max(self.longest_90k, gap_90k)
        between.append(passed_90k)
        return gap_90k

    def _least_90k(self) -> float:
        if len(self._between) < LEAST_KNOWN:
            return UNUSUAL_90K
        return FACTOR * sorted(self._between)[len(self._between) // 2]


class RecentGaps:
    """The gaps of the last ten minutes; `add` on the camera's thread, all else from any."""

    def __init__(self) -> None:
        self._counter = GapCounter()
        self._gaps: tuple[tuple[int, int], ...] = ()
        """When each ended, and how long it was; replaced, never changed."""

    def add(self, pts_90k: int) -> None:
        """Take the next picture's time."""
        gap_90k = self._counter.add(pts_90k)
        if gap_90k:
            self._gaps = (*self._gaps[1 - MOST_RECENT :], (pts_90k, gap_90k))

    def lengths_ms(self, now_90k: int) -> list[int]:
        """Return how long each recent gap was."""
        since_90k = now_90k - RECENT_90K
        return [gap_90k // 90 for ended_90k, gap_90k in self._gaps if ended_90k >= since_90k]
