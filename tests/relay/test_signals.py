"""Who waits for work is woken by its commit, in every process; at rest nobody looks or writes."""

import asyncio
import contextlib
import selectors
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from firmware.protocol.town_clock import TownClock
from relay.app.town_watch import TownWatch
from relay.base.clock import SimulatedClock, SystemClock
from relay.base.http_server import QuietServer, server_settings
from relay.base.signals import LOOK_S, Signals, Waiter
from relay.bus import Bus
from relay.cli.log_commands import add_legal_process
from relay.custody.service import CustodyService
from relay.custody.tile_store import Retention, TileStore
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.commands import Commands
from relay.fleet.signal_carrier import SignalCarrier
from relay.store import logs as rows
from relay.store import requests
from relay.store.database import Database, Transaction
from tests.fakes.bus import RememberingBus
from tests.fakes.log_house import LogKeys, MemoryBucket, make_keys, make_logs
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.relay.databases import open_database, place_of
from tests.relay.servers import Broker, new_relay

AT_ONCE_S = 20.0
"""Far less than LOOK_S, on a busy machine too."""


class CountingDatabase(Database):
    """Counts transactions."""

    reads = 0
    writes = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        self.writes += 1
        async with super().begin() as tx:
            yield tx

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Transaction]:
        self.reads += 1
        async with super().read() as tx:
            yield tx


class CountingSelector(selectors.DefaultSelector):
    """Counts how often the loop was woken."""

    woken = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(timeout)
        self.woken += 1
        return found


async def is_woken(waiter: Waiter, within_s: float = AT_ONCE_S) -> bool:
    return await waiter.wait(within_s)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(tmp_path / "relay.sqlite3")
    yield database
    await database.close()


@pytest.fixture
def keys(tmp_path: Path) -> LogKeys:
    return make_keys(tmp_path / "witnesses")


async def add(database: Database, key: str = "one", *, log: rows.Log = "custody") -> None:
    async with database.begin() as tx:
        await rows.add_entry(tx, log, key=key, entry=key, leaf_hash="00" * 32)


# --- one process -------------------------------------------------------------------------------


async def test_a_commit_wakes_who_waits_for_it_and_nobody_else(database: Database) -> None:
    waiter = database.signals.waiter("custody")
    other = database.signals.waiter("register", "requests")
    await add(database)
    assert await is_woken(waiter)
    assert not await is_woken(other, 0.05)
    async with database.begin() as tx:
        await requests.put_agreement_text(tx, "a" * 64, "text")
    assert not await is_woken(waiter, 0.05)
    assert database.signals.take_unpublished() == {"custody", "texts"}


async def test_what_is_rolled_back_wakes_nobody_neither_now_nor_with_the_next_commit(
    database: Database,
) -> None:
    """Seen to fail with the `pop` before the block taken out of Database.begin."""
    waiter = database.signals.waiter("custody")
    with contextlib.suppress(ZeroDivisionError):
        async with database.begin() as tx:
            await rows.add_entry(tx, "custody", key="one", entry="one", leaf_hash="00" * 32)
            raise ZeroDivisionError
    async with database.begin() as tx:
        await rows.ensure_head(tx, "register")
    assert not await is_woken(waiter, 0.05)


async def test_a_signal_that_comes_while_somebody_works_ends_the_next_wait() -> None:
    signals = Signals()
    waiter = signals.waiter("custody")
    signals.give(["custody"])
    signals.give(["custody"])
    assert await is_woken(waiter)
    assert not await is_woken(waiter, 0.05)


async def test_a_lost_signal_costs_time_and_no_more(
    tmp_path: Path, keys: LogKeys, database: Database
) -> None:
    assert LOOK_S <= 60
    database.signals = Signals(look_s=0.2)
    logs = make_logs(keys, database, MemoryBucket())
    task = asyncio.create_task(logs.run())
    beside = await open_database(tmp_path / "relay.sqlite3")  # and nobody carries its signals
    writer = logs._writers["custody"]
    async with asyncio.timeout(AT_ONCE_S):
        while not writer._is_checked or writer._has_turn:  # noqa: ASYNC110 (until it rests)
            await asyncio.sleep(0.01)
    await add(beside)
    async with asyncio.timeout(AT_ONCE_S):
        while True:
            async with beside.read() as tx:
                if (await rows.get_head(tx, "custody")).published_size == 1:
                    break
            await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await beside.close()


async def test_a_relay_at_rest_neither_writes_nor_looks(tmp_path: Path, keys: LogKeys) -> None:
    """Seen to fail with a second as the longest wait of sequencers, slots or telling, and with the
    turn renewed each second."""
    database = await CountingDatabase.open(place_of(tmp_path / "rest.sqlite3"))
    assert isinstance(database, CountingDatabase)
    clock, bucket = SystemClock(), MemoryBucket()
    logs = make_logs(keys, database, bucket)
    commands = Commands(bus=RememberingBus(), database=database, clock=clock)
    desk = CustodyService(
        logs=logs,
        shelf=TileStore(bucket, clock, Retention()),
        database=database,
        commands=commands,
        clock=clock,
    )
    tasks = [asyncio.create_task(part.run()) for part in (desk, commands)]
    async with database.begin() as tx:
        pending = await logs.add(tx, "custody", b"one", key="one")
    await logs.logged(pending)
    for _ in range(10):  # a busy machine comes to rest later
        await asyncio.sleep(1.5)
        database.reads = database.writes = 0
        await asyncio.sleep(2.5)
        if not database.reads + database.writes:
            break
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    counts = database.reads, database.writes
    await database.close()
    assert counts == (0, 0)


