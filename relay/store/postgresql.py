"""PostgreSQL as the relay's database: settings that give it SQLite's guarantees.

- One writer at a time, over all relays of one database: each writing transaction begins by taking
  one advisory lock. Whoever looks first and then writes may rely on what was seen; and `relay_seq`
  rises in the order of commit, so that nobody who asks for what is newer misses one.
- A transaction of a partition locks the row of its owner instead (store/partitions.py).
- A reader has one snapshot, and can't write.
- A commit is on disk when it returns, whatever the server's default is.
- Texts are compared by their bytes: a database of another locale is refused.
"""

from sqlalchemy import Connection, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from relay.errors import StoreError

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


def postgresql_engine(url: str) -> AsyncEngine:
    """Return an engine; it connects when it is first used. StoreError if that can't be."""
    settings = {
        "application_name": "doorward-relay",
        "synchronous_commit": "on",
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "idle_in_transaction_session_timeout": str(IDLE_TIMEOUT_MS),
    }
    try:
        engine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
            hide_parameters=True,  # an error is logged, and what was to be stored must not be
            connect_args={"server_settings": settings},
        )
    except (ModuleNotFoundError, ArgumentError) as error:
        missing = "install doorward[postgresql] for a PostgreSQL database"
        raise StoreError(f"can't use PostgreSQL: {error}; {missing}") from error
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


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
