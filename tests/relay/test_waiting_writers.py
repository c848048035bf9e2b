"""Writers that wait for a PostgreSQL that is away, or for one another: each as long as it may."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay.errors import DatabaseLost
from relay.store.database import Database
from relay.store.postgresql import Limits, postgresql_engine
from tests.relay.servers import free_port

WRITERS = 30
PATIENCE_S = 1.0


@asynccontextmanager
async def away(port: int) -> AsyncIterator[Database]:
    """A database of which only an address is left."""
    pytest.importorskip("asyncpg", reason="asyncpg isn't installed here (doorward[postgresql])")
    url = f"postgresql://doorward@127.0.0.1:{port}/doorward"
    database = Database(postgresql_engine(url, Limits(connect_s=3)))
    database.failover_s = database.turn_s = PATIENCE_S
    yield database
    await database.close()


async def longest_s(database: Database) -> float:
    """Return after how long the last of several writers that began at once has failed."""

    async def write() -> None:
        with pytest.raises(DatabaseLost):
            async with database.begin():
                raise AssertionError("there is no database")

    began = time.monotonic()
    await asyncio.gather(*(write() for _ in range(WRITERS)))
    return time.monotonic() - began


async def test_writers_wait_for_a_database_that_refuses_them_together() -> None:
    """Seen to take 30 s, one second after the other, while each one's began with its turn."""
    async with away(free_port()) as database:
        assert PATIENCE_S <= await longest_s(database) < 15 * PATIENCE_S


async def test_writers_wait_together_for_a_database_that_never_answers() -> None:
    """The first hangs in its connection for 3 s; seen to take 90 s without `Database._turn`."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        async with away(silent.getsockname()[1]) as database:
            assert PATIENCE_S <= await longest_s(database) < 30 * PATIENCE_S
            assert not database._writer.locked()


async def test_a_writer_whose_time_is_over_leaves_the_turn_to_the_next() -> None:
    """Seen never to end without `Database._turn`."""
    async with away(free_port()) as database:
        async with database._writer:
            assert PATIENCE_S <= await longest_s(database) < 15 * PATIENCE_S
        assert not database._writer.locked()
        assert database.oldest_write_s() == 0
