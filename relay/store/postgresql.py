"""PostgreSQL as the relay's database: settings that give it SQLite's guarantees.

- One writer at a time, over all relays of one database: each writing transaction begins by taking
  one advisory lock. Whoever looks first and then writes may rely on what was seen.
- A transaction of a partition locks the row of its owner instead (store/partitions.py); `relay_seq`
  rises in the order of commit within one doorbell.
- A reader has one snapshot, and can't write.
- A commit is on disk when it returns, whatever the server's default is.
- Texts are compared by their bytes: a database of another locale is refused.
"""

import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from relay.config.postgresql_url import PostgresqlUrl, UrlFault, parse_postgresql_url
from relay.errors import StoreError, said

WRITER_LOCK = int.from_bytes(b"doorward", "big")
LOCK_TIMEOUT_MS = 10_000
"""As long as a writer waits for its turn with SQLite."""
IDLE_TIMEOUT_MS = 60_000
"""A relay that hangs within a transaction gives its turn back."""
PARTITION_IDLE_TIMEOUT_MS = 3_000
"""Within a partition's transaction: its next owner waits for no longer."""
IN_PARTITION = {"doorward_is_partition": True}
IN_TURN = {"doorward_is_in_turn": True}
READING = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many connections one process has, and how long it waits; relay.toml's [postgresql]."""

    connections: int = 15
    wait_s: int = 30
    connect_s: int = 5
    failover_s: int = 20
    lost_s: int = 15


def postgresql_engine(url: str, limits: Limits | None = None) -> AsyncEngine:
    """Return an engine; it connects when it is first used. StoreError if that can't be."""
    limits = limits or Limits()
    try:
        parsed = parse_postgresql_url(url)
        engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=lambda: _connect(parsed, limits),
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
    return engine


async def _connect(url: PostgresqlUrl, limits: Limits) -> Any:  # Any: the driver's connection
    """Connect to the first host that answers and is what the URL asks for; else ConnectionError."""
    import asyncpg  # of an extra that a relay with a file doesn't have

    settings = {
        "application_name": url.application_name or "doorward-relay",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """One standby that follows this server."""

    name: str
    is_synchronous: bool
    """Whether each commit waits until it is on the standby's disk as well."""
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
            is_synchronous=row.sync_state in {"sync", "quorum"},
            lag_bytes=None if row.lag is None else int(row.lag),
        )
        for row in rows
    ]


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
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
