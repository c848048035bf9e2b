"""The real broker and object store, each once for all tests, and PostgreSQL once a module."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from relay.config.settings import Config
from tests.relay import databases
from tests.relay.servers import Broker, Relay, new_relay, run_object_store, run_relay
from tests.rigs.postgres import MISSING, programs, run_postgres, url_of


@pytest.fixture(autouse=True)
def _databases_of_one_test() -> Iterator[None]:
    """Drop the databases that a test made on PostgreSQL; those of the session stay."""
    count = databases.how_many_made()
    yield
    databases.drop_made_after(count)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One broker for all tests; each test brings doorbells of its own."""
    broker = Broker(new_relay(tmp_path_factory.mktemp("broker") / "data"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker of this test's own, which it may kill."""
    broker = Broker(new_relay(tmp_path / "data"))
    broker.start()
    yield broker
    if broker.process is not None and broker.process.poll() is None:
        broker.stop()


@pytest.fixture
async def relay(broker: Broker) -> AsyncIterator[Relay]:
    async with run_relay(broker.config) as relay:
        yield relay


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """One object store for all tests; yields the settings of the relay that it serves."""
    with run_object_store(tmp_path_factory.mktemp("weed")) as config:
        yield config


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """PostgreSQL for this module: the one that all tests have, or one of its own."""
    at = programs()
    if databases.SERVER:
        yield databases.SERVER
        return
    if at is None:
        pytest.skip(MISSING)
    with run_postgres(at) as folder:
        yield url_of(folder)
