"""PostgreSQL as the relay's database: settings that give it SQLite's guarantees.

- One writer at a time, over all relays of one database: each writing transaction begins by taking
  one advisory lock. Whoever looks first and then writes may rely on what was seen.
- A transaction of a partition locks the row of its owner instead (store/partitions.py); `relay_seq`
  rises in the order of commit within one doorbell.
- A reader has one snapshot, and can't write.
- A commit is on disk when it returns, whatever the server's default is.
- Texts are compared by their bytes: a database of another locale is refused.
"""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, ExceptionContext, event, text
from sqlalchemy.exc import ArgumentError, DataError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from relay.config.postgresql_url import PostgresqlUrl, UrlFault, parse_postgresql_url
from relay.errors import DatabaseLost, StoreError, said
from relay.store.history import Index, SchemaState
from relay.store.schema import SCHEMA_VERSION

log = logging.getLogger(__name__)

WRITER_LOCK = int.from_bytes(b"doorward", "big")
MIGRATION_LOCK = int.from_bytes(b"doorward", "big") + 1
LOCK_TIMEOUT_MS = 10_000
"""As long as a writer waits for its turn with SQLite."""
IDLE_TIMEOUT_MS = 60_000
"""A relay that hangs within a transaction gives its turn back."""
PARTITION_IDLE_TIMEOUT_MS = 3_000
"""Within a partition's transaction: its next owner waits for no longer."""
INGEST_TURN_TIMEOUT_MS = 2_000
"""Events that need their turn among all writers come again after so long: others wait behind."""
NAME = "doorward-relay"
"""Of a relay's connections; up to schema 12 nothing stood behind it."""
_NAMED = re.compile(r".* schema (\d{1,6})")
MIGRATION_LOCK_AGAIN_S = 0.5
DATA_EXCEPTION = "22"
"""The SQLSTATE class of values that a column can't take (PostgreSQL, appendix A)."""
PROGRAM_LIMIT_EXCEEDED = "54000"
INDEX_ROW = "index row"
"""So its error begins for a value that an index can't take; others of its kind stop all writing."""
TABLE_LOCK_TIMEOUT_MS = 500
"""For so long at most a migration has those wait who want the table that it waits for."""
IN_PARTITION = {"doorward_is_partition": True}
IN_TURN = {"doorward_is_in_turn": True}
IMPATIENT = {"doorward_is_patient": False}
READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many connections one process has, and how long it waits; relay.toml's [postgresql]."""

    connections: int = 15
    wait_s: int = 30
    connect_s: int = 5
    failover_s: int = 20
    lost_s: int = 15


def postgresql_engine(
    url: str, limits: Limits | None = None, *, schema: int = SCHEMA_VERSION
) -> AsyncEngine:
    """Return an engine; it connects when it is first used. StoreError if that can't be.

    Each connection's name says for which version of the schema it is.
    """
    limits = limits or Limits()
    try:
        parsed = parse_postgresql_url(url)
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: _connect(parsed, limits, schema),
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,  # after a failover the old primary's connections are thrown away
            pool_size=limits.connections,
            max_overflow=0,
            pool_timeout=limits.wait_s,
            hide_parameters=True,  # an error is logged, and what was to be stored must not be
        )
    except UrlFault as fault:
        raise StoreError(f"can't use PostgreSQL: {fault}") from fault
    except (ModuleNotFoundError, ArgumentError) as error:
        missing = "install doorward[postgresql] for a PostgreSQL database"
        raise StoreError(f"can't use PostgreSQL: {error}; {missing}") from error
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(engine.sync_engine, "handle_error", _data_error, retval=True)
    return engine


def _data_error(context: ExceptionContext) -> DataError | None:
    """Return the error for a value that can't be stored, of which SQLAlchemy's asyncpg has none."""
    error = context.original_exception
    state = getattr(error, "sqlstate", None) or ""
    is_refused_unsent = isinstance(error.__cause__, ValueError)  # by the driver, which encodes it
    is_too_long = state == PROGRAM_LIMIT_EXCEEDED and str(error.__cause__).startswith(INDEX_ROW)
    if state.startswith(DATA_EXCEPTION) or is_too_long or is_refused_unsent:
        return DataError(context.statement, None, error, hide_parameters=True)
    return None


async def _connect(url: PostgresqlUrl, limits: Limits, schema: int) -> Any:  # Any: the driver's
    """Connect to the first host that answers and is what the URL asks for; else ConnectionError."""
    import asyncpg  # of an extra that a relay with a file doesn't have

    settings = {
        "application_name": f"{(url.application_name or NAME)[:40]} schema {schema}",
        "synchronous_commit": "on",
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_TIMEOUT_MS),
    }
    files = {name: value for name, value in url.files.items() if name != "passfile"}
    reasons = []
    for host, port in url.hosts:
        try:
            connection = await asyncpg.connect(
                f"postgresql:///?{urlencode(files)}",
                host=host,
                port=port,
                user=url.user,
                password=url.password,
                passfile=url.files.get("passfile"),
                database=url.database,
                ssl=url.sslmode,
                timeout=url.connect_timeout_s or limits.connect_s,
                target_session_attrs=url.target,
                server_settings=settings,
            )
        except asyncpg.TargetServerAttributeNotMatched:
            reasons.append(f"{host}:{port} is a standby")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            reasons.append(f"{host}:{port}: {said(error)}")
        else:
            _give_up_after(connection, limits.lost_s)
            return connection
    raise ConnectionError("; ".join(reasons))


