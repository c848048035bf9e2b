"""Weather in the picture: pixels that are hot for one frame only, all over it.

A drop, a flake, an insect or a streak under infrared is in one place for one picture; somebody who
walks is there for longer. Where there are such pixels apart from what is followed, only those count
that are hot in two of three frames. A runner far off, who is in one place for one picture too, is
found in dry weather only.
"""

import numpy as np

from firmware.motion.illumination import Bools

FOLLOWS = 0.1
"""Of the difference, in a frame: within a second."""
PART = 0.001
"""Of the pixels: from so many that are hot for one frame only, it is weather."""


class Weather:
    """The last three frames' hot pixels, and how many of them were hot for one frame only."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._frames = [np.zeros(shape, np.bool_) for _ in range(3)]
        self._counts = [0, 0, 0]
        self._least = PART * self._frames[0].size
        self._level = 0.0

    @property
    def is_bad(self) -> bool:
        """Whether it rains, snows or swarms."""
        return self._level > self._least

    @property
    def next(self) -> Bools:
        """The array for the next frame's hot pixels: that of the oldest."""
        return self._frames[0]

    def take(self, hot_px: int, apart_from: Bools | None) -> None:
        """Take the next frame's hot pixels, which were written to `next`; those that are followed
        don't count."""
        self._frames.append(self._frames.pop(0))
        self._counts = [*self._counts[1:], hot_px]
        lone_px = 0
        if self._counts[1]:
            before, middle, now = self._frames
            lone = middle > now
            lone &= ~before
            if apart_from is not None:
                lone &= ~apart_from
            lone_px = int(np.count_nonzero(lone))
        self._level += FOLLOWS * (lone_px - self._level)

    def lasting(self) -> Bools:
        """Return which pixels were hot in two of the last three frames, the last among them."""
        before, middle, now = self._frames
        lasting: Bools = before | middle
        lasting &= now
        return lasting
