"""The SQLite file of a relay: its connections, and snapshots that are read on a thread."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, NullPool, create_engine, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from relay.store.sqlite_connection import File, connect

BUSY_TIMEOUT_MS = 10_000
CHECKPOINT_PAGES = 4_000
"""Of 4 KB each. A page that several commits change is copied to its place once for all of them;
with SQLite's 1,000 each large batch of events had a copy of its own."""
READERS = 4
"""Snapshots that are read at the same time; a further one waits."""

Found = TypeVar("Found")


class SnapshotReader:
    """Reads a file, each time all that is asked in one turn of a thread.

    Each thread keeps its connection. Cancelled, a read goes on to its end, and nobody hears of it.
    """

    def __init__(self, path: Path) -> None:
        self._engine = create_engine(
            f"sqlite:///{path}",
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",  # _look says when a snapshot begins and ends
            connect_args={"factory": File},
            poolclass=NullPool,
        )
        event.listen(self._engine, "connect", _prepare_connection)
        event.listen(self._engine, "connect", _forbid_writing)
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="snapshot")
        self._own = threading.local()
        self._opened: list[Connection] = []

    async def look(self, ask: Callable[[Connection], Found]) -> Found:
        """Return what `ask` finds in one snapshot."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._look, ask)

    def close(self) -> None:
        """Wait for the reads under way, and close the connections."""
        self._threads.shutdown(cancel_futures=True)
        for connection in self._opened:
            connection.close()
        self._engine.dispose()

    def _look(self, ask: Callable[[Connection], Found]) -> Found:
        connection = self._connection()
        driver = connection.connection
        driver.execute("BEGIN")  # by SQLAlchemy it takes as long as one of the questions
        try:
            return ask(connection)
        finally:
            driver.rollback()

    def _connection(self) -> Connection:
        own: Connection | None = getattr(self._own, "connection", None)
        if own is None or own.closed or own.invalidated:
            own = self._own.connection = self._engine.connect()
            self._opened.append(own)
        return own


def sqlite_engine(path: Path) -> AsyncEngine:
    """Return an engine; it opens the file when it is first used."""
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", hide_parameters=True, async_creator=lambda: connect(path)
    )
    event.listen(engine.sync_engine, "connect", _prepare_connection)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare_connection(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction handling is off; _begin says when one starts.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"wal_autocheckpoint={CHECKPOINT_PAGES}",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    is_read = connection.get_execution_options().get("doorward_is_read", False)
    # IMMEDIATE: a writer waits for its turn at once, and never fails half-way as busy.
    connection.exec_driver_sql("BEGIN" if is_read else "BEGIN IMMEDIATE")


def _forbid_writing(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA query_only=ON").close()
