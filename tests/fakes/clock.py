"""Clocks that go when a test says so."""

from firmware.system.clock import SystemClock


class ManualClock:
    """Implements `firmware.system.clock.Clock`, and `firmware.health.clock_watch.KeptClock`."""

    def __init__(
        self,
        *,
        wall_ms: int = 1_790_000_000_000,
        is_trusted: bool = True,
        boot_id: str = "boot",
        monotonic_s: int = 1_000,
    ) -> None:
        self.boot_id = boot_id
        self.remembered = 0
        self._wall_ms = wall_ms
        self._monotonic_ns = monotonic_s * 10**9
        self.trusted = is_trusted
        self.settled = True

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self._wall_ms += round(seconds * 1000)
        self._monotonic_ns += round(seconds * 1e9)

    def set_wall_ms(self, wall_ms: int) -> None:
        """Step the wall clock alone, as NTP does."""
        self._wall_ms = wall_ms

    def wall_ms(self) -> int:
        return self._wall_ms

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def remember(self) -> None:
        self.remembered += 1

    def is_trusted(self) -> bool:
        return self.trusted

    def is_settled(self) -> bool:
        return self.trusted and self.settled


class HurriedClock(SystemClock):
    """A real clock whose monotonic time a test lets pass faster."""

    _ahead_ns = 0

    def hurry(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead_ns += round(seconds * 1e9)

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self._ahead_ns


class ManualKernel:
    """Implements `firmware.system.clock.Kernel`: a board's clocks, which go only when a test says
    so."""

    def __init__(self, *, wall_ms: int = 1_790_000_000_000, boot: str = "this boot") -> None:
        self.wall = wall_ms
        self.monotonic = 5_000_000_000
        self.boot = boot
        self.synchronised: int | None = None
        self.rtc_offset_ms: int | None = None

    def advance(self, seconds: float) -> None:
        """Let time pass on all clocks."""
        self.wall += round(seconds * 1000)
        self.monotonic += round(seconds * 1e9)

    def synchronise(self) -> None:
        """Let NTP set the clock to what it shows."""
        self.synchronised = self.wall

    def wall_ms(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.monotonic

    def synchronised_ms(self) -> int | None:
        return self.synchronised

    def boot_id(self) -> str:
        return self.boot

    def rtc_ms(self) -> int | None:
        return None if self.rtc_offset_ms is None else self.wall + self.rtc_offset_ms
