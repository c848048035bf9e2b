"""Commits whose answer is lost: what they changed is told, since a second try finds it done."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from relay.errors import DatabaseLost
from relay.fleet.revocation import TAKEN_BACK, revoke, revoke_beside
from relay.store.database import Database, change_audience, signal
from tests.fakes.waiting import PATIENCE_S
from tests.relay import databases
from tests.relay.http_world import World, open_world
from tests.relay.test_revocation import KickingBus, revocations, running


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@contextmanager
def answers_lost(database: Database) -> Iterator[None]:
    """Have commits done, and their connections break before it is said."""
    dialect: Any = database._engine.sync_engine.dialect
    commit: Callable[[Any], None] = dialect.do_commit

    def commit_and_break(connection: Any) -> None:
        commit(connection)
        raise DBAPIError("COMMIT", None, Exception("it broke"), connection_invalidated=True)

    dialect.do_commit = commit_and_break
    try:
        yield
    finally:
        dialect.do_commit = commit


async def change(database: Database, fault: Exception | None = None) -> None:
    async with database.begin() as tx:
        change_audience(tx, "mary")
        signal(tx, "pushes")
        if fault is not None:
            raise fault


async def tells_nevertheless(database: Database) -> None:
    told: list[str] = []
    database.on_audience_changed(told.append)
    waiter = database.signals.waiter("pushes")
    with answers_lost(database), pytest.raises(DatabaseLost):
        await change(database)
    # Seen to fail (nobody is told) while only a commit that was answered told.
    assert told == ["mary"]
    assert await waiter.wait(0.1)
    with pytest.raises(ZeroDivisionError):
        await change(database, fault=ZeroDivisionError())
    assert told == ["mary"]  # what was rolled back changed nothing


async def test_what_may_be_committed_is_told(world: World) -> None:
    await tells_nevertheless(world.database)


async def test_on_postgresql_as_well(postgres: str, tmp_path: Path) -> None:
    with databases.all_on(postgres):
        database = await databases.open_database(tmp_path / "relay.sqlite3")
    try:
        await tells_nevertheless(database)
    finally:
        await database.close()


class ReachedBus(KickingBus):
    """A broker that a command reaches."""

    async def connect(self) -> None:
        return

    async def announce_revocation(self, device: str) -> None:
        raise AssertionError(f"{device} may not be revoked")


@pytest.mark.parametrize("how", [revoke, revoke_beside])
async def test_relays_read_who_may_be_revoked(world: World, how: Any) -> None:
    device, bus = await world.enrol(), ReachedBus()
    here = revocations(world, bus)
    await here.start()
    assert TAKEN_BACK in bus.told
    async with running(here):
        with answers_lost(world.database), pytest.raises(DatabaseLost):
            await how(device, bus=bus, database=world.database, clock=world.clock)
        # Seen to fail (for an hour) while only a commit that was answered was announced.
        async with asyncio.timeout(PATIENCE_S):
            while not here.is_revoked(device):  # noqa: ASYNC110 (no event for it)
                await asyncio.sleep(0.01)
    assert bus.kicked == [device]
