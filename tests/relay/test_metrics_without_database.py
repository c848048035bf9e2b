"""Metrics and probes while the database doesn't answer: at once, with what is known without it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from relay.agency.agencies import Agencies
from relay.agency.register import NoLog, RelayRegister
from relay.app import health, metrics_collector
from relay.app.health import HealthChecks
from relay.app.metrics_collector import MetricsCollector
from relay.app.probes import Health
from relay.base.clock import SystemClock
from relay.base.metrics import Metrics, build_metrics_server
from relay.errors import DatabaseLost, StoreError
from relay.store.database import Database, Transaction
from relay.store.postgresql import Limits
from tests.fakes.log_house import NAME
from tests.fakes.lost_relay import LosableRelay, make_relay
from tests.fakes.ports import free_port
from tests.fakes.waiting import PATIENCE_S, eventually, in_time
from tests.rigs.postgres import MISSING, Pair, programs, run_pair

SCRAPE_S = 5.0


@pytest.fixture
async def relay(tmp_path: Path) -> LosableRelay:
    return await make_relay(tmp_path)


@pytest.fixture
def pair() -> Iterator[Pair]:
    at = programs()
    if at is None:
        pytest.skip(MISSING)
    pytest.importorskip("asyncpg", reason="asyncpg isn't installed here (doorward[postgresql])")
    with run_pair(at, (free_port(), free_port())) as pair:
        yield pair


def checks_of(database: Any) -> HealthChecks:  # Any: a database, or what hangs like one
    async def answers() -> None:
        pass

    others: dict[str, Any] = {
        "bus": SimpleNamespace(is_connected=True),
        "objects": SimpleNamespace(check=answers),
        "members": SimpleNamespace(is_settled=True),
        "drain": SimpleNamespace(has_begun=False),
    }
    return HealthChecks(database=database, **others)


@asynccontextmanager
async def scraping(
    relay: LosableRelay, database: Database, check_health: Callable[[], Any]
) -> AsyncIterator[Callable[[], Any]]:
    clock = SystemClock()
    register = RelayRegister(NoLog(), database, clock, origin=f"{NAME}/register")
    collector = MetricsCollector(
        config=relay.config,
        database=database,
        clock=clock,
        agencies=Agencies(register, database, clock),
        policy=relay.keys.policy,
        check_health=check_health,
    )
    app = build_metrics_server(Metrics(), collector.gather)
    transport = httpx2.ASGITransport(app=app)

    async with httpx2.AsyncClient(transport=transport, base_url="http://relay") as client:

        async def scrape() -> str:
            answer = await client.get("/metrics")
            assert answer.status_code == 200
            return str(answer.text)

        yield scrape


def assert_is_without_rows(text: str) -> None:
    assert 'doorward_up{part="database"} 0.0' in text
    assert 'doorward_up{part="broker"} 1.0' in text
    assert "doorward_disk_free_bytes " in text
    assert "doorward_open_streams 0.0" in text
    assert "doorward_database_oldest_write_seconds 0.0" in text
    assert "doorward_doorbells" not in text  # 0 would look like a fleet that is gone
    assert "doorward_log_" not in text
    assert "doorward_moderation" not in text


@pytest.mark.parametrize("is_hanging", [False, True])
async def test_a_database_that_is_lost_between_look_and_read_costs_its_rows_only(
    relay: LosableRelay, monkeypatch: pytest.MonkeyPatch, is_hanging: bool
) -> None:
    """Seen to be an error of the server's without the time-out and `AWAY` in `_read_rows`."""
    monkeypatch.setattr(metrics_collector, "ROWS_S", 0.3)
    database = await Database.open(relay.config.database)

    async def look() -> Health:
        return Health(is_broker_up=True, is_bucket_up=True, is_database_up=True)

    @asynccontextmanager
    async def away() -> AsyncIterator[Transaction]:
        if not is_hanging:
            raise DatabaseLost("it was here just now")
        await asyncio.sleep(60)
        async with database.read() as tx:
            yield tx

    async with scraping(relay, database, look) as scrape:
        assert "doorward_doorbells 0.0" in await scrape()
        with monkeypatch.context() as patched:
            patched.setattr(database, "read", away)
            async with asyncio.timeout(SCRAPE_S):
                assert_is_without_rows(await scrape())
        text = await scrape()
        assert 'doorward_up{part="database"} 1.0' in text
        assert "doorward_doorbells 0.0" in text
    await database.close()


