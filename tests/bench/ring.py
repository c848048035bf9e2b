"""D1: one access unit into the pre-roll ring, against a bare deque that trims by time."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from firmware.capture.packets import TICKS_PER_S, AccessUnit
from firmware.clips.ring import LONGEST_GOP_S, SLACK_S, Ring
from tests.bench.film import film, repeated
from tests.bench.measuring import Goal, Result, Run, Size, in_turns

PRE_ROLL_S = 6.0
MAX_BYTES = 16_000_000
WINDOW_90K = round((PRE_ROLL_S + LONGEST_GOP_S + SLACK_S) * TICKS_PER_S)


def measure(size: Size) -> Result:
    """Add ten films' units, each timed alone (the clock's own time is in both)."""
    units = repeated(film(size.video_s), 10)
    own, peer = in_turns(
        size.runs,
        lambda: _add_each(Ring(pre_roll_s=PRE_ROLL_S, max_bytes=MAX_BYTES).add, units),
        lambda: _add_each(_bare_deque(), units),
    )
    return Result(
        id="D1",
        what="access unit → ring, per unit (whole GOPs, trimmed by time and by bytes)",
        unit="µs",
        peer="collections.deque: append, popleft by time",
        own_runs=own,
        peer_runs=peer,
        goal=Goal(value=10.0, p99=60.0),
    )


def _bare_deque() -> Callable[[AccessUnit], None]:
    kept: deque[AccessUnit] = deque()

    def add(unit: AccessUnit) -> None:
        kept.append(unit)
        oldest_90k = unit.pts_90k - WINDOW_90K
        while kept[0].pts_90k < oldest_90k:
            kept.popleft()

    return add


def _add_each(add: Callable[[AccessUnit], None], units: Iterable[AccessUnit]) -> Run:
    times_ns = []
    for unit in units:
        begin_ns = time.perf_counter_ns()
        add(unit)
        times_ns.append(time.perf_counter_ns() - begin_ns)
    return Run(times_ns=times_ns)
