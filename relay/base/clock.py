"""The relay's clocks: injected, so that tests can set the time.

In an invented town the wall clock may be wound ahead (`SimulatedClock`), on its page;
what somebody else dates (TLS, TURN, push services) stays on the machine's own, `SystemClock`.
"""

import fcntl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from firmware.protocol.encoding import WireError
from firmware.protocol.town_clock import (
    MAX_OFFSET_MS,
    TownClock,
    Winding,
    check_is_example,
    read_offset_ms,
)
from relay.errors import ClockRefused

MOST_AT_ONCE_MS = 30 * 24 * 3600 * 1000
"""A press winds by a month at most."""


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


class SimulatedClock:
    """The simulated clock of an example town: the machine's clock plus an offset."""

    def __init__(self, path: Path, *, logs: Iterable[str], machine: Clock | None = None) -> None:
        """Raise ClockRefused unless all of these logs are an example's, and the file a clock's."""
        try:
            check_is_example(logs)
            self._winding = Winding(path)
        except (WireError, OSError) as error:
            raise ClockRefused("file", f"{path}: {error}") from error
        self._machine = machine or SystemClock()

    @property
    def path(self) -> Path:
        """The file with the town's offset."""
        return self._winding.path

    def wall_ms(self) -> int:
        """Return the town's time: milliseconds since 1970-01-01T00:00:00Z."""
        return self._machine.wall_ms() + self._winding.offset_ms()

    def offset_ms(self) -> int:
        """Return how far the town is ahead, in milliseconds."""
        return self._winding.offset_ms()

    def wind(self, by_ms: int, *, seen_ms: int) -> int:
        """Move the town's time ahead; return the new offset. Blocks.

        `seen_ms` is how far it was ahead for whoever pressed: of two who press at once, one
        winds, and the other is told. Raises ClockRefused for that, and for a bad amount.
        """
        if not 0 < by_ms <= MOST_AT_ONCE_MS:
            raise ClockRefused("amount", "a clock goes forward only, by 30 days at most")
        try:
            with _alone(self.path):
                self._wind_alone(by_ms, seen_ms)
        except (OSError, WireError) as error:
            raise ClockRefused("file", f"{self.path}: {error}") from error
        return self._winding.offset_ms()

    def _wind_alone(self, by_ms: int, seen_ms: int) -> None:
        now_ms = max(read_offset_ms(self.path), self._winding.offset_ms())  # never back
        if now_ms != seen_ms:
            raise ClockRefused("raced", "somebody else has just wound it; look at it again")
        if now_ms + by_ms > MAX_OFFSET_MS:
            raise ClockRefused("end", "three years ahead is the end: start the town anew")
        _write(self.path, TownClock(offset_ms=now_ms + by_ms).encode())


def clock_of(path: Path | None, town: str) -> Clock:
    """Return the clock of a relay's settings: an example town's, or the machine's own.

    `town` is what the names of its logs begin with. Raises ClockRefused.
    """
    return SystemClock() if path is None else SimulatedClock(path, logs=[town])


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock file of a town's clock: other processes move it as well."""
    with path.with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _write(path: Path, data: bytes) -> None:
    """Replace the file atomically."""
    written = path.with_suffix(".new")
    try:
        written.write_bytes(data)
        written.replace(path)
    finally:
        with suppress(OSError):
            written.unlink()
