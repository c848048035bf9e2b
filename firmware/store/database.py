"""SQLite database library.sqlite3: opens it, migrates its schema, and gives out transactions.

Its statements are in clips/library.py and in this folder. Every commit is synced (WAL,
synchronous=FULL). Each thread has its own connection, so that readers never wait for a writer.
Storage errors are raised as the OSError that any file would raise, so that callers treat both
alike.
"""

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from firmware.errors import StoreError
from firmware.store.schema import MIGRATIONS, SCHEMA_VERSION, statements_of

BUSY_TIMEOUT_S = 10.0
Connection = sqlite3.Connection
_CARD_ERRORS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_CANTOPEN: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_CORRUPT: errno.EIO,
    sqlite3.SQLITE_NOTADB: errno.EIO,
    sqlite3.SQLITE_BUSY: errno.EBUSY,
}


class Database:
    """One database file; its methods may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._is_ready = False
        try:
            self._migrate()
        except OSError as error:
            raise StoreError(path, _cannot_be_opened(error)) from error
        self._is_ready = True

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection for a SELECT."""
        with self._translated():
            yield self._connection()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Yield this thread's connection in a transaction: committed and synced, or rolled back."""
        with self._translated():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield connection

    def faults(self) -> list[str]:
        """Return the faults that SQLite's integrity check finds in the file."""
        with self.read() as connection:
            rows = connection.execute("PRAGMA integrity_check(20)").fetchall()
        return [str(row[0]) for row in rows if row[0] != "ok"]

    def close(self) -> None:
        """Close the connections of all threads; none may be in use."""
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        self._local = threading.local()

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
            with self._lock:
                self._connections.append(connection)
        return connection

    def _connect_anew(self) -> None:
        """Close this thread's connection; the next call opens another.

        SQLite opens for reading only what the card once refused to open for writing, and would
        stay with that.
        """
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            return
        with self._lock:
            self._connections.remove(connection)
        self._local.connection = None
        connection.close()

    def _connect(self) -> sqlite3.Connection:
        mode = "rw" if self._is_ready else "rwc"  # an index that is gone is never begun anew
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            if self.path.stat().st_mode & 0o077:
                self.path.chmod(0o600)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self) -> None:
        for number, step in enumerate(MIGRATIONS, start=1):
            with self.write() as connection:
                version = int(connection.execute("PRAGMA user_version").fetchone()[0])
                if version > SCHEMA_VERSION:
                    raise StoreError(
                        self.path,
                        f"has schema {version}, this Doorward knows up to {SCHEMA_VERSION}. "
                        "Install the newer Doorward again",
                    )
                if version < number:
                    for statement in statements_of(step):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {number}")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            primary_code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            number = _CARD_ERRORS.get(primary_code)
            if number is None:
                raise
            if number == errno.EROFS:
                self._connect_anew()
            raise OSError(number, str(error), str(self.path)) from error


def _cannot_be_opened(error: OSError) -> str:
    if isinstance(error.__cause__, sqlite3.DatabaseError):
        code = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            return f"can't be opened ({error.strerror}). Move it away to begin with an empty one"
    return f"can't be opened ({error.strerror})"
