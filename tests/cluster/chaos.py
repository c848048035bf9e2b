"""What is done to the cluster, one thing at a time, and how it is set right again.

Nothing is done to two parts of one kind at once: the next blow waits until the last one's part
serves again, as an operator is told to do.
"""

import asyncio
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from relay.cli.check_cluster import check_brokers
from tests.cluster.processes import ClusterFailed, Server
from tests.cluster.servers import BROKERS, PROXY, RELAYS, STORE, Cluster

LASTS_S = 30.0
"""What is stopped or cut off is so for this long."""
COPIES_S = 120.0
"""Brokers of a busy machine copy what they lack."""
DRAINED_S = 40.0
"""As long as systemd waits for a relay's end by the operators' unit."""
PRIMARY = "primary"
STANDBY = "standby"


class How(StrEnum):
    """What may be done to a part."""

    KILL = "SIGKILL"
    STOP = "SIGSTOP"
    RESTART = "restart"
    """As operators do with one after the other: SIGTERM, it drains and ends, and is started."""
    PULL_CABLE = "pull the cable of"
    """Nobody reaches this broker."""
    PART = "part from the other brokers"
    """It reaches neither of them; relays and doorbells still reach it."""
    HALF_PART = "let another broker hear nothing of"
    """What that one sends still comes, and the third broker reaches both."""


CUTS = (How.PULL_CABLE, How.PART, How.HALF_PART)


@dataclass(frozen=True, kw_only=True)
class Blow:
    """One thing that is done: to what, and how."""

    name: str
    how: How = How.KILL

    def __str__(self) -> str:
        return f"{self.how} {self.name}"


def every_blow(cluster: Cluster) -> list[Blow]:
    """Return all that can be done to this cluster."""
    killed = [Blow(name=name) for name in (*RELAYS, *BROKERS, *STORE, PROXY, PRIMARY, STANDBY)]
    stopped = ("ingest-1", "web-1", "log-1", "broker-2", PROXY, STORE[0], PRIMARY, STANDBY)
    found = [*killed, *(Blow(name=name, how=How.STOP) for name in stopped)]
    found += [Blow(name=name, how=How.RESTART) for name in RELAYS]
    found += [Blow(name=name, how=how) for name, how in zip(reversed(BROKERS), CUTS, strict=True)]
    return [blow for blow in found if can_strike(cluster, blow)]


def can_strike(cluster: Cluster, blow: Blow) -> bool:
    """Return whether this can be done here: only a machine of its own can be cut off."""
    return blow.how not in CUTS or blow.name in cluster.machines


async def strike(cluster: Cluster, blow: Blow, say: Callable[[str], None]) -> None:
    """Do one thing, set it right, and return once everything serves again.

    Raises ClusterFailed if it doesn't.
    """
    began = time.monotonic()
    say(str(blow))
    if blow.name in (PRIMARY, STANDBY) and blow.how == How.STOP:
        await _stop_database(cluster, blow.name)
    elif blow.name == PRIMARY:
        await _lose_primary(cluster)
    elif blow.name == STANDBY:
        await _lose_standby(cluster)
    elif blow.how in CUTS:
        await _cut(cluster, blow)
    else:
        await _lose_server(cluster.servers[blow.name], blow.how)
    if blow.name in BROKERS:
        await _wait_for_copies(cluster)
    say(f"{blow.name} serves again after {time.monotonic() - began:.1f} s")


async def _lose_primary(cluster: Cluster) -> None:
    """Kill the primary while its standby lags, promote that, and make a new standby."""
    pair = cluster.pair
    await asyncio.to_thread(pair.pause_replay)
    await asyncio.sleep(2)  # so much it has to replay before it can be the primary
    await asyncio.to_thread(pair.kill_primary)
    await asyncio.to_thread(pair.promote)
    await asyncio.sleep(2)
    await asyncio.to_thread(pair.add_standby)


async def _lose_standby(cluster: Cluster) -> None:
    pair = cluster.pair
    await asyncio.to_thread(pair.kill_standby)
    await asyncio.sleep(2)  # as a supervisor does
    await asyncio.to_thread(pair.start_standby)
    await asyncio.to_thread(pair.wait_until_followed)


async def _stop_database(cluster: Cluster, name: str) -> None:
    """Let a database hang; without a standby that answers each commit waits as well."""
    pair = cluster.pair
    hangs, goes_on = {
        PRIMARY: (pair.stop_primary, pair.continue_primary),
        STANDBY: (pair.stop_standby, pair.continue_standby),
    }[name]
    await asyncio.to_thread(hangs)
    try:
        await asyncio.sleep(LASTS_S)
    finally:
        goes_on()
    await asyncio.to_thread(pair.wait_until_followed)


async def _cut(cluster: Cluster, blow: Blow) -> None:
    machine = cluster.machines[blow.name]
    others = [one for name, one in cluster.machines.items() if name != blow.name]
    if blow.how == How.PULL_CABLE:
        machine.pull_cable()
    else:
        machine.stop_sending(*(others[:1] if blow.how == How.HALF_PART else others))
    try:
        await asyncio.sleep(LASTS_S)
    finally:
        if blow.how == How.PULL_CABLE:
            machine.plug_in()
        else:
            machine.send_again()


async def _lose_server(server: Server, how: How) -> None:
    if how == How.STOP:
        server.kill(signal.SIGSTOP)
        try:
            await asyncio.sleep(LASTS_S)
        finally:
            server.kill(signal.SIGCONT)
    elif how == How.RESTART:
        await asyncio.to_thread(server.end, DRAINED_S)
        server.start()
    else:
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(2)
        server.start()
    await asyncio.to_thread(server.wait_until_ready)


async def _wait_for_copies(cluster: Cluster) -> None:
    """Wait until `check` warns of no broker, as the runbook says."""
    end = time.monotonic() + COPIES_S
    while True:
        found = await check_brokers(cluster.config)
        wrong = [one.detail for one in found if not one.is_ok or one.is_warning]
        if not wrong:
            return
        if time.monotonic() > end:
            raise ClusterFailed(f"brokers after {COPIES_S:.0f} s: {'; '.join(wrong)}")
        await asyncio.sleep(0.5)
