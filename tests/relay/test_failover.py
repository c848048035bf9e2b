"""A relay on a PostgreSQL with a standby: the primary is killed, the standby promoted."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from relay.cli.check_cluster import check_standbys
from relay.errors import DatabaseLost, StoreError
from relay.store import events, fleet
from relay.store.database import Database
from relay.store.postgresql import Limits
from tests.fakes.ports import free_port
from tests.fakes.waiting import PATIENCE_S, eventually, in_time
from tests.relay.doorbells import enrol
from tests.relay.pressing import Pressing
from tests.relay.servers import Broker, run_relay
from tests.rigs.postgres import MISSING, Pair, programs, run_pair

pytestmark = [pytest.mark.services, pytest.mark.slow]

RESUMES_S = PATIENCE_S
"""A batch whose transaction was lost is handed out again after 20 s at most, on an idle machine."""


@pytest.fixture
def pair() -> Iterator[Pair]:
    at = programs()
    if at is None:
        pytest.skip(MISSING)
    pytest.importorskip("asyncpg", reason="asyncpg isn't installed here (doorward[postgresql])")
    with run_pair(at, (free_port(), free_port())) as pair:
        yield pair


async def test_a_relay_goes_on_with_the_standby_and_loses_nothing(
    pair: Pair, own_broker: Broker, tmp_path: Path
) -> None:
    config = replace(own_broker.config, database_url=pair.url)
    read: list[str] = []
    async with run_relay(config, is_supervised=True) as relay:
        doorbell = await enrol(relay, tmp_path)
        pressing = Pressing(doorbell, [config.broker.mqtt_port])

        async def read_on() -> None:
            while not pressing.is_over:
                try:
                    async with relay.database.read() as tx:
                        await fleet.get(tx, doorbell.device)
                    read.append("read")
                except DatabaseLost:
                    read.append("lost")
                await asyncio.sleep(0.02)

        (standby,) = await check_standbys(config)
        assert (standby.is_ok, standby.is_warning) == (True, False)
        assert "KiB behind" in standby.detail
        pair.may_read_alone("watcher")
        url = pair.url.replace("//doorward@", "//watcher@")
        (standby,) = await check_standbys(replace(config, database_url=url))
        assert (standby.is_ok, standby.is_warning) == (True, True)
        assert "GRANT pg_read_all_stats" in standby.detail
        reading = asyncio.create_task(read_on())
        async with pressing.running():
            await eventually(lambda: len(pressing.took_s) >= 3)
            count, reads = len(pressing.took_s), len(read)
            pair.kill_primary()
            await asyncio.sleep(2)  # nothing can be written, and what is asked waits
            await asyncio.to_thread(pair.promote)
            await eventually(lambda: len(pressing.took_s) >= count + 5)
        await in_time(reading)
        async with relay.database.read() as tx:
            rows = await events.newest(tx, [doorbell.device], credential_ids=[], limit=1000)
    (standby,) = await check_standbys(config)
    assert not standby.is_ok
    assert "none follows the primary" in standby.detail
    assert [row.event for row in reversed(rows)] == pressing.pressed
    assert max(pressing.took_s) < RESUMES_S
    # Each read that began while there was no primary has waited for one. Seen to be lost for the
    # whole two seconds with 0 in place of the failover's seconds in Database.open.
    assert read[reads:].count("lost") <= 1
    assert read[-1] == "read"


async def test_without_a_primary_a_relay_gives_up_in_words_and_in_time(pair: Pair) -> None:
    limits = Limits(failover_s=1, connect_s=1)
    database = await Database.open(pair.url, limits=limits)
    pair.kill_primary()
    began = time.monotonic()
    with pytest.raises(DatabaseLost, match="doesn't answer"):
        async with database.begin():
            raise AssertionError("a standby takes no writes")
    assert 1 <= time.monotonic() - began < Limits().failover_s
    with pytest.raises(StoreError, match="doesn't answer"):
        await database.check()  # at once: a probe doesn't wait
    await database.close()
    with pytest.raises(StoreError, match=r"can't open the database postgresql://doorward@127"):
        await Database.open(pair.url, limits=limits)


async def test_without_the_synchronous_standby_the_oldest_write_grows(pair: Pair) -> None:
    database = await Database.open(pair.url, is_migrating=True)
    committed: list[float] = []
    database.on_written = lambda _waited_s, took_s: committed.append(took_s)
    pair.kill_standby()

    async def write() -> None:
        async with database.begin() as tx:
            await tx.execute(text("UPDATE schema_version SET version = version"))

    writing = asyncio.create_task(write())
    await eventually(lambda: database.oldest_write_s() > 1)
    async with database.read() as tx:  # nothing else says that something is wrong
        await fleet.get(tx, "nobody")
    assert committed == []
    await asyncio.to_thread(pair.start_standby)
    await in_time(writing)
    assert database.oldest_write_s() == 0
    assert committed[0] > 1
    await database.close()
