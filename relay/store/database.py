"""The database connection: durability, the schema's version, and transactions.

    async with database.begin() as tx:     # one writer at a time, all or nothing
        await events.add(tx, ...)
    async with database.read() as tx:      # a consistent snapshot; readers never wait
        await events.newest(tx, ...)

SQLite runs in WAL mode with synchronous=FULL: what is committed outlives a power cut, which is
what a receipt promises. PostgreSQL is made to keep the same promises in postgresql.py.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from anyio import CancelScope
from sqlalchemy import Connection, event, insert, inspect, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from relay.base.signals import Signals, Topic
from relay.config.postgresql_url import parse_postgresql_url
from relay.errors import DatabaseLost, StoreError
from relay.store.migrations import check_tables, check_version, migrate
from relay.store.postgresql import (
    IN_PARTITION,
    IN_TURN,
    READING,
    Limits,
    check_suitable,
    postgresql_engine,
)
from relay.store.schema import SCHEMA_VERSION, metadata, schema_version

log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 10_000
CONNECT_AGAIN_S = 0.5
_SIGNALS = "signals"
_ACCOUNTS = "accounts"

UNSTORABLE = (DataError, IntegrityError)
"""What a database raises for rows that it can't take, now or later; of all else it may recover."""

AWAY = (DBAPIError, OSError, StoreError)
"""What a transaction raises that may succeed later, where UNSTORABLE was caught before."""

Transaction: TypeAlias = AsyncConnection
"""What the repositories in this folder take as their first argument."""


class Database:
    """One open database. Make it with `Database.open`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.signals = Signals()
        self._audience_handlers: list[Callable[[str], None]] = []
        self.on_written: Callable[[float, float], None] = _unobserved
        """Is called after each commit: seconds that it waited for its turn, seconds it took."""
        self._engine = engine
        self._failover_s = 0.0
        self._writer = asyncio.Lock()
        is_postgresql = engine.dialect.name == "postgresql"
        self._reading: dict[str, object] = dict(READING) if is_postgresql else {}

    @classmethod
    async def open(
        cls, place: Path | str, *, is_migrating: bool = False, limits: Limits | None = None
    ) -> "Database":
        """Open the SQLite file or the PostgreSQL URL; an empty one gets its tables. StoreError.

        An older one is brought forward if `is_migrating`, and refused (SchemaTooOld) otherwise.
        `limits` are for PostgreSQL.
        """
        limits = limits or Limits()
        engine = (
            _sqlite_engine(place) if isinstance(place, Path) else postgresql_engine(place, limits)
        )
        database = cls(engine)
        try:
            async with database.begin() as tx:
                await tx.run_sync(_ensure_schema, is_migrating)
        except DatabaseLost as error:
            await engine.dispose()
            why = error.__cause__ or error
            raise StoreError(f"can't open the database {shown(place)}: {_cause(why)}") from error
        except (DBAPIError, OSError) as error:
            await engine.dispose()
            raise StoreError(f"can't open the database {shown(place)}: {_cause(error)}") from error
        except StoreError:
            await engine.dispose()
            raise
        if not isinstance(place, Path):
            database._failover_s = limits.failover_s
        return database

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Open a write transaction: commits at the end of the block, rolls back if it raises.

        A request whose client has gone is cancelled again and again until it ends (anyio); that
        would cut off the connection's own closing, and leave a task behind that never ends.
        """
        asked_at = time.monotonic()
        async with self._writer, self._transaction(asked_at, {}) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def begin_partition(self, *, is_in_turn: bool = False) -> AsyncIterator[Transaction]:
        """Open a write transaction that takes no turn among all writers, on PostgreSQL.

        For what one partition's lock guards: it holds or claims that first (store/partitions.py),
        and a process that hangs within it loses it after 3 s. `is_in_turn`: it takes its turn among
        all writers nevertheless, before it holds a partition.
        """
        if self._engine.dialect.name != "postgresql":
            async with self.begin() as connection:
                yield connection
            return
        options = IN_PARTITION | IN_TURN if is_in_turn else IN_PARTITION
        async with self._transaction(time.monotonic(), options) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def _transaction(
        self, asked_at: float, options: Mapping[str, bool]
    ) -> AsyncIterator[AsyncConnection]:
        opened = await self._connect(self._failover_s)
        with CancelScope(shield=True), _lost_in_words():
            try:
                connection = await opened.execution_options(**options)
                async with connection.begin():
                    began_at = time.monotonic()
                    for name in (_SIGNALS, _ACCOUNTS):
                        connection.info.pop(name, None)  # of one that was rolled back
                    yield connection
                    topics = connection.info.pop(_SIGNALS, frozenset())
                    accounts = connection.info.pop(_ACCOUNTS, frozenset())
                    ended_at = time.monotonic()
            finally:
                await opened.close()
        self.on_written(began_at - asked_at, time.monotonic() - ended_at)
        self.signals.give(topics)
        for account_id in sorted(accounts):
            for handler in self._audience_handlers:
                handler(account_id)

    def on_audience_changed(self, handler: Callable[[str], None]) -> None:
        """Call `handler(account_id)` after each commit here that changed what an account may hear.

        It must neither fail nor wait.
        """
        self._audience_handlers.append(handler)

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        """Open a read transaction on one consistent snapshot; writes in it are rolled back."""
        async with self._reader(self._failover_s) as reader:
            yield reader

    async def check(self) -> None:
        """Raise StoreError unless the database answers."""
        try:
            async with self._reader(0.0) as tx:
                await tx.execute(text("SELECT 1"))
        except (DBAPIError, OSError) as error:
            raise StoreError(f"the database doesn't answer: {_cause(error)}") from error

    @contextlib.asynccontextmanager
    async def _reader(self, patience_s: float) -> AsyncIterator[Transaction]:
        connection = await self._connect(patience_s)
        with CancelScope(shield=True), _lost_in_words():  # as in begin()
            try:
                yield await connection.execution_options(doorward_is_read=True, **self._reading)
            finally:
                await connection.close()

    async def _connect(self, patience_s: float) -> AsyncConnection:
        """Return a connection that answers, or raise DatabaseLost; wait for a standby's promotion.

        Nothing has been asked of the database before it, so nothing is done twice.
        """
        end = time.monotonic() + patience_s
        while True:
            try:
                with CancelScope(shield=True):  # as in begin()
                    return await self._engine.connect()
            except (DBAPIError, OSError) as error:
                if time.monotonic() >= end:
                    raise DatabaseLost(f"the database doesn't answer: {_cause(error)}") from error
                log.warning("the database doesn't answer yet: %s", _cause(error))
            await asyncio.sleep(CONNECT_AGAIN_S)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def signal(tx: Transaction, topic: Topic) -> None:
    """Have a write transaction give a signal once it is committed."""
    tx.info.setdefault(_SIGNALS, set()).add(topic)


