"""The relay on PostgreSQL, in short: it keeps what SQLite keeps, and relays share one database.

`.ci/postgres pytest tests/relay` has all of the relay's tests on it.
"""

import asyncio
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvicorn
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Pressed
from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.signed_note import parse_note
from firmware.protocol.tlog.tiles import parse_bundle
from firmware.protocol.topics import topic
from relay.base.clock import SystemClock
from relay.errors import DatabaseLost, StoreError
from relay.request.presets import PresetRefused, Presets
from relay.request.published_requests import find_published
from relay.store import custody, events, presets
from relay.store.database import UNSTORABLE, Database, shown
from relay.store.postgresql import Limits
from relay.store.presets import PresetRow
from relay.store.schema import received_counts
from relay.tools.witness.server import build_server
from tests.fakes.log_house import LogKeys, make_keys
from tests.fakes.ports import free_port
from tests.fakes.sequencer_process import Wanted
from tests.relay import databases
from tests.relay.doorbells import enrol
from tests.relay.http_people import certified_officer, id_of, paired_owner
from tests.relay.http_world import open_world
from tests.relay.servers import Broker, new_relay, run_relay
from tests.rigs.postgres import MISSING, programs, run_postgres, url_of

ENTRIES = 15


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """PostgreSQL for this module: the one that all tests have, or one of its own."""
    at = programs()
    if databases.SERVER:
        yield databases.SERVER
        return
    if at is None:
        pytest.skip(MISSING)
    pytest.importorskip("asyncpg", reason="asyncpg isn't installed here (doorward[postgresql])")
    with run_postgres(at) as folder, databases.all_on(url_of(folder)) as url:
        yield url


@pytest.fixture
async def two(server: str, tmp_path: Path) -> AsyncIterator[tuple[Database, Database]]:
    """Two relays' connections to one database."""
    path = tmp_path / "relay.sqlite3"
    one, other = [await databases.open_database(path) for _ in range(2)]
    yield one, other
    await one.close()
    await other.close()


async def test_of_two_renames_to_one_name_one_is_refused_with_a_sentence(
    two: tuple[Database, Database],
) -> None:
    """Writers take turns over all relays, so the second one sees that the name is taken."""
    now_ms = SystemClock().wall_ms()
    ids = [new_id(), new_id()]
    async with two[0].begin() as tx:
        for preset_id in ids:
            row = PresetRow(
                id=preset_id,
                agency="lakeland",
                kind="area",
                name=preset_id,
                content="{}",
                saved_ms=now_ms,
            )
            assert await presets.add(tx, row)
    told = await asyncio.gather(
        *(
            Presets(database, SystemClock()).rename("lakeland", preset_id, "Harbour", officers=())
            for database, preset_id in zip(two, ids, strict=True)
        ),
        return_exceptions=True,
    )
    (refused,) = [answer for answer in told if answer is not None]
    assert isinstance(refused, PresetRefused)
    assert refused.reason == "taken"
    assert "name" in str(refused)


# One story


