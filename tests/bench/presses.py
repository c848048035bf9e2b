"""L1: events from MQTT to a receipt, by a whole relay, against a consumer that stores nothing.

Doorbells publish over TLS as fast as receipts come, with a fixed number of events under way. Relay
and peer have a broker each, of the same settings, and are driven in turns. CPU time is the relay
process's own; broker and doorbells take theirs on the same cores, so the rate is of all together.
"""

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measuring import Goal, Point, Result, Run, Size, computed, in_turns
from tests.bench.relay_rig import RelayRig, receipts_alone, relay_with_fleet

PEER = "broker and a consumer that stores nothing but sends receipts"
WARM_UP_S = 1.0
PRESSED_S = 5.0
"""A doorbell has 5,000 events at once (relay/ingest/event_quota.py), and 50 share all of them."""
SETTLE_S = 3.0
UNDER_WAY = 400
UNDER_WAY_EACH = 8
"""Events of the whole fleet, and of one doorbell: the firmware has 20, the broker keeps 64."""
REGISTERED = (1_000, 10_000, 50_000)
CONNECTED = (50, 200, 1_000)
CONNECTED_LONG = (*CONNECTED, 5_000)
NOTE = (
    "CPU of the relay process alone. Two processes that share the partitions weren't measured: "
    "here two cores carry broker, database and doorbells as well."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """How much is there in one measurement."""

    connected: int
    registered: int
    runs: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """What one run of pressing gave, of relay or peer."""

    cpu_ms: float
    """Of the process, for an event."""
    broker_ms: float
    each_ms: float
    """Time of the machine for an event: the rate's inverse."""
    times_ns: list[int]


def measure(size: Size) -> list[Result]:
    """Press in turns at relay and peer, by how many doorbells are registered and connected."""
    is_full = size.runs > 1
    few, fleets = (CONNECTED[0], REGISTERED) if is_full else (4, (20,))
    seconds = PRESSED_S if is_full else 0.5
    by_registered = {
        count: press(Fleet(connected=few, registered=count, runs=size.runs, seconds=seconds))
        for count in fleets
    }
    own, peer = by_registered[fleets[0]]
    by_connected = {few: (own, peer)}
    more = CONNECTED_LONG[1:] if size.is_long else CONNECTED[1:]
    for count in more if is_full else ():
        fleet = Fleet(connected=count, registered=count, runs=size.runs, seconds=seconds)
        by_connected[count] = press(fleet)
    most = max(by_connected)
    own_most, peer_most = by_connected[most]
    what = f"an event from MQTT over TLS to its receipt, {few} doorbells connected"
    how = f"{seconds:g} s a run"
    return [
        Result(
            id="L1",
            what=f"{what} of {fleets[0]:,}, {how}: the relay's CPU",
            unit="ms",
            own_runs=[computed(run.cpu_ms) for run in own],
            peer=PEER,
            peer_runs=[computed(run.cpu_ms) for run in peer],
            goal=Goal(value=0.15),
            note=NOTE,
            points=_points(by_registered),
            axis="doorbells registered",
        ),
        Result(
            id="L1 rate",
            what=f"{what}, {how}, {UNDER_WAY} events under way: the time between two receipts",
            unit="ms",
            own_runs=[computed(run.each_ms) for run in own],
            peer=PEER,
            peer_runs=[computed(run.each_ms) for run in peer],
            goal=Goal(ratio=1 / 0.6),
            note="The inverse of events a second; the goal is 0.6 of the peer's rate.",
        ),
        Result(
            id="L1 receipt",
            what=f"{what}, {how}, {UNDER_WAY} events under way: from press to receipt",
            unit="ms",
            own_runs=[Run(times_ns=run.times_ns) for run in own],
            peer=PEER,
            peer_runs=[Run(times_ns=run.times_ns) for run in peer],
            note="Under as much load as there can be; L2 has the time at three events a second.",
        ),
        Result(
            id="L1 connected",
            what=f"an event, {most:,} doorbells connected, {how}: the relay's CPU",
            unit="ms",
            own_runs=[computed(run.cpu_ms) for run in own_most],
            peer=PEER,
            peer_runs=[computed(run.cpu_ms) for run in peer_most],
            goal=Goal(value=0.15),
            points=_points(by_connected),
            axis="doorbells connected",
        ),
        Result(
            id="L1 broker",
            what=f"an event, {most:,} doorbells connected, {how}: the broker's CPU",
            unit="ms",
            own_runs=[computed(run.broker_ms) for run in own_most],
            peer=PEER,
            peer_runs=[computed(run.broker_ms) for run in peer_most],
        ),
    ]


def press(fleet: Fleet) -> tuple[list[Pressed], list[Pressed]]:
    """Press in turns at a relay and at the peer, which both run all the while."""
    with tempfile.TemporaryDirectory(prefix="dwb-") as name, ExitStack() as stack:
        own_folder, peer_folder = Path(name) / "own", Path(name) / "peer"
        own = stack.enter_context(
            relay_with_fleet(own_folder, connected=fleet.connected, registered=fleet.registered)
        )
        peer = stack.enter_context(receipts_alone(peer_folder, connected=fleet.connected))
        for rig in (own, peer):
            rig.ask("connect", folders=rig.folders)
            _pressed(rig, min(WARM_UP_S, fleet.seconds))
        time.sleep(min(SETTLE_S, fleet.seconds))
        return in_turns(
            fleet.runs,
            lambda: _pressed(own, fleet.seconds),
            lambda: _pressed(peer, fleet.seconds),
            has_warm_up=False,
        )


def _pressed(rig: RelayRig, seconds: float) -> Pressed:
    window = min(UNDER_WAY, UNDER_WAY_EACH * len(rig.devices))
    before = rig.spent()
    told = rig.ask("press", seconds=seconds, window=window)
    after = rig.spent()
    return Pressed(
        cpu_ms=(after.relay_s - before.relay_s) * 1000 / told["all"],
        broker_ms=(after.broker_s - before.broker_s) * 1000 / told["all"],
        each_ms=told["took_s"] * 1000 / told["count"],
        times_ns=told["times_ns"],
    )


def _points(runs: dict[int, tuple[list[Pressed], list[Pressed]]]) -> list[Point]:
    return [
        Point(size=count, value=_median(own), peer_value=_median(peer))
        for count, (own, peer) in runs.items()
    ]


def _median(runs: list[Pressed]) -> float:
    return sorted(run.cpu_ms for run in runs)[len(runs) // 2]