def change_audience(tx: Transaction, *account_ids: str) -> None:
    """Say that a write transaction changes what accounts may hear: open pages ask anew."""
    tx.info.setdefault(_ACCOUNTS, set()).update(account_ids)


def shown(place: Path | str) -> str:
    """Return a database's URL or path, without its password."""
    return str(place) if isinstance(place, Path) else parse_postgresql_url(place).shown


@contextlib.contextmanager
def _lost_in_words() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise DatabaseLost(f"the database was lost: {_cause(error)}") from error


def _unobserved(_waited_s: float, _took_s: float) -> None:
    pass


def _cause(error: BaseException) -> object:
    return error.orig if isinstance(error, DBAPIError) else error


class _File(sqlite3.Connection):
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


def _sqlite_engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}", hide_parameters=True, connect_args={"factory": _File}
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
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    is_read = connection.get_execution_options().get("doorward_is_read", False)
    # IMMEDIATE: a writer waits for its turn at once, and never fails half-way as busy.
    connection.exec_driver_sql("BEGIN" if is_read else "BEGIN IMMEDIATE")


def _ensure_schema(connection: Connection, is_migrating: bool) -> None:
    if connection.dialect.name == "postgresql":
        check_suitable(connection)
    if not inspect(connection).has_table(schema_version.name):
        metadata.create_all(connection)
        connection.execute(insert(schema_version).values(version=SCHEMA_VERSION))
    elif is_migrating:
        found = migrate(connection)
        if found < SCHEMA_VERSION:
            log.warning("database migrated from version %d to %d", found, SCHEMA_VERSION)
    else:
        check_version(connection)
    check_tables(connection)
