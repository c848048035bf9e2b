"""SQLite's lock goes with the connection that had it."""

import sqlite3
from pathlib import Path
from typing import Any

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
