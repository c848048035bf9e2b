"""What a benchmark gives, and how one is run: own part and peer in turns, several times."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["µs", "ms"]
NS_PER = {"µs": 1_000, "ms": 1_000_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much work is done."""

    runs: int
    video_s: int
    package_bytes: int
    repeats: int
    """Times that a short piece of work is done in one run."""


FULL = Size(runs=7, video_s=30, package_bytes=8_000_000, repeats=300)
SHORT = Size(runs=1, video_s=2, package_bytes=200_000, repeats=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run's times of the same piece of work, in ns."""

    times_ns: Sequence[int]

    @property
    def median_ns(self) -> float:
        """The middle one."""
        return statistics.median(self.times_ns)

    @property
    def p99_ns(self) -> float:
        """The one that 99 of 100 stay under."""
        ordered = sorted(self.times_ns)
        return float(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What was aimed at, in the result's unit; None where nothing was said."""

    value: float
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A measured part and its peer."""

    id: str
    what: str
    unit: Unit
    peer: str
    own_runs: Sequence[Run]
    peer_runs: Sequence[Run]
    goal: Goal | None = None

    @property
    def values(self) -> list[float]:
        """Each run's median."""
        return [run.median_ns / NS_PER[self.unit] for run in self.own_runs]

    @property
    def peer_values(self) -> list[float]:
        """Each run's median of the peer."""
        return [run.median_ns / NS_PER[self.unit] for run in self.peer_runs]

    @property
    def value(self) -> float:
        """The median of the runs."""
        return statistics.median(self.values)

    @property
    def peer_value(self) -> float:
        """The median of the peer's runs."""
        return statistics.median(self.peer_values)

    @property
    def p99(self) -> float | None:
        """The median of the runs' p99; None where a run has too few times for one."""
        if len(self.own_runs[0].times_ns) < 100:
            return None
        return statistics.median(run.p99_ns for run in self.own_runs) / NS_PER[self.unit]

    @property
    def ratio(self) -> float:
        """How many times the peer's time."""
        return self.value / self.peer_value

    @property
    def is_met(self) -> bool | None:
        """Whether the goal was reached; None where there is none."""
        if self.goal is None:
            return None
        is_p99_met = self.goal.p99 is None or (self.p99 or 0.0) <= self.goal.p99
        return self.value <= self.goal.value and is_p99_met


def in_turns(
    runs: int, own: Callable[[], Run], peer: Callable[[], Run]
) -> tuple[list[Run], list[Run]]:
    """Run both once to warm up, then in turns, so that a busy moment strikes both."""
    own()
    peer()
    own_runs, peer_runs = [], []
    for _ in range(runs):
        own_runs.append(own())
        peer_runs.append(peer())
    return own_runs, peer_runs


def timed(work: Callable[[], object], repeats: int = 1) -> Run:
    """Do a piece of work `repeats` times and time each."""
    times_ns = []
    for _ in range(repeats):
        begin_ns = time.perf_counter_ns()
        work()
        times_ns.append(time.perf_counter_ns() - begin_ns)
    return Run(times_ns=times_ns)
