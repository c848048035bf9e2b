"""The connection to a SQLite file: a statement and all its rows take one turn of its thread.

The library takes four: for the cursor, the statement, its rows and the cursor's end. Each wakes the
thread and then the loop, and together they take longer than a usual statement itself.
"""

import contextlib
import sqlite3
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import aiosqlite


class File(sqlite3.Connection):
    """A SQLite connection that releases its lock when it is closed, in any state.

    SQLite keeps a closed connection until its last statement is finished, with its transaction:
    of a task that was cancelled in the midst of one, all writers waited for the rest.
    """

    def close(self) -> None:
        """Roll back an open transaction, then close; a second call does nothing."""
        with contextlib.suppress(sqlite3.ProgrammingError):  # it is closed already
            if self.in_transaction:
                self.rollback()
        super().close()


class _Cursor(aiosqlite.Cursor):
    """A cursor that has its rows as soon as its statement is executed."""

    def __init__(self, connection: "_Connection", cursor: sqlite3.Cursor) -> None:
        super().__init__(connection, cursor)
        self._rows: list[Any] = []
        self._is_under_way = False

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> "_Cursor":
        """Execute a statement, and read its rows."""
        self._is_under_way = True
        reading = self._execute(_rows_of, self._cursor, sql, parameters or ())  # type: ignore[no-untyped-call]
        self._rows = await reading
        self._is_under_way = False
        return self

    async def fetchall(self) -> list[Any]:
        """Return the rows that weren't returned yet."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Close the cursor; after its statement, where that is still under way."""
        if self._is_under_way:
            await super().close()
        else:
            self._cursor.close()


class _Connection(aiosqlite.Connection):
    """A connection with such cursors."""

    def cursor(self) -> _Cursor:  # type: ignore[override]  # the library's is awaited
        """Return a new cursor."""
        return _Cursor(self, self._conn.cursor())


def _rows_of(cursor: sqlite3.Cursor, sql: str, parameters: Iterable[Any]) -> list[Any]:
    cursor.execute(sql, parameters)  # type: ignore[arg-type]  # what the database's dialect gives
    return cursor.fetchall() if cursor.description else []


async def connect(path: Path) -> aiosqlite.Connection:
    """Open a file."""
    # One thread at a time uses it, as the library sees to, but not always the same one.
    opening = partial(sqlite3.connect, path, factory=File, check_same_thread=False)
    connection = _Connection(opening, iter_chunk_size=64)
    connection._thread.daemon = True  # as SQLAlchemy does with what it opens itself
    return await connection
