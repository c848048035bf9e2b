"""A process without pullers, such as one with the role `web`, leaves a broker that is parted."""

import asyncio
from collections.abc import Iterator, Set
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from relay.app.relay import Relay
from relay.base.clock import SystemClock
from relay.bus import Bus
from relay.errors import BusUnavailable
from relay.fleet.broker import bus_of
from relay.store.database import Database
from tests.fakes.waiting import eventually, in_time
from tests.relay.cluster import SIZE, Cluster, run_cluster
from tests.relay.servers import Broker, without_streams
from tests.rigs.switch import machines_on_a_switch, why_no_switch

pytestmark = pytest.mark.services

LEFT_S = 90.0
"""9 s were seen, and 25 s if it led the states: it takes up to 20 s to see that it is alone."""


async def test_a_process_without_pullers_leaves_a_broker_without_streams(
    own_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that is cut off from the others: it answers, and its JetStream has no leader."""
    cut_off = without_streams(own_broker)
    cut_off.start(has_mqtt=False)
    monkeypatch.setattr("nats.aio.client.shuffle", lambda _servers: None)
    urls = (own_broker.config.broker.url, cut_off.config.broker.url)
    brokers = replace(own_broker.config.broker, url=None, urls=urls)
    config = replace(own_broker.config, broker=brokers, roles=frozenset({"notify"}))
    database = await Database.open(config.database)
    relay = Relay(config, database, SystemClock())
    bus = relay._fleet.bus  # shown nowhere else
    running = asyncio.create_task(relay._run_parts())
    try:
        await eventually(lambda: relay._fleet.members.is_settled)
        own_broker.stop()
        await eventually(lambda: _ports(bus) == [cut_off.nats_port] * 2)
        own_broker.start()
        # Seen to stay there without `leave_parted_brokers` among the relay's tasks.
        await eventually(lambda: _ports(bus) == [own_broker.nats_port] * 2)
    finally:
        running.cancel()
        await asyncio.wait([running])
        await bus.close()
        await database.close()
        cut_off.stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Three brokers, each on a machine of its own."""
    if why := why_no_switch():
        pytest.skip(why)
    with (
        machines_on_a_switch(SIZE) as machines,
        run_cluster(tmp_path / "data", machines=machines) as cluster,
    ):
        cluster.start()
        yield cluster


@pytest.mark.slow
@pytest.mark.parametrize("is_leader", [False, True])
async def test_a_process_without_pullers_leaves_the_broker_that_is_parted_from_two(
    cluster: Cluster, *, is_leader: bool
) -> None:
    bus = bus_of(cluster.config)
    await in_time(bus.connect())
    watching = asyncio.create_task(bus.leave_parted_brokers())
    try:
        _, states = await bus.list_streams()
        names = [f"doorward-{number + 1}" for number in range(SIZE)]
        parted = next(
            machine
            for machine, name in zip(cluster.machines, names, strict=True)
            if (name == states.leader) == is_leader
        )
        await _go_to(bus, parted.address)
        parted.stop_sending(*(one for one in cluster.machines if one is not parted))
        # Seen to stay there, as long as it is parted, without `leave_parted_brokers`.
        others = {machine.address for machine in cluster.machines if machine is not parted}
        await eventually(lambda: _is_at(bus, others), within_s=LEFT_S)
        await in_time(_until_a_leader(bus))
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await bus.close()


async def _until_a_leader(bus: Bus) -> None:
    while True:  # if the parted one led, the others elect another
        try:
            return await bus.check_statuses()
        except BusUnavailable:
            await asyncio.sleep(0.5)


async def _go_to(bus: Bus, host: str) -> None:
    for client in (bus._client, bus._system):  # shown nowhere else
        while client.connected_url is None or client.connected_url.hostname != host:
            await client.force_reconnect()
            await eventually(partial(getattr, client, "is_connected"))


def _is_at(bus: Bus, hosts: Set[str]) -> bool:
    """Whether both connections are there, each to one of these brokers."""
    urls = [client.connected_url for client in (bus._client, bus._system)]
    return all(url is not None and url.hostname in hosts for url in urls)


def _ports(bus: Bus) -> list[int | None]:
    urls = [client.connected_url for client in (bus._client, bus._system)]
    return [url.port for url in urls if url is not None]
