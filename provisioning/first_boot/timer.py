"""Clock of a first boot: the wall's time, and pauses."""

import time
from typing import Protocol


class Timer(Protocol):
    """Gives the time, and waits."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970, by the machine's clock as it is now."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemTimer:
    """The machine's own."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970, by the machine's clock as it is now."""
        return time.time_ns() // 1_000_000

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
