"""A relay on three brokers: it waits for their leader, and goes on when one of them is killed."""

import asyncio
import json
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from msgspec.structs import replace
from nats.aio.client import Client

from relay.bus import EVENTS_STREAM
from relay.cli.check import check
from relay.cli.check_cluster import WITHOUT, check_brokers, check_processes
from relay.cli.check_result import CheckResult
from relay.config.values import ROLES
from relay.fleet.broker import bus_of
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.members import Members
from relay.store import events
from tests.fakes.waiting import PATIENCE_S, eventually, in_time
from tests.relay.check_words import word_of
from tests.relay.cluster import SIZE, Cluster, run_cluster, with_replicas
from tests.relay.doorbells import enrol
from tests.relay.pressing import Pressing
from tests.relay.servers import run_relay

pytestmark = [pytest.mark.services, pytest.mark.slow]

LEFT_S = 40.0
RESUMES_S = PATIENCE_S
"""Brokers take 4 to 9 s to elect another leader; 5 to 8 s were seen, 10 s is the goal (L6 in
docs/benchmarks.md measures it); on a busy machine an election may have to be repeated."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with run_cluster(tmp_path_factory.mktemp("cluster") / "data") as cluster:
        yield cluster


async def test_a_relay_waits_for_a_leader_and_says_so(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """One broker of three has no leader; the relay was there before all of them."""
    bus = bus_of(cluster.config)
    connecting = asyncio.create_task(bus.connect())
    try:
        cluster.start(1)
        await eventually(lambda: "has JetStream a leader" in caplog.text)
        assert not connecting.done()
        assert not bus.is_connected
        cluster.start(2, 3)
        # Seen to end with an error of the client without the loop in Streams.ensure.
        await in_time(connecting)
        assert bus.is_connected
    finally:
        await bus.close()


async def test_a_killed_leader_holds_a_press_up_for_seconds_and_loses_none(
    cluster: Cluster, tmp_path: Path
) -> None:
    async with run_relay(cluster.config) as relay:
        doorbell = await enrol(relay, tmp_path)
        pressing = Pressing(doorbell, [cluster.mqtt_port(n + 1) for n in range(SIZE)])
        async with pressing.running():
            await eventually(lambda: len(pressing.took_s) >= 3)
            streams = await _brokers_of(cluster)
            assert await _sizes(cluster) == {SIZE}
            assert any(name.startswith("$MQTT_") for name in streams)
            leader = streams[EVENTS_STREAM][0]
            count = len(pressing.took_s)
            cluster.kill(leader)
            await eventually(lambda: len(pressing.took_s) >= count + 10)
        async with relay.database.read() as tx:
            rows = await events.newest(tx, [doorbell.device], credential_ids=[], limit=1000)
    cluster.start(leader)
    assert [row.event for row in reversed(rows)] == pressing.pressed
    assert max(pressing.took_s) < RESUMES_S, pressing.took_s


async def test_a_doorbells_certificate_opens_no_way_between_brokers(
    cluster: Cluster, tmp_path: Path
) -> None:
    async with run_relay(cluster.config) as relay:
        doorbell = await enrol(relay, tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cluster.config.data_dir / "cluster-ca.pem")

    def greeted() -> bytes:
        with socket.create_connection(("127.0.0.1", cluster.route_port(1)), PATIENCE_S) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as line:
                return line.recv(4096)

    context.load_cert_chain(cluster.folder(2) / "route.pem", cluster.folder(2) / "route.key")
    assert (await asyncio.to_thread(greeted)).startswith(b"INFO ")
    context.load_cert_chain(doorbell.cert_file, doorbell.key_file)
    # Seen to be greeted with the fleet CA beside the cluster's in cluster-ca.pem.
    with pytest.raises((ssl.SSLError, ConnectionError)):
        assert await asyncio.to_thread(greeted) != b""


async def test_a_relay_leaves_a_broker_that_is_stopped(cluster: Cluster) -> None:
    bus, back = bus_of(cluster.config), asyncio.Event()

    async def reconnected() -> None:
        back.set()

    bus.on_reconnected(reconnected)
    await in_time(bus.connect())
    number = cluster.number_at(bus._client.connected_url.port)  # shown nowhere else
    cluster.processes[number].send_signal(signal.SIGSTOP)
    try:
        # Seen to take 38 s with the library's own client: it waits for the other side's goodbye.
        async with asyncio.timeout(LEFT_S):
            await back.wait()
    finally:
        cluster.processes[number].send_signal(signal.SIGCONT)
        await bus.close()


async def test_brokers_are_asked_by_the_one_that_the_relay_is_connected_to(
    cluster: Cluster,
) -> None:
    bus = bus_of(cluster.config)
    await in_time(bus.connect())
    try:
        own, asking = bus._client, bus._system  # shown nowhere else
        while asking.connected_url == own.connected_url:
            await asking.force_reconnect()
            await eventually(lambda: asking.is_connected)
        # Seen to go on for ever without force_reconnect in ask_elsewhere.
        async with asyncio.timeout(PATIENCE_S):
            while asking.connected_url != own.connected_url:
                await bus.ask_elsewhere()
                await eventually(lambda: asking.is_connected and own.is_connected)
    finally:
        await bus.close()


async def test_a_revoked_doorbell_is_thrown_off_a_broker_that_hung_meanwhile(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await _once_whole(cluster)
    async with run_relay(cluster.config) as relay:
        doorbell = await enrol(relay, tmp_path)
        clients = (relay.bus._client, relay.bus._system)  # shown nowhere else
        taken = {cluster.number_at(client.connected_url.port) for client in clients}
        number = min(set(range(1, SIZE + 1)) - taken)
        doorbell.port = cluster.mqtt_port(number)
        line = await asyncio.to_thread(doorbell.open)
        cluster.processes[number].send_signal(signal.SIGSTOP)
        try:
            await relay.revocations.revoke(doorbell.device)
            await eventually(lambda: "not every broker answers" in caplog.text)
        finally:
            cluster.processes[number].send_signal(signal.SIGCONT)
        # Seen to stay connected (Empty) while whoever was kicked once counted as thrown off.
        await asyncio.to_thread(line.lost.get, timeout=PATIENCE_S)
        await asyncio.to_thread(line.close)


async def test_many_revoked_doorbells_are_looked_for_at_each_broker(
    cluster: Cluster, tmp_path: Path
) -> None:
    await _once_whole(cluster)
    async with run_relay(cluster.config) as relay:
        doorbells = [await enrol(relay, tmp_path) for _ in range(SIZE)]
        for number, doorbell in enumerate(doorbells):
            doorbell.port = cluster.mqtt_port(number + 1)
        lines = [await asyncio.to_thread(doorbell.open) for doorbell in doorbells]
        kicked = await relay.bus.kick_all({doorbell.device for doorbell in doorbells})
        assert kicked.connections == SIZE
        assert kicked.brokers == {f"doorward-{number + 1}" for number in range(SIZE)}
        for line in lines:
            await asyncio.to_thread(line.lost.get, timeout=PATIENCE_S)
            await asyncio.to_thread(line.close)


async def test_brokers_leave_a_relay_that_hangs_and_no_doorbell(
    cluster: Cluster, tmp_path: Path
) -> None:
    async with run_relay(cluster.config) as relay:
        doorbell = await enrol(relay, tmp_path)
        line = await asyncio.to_thread(doorbell.open)
        hanging, lost = bus_of(cluster.config), asyncio.Event()
        await in_time(hanging.connect())
        client = hanging._client  # shown nowhere else

        async def keep_still() -> None:
            pass

        async def note() -> None:
            lost.set()

        client._process_ping = keep_still  # type: ignore[method-assign]
        client._ping_interval_task.cancel()
        client._disconnected_cb = note
        try:
            # Seen to stay for minutes, with its share of what doorbells ask.
            async with asyncio.timeout(LEFT_S):
                await lost.wait()
        finally:
            await hanging.close()
        assert line.lost.empty()
        await asyncio.to_thread(line.close)


async def test_check_names_a_broker_that_is_away_and_what_lacks_it(cluster: Cluster) -> None:
    whole = await _once_whole(cluster)
    assert [one.what for one in whole] == [
        *["broker"] * SIZE,
        "brokers",
        "stream DW_EVENTS",
        "stream DW_STATUS",
    ]
    assert "doorward-1, doorward-2, doorward-3 are one cluster" in whole[SIZE].detail
    cluster.kill(2)
    found = await check_brokers(cluster.config)
    async with asyncio.timeout(PATIENCE_S):  # one that takes long to answer counts as away
        while [one.is_ok for one in found[: SIZE + 1]] != [True, False, True, False]:
            found = await check_brokers(cluster.config)
    assert "start it: nats-server -c nats.conf" in found[1].detail
    async with asyncio.timeout(PATIENCE_S):  # if it was the leader, another one is elected first
        while "of 3 brokers 2 answer as one cluster" not in found[SIZE].detail:
            found = await check_brokers(cluster.config)
    async with asyncio.timeout(PATIENCE_S):  # a stream's leader notices within seconds
        while not all("or away: doorward-2" in one.detail for one in found[SIZE + 1 :]):
            found = await check_brokers(cluster.config)
    cluster.start(2)


async def test_check_names_the_roles_that_no_process_has(cluster: Cluster) -> None:
    """Seen to pass without a word before it asked: a cluster in which nobody pushes."""

    async def words() -> list[str]:
        found = await check_processes(cluster.config)
        return [f"{word_of(one)} {one.what}: {one.detail}" for one in found]

    async def until_said(*wanted: str) -> None:
        async with asyncio.timeout(PATIENCE_S):  # a busy process isn't heard each time
            while await words() != list(wanted):
                pass

    async def said_while_one_leaves() -> str:
        async with _member(cluster, "web", "log") as leaving:
            asked = asyncio.create_task(words())
            await asyncio.sleep(1.5)
            await leaving.leave()  # it was heard, and has said goodbye
            return (await asked)[0]

    (none,) = await words()  # as before the first start, which isn't a fault
    assert none.startswith("warn relay processes: none runs")
    assert "relay processes" in {one.what for one in await check(cluster.config)}
    start = "start one with --role notify"
    async with _member(cluster, "web", "ingest") as stays:
        async with _member(cluster, "web", "ingest", "log"):
            await until_said(
                "ok relay processes: 2 heard: 2 web, 2 ingest, 1 log, 0 notify",
                "warn role log: one process has it, and nobody takes its place when it dies",
                f"FAIL role notify: no process has it, so {WITHOUT['notify']}: {start}",
            )
            assert len(stays.with_role("web")) == 2  # `check` doesn't count as one of them
            async with _member(cluster, "log", "notify"), _member(cluster, "notify"):
                await until_said("ok relay processes: 4 heard: 2 web, 2 ingest, 2 log, 2 notify")
        one = "ok relay processes: 1 heard: 1 web, 1 ingest, 0 log, 0 notify"
        async with asyncio.timeout(PATIENCE_S):  # on a busy machine it may leave too late
            while await said_while_one_leaves() != one:
                pass
    one_machine = replace(cluster.config.broker, urls=cluster.config.broker.servers[:1])
    assert await check_processes(replace(cluster.config, broker=one_machine)) == []


@asynccontextmanager
async def _member(cluster: Cluster, *roles: str) -> AsyncIterator[Members]:
    assert set(roles) <= set(ROLES)
    bus = bus_of(cluster.config)
    await in_time(bus.connect())
    members = Members(bus, roles)
    running = asyncio.create_task(members.run())
    try:
        await eventually(lambda: members.is_settled)
        yield members
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await bus.close()


async def test_streams_get_as_many_replicas_as_the_settings_say(cluster: Cluster) -> None:
    for replicas, found in ((None, 3), (1, 1), (3, 3)):  # None: they keep what they have
        bus = bus_of(with_replicas(cluster.config, replicas))
        await in_time(bus.connect())
        await bus.close()
        async with asyncio.timeout(2 * PATIENCE_S):
            # The brokers copy what is in a stream by themselves.
            while await _sizes(cluster) != {found}:  # noqa: ASYNC110 (no event for it)
                await asyncio.sleep(0.1)


async def _once_whole(cluster: Cluster) -> list[CheckResult]:
    """Return what `check` says once all brokers answer as one cluster, and have their leaders."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = await check_brokers(cluster.config)
            if all(one.is_ok for one in found):
                return found


async def _sizes(cluster: Cluster) -> set[int]:
    return {len(brokers) for brokers in (await _brokers_of(cluster)).values()}


async def _brokers_of(cluster: Cluster) -> dict[str, list[int]]:
    """Return the brokers that have each stream, its leader first."""
    async with _client(cluster) as client:
        answer = await client.request("$JS.API.STREAM.LIST", b"{}", timeout=PATIENCE_S)
    return {
        stream["config"]["name"]: [
            int(name.rpartition("-")[2])
            for name in (
                *([stream["cluster"]["leader"]] if "leader" in stream["cluster"] else []),
                *[peer["name"] for peer in stream["cluster"].get("replicas") or []],
            )
        ]
        for stream in json.loads(answer.data)["streams"]
    }


@asynccontextmanager
async def _client(cluster: Cluster) -> AsyncIterator[Client]:
    client = Client()
    await client.connect(
        list(cluster.config.broker.servers),
        nkeys_seed_str=BrokerKeys.load(cluster.config.broker_keys_path).relay_seed,
        tls=ssl.create_default_context(cafile=str(cluster.config.ca_path)),
        tls_handshake_first=True,
    )
    try:
        yield client
    finally:
        await client.close()