def _give_up_after(connection: Any, lost_s: int) -> None:  # Any: the driver's connection
    """Have the kernel end a connection whose host is gone without a word, as after a power cut.

    Else a query that is under way waits for a quarter of an hour.
    """
    line = connection._transport.get_extra_info("socket")
    if line is None or line.family == socket.AF_UNIX:
        return
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, lost_s // 2))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, lost_s // 6))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, lost_s * 1000)


def check_suitable(connection: Connection) -> None:
    """Raise StoreError unless the database is in UTF-8, sorts by bytes and has fsync on."""
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    # Asked, not looked up: the names of what sorts so differ from version to version.
    by_bytes = text("SELECT 'B' < 'a' AND 'a-c' < 'ab' AND 'z' < chr(229)")
    if encoding != "UTF8" or not connection.execute(by_bytes).scalar_one():
        raise StoreError(
            f"the PostgreSQL database is of encoding {encoding}, sorted otherwise than by bytes, "
            "or both; make one that is right: "
            "createdb --template=template0 --encoding=UTF8 --locale=C.UTF-8 NAME"
        )
    if connection.execute(text("SHOW fsync")).scalar_one() != "on":
        raise StoreError(
            "the PostgreSQL server has fsync off, so what it commits may be lost in a power cut; "
            "switch it on"
        )


async def server_ms(tx: AsyncConnection) -> int | None:
    """Return the wall time of the server's own clock; None with SQLite, which has none."""
    if tx.dialect.name != "postgresql":
        return None
    asked = text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)")
    return int((await tx.execute(asked)).scalar_one())


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """One standby that follows this server."""

    name: str
    is_synchronous: bool | None
    """Whether each commit waits until it is on the standby's disk as well; None: not to be seen."""
    lag_bytes: int | None
    """How much it hasn't replayed; None: this user may not see it."""


async def list_standbys(tx: AsyncConnection) -> list[Standby]:
    """Return the standbys that follow the server; none with SQLite."""
    if tx.dialect.name != "postgresql":
        return []
    rows = await tx.execute(
        text(
            "SELECT application_name, sync_state, "
            "pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) AS lag FROM pg_stat_replication"
        )
    )
    return [
        Standby(
            name=row.application_name or "a standby",
            is_synchronous=None if row.sync_state is None else row.sync_state in {"sync", "quorum"},
            lag_bytes=None if row.lag is None else int(row.lag),
        )
        for row in rows
    ]


def list_older_relays(connection: Connection, compatible_from: int) -> list[str]:
    """Return the connections of relays that are too old for a version of the schema."""
    rows = connection.execute(text(_SESSIONS))
    return _older([(row.pid, row.application_name) for row in rows], compatible_from)


_SESSIONS = """
    SELECT pid, application_name FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
    AND backend_type = 'client backend'
"""


def _older(sessions: Sequence[tuple[int, str | None]], compatible_from: int) -> list[str]:
    found = []
    for pid, name in sessions:
        numbered = _NAMED.fullmatch(name or "")
        if name == NAME or (numbered and int(numbered[1]) < compatible_from):
            found.append(f"process {pid} of the server, {name}")
    return found


# --- changing the schema while relays work -------------------------------------------------------


_IS_PARTITIONED = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass($1)"
_WITHOUT_INDEX = """
SELECT part.relname AS name
FROM pg_inherits AS of_table JOIN pg_class AS part ON part.oid = of_table.inhrelid
WHERE of_table.inhparent = to_regclass($1) AND NOT EXISTS (
    SELECT 1 FROM pg_inherits AS of_index JOIN pg_index ON indexrelid = of_index.inhrelid
    WHERE of_index.inhparent = to_regclass($2) AND indrelid = part.oid
)
ORDER BY part.relname
"""
"""A table's partitions that have no index yet beneath one of the table."""


class TableLocked(StoreError):
    """A statement of a migration didn't get a table's lock in time, and nothing of it was done."""


@asynccontextmanager
async def migration_session(
    url: str, limits: Limits, *, schema: int
) -> AsyncIterator["OnlineSession"]:
    """Open a connection that alone may change the schema, and wait until it may; StoreError."""
    connection = await _connect(parse_postgresql_url(url), limits, schema)
    try:
        is_said = False
        # Asked again and again: a session that waits in a query holds up indexes being built.
        while not await _is_first(connection):
            if not is_said:
                log.warning("another relay migrates the database; this one waits until it is done")
            is_said = True
            await asyncio.sleep(MIGRATION_LOCK_AGAIN_S)
        yield OnlineSession(connection)
    finally:
        await connection.close()


