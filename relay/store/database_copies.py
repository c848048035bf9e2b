"""Online copies of the whole database for backups, and their restoration.

SQLite copies itself (its online backup); PostgreSQL is dumped and loaded by its own programs. What
is read in the transaction that `copied` gives is of the same moment as the copy.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

from sqlalchemy import MetaData, inspect, text
from sqlalchemy.exc import DBAPIError

from relay.config.postgresql_url import parse_postgresql_url
from relay.errors import StoreError
from relay.store.database import Database, Transaction, shown
from relay.store.postgresql import postgresql_engine

SQLITE_COPY = "relay.sqlite3"
POSTGRESQL_COPY = "relay.pgdump"
_WHOLE_TABLES = """
SELECT relname FROM pg_class
WHERE relkind IN ('r', 'p') AND NOT relispartition
AND relnamespace = current_schema()::regnamespace
"""
"""Without partitions, which go with their table."""
_MISSING = (
    "{program} isn't on this machine: install PostgreSQL's client (apt install postgresql-client), "
    "of the server's version or newer"
)


@asynccontextmanager
async def copied(place: Path | str, folder: Path) -> AsyncIterator[tuple[Path, Transaction]]:
    """Copy a database into a folder; yield the copy, and a transaction on the same snapshot."""
    if isinstance(place, Path):
        copy = folder / SQLITE_COPY
        await asyncio.to_thread(_copy_sqlite, place, copy)
        database = await Database.open(copy)
        try:
            async with database.read() as tx:
                yield copy, tx
        finally:
            await database.close()
        return
    copy = folder / POSTGRESQL_COPY
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    database = await Database.open(place)
    try:
        async with database.read() as tx:
            snapshot = (await tx.execute(text("SELECT pg_export_snapshot()"))).scalar_one()
            options = ("--format=custom", f"--snapshot={snapshot}", f"--file={copy}")
            await _run(["pg_dump", "--no-owner", "--no-privileges", *options], place)
            yield copy, tx
    finally:
        await database.close()


async def load_sqlite(copy: Path, path: Path) -> None:
    """Put a copy at the relay's database path, or raise StoreError."""
    await asyncio.to_thread(_copy_sqlite, copy, path, is_at_rest=True)
    await asyncio.to_thread(check_sqlite, path)


async def load_postgresql(copy: Path, url: str) -> None:
    """Load a dump into an empty database, all or nothing, or raise StoreError."""
    options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
    await _run(
        ["pg_restore", *options, f"--dbname={parse_postgresql_url(url).database}", str(copy)], url
    )


async def holds_tables(url: str) -> bool:
    """Return whether a PostgreSQL database has any tables, or raise StoreError."""
    engine = postgresql_engine(url)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(lambda sync: bool(inspect(sync).get_table_names()))
    except (DBAPIError, OSError) as error:
        raise StoreError(f"can't open the database {shown(url)}: {error}") from error
    finally:
        await engine.dispose()


async def empty_again(url: str) -> None:
    """Drop the loaded tables from a PostgreSQL database, also of an older schema."""
    engine = postgresql_engine(url)
    loaded = MetaData()
    try:
        async with engine.begin() as connection:
            whole = list((await connection.exec_driver_sql(_WHOLE_TABLES)).scalars())
            await connection.run_sync(lambda sync: loaded.reflect(sync, only=whole))
            await connection.run_sync(loaded.drop_all)
    finally:
        await engine.dispose()


def check_sqlite(path: Path) -> None:
    """Raise StoreError unless the file is whole (PRAGMA quick_check). Blocks."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.Error as error:
        raise StoreError(f"{path} is damaged: {error}") from error
    if said != ["ok"]:
        raise StoreError(f"{path} is damaged: {'; '.join(said)}. Restore the newest backup")


def _copy_sqlite(source: Path, target: Path, *, is_at_rest: bool = False) -> None:
    if not source.exists():  # opening it would make an empty one
        raise StoreError(f"{source} is missing")
    mode = "immutable=1" if is_at_rest else "mode=ro"  # which leaves no file beside a backup's
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?{mode}", uri=True)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)  # one step: a writer may go on, and the copy is of one moment
    except sqlite3.Error as error:
        raise StoreError(f"can't copy {source}: {error}") from error


async def _run(command: Sequence[str], url: str) -> None:
    """Run one of PostgreSQL's programs, with address and credentials in its environment only."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**os.environ, **parse_postgresql_url(url).environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise StoreError(_MISSING.format(program=command[0])) from error
    _, said = await process.communicate()
    if process.returncode != 0:
        words = said.decode("utf-8", "replace").strip()[-500:]
        raise StoreError(f"{command[0]} failed: {words}")
