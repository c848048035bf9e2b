"""Relays of two versions beside each other on one database, by made-up next versions."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from relay.errors import SchemaInUse, SchemaTooNew, SchemaTooOld, StoreError
from relay.store import event_months, sign_in_failures
from relay.store.database import Database
from relay.store.events import LASTING
from relay.store.history import History, Step
from relay.store.migrations import HISTORY
from relay.store.migrator import migrate_online
from relay.store.postgresql import LOCK_TIMEOUT_MS, Limits, OnlineSession, migration_session
from relay.store.schema import SCHEMA_VERSION, metadata
from tests.fakes.waiting import eventually, in_time
from tests.relay.databases import all_on, postgresql_of, run_on
from tests.relay.next_version import ADDED, AFTER_NEXT, DROPPED, NEXT
from tests.rigs.postgres import MISSING, programs, run_postgres, url_of

PARTS = len(NEXT.steps[ADDED].parts)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    at = programs()
    if at is None:
        pytest.skip(MISSING)
    with run_postgres(at) as folder, all_on(url_of(folder)) as url:
        yield url


@pytest.fixture
def place(server: str, tmp_path: Path) -> str:
    """An empty database of this test's own, on PostgreSQL."""
    return postgresql_of(tmp_path / "relay.sqlite3", server)


@pytest.fixture
async def today(place: str) -> AsyncIterator[Database]:
    """Today's relay, which is connected."""
    database = await Database.open(place, is_migrating=True)
    yield database
    await database.close()


async def works(database: Database) -> bool:
    """Have a relay write and read."""
    async with database.begin() as tx:
        await sign_in_failures.forget_old(tx, before_ms=0)
        await tx.execute(
            text("INSERT INTO event_ids VALUES (:id, 'd', '', true, 1)"),
            {"id": os.urandom(8).hex()},
        )
    async with database.read() as tx:
        return bool((await tx.execute(text("SELECT count(*) FROM event_ids"))).scalar_one())


def state_of(place: str) -> tuple[int, int, int]:
    (row,) = run_on(place, "SELECT version, compatible_from, parts_done FROM schema_version")
    return row


async def test_today_s_relay_goes_on_beside_an_additive_version(
    today: Database, place: str
) -> None:
    newer = await Database.open(place, is_migrating=True, history=NEXT)
    assert await works(today)
    assert await works(newer)
    again = await Database.open(place)  # and one that starts now
    assert await works(again)
    assert state_of(place) == (ADDED, SCHEMA_VERSION, 0)
    for database in (newer, again):
        await database.close()


async def test_what_today_s_relay_could_not_use_waits_until_it_is_gone(
    today: Database, place: str
) -> None:
    newer = await Database.open(place, is_migrating=True, history=NEXT)
    assert await works(today)
    with pytest.raises(SchemaInUse, match="older relays can't run beside 15; 1 connections"):
        await Database.open(place, is_migrating=True, history=AFTER_NEXT)
    assert state_of(place) == (ADDED, SCHEMA_VERSION, 0)
    assert await works(today)
    await today.close()
    newest = await Database.open(place, is_migrating=True, history=AFTER_NEXT)
    assert await works(newest)
    assert await works(newer)
    with pytest.raises(SchemaTooNew, match="schema version 15, this Doorward knows up to 13"):
        await Database.open(place)
    assert state_of(place) == (DROPPED, ADDED, 0)
    for database in (newer, newest):
        await database.close()


async def test_from_today_s_version_two_steps_at_once_need_it_stopped(
    today: Database, place: str
) -> None:
    with pytest.raises(SchemaTooOld, match="stop every older relay"):
        await Database.open(place, history=AFTER_NEXT)
    with pytest.raises(SchemaTooOld, match="older relays may go on meanwhile"):
        await Database.open(place, history=NEXT)
    with pytest.raises(SchemaInUse):
        await Database.open(place, is_migrating=True, history=AFTER_NEXT)
    assert state_of(place) == (SCHEMA_VERSION, SCHEMA_VERSION, 0)


async def test_an_empty_database_of_a_later_version_has_that_version_s_indexes(place: str) -> None:
    """Seen to fail: the partitioned table of events had those of version 13 alone."""
    await (await Database.open(place, history=NEXT)).close()
    made = run_on(place, "SELECT indexname FROM pg_indexes WHERE tablename = 'events'")
    assert {"events_by_heard", "events_by_kind", "events_by_seq"} <= {name for (name,) in made}
    made = run_on(place, "SELECT indexdef FROM pg_indexes WHERE tablename = 'events_other'")
    assert any("(device, heard)" in index for (index,) in made)


