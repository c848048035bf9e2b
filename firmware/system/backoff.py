"""Jittered exponential back-off."""

import random


class Backoff:
    """Waits grow from `first_s` to `max_s` by doubling, each shortened by up to half.

    The jitter keeps a fleet from coming back all at once after its broker was away.
    """

    def __init__(self, *, first_s: float, max_s: float, source: random.Random) -> None:
        self._first_s = first_s
        self._max_s = max_s
        self._source = source
        self._failures = 0

    def next_s(self) -> float:
        """Count one more failure and return how long to wait."""
        whole_s: float = min(self._max_s, self._first_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return whole_s * (0.5 + self._source.random() / 2)

    def reset(self) -> None:
        """Reset to the shortest wait."""
        self._failures = 0
