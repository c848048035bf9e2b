"""Where the relay's tests have their databases: in SQLite files, or all of them on PostgreSQL.

With DOORWARD_TEST_DATABASE, the URL of a database `postgres`, each file that a test names stands
for a database of its own on that server (`.ci/postgres COMMAND` starts one and sets it).
"""

import asyncio
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from relay.store.database import Database

SERVER = os.environ.get("DOORWARD_TEST_DATABASE", "")
ON_SQLITE_ONLY = pytest.mark.skipif(bool(SERVER), reason="about SQLite's file")

_made: list[str] = []
_empty: list[bytes] = []


def place_of(path: Path) -> Path | str:
    """Return where the database that a test names so is; on PostgreSQL, make it."""
    return postgresql_of(path, SERVER) if SERVER else path


def postgresql_of(path: Path, server: str) -> str:
    """Return the URL of the database that stands for a file on this server; make it."""
    name = "d" + hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:30]
    if name not in _made:
        run_on(server, f"CREATE DATABASE {name}")
        _made.append(name)
    return server.replace("/postgres?", f"/{name}?")


def url_of(path: Path) -> str:
    """Return what `database_url` says in relay.toml: nothing on SQLite."""
    place = place_of(path)
    return place if isinstance(place, str) else ""


async def open_database(path: Path, *, is_migrating: bool = False) -> Database:
    """Open it as the relay does; a new SQLite file begins as a copy of one with all tables."""
    place = place_of(path)
    if isinstance(place, Path) and not place.exists():
        place.write_bytes(await empty_database())
    return await Database.open(place, is_migrating=is_migrating)


async def empty_database() -> bytes:
    """Return the SQLite file that the relay makes where there is none.

    Its 41 tables take three times as long to make as to open, so each process makes them once.
    """
    if not _empty:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "relay.sqlite3"
            database = await Database.open(file)
            await database.close()  # the last connection writes all into the one file
            _empty.append(file.read_bytes())
    return _empty[0]


def rows_of(path: Path, query: str) -> list[tuple[Any, ...]]:
    """Ask it something beside the relay."""
    place = place_of(path)
    if isinstance(place, str):
        return run_on(place, query)
    with sqlite3.connect(place) as raw:
        return raw.execute(query).fetchall()


def all_stored(path: Path) -> bytes:
    """Return everything that lies in it, to be searched."""
    place = place_of(path)
    if isinstance(place, Path):
        return b"".join(file.read_bytes() for file in place.parent.glob(f"{place.name}*"))
    tables = run_on(place, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    texts = [
        text
        for (table,) in tables
        for (text,) in run_on(place, f'SELECT t::text FROM "{table}" t')  # noqa: S608
    ]
    return "\n".join(texts).encode()


def how_many_made() -> int:
    """Return how many databases tests have made on the server."""
    return len(_made)


def drop_made_after(count: int) -> None:
    """Drop the databases that were made since there were so many."""
    while len(_made) > count:
        run_on(SERVER, f"DROP DATABASE {_made.pop()} WITH (FORCE)")


def run_on(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement on PostgreSQL, from whichever thread or loop."""
    import asyncpg  # only where there is a server

    async def run() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    with ThreadPoolExecutor(max_workers=1) as thread:  # a loop may be running here
        return thread.submit(lambda: asyncio.run(run())).result()


@contextmanager
def all_on(server: str) -> Iterator[str]:
    """Have the databases on this server meanwhile."""
    global SERVER
    before, SERVER = SERVER, server
    try:
        yield server
    finally:
        SERVER = before
        _made.clear()
