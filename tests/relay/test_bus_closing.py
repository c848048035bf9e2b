"""A relay's end waits for no broker connection that doesn't close."""

import asyncio

import pytest
from nats.aio.client import Client as NatsClient

from relay.bus import client
from tests.fakes.waiting import in_time


async def test_a_connection_that_does_not_close_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def never(_self: NatsClient) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(NatsClient, "close", never)
    monkeypatch.setattr(client, "CLOSE_S", 0.05)
    # Seen to wait for ever with the library's own close.
    await in_time(client.Client().close(), 10)
    assert "didn't close" in caplog.text


async def test_what_fails_while_a_connection_closes_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def failing(_self: NatsClient) -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(NatsClient, "close", failing)
    with pytest.raises(ConnectionResetError):
        await in_time(client.Client().close(), 10)
