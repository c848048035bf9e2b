"""L6: how long a receipt and an open page wait while one process of a cluster is killed.

The whole cluster of `make cluster` runs: three brokers, two databases, relays by role, a store on
two nodes, a proxy. Doorbells ring all the time. Each process is killed once with SIGKILL and
started again two seconds later; of the primary the standby is promoted. A ring counts if it was
under way between the kill and the moment at which all serve again. It is no measurement if
anything was lost, doubled or put out of order.
"""

import asyncio
import contextlib
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from relay.store.database import Database
from tests.bench.measuring import Goal, NotHere, Result, Run, Size
from tests.cluster.chaos import Blow, How, every_blow, strike
from tests.cluster.people import Ring, settle
from tests.cluster.processes import ClusterFailed
from tests.cluster.promises import check
from tests.cluster.servers import Cluster, run_cluster

log = logging.getLogger(__name__)

RUNS = 3
DOORBELLS, OWNERS, EACH_S = 20, 5, 1.0
QUIET_S = 5.0
"""Between two kills."""
SHORT_BLOWS = ("ingest-1",)
GOAL_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """One process, and when all served again; by the monotonic clock, in seconds."""

    name: str
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pauses:
    """Of one run: how long each ring that a kill met waited for its receipt, and for its page."""

    receipts_s: Sequence[float]
    pages_s: Sequence[float]
    longest_s: dict[str, float]
    """The longest wait for either, by the process that was killed."""


def measure(size: Size) -> list[Result]:
    """Kill each process once a run; NotHere if a server isn't installed."""
    is_full = size.runs > 1
    found = [_pauses(is_full=is_full) for _ in range(RUNS if is_full else 1)]
    longest: dict[str, float] = {}
    for one in found:
        for name, longest_s in one.longest_s.items():
            longest[name] = max(longest_s, longest.get(name, 0.0))
    by_name = ", ".join(f"{name} {longest_s:.1f} s" for name, longest_s in longest.items())
    what = "a process of a cluster is killed: from a press"
    return [
        Result(
            id="L6",
            what=f"{what} that it met to its receipt",
            unit="s",
            own_runs=[_run(one.receipts_s) for one in found],
            goal=Goal(p99=GOAL_S),
            note="Nothing was lost, doubled or put out of order; two cores carry all processes.",
        ),
        Result(
            id="L6 page",
            what=f"{what} that it met to its owner's open page",
            unit="s",
            own_runs=[_run(one.pages_s) for one in found],
            goal=Goal(p99=GOAL_S),
        ),
        Result(
            id="L6 longest",
            what=f"{what} to its receipt and page, the longest of all",
            unit="s",
            own_runs=[_run([max(one.longest_s.values())]) for one in found],
            note=f"By what was killed, the longest of all runs: {by_name}.",
        ),
    ]


def _pauses(*, is_full: bool) -> Pauses:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dwb-")))
        try:
            cluster = stack.enter_context(run_cluster(folder / "cluster", log.info))
        except ClusterFailed as error:
            if "isn't installed" in str(error):
                raise NotHere(str(error)) from error
            raise
        return asyncio.run(_rung(cluster, folder / "doorbells", is_full=is_full))


async def _rung(cluster: Cluster, folder: Path, *, is_full: bool) -> Pauses:
    kills = [blow for blow in every_blow(cluster) if blow.how == How.KILL]
    database = await Database.open(cluster.config.database)
    try:
        town = await settle(
            cluster,
            database,
            folder,
            doorbells=DOORBELLS if is_full else 2,
            owners=OWNERS if is_full else 1,
            each_s=EACH_S,
        )
        await town.begin()
        killed = []
        for blow in kills if is_full else [Blow(name=name) for name in SHORT_BLOWS]:
            await asyncio.sleep(QUIET_S)
            began_s = time.monotonic()
            await strike(cluster, blow, log.info)
            killed.append(Killed(name=blow.name, began_s=began_s, ended_s=time.monotonic()))
        await asyncio.sleep(QUIET_S)
        await town.end()
        kept = await check(town)
        if kept.broken:
            raise RuntimeError("; ".join(kept.broken))
        return pauses_of([ring for one in town.ringing for ring in town.rings_of(one)], killed)
    finally:
        await database.close()


def pauses_of(rings: Sequence[Ring], killed: Sequence[Killed]) -> Pauses:
    """Return what the rings that were under way during a kill waited for."""
    receipts_s, pages_s, longest_s = [], [], {}
    for one in killed:
        met = [
            ring
            for ring in rings
            if ring.began_s < one.ended_s and max(ring.receipt_s, ring.shown_s) > one.began_s
        ]
        receipts_s += [ring.receipt_s - ring.began_s for ring in met]
        pages_s += [ring.shown_s - ring.began_s for ring in met]
        longest_s[one.name] = max(
            (max(ring.receipt_s, ring.shown_s) - ring.began_s for ring in met), default=0.0
        )
    return Pauses(receipts_s=receipts_s, pages_s=pages_s, longest_s=longest_s)


def _run(seconds: Sequence[float]) -> Run:
    return Run(times_ns=[round(value * 1_000_000_000) for value in seconds])