async def test_a_turn_is_kept_while_there_is_work_and_let_go_at_rest(
    tmp_path: Path, keys: LogKeys, database: Database
) -> None:
    bucket = MemoryBucket()
    logs, other = (make_logs(keys, database, bucket) for _ in range(2))
    writer, beside = logs._writers["custody"], other._writers["custody"]
    async with database.begin() as tx:
        await logs.add(tx, "custody", b"one", key="one")
    assert await writer.step() == 0.0
    assert 0 < await beside.step() < 1  # the other has the turn, and this one looks again soon
    assert await writer.step() > 10
    assert await beside.step() == 0.0


# --- other processes ---------------------------------------------------------------------------


@asynccontextmanager
async def carrying(broker: Broker, database: Database) -> AsyncIterator[Bus]:
    """Carry a database's signals, as a relay does."""
    keys = BrokerKeys.load(broker.config.broker_keys_path)
    url = broker.config.broker.url
    bus = Bus(url, relay_seed=keys.relay_seed, system_seed=keys.system_seed)
    await bus.connect()
    carrier = SignalCarrier(bus, database.signals)
    await carrier.start()
    task = asyncio.create_task(carrier.run())
    try:
        yield bus
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.close()


@pytest.mark.services
async def test_work_of_another_relay_on_the_same_database_is_seen_at_once(
    tmp_path: Path, broker: Broker, keys: LogKeys, database: Database
) -> None:
    """Seen to fail with `carrier.start` taken out of `carrying`."""
    beside = await open_database(tmp_path / "relay.sqlite3")
    logs = make_logs(keys, database, MemoryBucket())
    published = beside.signals.waiter("published")
    task = asyncio.create_task(logs.run())
    async with carrying(broker, database), carrying(broker, beside):
        await asyncio.sleep(1.0)  # nothing is to be done, and this one sleeps
        await add(beside)
        assert await is_woken(published)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await beside.close()


@pytest.mark.services
async def test_a_relay_hears_nothing_of_itself_and_looks_when_the_broker_is_back(
    own_broker: Broker, database: Database
) -> None:
    waiter = database.signals.waiter("custody", "requests")
    async with carrying(own_broker, database) as bus:
        await add(database)
        assert await is_woken(waiter)
        assert not await is_woken(waiter, 0.3)
        own_broker.stop(signal.SIGKILL)
        own_broker.start()
        async with asyncio.timeout(20):
            while not await is_woken(waiter, 0.5):
                pass
        await eventually(lambda: bus.is_connected)  # with its second connection, too


@pytest.mark.services
async def test_a_command_of_the_operators_wakes_the_relay(broker: Broker) -> None:
    database = await Database.open(broker.config.database)
    waiter = database.signals.waiter("custody")
    async with carrying(broker, database):
        await add_legal_process(broker.config, "subpoena", ["nothing"])
        assert await is_woken(waiter)
    await database.close()


async def test_a_command_without_a_broker_does_its_work_and_says_who_was_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = await asyncio.to_thread(new_relay, tmp_path / "relay")
    await add_legal_process(config, "subpoena", ["nothing"])
    assert "within a minute" in capsys.readouterr().err
    database = await Database.open(config.database)
    async with database.read() as tx:
        assert len(await rows.waiting(tx, "custody", now_ms=2**62, limit=9)) == 1
    await database.close()


# --- other clocks, and the server -------------------------------------------------------------


async def test_a_wound_clock_wakes_everybody(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    town, signals = SimulatedClock(file, logs=["example.town"]), Signals()
    waiter = signals.waiter("requests")
    task = asyncio.create_task(TownWatch(town, signals, each_s=0.02).run())
    assert await is_woken(waiter)
    assert not await is_woken(waiter, 0.1)
    file.write_bytes(TownClock(offset_ms=3_600_000).encode())  # as another process does
    assert await is_woken(waiter)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextlib.contextmanager
def counted_loop() -> Iterator[tuple[asyncio.AbstractEventLoop, CountingSelector]]:
    selector = CountingSelector()
    loop = asyncio.SelectorEventLoop(selector)
    yield loop, selector
    loop.close()


def test_a_server_sleeps_answers_with_the_date_and_ends_by_a_signal() -> None:
    """Seen to fail with uvicorn's own server, by which the loop is woken 40 times in 2 s."""

    async def hello(_request: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    async def use(selector: CountingSelector) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        server = QuietServer(server_settings(Starlette(routes=[Route("/", hello)])))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:  # noqa: ASYNC110 (no event for it)
            await asyncio.sleep(0.01)
        async with httpx2.AsyncClient() as http:
            answer = await http.get(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        assert answer.headers["date"].endswith(" GMT")
        assert "server" not in answer.headers
        await asyncio.sleep(0.3)
        begun = selector.woken
        await asyncio.sleep(2.0)
        woken = selector.woken - begun
        server.handle_exit(signal.SIGTERM, None)
        server._captured_signals.clear()  # uvicorn would end this process by it
        async with asyncio.timeout(PATIENCE_S):
            await task
        return woken

    with counted_loop() as (loop, selector):
        assert loop.run_until_complete(use(selector)) < 15
