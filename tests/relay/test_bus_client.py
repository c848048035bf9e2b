"""The NATS client of relay.bus, where it does otherwise than the library."""

import asyncio
import itertools

import pytest
from nats.aio.client import Client as NatsClient
from nats.aio.client import Srv

from relay.bus.client import Client
from relay.fleet.broker_keys import BrokerKeys
from tests.fakes.waiting import eventually
from tests.relay.servers import Broker, without_streams


@pytest.mark.parametrize("fails", [False, True], ids=["an answer", "an error"])
async def test_a_task_ends_that_is_cancelled_as_the_answer_comes(
    monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def flush(_client: NatsClient, _timeout: int) -> None:
        await asyncio.wait_for(pong, 10)  # as the library does

    monkeypatch.setattr(NatsClient, "flush", flush)
    task = asyncio.create_task(Client().flush())
    await asyncio.sleep(0)
    if fails:
        pong.set_exception(ConnectionError())
    else:
        pong.set_result(None)
    task.cancel()
    await asyncio.wait([task])
    # Seen to fail (it ended as if nobody had cancelled it) with the library's own flush.
    assert task.cancelled()


async def test_a_task_that_cleans_up_after_its_cancellation_may_still_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flushed = []

    async def flush(_client: NatsClient, timeout: int) -> None:  # noqa: ASYNC109 (as the library)
        await asyncio.sleep(0)
        flushed.append(timeout)

    async def part() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await Client().flush(3)
            flushed.append(0)

    monkeypatch.setattr(NatsClient, "flush", flush)
    task = asyncio.create_task(part())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert flushed == [3, 0]
    assert task.cancelled()


async def test_a_broker_is_left_for_another_and_never_for_itself(
    own_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = without_streams(own_broker)
    other.start(has_mqtt=False)
    client = Client()

    def left_one_first(pool: list[Srv]) -> None:
        """Shuffle as badly as the library may."""
        pool.sort(key=lambda server: server is not client._current_server)

    monkeypatch.setattr("nats.aio.client.shuffle", left_one_first)
    try:
        keys = BrokerKeys.load(own_broker.config.broker_keys_path)
        urls = [*own_broker.config.broker.servers, *other.config.broker.servers]
        await client.connect(urls, nkeys_seed_str=keys.relay_seed)
        been = [client.connected_url]
        for _ in range(4):
            await client.force_reconnect()
            await eventually(lambda: client.is_connected)
            been.append(client.connected_url)
        # Seen to stay at the first without `_select_next_server`.
        assert all(before != after for before, after in itertools.pairwise(been))
    finally:
        await client.close()
        other.stop()