async def test_sqlite_goes_through_all_of_it_in_one_transaction(tmp_path: Path) -> None:
    path = tmp_path / "relay.sqlite3"
    await (await Database.open(path)).close()
    broken = History(
        steps={
            **NEXT.steps,
            DROPPED: Step(
                statements=("DROP TABLE visits", "DROP TABLE nothing"), compatible_from=14
            ),
        },
        metadata=NEXT.metadata,
    )
    with pytest.raises(StoreError, match="nothing"):
        await Database.open(path, is_migrating=True, history=broken)
    await (await Database.open(path)).close()  # of 13 still
    await (await Database.open(path, is_migrating=True, history=AFTER_NEXT)).close()
    with pytest.raises(SchemaTooNew):
        await Database.open(path)


class Mortal:
    """A connection whose process is killed just before one of its questions."""

    def __init__(self, connection: Any, at: int) -> None:
        self._connection, self._left = connection, at

    def __getattr__(self, name: str) -> Any:
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return getattr(self._connection, name)


def migrate_and_die(place: str, at: int) -> bool:
    """Migrate in a process that is killed at one of its questions; return whether it was."""

    async def run() -> None:
        async with migration_session(place, Limits(), schema=ADDED) as session:
            mortal = Mortal(session._connection, at)
            await migrate_online(OnlineSession(mortal), NEXT)

    process = os.fork()
    if process == 0:
        try:
            asyncio.run(run())
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


class Meddled:
    """A connection: a partition is dropped by somebody else just before a statement on it."""

    def __init__(self, connection: Any, place: str, *, before: str) -> None:
        self._connection, self._place, self._before = connection, place, before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def execute(self, statement: str) -> Any:
        if statement.split(" ON ")[0].endswith(self._before):
            run_on(self._place, "DROP TABLE events_2027_02")
        return await self._connection.execute(statement)


@pytest.mark.parametrize("before", ["CREATE INDEX CONCURRENTLY {}", "ATTACH PARTITION {}"])
async def test_a_month_that_an_older_relay_drops_meanwhile_needs_no_index(
    today: Database, place: str, before: str
) -> None:
    for month in ("2027-01", "2027-02"):
        async with today.begin() as tx:
            await event_months.add(tx, event_months.named(month), lasting=LASTING)
    async with migration_session(place, Limits(), schema=ADDED) as session:
        before = before.format("events_2027_02_events_by_heard")
        meddled = Meddled(session._connection, place, before=before)
        await migrate_online(OnlineSession(meddled), NEXT)  # seen to fail: it doesn't exist
    indexed = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events_by_heard'"
    assert sorted(run_on(place, f"{indexed}::regclass")) == [
        ("events_2027_01_events_by_heard",),
        ("events_other_events_by_heard",),
    ]
    valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'events_by_heard'::regclass"
    assert run_on(place, valid) == [(True,)]


UNDO = f"""
DO $$ BEGIN
    DROP INDEX IF EXISTS events_by_heard, event_ids_by_device;
    DROP TABLE IF EXISTS visits;
    ALTER TABLE doorbells DROP COLUMN IF EXISTS paint;
    ALTER TABLE events DROP COLUMN IF EXISTS heard;
    UPDATE schema_version SET version = {SCHEMA_VERSION}, parts_done = 0;
END $$
"""  # noqa: S608 (a number)
"""What Doorward itself never does."""


def test_a_relay_that_is_killed_at_any_question_leaves_what_the_next_one_goes_on_from(
    place: str,
) -> None:
    asyncio.run(open_and_use(place, HISTORY))
    left: list[tuple[int, int, int]] = []
    for at in range(200):
        is_killed = migrate_and_die(place, at)
        state = state_of(place)
        if state not in left:
            if state[0] == SCHEMA_VERSION:  # today's relay works beside it
                asyncio.run(open_and_use(place, HISTORY, is_migrating=False))
            asyncio.run(open_and_use(place, NEXT))
            assert state_of(place) == (ADDED, SCHEMA_VERSION, 0)
        left.append(state)
        if not is_killed:
            break
        run_on(place, UNDO)
    print(f"{len(left) - 1} kills, left at {sorted(set(left))}")
    done = [(SCHEMA_VERSION, SCHEMA_VERSION, number) for number in range(PARTS + 1)]
    assert set(left) == {*done, (ADDED, SCHEMA_VERSION, 0)}