async def _is_first(connection: Any) -> bool:  # Any: the driver's connection
    with _in_words():
        return bool(await connection.fetchval(f"SELECT pg_try_advisory_lock({MIGRATION_LOCK})"))


class OnlineSession:
    """A connection that changes the schema part by part, and counts what is done."""

    def __init__(self, connection: Any) -> None:  # Any: the driver's connection
        self._connection = connection

    async def state(self) -> SchemaState:
        """Return what the database says of its schema."""
        with _in_words():
            row = await self._connection.fetchrow(
                "SELECT version, compatible_from, parts_done FROM schema_version"
            )
        return SchemaState(
            version=row["version"],
            compatible_from=row["compatible_from"],
            parts_done=row["parts_done"],
        )

    async def raise_floor(self, state: SchemaState, compatible_from: int) -> list[str]:
        """Refuse older relays from now on, or return those that are connected.

        It takes its turn among all writers, as whoever opens the database does.
        """
        with _in_words():
            async with self._connection.transaction():
                await self._execute(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
                rows = await self._connection.fetch(_SESSIONS)
                sessions = [(row["pid"], row["application_name"]) for row in rows]
                users = _older(sessions, compatible_from)
                if not users:
                    await self._write(state, f"compatible_from = {compatible_from:d}")
        return users

    async def run_statement(self, statement: str, state: SchemaState) -> None:
        """Run a statement and count it in one transaction; TableLocked, StoreError."""
        with _in_words():
            async with self._connection.transaction():
                await self._execute(f"SET LOCAL lock_timeout = {TABLE_LOCK_TIMEOUT_MS}")
                await self._execute(statement)
                await self._write(state, "parts_done = parts_done + 1")

    async def make_index(self, index: Index, state: SchemaState) -> None:
        """Build an index while relays write, anew if it was left half-built, and count it.

        TableLocked. A partitioned table has one that counts once each partition has its own.
        """
        with _in_words():
            if await self._connection.fetchval(_IS_PARTITIONED, index.table):
                await self._make_index_of_parts(index)
            else:
                await self._build(index)
            await self._write(state, "parts_done = parts_done + 1")

    async def _make_index_of_parts(self, index: Index) -> None:
        import asyncpg  # of an extra that a relay with a file doesn't have

        whole = f"CREATE INDEX IF NOT EXISTS {index.name} ON ONLY {index.table} ({index.columns})"
        await self._run_briefly(whole)
        for row in await self._connection.fetch(_WITHOUT_INDEX, index.table, index.name):
            part = replace(index, name=f"{row['name']}_{index.name}", table=row["name"])
            try:
                await self._build(part)
                await self._run_briefly(f"ALTER INDEX {index.name} ATTACH PARTITION {part.name}")
            except asyncpg.UndefinedTableError:  # or an older relay has dropped the month meanwhile
                if await self._connection.fetchval("SELECT to_regclass($1)", part.table):
                    raise

    async def _build(self, index: Index) -> None:
        is_valid = await self._connection.fetchval(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", index.name
        )
        await self._execute("SET lock_timeout = 0")  # it holds up nobody who writes
        if is_valid is False:
            await self._execute(f"DROP INDEX CONCURRENTLY {index.name}")
        if not is_valid:
            await self._execute(index.statement(is_concurrent=True))

    async def _run_briefly(self, statement: str) -> None:
        async with self._connection.transaction():
            await self._execute(f"SET LOCAL lock_timeout = {TABLE_LOCK_TIMEOUT_MS}")
            await self._execute(statement)

    async def finish(self, state: SchemaState, compatible_from: int) -> None:
        """Say that the next version is complete."""
        with _in_words():
            await self._write(
                state,
                f"version = {state.version + 1:d}, compatible_from = {compatible_from:d}, "
                "parts_done = 0",
            )

    async def _execute(self, statement: str) -> str:
        return str(await self._connection.execute(statement))

    async def _write(self, state: SchemaState, assignment: str) -> None:
        """Change the one row, unless somebody else has changed it since."""
        written = await self._execute(
            f"UPDATE schema_version SET {assignment} "  # noqa: S608 (numbers)
            f"WHERE version = {state.version:d} AND parts_done = {state.parts_done:d}"
        )
        if written != "UPDATE 1":
            raise StoreError("another relay migrates the database as well; start this one again")


@contextmanager
def _in_words() -> Iterator[None]:
    import asyncpg  # of an extra that a relay with a file doesn't have

    try:
        yield
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
        raise TableLocked(f"a table is in use: {said(error)}") from error
    except (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError) as error:
        raise DatabaseLost(f"the database was lost during its migration: {said(error)}") from error
    except asyncpg.PostgresError as error:
        raise StoreError(f"the database can't be migrated: {said(error)}") from error


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("doorward_is_read", False):
        return
    if options.get("doorward_is_partition", False):
        connection.exec_driver_sql(
            f"SET LOCAL idle_in_transaction_session_timeout = {PARTITION_IDLE_TIMEOUT_MS}"
        )
        if not options.get("doorward_is_in_turn", False):
            return
        if not options.get("doorward_is_patient", True):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {INGEST_TURN_TIMEOUT_MS}")
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