@pytest.mark.services
@pytest.mark.slow
async def test_without_a_primary_figures_are_served_at_once(
    relay: LosableRelay, pair: Pair
) -> None:
    """Seen to be refused after the failover's time, when the rows were read in any case."""
    limits = Limits(failover_s=int(2 * PATIENCE_S))
    database = await Database.open(pair.url, is_migrating=True, limits=limits)
    checks = checks_of(database)
    async with scraping(relay, database, checks.check_health) as scrape:
        assert (await checks.check_ready()).is_database_up
        assert 'doorward_up{part="database"} 1.0' in await scrape()
        pair.kill_primary()
        assert (await checks.check_ready()).is_database_up  # requests wait for a promotion
        assert_is_without_rows(await in_time(scrape()))
        database.failover_s = 0.1
        await asyncio.sleep(database.failover_s)
        assert not (await checks.check_ready()).is_database_up
        await asyncio.to_thread(pair.promote)
        async with asyncio.timeout(PATIENCE_S):
            while not (await checks.check_ready()).is_database_up:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    await database.close()


async def test_a_database_that_hangs_is_asked_once_and_counts_as_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one does whose machine lost its power: the line to it is dead, and nobody says so."""
    monkeypatch.setattr(health, "ANSWERS_S", 0.1)
    asked: list[asyncio.Future[None]] = []

    async def check() -> None:
        asked.append(asyncio.get_running_loop().create_future())
        await asked[-1]

    checks = checks_of(SimpleNamespace(check=check, failover_s=0.0))
    async with asyncio.timeout(SCRAPE_S):
        for _ in range(3):
            assert not (await checks.check_health()).is_database_up
            assert not (await checks.check_ready()).is_database_up
    assert len(asked) == 1
    asked[0].set_result(None)
    await asyncio.sleep(0.01)  # that look ends, and the next who asks begins another
    monkeypatch.setattr(health, "ANSWERS_S", PATIENCE_S)
    answering = asyncio.create_task(checks.check_health())
    await eventually(lambda: len(asked) == 2)
    asked[1].set_result(None)
    assert (await answering).is_database_up


@pytest.mark.parametrize("is_hanging", [False, True])
async def test_a_process_is_ready_for_as_long_as_its_requests_wait_for_a_failover(
    *, is_hanging: bool
) -> None:
    """Seen to be out at once: a balancer then took out all, and pages failed for the whole time."""
    is_up, over = False, asyncio.Event()

    async def check() -> None:
        if not is_up and is_hanging:
            await over.wait()
        if not is_up:
            raise StoreError("no primary")

    checks = checks_of(SimpleNamespace(check=check, failover_s=4.0))

    async def is_ready() -> bool:
        async with asyncio.timeout(health.ANSWERS_S - 0.5):  # a balancer waits for one second
            return (await checks.check_ready()).is_database_up

    assert not await is_ready()  # it has never answered: this process's own way may be closed
    over.set()
    await asyncio.sleep(0.01)
    over.clear()
    is_up = True
    assert await is_ready()
    is_up = False
    assert await is_ready()
    await asyncio.sleep(4)
    assert not await is_ready()  # whose own way is cut gets out, too
    over.set()
    await asyncio.sleep(0.01)
    is_up = True
    assert await is_ready()


async def test_with_a_file_nothing_waits_and_a_process_is_not_ready_without_it() -> None:
    answers: list[bool] = [True, False]

    async def check() -> None:
        if not answers.pop(0):
            raise StoreError("the disk is gone")

    checks = checks_of(SimpleNamespace(check=check, failover_s=0.0))
    assert (await checks.check_ready()).is_database_up
    assert not (await checks.check_ready()).is_database_up
