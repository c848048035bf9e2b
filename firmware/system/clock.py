"""Clock of the doorbell: wall and monotonic time, and whether the wall time can be trusted.

Wall time is for people and documents; monotonic time is for durations and for the pts of access
units. `is_trusted` is whether the wall time was set by a reliable source: a doorbell that was
without power starts with a wrong clock, and no grant may be judged by that.

Trusted is a clock that NTP has set since the board started, or one that the board's real-time
clock set, if NTP set that at most seven days ago. Not trusted is a clock that is behind the newest
time that it ever trusted, and one that somebody set since, until NTP sets it again: that shows in
wall time minus monotonic time, which only a step changes. The relay's time never counts.

Nor is one trusted that is behind what witnesses of a public log say (`note_witnessed`): whoever
sets the clock back can't make an expired grant count again.

NTP can lie, too. A leap ahead is trusted, but it is not `is_settled` for half a day: until then
nothing is deleted for its age, and the leap isn't remembered as the newest time.
"""

import ctypes
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec

from firmware.protocol.encoding import Document, WallTimeMs, WireError, decode
from firmware.system.durable_files import write_atomic

_TIME_ERROR = 5
"""adjtimex(2): the kernel's clock isn't synchronised."""
_TIMEX_BYTES = 512
"""More than `struct timex` has on any platform; zeroed, so that `modes` asks and sets nothing."""

RTC_TRUSTED_FOR_MS = 7 * 24 * 3600 * 1000
RTC_TOLERANCE_MS = 5_000
"""A real-time clock shows whole seconds, and drifts a second or two in a week."""
BEHIND_TOLERANCE_MS = 2_000
"""NTP slews back by fractions of a second all the time."""
WITNESSES_AHEAD_MS = 10_000
"""So far the clocks of a whole quorum of witnesses may be ahead of this one."""
STEP_MS = 2_000
"""Wall time minus monotonic time stays the same but for steps and such fractions."""
FRESH_MS = 5_000
LEAP_MS = 6 * 3600 * 1000
SETTLING_NS = 12 * 3600 * 10**9
BOOT_ID = Path("proc/sys/kernel/random/boot_id")
RTC = Path("sys/class/rtc/rtc0")
TIMESYNC = Path("run/systemd/timesync/synchronized")
"""Touched after each synchronisation, and gone with the boot (systemd-timesyncd.service(8))."""

log = logging.getLogger(__name__)


class Clock(Protocol):
    """The clock that a part gets by its constructor."""

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_ns(self) -> int:
        """Return nanoseconds since some fixed moment; never goes back."""
        ...

    def is_trusted(self) -> bool:
        """Return whether the wall time is known to be right."""
        ...

    def is_settled(self) -> bool:
        """Return whether the wall time has been right for long enough to delete by it."""
        ...


class MonotonicClock(Protocol):
    """Where a part reads durations alone; every `Clock` is one."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds since some fixed moment; never goes back."""
        ...


def monotonic_s(clock: MonotonicClock) -> float:
    """Return a clock's monotonic time in seconds."""
    return clock.monotonic_ns() / 1e9


class Kernel(Protocol):
    """The kernel's clocks."""

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
        """Return the id of the current boot; "" if not known."""
        ...

    def rtc_ms(self) -> int | None:
        """Return the real-time clock that set the wall time at boot; None if none did."""
        ...


