"""What a Pi will pay, computed: each part's CPU and memory as measured, times a factor a board.

The factors are stated, not measured. A Cortex-A53 of 1.4 GHz (Pi 3B+) is taken to be nine times
slower than the machine of the rows, in the middle of the eight to ten that the goals assume. The
others follow from it: a Zero 2 W by its clock, a Pi 4 and 5 by one core's events of `sysbench cpu`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

PREFIX = "part "
MEMORY_SUFFIX = " memory"
A53_FACTOR = 9.0
EVENTS_PI_3, EVENTS_PI_4, EVENTS_PI_5 = 687.45, 1477.83, 2737.49
"""sysbench 1.0.20, one thread, primes to 10,000: leoncode.co.uk/articles/raspberry-pi-benchmarks"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board, and how many times longer it is taken to need than the machine of the rows."""

    name: str
    profile: str
    """Its name in firmware/capture/board.py."""
    factor: float
    reason: str


BOARDS = (
    Board(
        name="Zero 2 W",
        profile="Raspberry Pi Zero 2 W",
        factor=A53_FACTOR * 1.4 / 1.0,
        reason="the Pi 3B+'s core, a Cortex-A53, at 1.0 instead of 1.4 GHz",
    ),
    Board(
        name="3B+",
        profile="Raspberry Pi 3",
        factor=A53_FACTOR,
        reason="a Cortex-A53 is assumed to be 8 to 10 times slower; 9 here",
    ),
    Board(
        name="4",
        profile="Raspberry Pi 4",
        factor=A53_FACTOR * EVENTS_PI_3 / EVENTS_PI_4,
        reason=f"the Pi 3B+'s, by one core's `sysbench cpu`: {EVENTS_PI_4:.0f} to "
        f"{EVENTS_PI_3:.0f} events a second",
    ),
    Board(
        name="5",
        profile="Raspberry Pi 5",
        factor=A53_FACTOR * EVENTS_PI_3 / EVENTS_PI_5,
        reason=f"likewise: {EVENTS_PI_5:.0f} to {EVENTS_PI_3:.0f}",
    ),
)


class Row(Protocol):
    """What is asked of an entry of docs/benchmarks.json."""

    @property
    def id(self) -> str: ...

    @property
    def what(self) -> str: ...

    @property
    def value(self) -> float: ...


def is_part(row: Row) -> bool:
    """Tell whether this is a part's row, which stands in the boards' table only."""
    return row.id.startswith(PREFIX)


def name_of(row: Row) -> str:
    """Return the part's name."""
    return row.id.removeprefix(PREFIX).removesuffix(MEMORY_SUFFIX)


def pi_table(rows: Sequence[Row]) -> str:
    """Return both tables, of CPU and of memory; "" if no part was measured."""
    parts = [row for row in rows if is_part(row)]
    if not parts:
        return ""
    cpu = [row for row in parts if not row.id.endswith(MEMORY_SUFFIX)]
    memory = [row for row in parts if row.id.endswith(MEMORY_SUFFIX)]
    names = [f"{board.name} (× {board.factor:.2g})" for board in BOARDS]
    reasons = "".join(
        f"- {board.name}: × {board.factor:.2g}; {board.reason}.\n" for board in BOARDS
    )
    return (
        "## What a Pi will pay\n\n"
        "**Computed, not measured on a Pi**: each part's share as measured in the real doorbell at "
        "720p30, 2 Mbit/s,\nencoded before, times a stated factor. A share is what the part takes "
        "while it is at work, in % of one core. The\nencoder, libcamera and picamera2 aren't in. "
        "`python -m tests.on_device.parts` measures the same rows on a Pi.\n\n"
        f"{reasons}\n"
        f"| part | what | measured here | {' | '.join(names)} |\n"
        f"|---|---|---|{'---|' * len(BOARDS)}\n"
        + "".join(f"| {' | '.join(_cpu(row))} |\n" for row in cpu)
        + f"| **all** | all of these at once | {_percent(_sum(cpu))} | "
        + " | ".join(f"**{_percent(_sum(cpu) * board.factor)}**" for board in BOARDS)
        + " |\n\n"
        "Memory is taken to be the same on each: the same code on 64 bits. What two parts load "
        "counts for the first.\n\n"
        "| part | what | resident |\n|---|---|---|\n"
        + "".join(f"| {name_of(row)} | {row.what} | {row.value:.3g} MB |\n" for row in memory)
        + f"| **all** | with a viewer and a clip | **{_sum(memory):.3g} MB** |\n"
    )


def computed(rows: Sequence[Row], profile: str) -> dict[str, float]:
    """Return what is computed for a board, by the rows' ids; StopIteration for an unknown board."""
    factor = next(board.factor for board in BOARDS if board.profile == profile)
    return {
        row.id: row.value * (1.0 if row.id.endswith(MEMORY_SUFFIX) else factor)
        for row in rows
        if is_part(row)
    }


def _cpu(row: Row) -> list[str]:
    here = [name_of(row), row.what, _percent(row.value)]
    return here + [_percent(row.value * board.factor) for board in BOARDS]


def _percent(value: float) -> str:
    return f"{value:.2g} %" if value < 99.5 else f"{value:.0f} %"


def _sum(rows: Sequence[Row]) -> float:
    return sum(row.value for row in rows)