@pytest.mark.usefixtures("server")
async def test_a_request_goes_into_the_register(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        draft = officer.sign(officer.write())
        assert (await officer.publish(draft)).is_success
        published = find_published(await world.register.view(), id_of(draft))
        assert published is not None
        assert published.state == "open"
        assert (await world.browser().get(f"/requests/{id_of(draft)}")).status_code == 200


@pytest.mark.usefixtures("server")
async def test_an_owner_reads_their_list_of_events_and_their_pages_audience(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        device = await world.enrol()
        owner = await paired_owner(world, device)
        told = [await world.tell(device, Pressed()) for _ in range(3)]
        listed = (await owner.get("/events?limit=2")).json()["events"]
        assert {one["event"]["id"] for one in listed} == {one.id for one in told[1:]}
        with pytest.raises(DBAPIError):
            await world.database.look(lambda at: at.execute(received_counts.delete()))


@pytest.mark.services
async def test_a_press_is_committed_and_then_receipted(server: str, tmp_path: Path) -> None:
    config = await asyncio.to_thread(new_relay, tmp_path / "relay")
    assert config.database == databases.place_of(config.database_path) != config.database_path
    broker = Broker(config)
    await asyncio.to_thread(broker.start)
    try:
        async with run_relay(config) as relay:
            doorbell = await enrol(relay, tmp_path)
            event = doorbell.event()

            def press() -> bool:
                with doorbell.connect() as line:
                    assert line.subscribe(topic(doorbell.device, "command"))
                    line.publish("event", event.encode())
                    return line.wait_for_receipt(event.id)

            assert await asyncio.to_thread(press)
            async with relay.database.read() as tx:
                rows = await events.newest(tx, [doorbell.device], credential_ids=[])
            assert [row.event for row in rows] == [event]
    finally:
        await asyncio.to_thread(broker.stop)


# The turn to place entries


class Witnessing:
    """The witnesses behind one port, told apart by the Host header."""

    def __init__(self, keys: LogKeys) -> None:
        self._apps = {f"{w}.test": build_server(one) for w, one in keys.cosignings.items()}
        self.port = free_port()
        settings = uvicorn.Config(self, port=self.port, log_config=None, lifespan="off")
        self.server = uvicorn.Server(settings)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        host = dict(scope["headers"])[b"host"].decode().split(":")[0]
        await self._apps[host](scope, receive, send)


@pytest.fixture
def witnesses(tmp_path: Path) -> Iterator[tuple[LogKeys, int]]:
    keys = make_keys(tmp_path / "witnesses")
    witnessing = Witnessing(keys)
    thread = threading.Thread(target=witnessing.server.run)
    thread.start()
    while not witnessing.server.started:
        time.sleep(0.01)
    yield keys, witnessing.port
    witnessing.server.should_exit = True
    thread.join()


async def test_two_relay_processes_make_one_log(
    server: str, tmp_path: Path, witnesses: tuple[LogKeys, int]
) -> None:
    """Seen to fail with `_begin` taking no lock in relay/store/postgresql.py."""
    keys, port = witnesses
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    place = databases.place_of(tmp_path / "relay.sqlite3")

    def wanted(name: str) -> bytes:
        return msgspec.json.encode(
            Wanted(
                place=str(place),
                bucket=str(bucket),
                witness_port=port,
                signers={log: signer.saved() for log, signer in keys.signers.items()},
                policy=keys.policy_text.decode(),
                name=name,
                count=ENTRIES,
            )
        )

    processes = {
        name: await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.fakes.sequencer_process"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name in ("north", "south")
    }
    done = await asyncio.gather(
        *(process.communicate(wanted(name)) for name, process in processes.items())
    )
    for process, (_, errors) in zip(processes.values(), done, strict=True):
        assert process.returncode == 0, errors.decode()
    indexes = [msgspec.json.decode(out, type=list[int]) for out, _ in done]
    assert sorted([*indexes[0], *indexes[1]]) == list(range(2 * ENTRIES))
    checkpoint = parse_checkpoint(parse_note((bucket / "custody/checkpoint").read_bytes()).text)
    assert checkpoint.size == 2 * ENTRIES
    entries = _published(bucket, checkpoint.size)
    assert Counter(entries) == Counter(
        f"{name}-{number}".encode() for name in processes for number in range(ENTRIES)
    )
    tree = Tree()
    for entry in entries:
        tree.append(leaf_hash(entry))
    assert tree.root() == checkpoint.root


def _published(bucket: Path, size: int) -> list[bytes]:
    return parse_bundle((bucket / f"custody/tile/entries/000.p/{size}").read_bytes())


# What SQLite gives by itself


async def test_who_looks_first_and_then_writes_is_not_overtaken(
    two: tuple[Database, Database],
) -> None:
    """Seen to fail with `_begin` taking no lock in relay/store/postgresql.py."""

    async def count(database: Database) -> None:
        async with database.begin() as tx:
            await custody.count_received(tx, "lakeland", "2026-Q4")

    await asyncio.gather(*(count(database) for database in two * 20))
    async with two[0].begin() as tx:
        assert await custody.count_received(tx, "lakeland", "2026-Q4") == 41


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("SELECT CAST($1 AS text)", "\0"),
        ("SELECT CAST($1 AS integer)", 2**31),
        ("SELECT 2147483647 + CAST($1 AS integer)", 1),
    ],
    ids=["a NUL", "a number that the driver refuses", "a number out of range"],
)
async def test_a_value_that_cannot_be_stored_is_no_database_that_is_away(
    two: tuple[Database, Database], statement: str, value: object
) -> None:
    """An event with it would be tried for ever, and its batch with it."""
    with pytest.raises(UNSTORABLE):
        async with two[0].begin() as tx:
            await tx.exec_driver_sql(statement, (value,))