async def open_and_use(place: str, history: History, *, is_migrating: bool = True) -> None:
    database = await Database.open(place, is_migrating=is_migrating, history=history)
    assert await works(database)
    await database.close()


async def test_a_migration_that_waits_for_a_table_lets_the_others_use_it(
    today: Database, place: str
) -> None:
    reader = await asyncpg.connect(place)
    async with reader.transaction():
        await reader.fetch("SELECT count(*) FROM events")  # a long query, such as a backup's
        newer = asyncio.create_task(Database.open(place, is_migrating=True, history=NEXT))
        took_s: list[float] = []
        for _ in range(30):
            began = time.monotonic()
            async with today.begin() as tx:
                await tx.execute(text("DELETE FROM events WHERE device = 'x'"))
            took_s.append(time.monotonic() - began)
            await asyncio.sleep(0.1)
        # Seen to wait for the newer one before who has nothing to migrate was let by.
        await in_time(open_and_use(place, HISTORY))
        assert not newer.done()
    took_s.sort()
    print(f"the longest writes took {took_s[-2]:.2f} and {took_s[-1]:.2f} s")
    # Each would wait as long; one alone does where the machine itself stands still meanwhile.
    assert took_s[-2] < LOCK_TIMEOUT_MS / 1000 / 2
    await (await in_time(newer)).close()
    await reader.close()
    assert await works(today)


async def test_two_new_relays_at_once_migrate_once(today: Database, place: str) -> None:
    both = await asyncio.gather(
        *(Database.open(place, is_migrating=True, history=NEXT) for _ in range(2))
    )
    for database in both:
        assert await works(database)
        await database.close()
    assert state_of(place) == (ADDED, SCHEMA_VERSION, 0)


async def test_an_index_that_was_left_half_built_is_built_anew(today: Database, place: str) -> None:
    reader = await asyncpg.connect(place)
    building = """
        SELECT pid FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONCURRENTLY%'
        AND wait_event_type = 'Lock' AND datname = current_database()
    """
    async with reader.transaction(isolation="repeatable_read"):
        await reader.fetch("SELECT 1 FROM accounts")  # a snapshot, for which the index waits
        newer = asyncio.create_task(Database.open(place, is_migrating=True, history=NEXT))
        await eventually(lambda: run_on(place, building))
        assert await works(today)  # nobody else waits
        ((builder,),) = run_on(place, building)
        run_on(place, f"SELECT pg_terminate_backend({builder})")
        with pytest.raises(StoreError):
            await in_time(newer)
    await reader.close()
    invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
    assert run_on(place, invalid) == [(2,)]  # of the events, and of one of their partitions
    await (await Database.open(place, is_migrating=True, history=NEXT)).close()
    assert run_on(place, invalid) == [(0,)]


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE events DROP COLUMN payload",
        "ALTER TABLE events RENAME TO events_13",
        "ALTER TABLE events ADD COLUMN heard BIGINT NOT NULL",
        "ALTER TABLE events ADD COLUMN heard BIGINT DEFAULT 0 CHECK (heard > 0)",
        "ALTER TABLE events ADD COLUMN account TEXT REFERENCES accounts (id)",
        "CREATE UNIQUE INDEX events_by_id ON events (event_id)",
        "CREATE INDEX events_by_id ON events (event_id)",
        "UPDATE events SET payload = ''",
        "INSERT INTO events SELECT * FROM events",
        "DROP TABLE events",
    ],
)
def test_a_step_that_older_relays_could_not_run_beside_is_no_additive_one(statement: str) -> None:
    step = Step(statements=(statement,), compatible_from=SCHEMA_VERSION)
    with pytest.raises(ValueError, match="isn't additive"):
        History(steps={**HISTORY.steps, ADDED: step}, metadata=metadata)
    raising = Step(statements=(statement,), compatible_from=ADDED)
    History(steps={**HISTORY.steps, ADDED: raising}, metadata=metadata)


def test_a_step_does_not_let_in_older_relays_than_the_one_before() -> None:
    for floor in (SCHEMA_VERSION - 1, ADDED + 1):
        with pytest.raises(ValueError, match="can't be compatible from"):
            History(steps={**HISTORY.steps, ADDED: Step(compatible_from=floor)}, metadata=metadata)
