"""The time of the machine on which a player or an owner's program runs."""

import time
from typing import Protocol


class PlayerClock(Protocol):
    """Where a player reads the time, as `MachineClock`."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_s(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        ...


class MachineClock:
    """This machine's own clock."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        return time.monotonic()
