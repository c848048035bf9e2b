"""L2: a button pressed → shown on the owner's open page, by a whole relay, many owners connected.

Each owner has a doorbell that is connected over TLS, and a page that is open: a stream of server-
sent events, read as it comes. One doorbell after the other is pressed, three a second. Doorbells
and pages are one process with one clock. The CPU of an event is what the relay took above what the
same connections took before, while nobody pressed.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measuring import Goal, Point, Result, Run, Size, computed
from tests.bench.open_pages import SIZES as HUB_PAGES
from tests.bench.open_pages import cpu_ms_of_an_event
from tests.bench.relay_rig import RelayRig, relay_with_fleet

OWNERS = (100, 300, 1_000)
OWNERS_LONG = (*OWNERS, 5_000)
EACH_S = 1 / 3
RINGS = 120
QUIET_S = 20.0
SETTLE_S = 5.0
WARM_UPS = 10
NOTE = (
    "Broker, relay, database, doorbells and pages share the machine. The page's drawing isn't in "
    "it (D6, O1), nor TLS between proxy and page."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One run of ringing."""

    times_ns: list[int]
    cpu_ms: float
    """Of the relay, for an event; never less than nothing."""


def measure(size: Size) -> list[Result]:
    """Ring at growing numbers of open pages."""
    is_full = size.runs > 1
    sizes = (OWNERS_LONG if size.is_long else OWNERS) if is_full else (3,)
    runs = {owners: ring(owners, size, is_full=is_full) for owners in sizes}
    most = runs[sizes[-1]]
    what = (
        f"with {sizes[-1]:,} owners' pages and doorbells connected, {RINGS} presses a run, three a "
        "second"
    )
    return [
        Result(
            id="L2",
            what=f"{what}: from the press to the owner's open page",
            unit="ms",
            own_runs=[Run(times_ns=run.times_ns) for run in most],
            goal=Goal(p99=100.0),
            note=NOTE,
            points=[
                Point(size=owners, value=statistics.median(_medians_ms(rung)))
                for owners, rung in runs.items()
            ],
            axis="owners connected",
        ),
        Result(
            id="L2 CPU",
            what=f"{what}: the relay's CPU for an event, over what it takes at rest",
            unit="ms",
            own_runs=[computed(run.cpu_ms) for run in most],
            note="By the goal it doesn't depend on how many are connected: see the plot.",
            points=[
                Point(size=owners, value=statistics.median(run.cpu_ms for run in rung))
                for owners, rung in runs.items()
            ],
            axis="owners connected",
        ),
        _hub(size, pages=HUB_PAGES if is_full else HUB_PAGES[:1]),
    ]


def _hub(size: Size, pages: Sequence[int]) -> Result:
    """Measure more pages than fit beside a relay: hub and streams alone."""
    runs = {
        count: [asyncio.run(cpu_ms_of_an_event(count)) for _ in range(size.runs)] for count in pages
    }
    return Result(
        id="L2 hub",
        what=f"an event to its page among {pages[-1]:,} open ones, hub and streams alone: CPU",
        unit="ms",
        own_runs=[computed(one) for one in runs[pages[-1]]],
        note="Without broker, database and HTTP.",
        points=[Point(size=count, value=statistics.median(all_)) for count, all_ in runs.items()],
        axis="open pages",
    )


def ring(owners: int, size: Size, *, is_full: bool) -> list[Rung]:
    """Connect so many owners and doorbells, and ring for some runs."""
    with (
        tempfile.TemporaryDirectory(prefix="dwb-") as name,
        relay_with_fleet(Path(name) / "own", connected=owners, owners=owners) as rig,
    ):
        rig.ask("connect", folders=rig.folders)
        rig.ask("status")
        rig.ask("watch", port=rig.port, host=rig.host, tokens=rig.tokens)
        time.sleep(SETTLE_S if is_full else 0.5)
        rig.ask("ring", count=WARM_UPS if is_full else 1, each_s=0.1)
        return [_rung(rig, is_full=is_full) for _ in range(size.runs)]


def _rung(rig: RelayRig, *, is_full: bool) -> Rung:
    quiet_s, count = (QUIET_S, RINGS) if is_full else (0.5, 3)
    at_rest, begun_s = rig.spent().relay_s, time.monotonic()
    time.sleep(quiet_s)
    before, began_s = rig.spent().relay_s, time.monotonic()
    rest = (before - at_rest) / (began_s - begun_s)
    told = rig.ask("ring", count=count, each_s=EACH_S if is_full else 0.1)
    spent_s = rig.spent().relay_s - before - rest * (time.monotonic() - began_s)
    if told["shown"] != count:
        raise RuntimeError(f"{count - told['shown']} of {count} presses weren't shown")
    return Rung(times_ns=told["times_ns"], cpu_ms=max(0.0, spent_s * 1000 / count))


def _medians_ms(runs: list[Rung]) -> list[float]:
    return [statistics.median(run.times_ns) / 1e6 for run in runs]
