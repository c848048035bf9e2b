"""An invented town's clock, over a machine's that goes only when a test says so."""

from pathlib import Path

from relay.base.clock import SimulatedClock
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
