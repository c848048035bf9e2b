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
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias, TypeVar

from anyio import CancelScope
from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from relay.base.signals import Signals, Topic
from relay.config.postgresql_url import parse_postgresql_url
from relay.errors import DatabaseLost, StoreError, said
from relay.store.history import History
from relay.store.migrations import HISTORY, check_tables
from relay.store.migrator import Plan, is_behind, migrate_online, plan, prepare
from relay.store.postgresql import (
    IMPATIENT,
    IN_PARTITION,
    IN_TURN,
    LOCK_TIMEOUT_MS,
    READING,
    Limits,
    migration_session,
    postgresql_engine,
)
from relay.store.sqlite_file import SnapshotReader, sqlite_engine

log = logging.getLogger(__name__)

CONNECT_AGAIN_S = 0.5
_SIGNALS = "signals"
_ACCOUNTS = "accounts"

UNSTORABLE = (DataError, IntegrityError)
"""What a database raises for rows that it can't take, now or later; of all else it may recover."""

AWAY = (DBAPIError, OSError, StoreError)
"""What a transaction raises that may succeed later, where UNSTORABLE was caught before."""

Transaction: TypeAlias = AsyncConnection
"""What the repositories in this folder take as their first argument."""

Snapshot: TypeAlias = Connection
"""What those of their functions take that ask within `Database.look`."""

Found = TypeVar("Found")


