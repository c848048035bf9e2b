"""What a benchmark gives, and how one is run: own part and peer in turns, several times."""

import logging
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

log = logging.getLogger(__name__)

Unit = Literal[
    "µs", "ms", "s", "MB", "% of a core", "s frozen", "pictures", "ms/MB", "a second", "a day"
]
NS_PER: dict[Unit, int] = {"µs": 1_000, "ms": 1_000_000, "s": 1_000_000_000}


class NotHere(Exception):
    """Something can't be measured on this machine; the text says what it lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much work is done."""

    runs: int
    video_s: int
    package_bytes: int
    repeats: int
    """Times that a short piece of work is done in one run."""
    real_time_runs: int
    """Fewer than `runs`: a minute of video takes a minute, for the part and for its peer."""
    real_time_s: float
    triggers: int
    """Triggers in one run, for a p99."""
    clip_lengths_s: tuple[int, ...]
    pre_rolls_s: tuple[float, ...]
    ring_s: float
    joins: int
    """Times that a viewer joins."""
    watched_s: float
    """How long a viewer watches in one run."""
    uploads_bytes: tuple[int, ...]
    log_entries: int
    history_events: int
    image_bytes: int
    is_long: bool = False
    """Whether the largest sizes are measured too, which take hours."""


FULL = Size(
    runs=7,
    video_s=30,
    package_bytes=8_000_000,
    repeats=300,
    real_time_runs=5,
    real_time_s=60.0,
    triggers=100,
    clip_lengths_s=(15, 30, 120),
    pre_rolls_s=(2.0, 6.0, 15.0),
    ring_s=10.0,
    joins=21,
    watched_s=20.0,
    uploads_bytes=(8_000_000, 64_000_000, 256_000_000),
    log_entries=100_000,
    history_events=10_000,
    image_bytes=244_141 * 4096,
)
SHORT = Size(
    runs=1,
    video_s=2,
    package_bytes=200_000,
    repeats=3,
    real_time_runs=1,
    real_time_s=1.2,
    triggers=2,
    clip_lengths_s=(2,),
    pre_rolls_s=(1.0,),
    ring_s=0.5,
    joins=1,
    watched_s=1.5,
    uploads_bytes=(9_000_000,),
    log_entries=3_000,
    history_events=1_000,
    image_bytes=16 * 1024 * 1024,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run's times of the same piece of work, in ns."""

    times_ns: Sequence[int]

    def __post_init__(self) -> None:
        """Refuse what ended before it began: then something else was measured."""
        if min(self.times_ns) <= 0:
            raise ValueError("a benchmark's work ended before it began")

    def in_unit(self, unit: Unit) -> list[float]:
        """Return the times in a unit of time."""
        return [time_ns / NS_PER[unit] for time_ns in self.times_ns]


def computed(time_ms: float) -> Run:
    """Return a run of one time, computed from others; what is below 1 ns counts as that."""
    return Run(times_ns=[max(1, round(time_ms * 1_000_000))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """One run's readings of what isn't a time, in the result's own unit."""

    values: Sequence[float]

    def in_unit(self, unit: Unit) -> list[float]:
        """Return the readings."""
        if unit in NS_PER:
            raise ValueError(f"readings aren't times, which {unit} is")
        return list(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What was aimed at, in the result's unit or as a ratio; None where nothing was said."""

    value: float | None = None
    p99: float | None = None
    ratio: float | None = None
    over_peer: float | None = None
    """So much more than the peer's value."""
    highest: float | None = None
    """No reading may be above: where a p99 would take too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The same work at another size: medians, in the result's unit."""

    size: float
    value: float
    peer_value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A measured part and its peer; `peer` is "" where nothing does the same."""

    id: str
    what: str
    unit: Unit
    own_runs: Sequence[Run | Readings]
    peer: str = ""
    peer_runs: Sequence[Run | Readings] = ()
    goal: Goal | None = None
    note: str = ""
    """What a reader must know to judge the figure."""
    points: Sequence[Point] = ()
    axis: str = ""
    """What the points' sizes are, with their unit."""
    all_readings: Sequence[float] = ()
    """Of every size, in the result's unit: what `Goal.highest` is about."""

    @property
    def values(self) -> list[float]:
        """Each run's median."""
        return [statistics.median(run.in_unit(self.unit)) for run in self.own_runs]

    @property
    def peer_values(self) -> list[float]:
        """Each run's median of the peer."""
        return [statistics.median(run.in_unit(self.unit)) for run in self.peer_runs]

    @property
    def value(self) -> float:
        """The median of the runs."""
        return statistics.median(self.values)

    @property
    def peer_value(self) -> float | None:
        """The median of the peer's runs."""
        return statistics.median(self.peer_values) if self.peer_runs else None

    @property
    def p99(self) -> float | None:
        """The median of the runs' p99; None where a run has too few times for one."""
        runs = [run.in_unit(self.unit) for run in self.own_runs]
        return None if len(runs[0]) < 100 else statistics.median(map(p99_of, runs))

    @property
    def ratio(self) -> float | None:
        """How many times the peer's; None without one, or where the peer's is nothing."""
        return self.value / self.peer_value if self.peer_value else None

    @property
    def over_peer(self) -> float | None:
        """How much more than the peer's, in the result's unit; None without one."""
        return None if self.peer_value is None else self.value - self.peer_value

    @property
    def is_met(self) -> bool | None:
        """Whether the goal was reached; None where there is none, or too little to say so."""
        if self.goal is None:
            return None
        measured = (
            (self.goal.value, self.value),
            (self.goal.p99, self.p99),
            (self.goal.ratio, self.ratio),
            (self.goal.over_peer, self.over_peer),
            (self.goal.highest, max(self.all_readings, default=None)),
        )
        aimed_at = [(most, value) for most, value in measured if most is not None]
        if any(value is not None and value > most for most, value in aimed_at):
            return False
        return None if any(value is None for _, value in aimed_at) else True


Measured = TypeVar("Measured", "Run", "Readings")
Given = TypeVar("Given")


def p99_of(values: Sequence[float]) -> float:
    """Return the one that 99 of 100 stay under."""
    return sorted(values)[min(len(values) - 1, len(values) * 99 // 100)]


def p95_of(values: Sequence[float]) -> float:
    """Return the one that 19 of 20 stay under or reach."""
    return sorted(values)[-(-len(values) * 19 // 20) - 1]


def in_turns(
    runs: int,
    own: Callable[[], Measured],
    peer: Callable[[], Measured],
    *,
    has_warm_up: bool = True,
) -> tuple[list[Measured], list[Measured]]:
    """Run both once to warm up, then in turns, so that a busy moment strikes both."""
    if has_warm_up:
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


def tried(run: Callable[[], Given], what: str) -> Given | None:
    """Return what one run gives, at its second try if the first fails; None if both do.

    For runs with processes in them, of which one in many may hang: the others took minutes, too.
    """
    for _ in range(2):
        try:
            return run()
        except Exception:  # the supervisor: whatever it was, it ends this run alone
            log.warning("a run of %s failed", what, exc_info=True)
    return None


async def tried_async(run: Callable[[], Awaitable[Given]], what: str) -> Given | None:
    """Do the same as `tried`, on a loop."""
    for _ in range(2):
        try:
            return await run()
        except Exception:  # the supervisor: whatever it was, it ends this run alone
            log.warning("a run of %s failed", what, exc_info=True)
    return None


def needed(runs: Sequence[Given], what: str) -> Sequence[Given]:
    """Return the runs; RuntimeError if there is none, for then nothing was measured."""
    if not runs:
        raise RuntimeError(f"no run of {what} gave a number")
    return runs
