"""The NATS client of relay.bus, at the moments at which the library loses a cancellation."""

import asyncio

import pytest
from nats.aio.client import Client as NatsClient

from relay.bus.client import Client


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
