"""L3: doorbells that are connected and say nothing: their connects, statuses, memory and CPU.

Each connects over TLS with a certificate of its own and subscribes; the relay answers the broker's
question who it is. What a doorbell takes is computed from what broker and relay had before any was
there. Then each tells its state, twice: the first is a change, the second what comes each minute.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measuring import Goal, Point, Readings, Result, Size, computed
from tests.bench.relay_rig import RelayRig, Spent, relay_with_fleet

FLEETS = (200, 1_000, 5_000)
HERD = 5_000
RUNS = 3
"""Each begins with a relay and a broker of its own, and connects everybody."""
IDLE_S = 20.0
QUIET_S = 1.0
TAKEN_S = 120.0
MB = 1e6
SHARED = "Doorbells, broker and relay share the machine; the doorbells' TLS is the greater part."


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """What one fleet took."""

    took_s: float
    connect_ms: float
    """CPU of the relay for a connect; then the broker's."""
    broker_connect_ms: float
    broker_mb: float
    """For a doorbell; then the relay's."""
    relay_mb: float
    status_ms: float
    idle_percent: float
    """Of a core, of the relay, with all of them connected."""
    broker_idle_percent: float


def measure(size: Size) -> list[Result]:
    """Connect growing fleets."""
    is_full = size.runs > 1
    runs = min(size.runs, RUNS)
    fleets = {
        count: [connect(count, is_full=is_full) for _ in range(runs)]
        for count in (FLEETS if is_full else (8,))
    }
    most, last = max(fleets), fleets[max(fleets)]
    what = f"{most:,} doorbells, over TLS, each with its certificate"
    return [
        Result(
            id="L3",
            what=f"{what}: until all are connected and subscribed, none refused",
            unit="s",
            own_runs=[computed(run.took_s * 1000) for run in last],
            goal=Goal(value=60.0),
            note=f"The goal is about {HERD:,}. {SHARED}",
            points=_points(fleets, "took_s"),
            axis="doorbells",
        ),
        _row("L3 connect", f"{what}: the relay's CPU for a connect", "connect_ms", fleets),
        _row("L3 connect broker", f"{what}: the broker's CPU", "broker_connect_ms", fleets),
        _row("L3 memory", f"{what}: the relay's memory for each", "relay_mb", fleets),
        _row("L3 memory broker", f"{what}: the broker's memory for each", "broker_mb", fleets),
        _row(
            "L3 status",
            f"{what}: the relay's CPU for a status that tells what it told before",
            "status_ms",
            fleets,
            Goal(value=0.1),
        ),
        _row("L3 idle", f"{what}, which say nothing: the relay's CPU", "idle_percent", fleets),
        _row("L3 idle broker", f"{what}: the broker's CPU", "broker_idle_percent", fleets),
    ]


def connect(count: int, *, is_full: bool) -> Connected:
    """Connect so many doorbells to a new relay, have them tell their state, and let them be."""
    quiet_s, idle_s = (QUIET_S, IDLE_S) if is_full else (0.3, 0.5)
    with (
        tempfile.TemporaryDirectory(prefix="dwb-") as name,
        relay_with_fleet(Path(name) / "own", connected=count) as rig,
    ):
        time.sleep(quiet_s)
        alone = rig.spent()
        told = rig.ask("connect", folders=rig.folders)
        time.sleep(quiet_s)
        joined = rig.spent()
        _tell(rig, quiet_s)
        before = rig.spent()
        _tell(rig, quiet_s)
        after = rig.spent()
        time.sleep(idle_s)
        rested = rig.spent()
    return Connected(
        took_s=told["took_s"],
        connect_ms=(joined.relay_s - alone.relay_s) * 1000 / count,
        broker_connect_ms=(joined.broker_s - alone.broker_s) * 1000 / count,
        broker_mb=(joined.broker_bytes - alone.broker_bytes) / MB / count,
        relay_mb=(joined.relay_bytes - alone.relay_bytes) / MB / count,
        status_ms=(after.relay_s - before.relay_s) * 1000 / count,
        idle_percent=(rested.relay_s - after.relay_s) * 100 / idle_s,
        broker_idle_percent=(rested.broker_s - after.broker_s) * 100 / idle_s,
    )


def _tell(rig: RelayRig, quiet_s: float) -> None:
    """Have each tell its state, and wait until the relay takes no time for it any more."""
    rig.ask("status")
    time.sleep(3 * quiet_s)  # states are gathered for a second before they are written
    end_s, before = time.monotonic() + TAKEN_S, rig.spent()
    while time.monotonic() < end_s:
        time.sleep(quiet_s)
        now = rig.spent()
        if _is_quiet(before, now, quiet_s):
            return
        before = now
    raise RuntimeError("the relay is still busy with the doorbells' states")


def _is_quiet(before: Spent, now: Spent, quiet_s: float) -> bool:
    return now.relay_s - before.relay_s < 0.03 * quiet_s


def _points(fleets: Mapping[int, Sequence[Connected]], name: str) -> list[Point]:
    return [
        Point(size=count, value=sorted(getattr(run, name) for run in runs)[len(runs) // 2])
        for count, runs in fleets.items()
    ]


def _row(
    id_: str,
    what: str,
    name: str,
    fleets: Mapping[int, Sequence[Connected]],
    goal: Goal | None = None,
) -> Result:
    values = [getattr(run, name) for run in fleets[max(fleets)]]
    is_time = name.endswith("_ms")
    return Result(
        id=id_,
        what=what,
        unit="ms" if is_time else "MB" if name.endswith("_mb") else "% of a core",
        own_runs=[computed(one) if is_time else Readings(values=[one]) for one in values],
        goal=goal,
        points=_points(fleets, name),
        axis="doorbells",
    )
