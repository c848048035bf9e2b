"""Stages of a booted first boot, and how long each took."""

import contextlib
import time
from collections.abc import Iterator

from tests.boot.machine import Machine

FIRST_BOOT_STEPS = (
    "network", "bundle", "data_partition", "user", "install", "settings", "clock", "enrol",
    "read_only_system", "start",
)  # fmt: skip
WITHIN_S = 1200.0
"""Of a busy machine: only a failure waits so long."""


class Stages:
    """Seconds by stage, in order."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Time a stage."""
        begun_s = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begun_s

    def __str__(self) -> str:
        parts = [f"{name} {seconds:.1f} s" for name, seconds in self.seconds.items()]
        return f"{', '.join(parts)}; in all {sum(self.seconds.values()):.0f} s"


async def follow_first_boot(machine: Machine, stages: Stages) -> None:
    """Wait until the first boot is done; time each of its steps."""
    with stages.of("boot"):
        await machine.wait_for(r"Started doorward-first-boot", within_s=WITHIN_S)
    for step in FIRST_BOOT_STEPS:
        with stages.of(step):
            await machine.wait_for(done_line(step), within_s=WITHIN_S)


def done_line(step: str) -> str:
    """Return what matches once a step is done; one that was done before says nothing."""
    later = FIRST_BOOT_STEPS[FIRST_BOOT_STEPS.index(step) :]
    return rf"INFO ({'|'.join(later)}) is done"
