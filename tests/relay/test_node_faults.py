"""One node of a cluster has no room left, is of another version, or lags behind.

The runbook names these tests (docs/guide/runbook.md). Each broker's streams lie on a small disk of
its own, a tmpfs in a mount namespace. A file named `fill` beside it makes it shrink to what is on
it.
"""

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from relay.bus import EVENTS_STREAM, Bus
from relay.cli.check_cluster import MUCH_LAG_BYTES, check_brokers, check_standbys
from relay.cli.check_result import CheckResult
from relay.fleet.broker import bus_of
from relay.store import events
from relay.store.database import Database
from tests.fakes.ports import free_port
from tests.fakes.waiting import PATIENCE_S, eventually, in_time
from tests.relay.cluster import SIZE, Cluster, run_cluster
from tests.relay.databases import ON_SQLITE_ONLY
from tests.relay.doorbells import enrol
from tests.relay.pressing import Pressing
from tests.relay.servers import BIN, Broker, run_relay
from tests.rigs.postgres import MISSING, programs, run_pair

pytestmark = [pytest.mark.services, pytest.mark.slow]

DISK_BYTES = 100 * 1024 * 1024
RESUMES_S = PATIENCE_S
"""The brokers elect another leader within 9 s, after the full one has given up its streams; on a
busy machine an election may have to be repeated."""
ON_A_SMALL_DISK = """
mkdir -p streams && mount -t tmpfs -o size=64g none streams || exit 77
(until [ -e fill ]; do sleep 0.1; done
mount -o "remount,size=$(du -sk streams | cut -f1)k" streams; rm fill) 2>/dev/null &
exec "$@"
"""
NAMESPACE = ("unshare", *(() if os.getuid() == 0 else ("--user", "--map-root-user")), "--mount")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    tried = [*NAMESPACE, "sh", "-c", "mount -t tmpfs none /mnt"]
    if subprocess.run(tried, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount in a namespace (unshare)")
    before = (*NAMESPACE, "sh", "-c", ON_A_SMALL_DISK, "sh")
    with run_cluster(tmp_path_factory.mktemp("nodes") / "data", before) as cluster:
        cluster.start()
        yield cluster


async def test_check_names_the_versions_of_brokers_that_differ(
    cluster: Cluster, tmp_path: Path
) -> None:
    """The other version is this one's program with another number in it."""
    async with _bus(cluster) as bus:
        (own,) = {broker.version for broker in await bus.list_brokers()}
    other = f"{own[:-1]}{(int(own[-1]) + 1) % 10}"
    program = tmp_path / "nats-server"
    program.write_bytes((BIN / "nats-server").read_bytes().replace(own.encode(), other.encode()))
    program.chmod(0o755)
    cluster.kill(3)
    cluster.start(3, program=program)
    found = await _once_all_are_one_cluster(cluster)
    assert (found.is_ok, found.is_warning) == (True, True)
    assert f"of version {' and '.join(sorted((own, other)))}: update them" in found.detail
    cluster.kill(3)
    cluster.start(3)
    found = await _once_all_are_one_cluster(cluster)
    assert (found.is_ok, found.is_warning) == (True, False)


async def test_a_broker_whose_disk_is_full_loses_no_press(cluster: Cluster, tmp_path: Path) -> None:
    async with run_relay(cluster.config) as relay:
        doorbell = await enrol(relay, tmp_path)
        pressing = Pressing(doorbell, [cluster.mqtt_port(n + 1) for n in range(SIZE)])
        async with pressing.running():
            await eventually(lambda: len(pressing.took_s) >= 3)
            async with _bus(cluster) as bus:
                led = {one.name: one.leader for one in await bus.list_streams()}
            leader = int(led[EVENTS_STREAM].rpartition("-")[2])
            fill = cluster.folder(leader) / "fill"
            fill.touch()
            await eventually(lambda: not fill.exists())
            count = len(pressing.took_s)
            await eventually(lambda: len(pressing.took_s) >= count + 20)
        async with relay.database.read() as tx:
            rows = await events.newest(tx, [doorbell.device], credential_ids=[], limit=1000)
    streams = (await check_brokers(cluster.config))[SIZE + 1 :]
    assert any(f"or away: doorward-{leader}" in one.detail for one in streams)
    assert [row.event for row in reversed(rows)] == pressing.pressed
    assert max(pressing.took_s) < RESUMES_S, pressing.took_s
    cluster.kill(leader)
    cluster.start(leader)  # with a new disk, empty
    async with asyncio.timeout(PATIENCE_S):
        while any(one.is_warning for one in await check_brokers(cluster.config)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


@ON_SQLITE_ONLY
async def test_a_database_without_room_gives_no_receipt_until_there_is_some(
    own_broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_relay(own_broker.config, is_supervised=True) as relay:
        doorbell = await enrol(relay, tmp_path)
        pressing = Pressing(doorbell, [own_broker.config.broker.mqtt_port])
        async with pressing.running():
            await eventually(lambda: len(pressing.took_s) >= 3)
            await _limit_pages(relay.database, 1)  # as many as it has
            await eventually(lambda: "disk is full" in caplog.text)
            count = len(pressing.took_s)
            await asyncio.sleep(1)
            assert len(pressing.took_s) == count
            await _limit_pages(relay.database, 2**30)
            await eventually(lambda: len(pressing.took_s) >= count + 5)
        async with relay.database.read() as tx:
            rows = await events.newest(tx, [doorbell.device], credential_ids=[], limit=1000)
    assert [row.event for row in reversed(rows)] == pressing.pressed


async def test_check_says_how_far_a_standby_lags(own_broker: Broker) -> None:
    """It has all on its disk, and replays none of it: writes go on, a promotion takes longer."""
    at = programs()
    if at is None:
        pytest.skip(MISSING)
    pytest.importorskip("asyncpg", reason="asyncpg isn't installed here (doorward[postgresql])")
    with run_pair(at, (free_port(), free_port())) as pair:
        config = replace(own_broker.config, database_url=pair.url)
        pair.pause_replay()
        database = await Database.open(pair.url)
        async with database.begin() as tx:
            await tx.execute(text("CREATE TABLE filler (a text)"))
            await tx.execute(text("ALTER TABLE filler ALTER a SET STORAGE EXTERNAL"))
            await tx.execute(
                text("INSERT INTO filler SELECT repeat('a', 8000) FROM generate_series(1, :rows)"),
                {"rows": MUCH_LAG_BYTES // 8000},
            )
        await database.close()
        (found,) = await check_standbys(config)
        assert (found.is_ok, found.is_warning) == (True, True)
        lag_kib = int(found.detail.partition(" is ")[2].partition(" KiB")[0])
        assert lag_kib * 1024 > MUCH_LAG_BYTES


async def test_a_primary_whose_disk_is_full_gives_no_receipt_until_there_is_room(
    own_broker: Broker, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Without room for rows it refuses them; without room for its WAL it stops itself."""
    at = programs()
    if at is None:
        pytest.skip(MISSING)
    async with contextlib.AsyncExitStack() as stack:
        ports = (free_port(), free_port())
        try:
            pair = stack.enter_context(run_pair(at, ports, disk_bytes=DISK_BYTES))
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this machine lets nobody mount a disk: {error}")
        config = replace(own_broker.config, database_url=pair.url)
        relay = await stack.enter_async_context(run_relay(config, is_supervised=True))
        doorbell = await enrol(relay, tmp_path)
        pressing = Pressing(doorbell, [own_broker.config.broker.mqtt_port])
        async with pressing.running():
            await eventually(lambda: len(pressing.took_s) >= 3)
            pair.fill_disk()
            await eventually(lambda: "No space left on device" in caplog.text)
            count = len(pressing.took_s)
            await asyncio.sleep(1)
            assert len(pressing.took_s) == count
            pair.make_room()
            await eventually(lambda: len(pressing.took_s) >= count + 3)
            await in_time(asyncio.to_thread(pair.fill_wal))
            count = len(pressing.took_s)
            pair.make_room()
            await asyncio.to_thread(pair.start_primary)
            await eventually(lambda: len(pressing.took_s) >= count + 3)
        async with relay.database.read() as tx:
            rows = await events.newest(tx, [doorbell.device], credential_ids=[], limit=1000)
    assert [row.event for row in reversed(rows)] == pressing.pressed


async def _once_all_are_one_cluster(cluster: Cluster) -> CheckResult:
    """Return what `check` says of the brokers' cluster once all of them are in it again."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            (*_, brokers) = (await check_brokers(cluster.config))[: SIZE + 1]
            if "are one cluster" in brokers.detail:
                return brokers
            await asyncio.sleep(0.2)


async def _limit_pages(database: Database, pages: int) -> None:
    async with database.begin() as tx:
        await tx.exec_driver_sql(f"PRAGMA max_page_count={pages}")


@asynccontextmanager
async def _bus(cluster: Cluster) -> AsyncIterator[Bus]:
    bus = bus_of(cluster.config)
    await in_time(bus.connect())
    try:
        yield bus
    finally:
        await bus.close()
