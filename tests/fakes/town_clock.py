"""An invented town's clock, over a machine's that goes only when a test says so."""

from pathlib import Path

from relay.base.clock import MOST_AT_ONCE_MS, SimulatedClock
from tests.fakes.clock import ManualClock


class WoundManualClock(ManualClock):
    """Implements the clocks of relay and doorbell; `town` is what the page winds."""

    def __init__(self, path: Path, *, log: str) -> None:
        super().__init__()
        self.machine = ManualClock()
        self.town = SimulatedClock(path, logs=[log], machine=self.machine)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        super().advance(seconds)
        self.machine.advance(seconds)

    def wall_ms(self) -> int:
        return self.town.wall_ms()


class WindingClock(WoundManualClock):
    """Goes on by winding the town alone, so that its pages' modules know how far it is ahead."""

    def advance(self, seconds: float) -> None:
        """Let time pass for the town; the machine's clock stands still."""
        ManualClock.advance(self, seconds)
        left_ms = round(seconds * 1000)
        while left_ms > 0:
            step_ms = min(left_ms, MOST_AT_ONCE_MS)
            self.town.wind(step_ms, seen_ms=self.town.offset_ms())
            left_ms -= step_ms

    def set_wall_ms(self, wall_ms: int) -> None:
        """Wind the town to a later time."""
        self.advance((wall_ms - self.wall_ms()) / 1000)
