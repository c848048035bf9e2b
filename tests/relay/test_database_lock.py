"""SQLite's lock goes with the connection that had it, and connections go with their requests.

Of writes that wait for it, or have it, the oldest is a figure.
"""

import asyncio
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from sqlalchemy import text

from relay.store.database import Database


async def test_a_closed_connection_locks_nobody_out(tmp_path: Path) -> None:
    """Seen to be locked without the rollback in `_File.close`, for as long as `unread` lives."""
    path = tmp_path / "relay.sqlite3"
    database = await Database.open(path)
    async with database._engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
        await connection.execute(text("UPDATE schema_version SET version = version"))
        held = raw._conn
        unread = await raw.execute("SELECT name FROM sqlite_master")
        await unread.fetchone()
        await raw.close()
        with sqlite3.connect(path, timeout=0, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        other.close()
        assert held is not None
        await connection.invalidate()
    await database.close()


async def test_a_request_that_is_cancelled_leaves_nothing_that_never_ends(tmp_path: Path) -> None:
    """Seen to leave connections that close for ever without the scopes in database.py."""
    database = await Database.open(tmp_path / "relay.sqlite3")
    running = asyncio.all_tasks()

    async def request(*, is_writer: bool) -> None:
        while True:
            await asyncio.sleep(0)  # here it is cancelled
            async with database.begin() if is_writer else database.read() as tx:
                await tx.execute(text("SELECT count(*) FROM sqlite_master"))

    for steps in range(40):
        async with anyio.create_task_group() as group:
            for is_writer in (False, True):
                group.start_soon(lambda is_writer=is_writer: request(is_writer=is_writer))
            for _ in range(steps):
                await asyncio.sleep(0)
            group.cancel_scope.cancel()
    if left := asyncio.all_tasks() - running:
        async with asyncio.timeout(10):
            await asyncio.wait(left)
    await database.close()


@pytest.mark.parametrize("end", ["commit", "error", "cancellation"])
@pytest.mark.parametrize("is_in_partition", [False, True])
async def test_how_long_the_oldest_write_takes_is_known_and_ends_with_it(
    tmp_path: Path, *, end: str, is_in_partition: bool
) -> None:
    database = await Database.open(tmp_path / "relay.sqlite3")
    assert database.oldest_write_s() == 0
    hanging = [asyncio.Event(), asyncio.Event()]

    async def write(until: asyncio.Event) -> None:
        async with database.begin_partition() if is_in_partition else database.begin() as tx:
            await tx.execute(text("UPDATE schema_version SET version = version"))
            await until.wait()
            if end == "error":
                raise LookupError("no such thing")

    tasks = []
    for until in hanging:  # the second waits for its turn
        tasks.append(asyncio.create_task(write(until)))
        await asyncio.sleep(0.2)
    async with database.read():  # isn't a write
        assert database.oldest_write_s() >= 0.4
    for task, until in zip(tasks, hanging, strict=True):
        assert database.oldest_write_s() >= 0.2
        if end == "cancellation":
            task.cancel()
        until.set()
        with suppress(LookupError, asyncio.CancelledError):
            await task
    assert database.oldest_write_s() == 0
    await database.close()
