"""Time, as the doorbell's parts get it: through their constructor.

Wall time is for people and documents; monotonic time is for durations and for the pts of access
units. `is_trusted` tells whether the wall time was set by somebody who knows it: a doorbell that
was without power wakes with a wrong clock, and no grant may be judged by that.

Trusted is a clock that NTP has set since the board started, or one that the board's real-time
clock set, if NTP set that at most seven days ago. A clock that is behind the newest time that it
ever trusted isn't. The relay's word never counts.
"""

import ctypes
import logging
import time
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec

from firmware.durable import write_atomic
from firmware.protocol.encoding import Document, WallTimeMs, WireError, decode

_TIME_ERROR = 5
"""adjtimex(2): the kernel's clock isn't synchronised."""
_TIMEX_BYTES = 512
"""More than `struct timex` has on any platform; zeroed, so that `modes` asks and sets nothing."""

RTC_TRUSTED_FOR_MS = 7 * 24 * 3600 * 1000
RTC_TOLERANCE_MS = 5_000
"""A real-time clock shows whole seconds, and drifts a second or two in a week."""
BEHIND_TOLERANCE_MS = 2_000
"""NTP slews back by fractions of a second all the time."""
BOOT_ID = Path("proc/sys/kernel/random/boot_id")
RTC = Path("sys/class/rtc/rtc0")
TIMESYNC = Path("run/systemd/timesync/synchronized")
"""Touched after each synchronisation, and gone with the boot (systemd-timesyncd.service(8))."""

log = logging.getLogger(__name__)


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


class Kernel(Protocol):
    """The machine's clocks, as its kernel keeps them."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in nanoseconds."""
        ...

    def synchronised_ms(self) -> int | None:
        """Return the wall time at which NTP last set it since the board started; None: never."""
        ...

    def boot_id(self) -> str:
        """Return what names the time since the board started; "" if not known."""
        ...

    def rtc_ms(self) -> int | None:
        """Return the real-time clock that set the wall time at boot; None if none did."""
        ...


class _Known(Document, frozen=True, kw_only=True):
    """What outlives a restart, in clock.json."""

    v: Literal[1] = 1
    newest_ms: WallTimeMs = 0
    synchronised_ms: WallTimeMs = 0
    boot_id: Annotated[str, msgspec.Meta(max_length=64)] = ""


class SystemClock:
    """The machine's own clock. `remember` now and then, and at the end.

    `is_host_time_trusted` is for a machine whose time is kept by somebody else than its own
    kernel (a virtual machine, a container), where adjtimex always says "not synchronised".
    Without `kept_in` nothing is known of earlier boots.
    """

    def __init__(
        self,
        *,
        is_host_time_trusted: bool = False,
        kept_in: Path | None = None,
        kernel: Kernel | None = None,
    ) -> None:
        self._is_host_time_trusted = is_host_time_trusted
        self._kept_in = kept_in
        self._kernel = kernel or LinuxKernel()
        self._boot_id = self._kernel.boot_id()
        self._known = _load(kept_in)
        self._is_set = bool(self._boot_id) and self._known.boot_id == self._boot_id
        self._is_set_by_rtc = not self._is_set and self._has_good_rtc()

    @property
    def boot_id(self) -> str:
        """What names the time since the board started: monotonic times compare within it."""
        return self._boot_id

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        return self._kernel.wall_ms()

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in nanoseconds."""
        return self._kernel.monotonic_ns()

    def is_trusted(self) -> bool:
        """Tell whether NTP or a good real-time clock set this clock, or somebody vouches for it."""
        if self._is_host_time_trusted:
            return True
        self._is_set = self._is_set or self._kernel.synchronised_ms() is not None
        if not self._is_set and not self._is_set_by_rtc:
            return False
        wall_ms = self.wall_ms()
        if not self._is_set and wall_ms - self._known.synchronised_ms > RTC_TRUSTED_FOR_MS:
            return False
        return wall_ms >= self._known.newest_ms - BEHIND_TOLERANCE_MS

    def remember(self) -> None:
        """Keep the time, if it is trusted, so that no later start can be behind it. Blocks."""
        if self._is_host_time_trusted or not self.is_trusted():
            return
        wall_ms = self.wall_ms()
        synchronised_ms = self._kernel.synchronised_ms()
        known = _Known(
            newest_ms=max(wall_ms, self._known.newest_ms),
            synchronised_ms=max(synchronised_ms or 0, self._known.synchronised_ms),
            boot_id=self._boot_id if self._is_set else self._known.boot_id,
        )
        if self._kept_in is not None:
            write_atomic(self._kept_in, known.encode())
        self._known = known

    def _has_good_rtc(self) -> bool:
        """Tell whether the real-time clock set the wall time, and NTP had set it lately.

        One whose battery is flat begins in 1970; the system then takes a time from the card,
        which agrees with no real-time clock.
        """
        rtc_ms, wall_ms = self._kernel.rtc_ms(), self.wall_ms()
        return (
            rtc_ms is not None
            and abs(rtc_ms - wall_ms) <= RTC_TOLERANCE_MS
            and 0 <= wall_ms - self._known.synchronised_ms <= RTC_TRUSTED_FOR_MS
        )


class LinuxKernel:
    """Implements `Kernel`; `root` stands before the paths of proc and sys."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def wall_ms(self) -> int:
        """Return CLOCK_REALTIME in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in nanoseconds."""
        return time.monotonic_ns()

    def synchronised_ms(self) -> int | None:
        """Ask adjtimex(2), and where that is forbidden, systemd-timesyncd's file."""
        if is_kernel_clock_synchronised():
            return self.wall_ms()
        try:
            return (self._root / TIMESYNC).stat().st_mtime_ns // 1_000_000
        except OSError:
            return None

    def boot_id(self) -> str:
        """Return the kernel's random id of this boot."""
        return _text(self._root / BOOT_ID)

    def rtc_ms(self) -> int | None:
        """Return rtc0, if the kernel set its clock by it (`hctosys`)."""
        rtc = self._root / RTC
        seconds = _text(rtc / "since_epoch")
        is_source = _text(rtc / "hctosys") == "1"
        return int(seconds) * 1000 if is_source and seconds.isdigit() else None


def is_kernel_clock_synchronised() -> bool:
    """Ask the kernel (adjtimex(2), which any user may) whether its clock is synchronised."""
    adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
    if adjtimex is None:
        return False
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    state = int(adjtimex(timex))
    return 0 <= state < _TIME_ERROR


def _load(path: Path | None) -> _Known:
    if path is None or not path.exists():
        return _Known()
    try:
        return decode(_Known, path.read_bytes())
    except (OSError, WireError) as error:
        log.error("%s can't be read, so earlier boots' times aren't known: %s", path, error)
        return _Known()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