class _Known(Document, frozen=True, kw_only=True):
    """Content of clock.json, which outlives a restart."""

    v: Literal[1] = 1
    newest_ms: WallTimeMs = 0
    synchronised_ms: WallTimeMs = 0
    boot_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    difference_ms: int | None = None
    """Wall time minus monotonic time, in that boot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moment:
    """One moment by both clocks."""

    wall_ms: int
    monotonic_ns: int

    @property
    def difference_ms(self) -> int:
        return self.wall_ms - self.monotonic_ns // 1_000_000


class SystemClock:
    """The machine's own clock. Call `remember` at intervals, and at the end.

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
        self._synchronised_ms = self._known.synchronised_ms if self._is_set else None
        known_ms = self._known.difference_ms if self._is_set else None
        self._difference_ms = self._now().difference_ms if known_ms is None else known_ms
        self._sure: _Moment | None = None
        self._leapt_ns: int | None = None
        self._floor: _Moment | None = None
        self._was_behind = False

    @property
    def boot_id(self) -> str:
        """Id of the current boot, within which monotonic times compare."""
        return self._boot_id

    def wall_ms(self) -> int:
        """Return milliseconds since 1970-01-01T00:00:00Z."""
        return self._kernel.wall_ms()

    def monotonic_ns(self) -> int:
        """Return CLOCK_MONOTONIC in nanoseconds."""
        return self._kernel.monotonic_ns()

    def is_trusted(self) -> bool:
        """Return whether NTP or a good RTC set this clock, or somebody vouches for it."""
        now = self._now()
        is_trusted = self._is_host_time_trusted or self._is_right(now)
        if self._is_behind(now):
            return False
        if is_trusted:
            self._note_leap(now)
        return is_trusted

    def note_witnessed(self, witnessed_ms: int) -> None:
        """Take the newest time that a quorum of witnesses signed (verified): it isn't earlier.

        From then on that time goes on by the monotonic clock. Of several the latest counts.
        """
        floor = _Moment(wall_ms=witnessed_ms, monotonic_ns=self.monotonic_ns())
        if self._floor is None or floor.difference_ms > self._floor.difference_ms:
            self._floor = floor

    def is_settled(self) -> bool:
        """Return whether the clock is trusted, and hasn't leapt ahead for half a day."""
        if not self.is_trusted():
            return False
        leapt_ns = self._leapt_ns
        return leapt_ns is None or self.monotonic_ns() - leapt_ns >= SETTLING_NS

    def remember(self) -> None:
        """Keep the time, if it is trusted, so that no later start can be behind it. Blocks.

        A storage error is reported by other parts.
        """
        if self._is_host_time_trusted or not self.is_trusted():
            return
        newest_ms, synchronised_ms = self._known.newest_ms, self._known.synchronised_ms
        if self.is_settled():
            newest_ms = max(self.wall_ms(), newest_ms)
            synchronised_ms = max(self._synchronised_ms or 0, synchronised_ms)
        known = _Known(
            newest_ms=newest_ms,
            synchronised_ms=synchronised_ms,
            boot_id=self._boot_id if self._is_set else self._known.boot_id,
            difference_ms=self._difference_ms if self._is_set else self._known.difference_ms,
        )
        self._known = known
        if self._kept_in is not None:
            try:
                write_atomic(self._kept_in, known.encode())
            except OSError as error:
                log.warning("the time can't be remembered: %s", error)

    def _now(self) -> _Moment:
        return _Moment(wall_ms=self.wall_ms(), monotonic_ns=self.monotonic_ns())

    def _is_behind(self, now: _Moment) -> bool:
        """Return whether the clock is behind the witnesses; log it when that changes."""
        behind_ms = 0 if self._floor is None else self._floor.difference_ms - now.difference_ms
        is_behind = behind_ms > WITNESSES_AHEAD_MS
        if is_behind and not self._was_behind:
            log.error(
                "the clock is %d s behind what witnesses of the public log signed: it isn't "
                "trusted, and nothing is released, until somebody sets it right",
                behind_ms // 1000,
            )
        self._was_behind = is_behind
        return is_behind

    def _is_right(self, now: _Moment) -> bool:
        if self._is_set_anew(now):
            self._is_set = True
            self._difference_ms = now.difference_ms
        if not self._is_set and not self._is_set_by_rtc:
            return False
        if abs(now.difference_ms - self._difference_ms) > STEP_MS:
            return False
        if not self._is_set and now.wall_ms - self._known.synchronised_ms > RTC_TRUSTED_FOR_MS:
            return False
        return now.wall_ms >= self._known.newest_ms - BEHIND_TOLERANCE_MS

    def _is_set_anew(self, now: _Moment) -> bool:
        """Return whether NTP has set the clock since this was asked last.

        A stamp that goes back is an older one, unless it is of this very moment.
        """
        before_ms, stamp_ms = self._synchronised_ms, self._kernel.synchronised_ms()
        if stamp_ms is None or stamp_ms == before_ms:
            return False
        is_older = before_ms is not None and stamp_ms < before_ms
        if is_older and abs(stamp_ms - now.wall_ms) > FRESH_MS:
            return False
        self._synchronised_ms = stamp_ms
        return True

    def _note_leap(self, now: _Moment) -> None:
        """Compare the trusted time with the one before, or with an earlier start's."""
        if self._sure is not None:
            passed_ms = (now.monotonic_ns - self._sure.monotonic_ns) // 1_000_000
            expected_ms = self._sure.wall_ms + passed_ms
        else:
            expected_ms = self._known.newest_ms or now.wall_ms
        if now.wall_ms - expected_ms > LEAP_MS:
            log.warning("the clock leapt ahead by %d s", (now.wall_ms - expected_ms) // 1000)
            self._leapt_ns = now.monotonic_ns
        elif expected_ms - now.wall_ms > LEAP_MS:
            self._leapt_ns = None  # back again
        self._sure = now

    def _has_good_rtc(self) -> bool:
        """Return whether the real-time clock set the wall time, and NTP had set it lately.

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