class Database:
    """One open database. Make it with `Database.open`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.signals = Signals()
        self._audience_handlers: list[Callable[[str], None]] = []
        self.on_written: Callable[[float, float], None] = _unobserved
        """Is called after each commit: seconds that it waited for its turn, seconds it took."""
        self._engine = engine
        self.failover_s = 0.0
        """For how long at most what is asked waits for a standby's promotion; 0 with SQLite."""
        self.turn_s: float | None = None
        """For how long at most a writer waits for those before it here; None: until they are done.

        As long as for a standby, within the same time, yet no less than for writers elsewhere."""
        self._file: SnapshotReader | None = None
        self._writer = asyncio.Lock()
        self._writes: dict[object, float] = {}
        is_postgresql = engine.dialect.name == "postgresql"
        self._reading: dict[str, object] = dict(READING) if is_postgresql else {}

    @classmethod
    async def open(
        cls,
        place: Path | str,
        *,
        is_migrating: bool = False,
        limits: Limits | None = None,
        history: History = HISTORY,
    ) -> "Database":
        """Open the SQLite file or the PostgreSQL URL; an empty one gets its tables. StoreError.

        An older one is brought forward if `is_migrating`, and refused (SchemaTooOld) otherwise; a
        newer one is refused (SchemaTooNew) unless older relays may run beside it. `limits` are for
        PostgreSQL; `history` ends with the version that this program is written for.
        """
        limits = limits or Limits()
        engine = _engine(place, limits, history)
        database = cls(engine)
        try:
            if is_migrating and isinstance(place, str) and await database._is_behind(history):
                async with migration_session(place, limits, schema=history.version) as session:
                    await database._prepare(history, is_migrating=True)
                    await migrate_online(session, history)
            else:
                await database._prepare(history, is_migrating=is_migrating)
            async with database.read() as tx:
                await tx.run_sync(check_tables, history)
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
        if isinstance(place, Path):
            database._file = SnapshotReader(place)
        else:
            database.failover_s = limits.failover_s
            database.turn_s = max(limits.failover_s, LOCK_TIMEOUT_MS / 1000)
        return database

    @classmethod
    async def plan(cls, place: Path | str, *, history: History = HISTORY) -> Plan:
        """Return what migrating the database would do, and change nothing; StoreError."""
        database = cls(_engine(place, Limits(), history))
        try:
            async with database.read() as tx:
                return await tx.run_sync(plan, history)
        except (DBAPIError, OSError) as error:
            raise StoreError(f"can't open the database {shown(place)}: {_cause(error)}") from error
        finally:
            await database.close()

    async def _is_behind(self, history: History) -> bool:
        async with self.read() as tx:
            return await tx.run_sync(is_behind, history)

    async def _prepare(self, history: History, *, is_migrating: bool) -> None:
        async with self.begin() as tx:
            await tx.run_sync(prepare, history, is_migrating=is_migrating)

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        """Open a write transaction: commits at the end of the block, rolls back if it raises.

        A request whose client has gone is cancelled again and again until it ends (anyio); that
        would cut off the connection's own closing, and leave a task behind that never ends.
        """
        with self._under_way() as asked_at:
            async with self._turn(), self._transaction(asked_at, {}) as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.turn_s):
                await self._writer.acquire()
        except TimeoutError as error:
            raise DatabaseLost("other writers wait for the database, or keep it busy") from error
        try:
            yield
        finally:
            self._writer.release()

    @contextlib.asynccontextmanager
    async def begin_partition(
        self, *, is_in_turn: bool = False, is_patient: bool = True
    ) -> AsyncIterator[Transaction]:
        """Open a write transaction that takes no turn among all writers, on PostgreSQL.

        For what one partition's lock guards: it holds or claims that first (store/partitions.py),
        and a process that hangs within it loses it after 3 s; or for what has a lock of its own.
        `is_in_turn`: it takes its turn among all writers nevertheless, before it holds a partition;
        unless it `is_patient`, it fails if that doesn't come within 2 s.
        """
        if self._engine.dialect.name != "postgresql":
            async with self.begin() as connection:
                yield connection
            return
        options = IN_PARTITION | (IN_TURN if is_in_turn else {})
        options |= {} if is_patient else IMPATIENT
        with self._under_way() as asked_at:
            async with self._transaction(asked_at, options) as connection:
                yield connection

    def oldest_write_s(self) -> float:
        """Return how long ago the oldest write that isn't over here was begun; 0: there is none.

        It waits for its turn, or its commit for a standby's disk: `on_written` tells only of those
        that came to their end.
        """
        now = time.monotonic()
        return now - min(self._writes.values(), default=now)

    @contextlib.contextmanager
    def _under_way(self) -> Iterator[float]:
        write, asked_at = object(), time.monotonic()
        self._writes[write] = asked_at
        try:
            yield asked_at
        finally:
            del self._writes[write]

    @contextlib.asynccontextmanager
    async def _transaction(
        self, asked_at: float, options: Mapping[str, bool]
    ) -> AsyncIterator[AsyncConnection]:
        opened = await self._connect(asked_at + self.failover_s - time.monotonic())
        topics, accounts = frozenset[Topic](), frozenset[str]()
        try:
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
        finally:  # a commit whose answer was lost may be one: once too often costs a look
            self._tell(topics, accounts)
        self.on_written(began_at - asked_at, time.monotonic() - ended_at)

    def _tell(self, topics: Iterable[Topic], accounts: Iterable[str]) -> None:
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
        async with self._reader(self.failover_s) as reader:
            yield reader

    async def look(self, ask: Callable[[Snapshot], Found]) -> Found:
        """Return what `ask` finds in one consistent snapshot; it can't write.

        For what is read often: by `read` each statement on a file takes several turns between
        threads, and here all of them together take one. `ask` must not touch what the loop's
        thread changes.
        """
        if self._file is not None:
            return await self._file.look(ask)
        async with self.read() as tx:
            return await tx.run_sync(ask)

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
            except PoolTimeout as error:  # it has waited already
                raise DatabaseLost("all of the database's connections are in use") from error
            except (DBAPIError, OSError) as error:
                if time.monotonic() >= end:
                    raise DatabaseLost(f"the database doesn't answer: {_cause(error)}") from error
                log.warning("the database doesn't answer yet: %s", _cause(error))
            await asyncio.sleep(CONNECT_AGAIN_S)

    async def close(self) -> None:
        """Close all connections."""
        if self._file is not None:
            self._file.close()
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


def reason_of(error: BaseException) -> str:
    """Return what an error says, for the log: in one line, of the driver's words the first.

    Those that follow may show rows: PostgreSQL's DETAIL.
    """
    return (said(_cause(error)).splitlines() or [type(error).__name__])[0]


def _cause(error: BaseException) -> BaseException:
    return (error.orig or error) if isinstance(error, DBAPIError) else error


def _engine(place: Path | str, limits: Limits, history: History) -> AsyncEngine:
    if isinstance(place, Path):
        return sqlite_engine(place)
    return postgresql_engine(place, limits, schema=history.version)
