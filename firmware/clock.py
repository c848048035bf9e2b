"""Time, as the doorbell's parts get it: through their constructor.

Wall time is for people and documents; monotonic time is for durations and for the pts of access
units. `is_trusted` tells whether the wall time was set by somebody who knows it: a doorbell that
was without power wakes with a wrong clock, and no grant may be judged by that.
"""

import ctypes
import time
from typing import Protocol

_TIME_ERROR = 5
"""adjtimex(2): the kernel's clock isn't synchronised."""
_TIMEX_BYTES = 512
"""More than `struct timex` has on any platform; zeroed, so that `modes` asks and sets nothing."""


class Clock(Protocol):
    """Where a part reads the time."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds since some fixed moment; never goes back."""
        ...

    def is_trusted(self) -> bool:
        """Tell whether the wall time is known to be right."""
        ...


class SystemClock:
    """The machine's own clock.

    `is_host_time_trusted` is for a machine whose time is kept by somebody else than its own
    kernel (a virtual machine, a container), where adjtimex always says "not synchronised".
    """

    def __init__(self, *, is_host_time_trusted: bool = False) -> None:
        self._is_host_time_trusted = is_host_time_trusted

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in nanoseconds."""
        return time.monotonic_ns()

    def is_trusted(self) -> bool:
        """Tell whether NTP keeps this clock, or whoever configured the doorbell vouches for it."""
        return self._is_host_time_trusted or is_kernel_clock_synchronised()


def is_kernel_clock_synchronised() -> bool:
    """Ask the kernel (adjtimex(2), which any user may) whether its clock is synchronised."""
    adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
    if adjtimex is None:
        return False
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = int(adjtimex(timex))
    return 0 <= state < _TIME_ERROR
