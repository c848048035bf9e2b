"""The relay's clock, handed to whoever needs the time so that tests can turn it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for people and documents."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        ...


class SystemClock:
    """The machine's own clock."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000
