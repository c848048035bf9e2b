"""What a flood from the other side may take of a doorbell: so much work, and a few log lines."""

import logging
from collections.abc import Callable


class Budget:
    """`at_once` in a row, and `per_s` more each second."""

    def __init__(self, *, at_once: float, per_s: float, monotonic_s: Callable[[], float]) -> None:
        self._at_once = at_once
        self._per_s = per_s
        self._monotonic_s = monotonic_s
        self._left = at_once
        self._counted_s = monotonic_s()

    def take(self, cost: float = 1) -> bool:
        """Tell whether there is as much left, and take it if so."""
        now_s = self._monotonic_s()
        grown = self._left + (now_s - self._counted_s) * self._per_s
        self._left, self._counted_s = min(self._at_once, grown), now_s
        if self._left < cost:
            return False
        self._left -= cost
        return True


class RareWarning:
    """Logs what happens at its 1st, 2nd, 4th, 8th … time, with the count as its last value."""

    def __init__(self, log: logging.Logger, text: str) -> None:
        self._log = log
        self._text = text
        self._count = 0

    def happened(self, *values: object) -> None:
        """Count once more, and log if it is time to."""
        self._count += 1
        if self._count.bit_count() == 1:
            self._log.warning(self._text, *values, self._count)