async def test_a_reader_has_one_snapshot_and_waits_for_nobody(
    two: tuple[Database, Database],
) -> None:
    """Seen to fail with READING empty in relay/store/postgresql.py."""
    one, other = two
    query = select(func.count()).select_from(received_counts)
    async with one.read() as reader:
        async with other.begin() as writer:
            assert (await reader.execute(query)).scalar_one() == 0
            await custody.count_received(writer, "lakeland", "2026-Q4")
        assert (await reader.execute(query)).scalar_one() == 0
    async with one.read() as reader:
        assert (await reader.execute(query)).scalar_one() == 1


@pytest.mark.usefixtures("server")
async def test_who_waits_for_a_connection_in_vain_may_ask_again(
    server: str, tmp_path: Path
) -> None:
    url = databases.postgresql_of(tmp_path / "relay.sqlite3", server)
    database = await Database.open(url, limits=Limits(connections=1, wait_s=1))
    async with database.read():
        # Seen to fail (sqlalchemy.exc.TimeoutError, which ends ingest) with the driver's errors
        # alone in Database._connect.
        with pytest.raises(DatabaseLost, match="connections are in use"):
            async with database.begin():
                pytest.fail("there is one connection")
    async with database.begin():
        pass
    await database.close()


async def test_what_is_written_while_reading_is_refused(two: tuple[Database, Database]) -> None:
    with pytest.raises(DBAPIError, match="read-only"):
        async with two[0].read() as tx:
            await custody.count_received(tx, "lakeland", "2026-Q4")


async def test_two_relays_that_start_at_once_make_the_tables_once(
    server: str, tmp_path: Path
) -> None:
    path = tmp_path / "relay.sqlite3"
    opened = await asyncio.gather(*(databases.open_database(path) for _ in range(4)))
    assert len(databases.rows_of(path, "SELECT version FROM schema_version")) == 1
    for database in opened:
        await database.close()


# What is refused


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("LOCALE 'C' ENCODING 'SQL_ASCII'", "encoding SQL_ASCII"),
        ("LOCALE_PROVIDER icu ICU_LOCALE 'sv' LOCALE 'C.UTF-8'", "UTF8, sorted otherwise"),
    ],
)
async def test_a_database_that_compares_texts_otherwise_is_refused(
    server: str, options: str, why: str
) -> None:
    """Else the last of a range of keys would be another (`last_key`)."""
    databases.run_on(server, f"CREATE DATABASE other TEMPLATE template0 {options}")
    try:
        with pytest.raises(StoreError, match=f"{why}.*createdb"):
            await Database.open(server.replace("/postgres?", "/other?"))
    finally:
        databases.run_on(server, "DROP DATABASE other WITH (FORCE)")


async def test_no_message_has_the_password(server: str) -> None:
    url = "postgresql://doorward:hidden@/nothing?host=/nowhere"
    with pytest.raises(StoreError) as caught:
        await Database.open(url)
    assert "hidden" not in str(caught.value)
    assert "hidden" not in shown(url)
    assert "nowhere" in shown(url)
