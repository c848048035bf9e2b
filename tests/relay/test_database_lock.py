"""SQLite's lock goes with the connection that had it, and connections go with their requests."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import anyio
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
