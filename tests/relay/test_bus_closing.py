"""A relay waits for no broker connection that doesn't close: at its end or its start."""

import asyncio
import ssl

import nkeys
import pytest
from nats.aio.client import Client as NatsClient

from relay.bus import Bus, client
from tests.fakes.waiting import eventually, in_time


async def test_a_connection_that_does_not_close_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def never(_self: NatsClient) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(NatsClient, "close", never)
    monkeypatch.setattr(client, "CLOSE_S", 0.05)
    # Seen to wait for ever with the library's own close.
    await in_time(client.Client().close())
    assert "didn't close" in caplog.text


async def test_what_fails_while_a_connection_closes_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def failing(_self: NatsClient) -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(NatsClient, "close", failing)
    with pytest.raises(ConnectionResetError):
        await in_time(client.Client().close())


async def test_a_broker_that_speaks_no_tls_is_tried_again() -> None:
    """It takes the connection and hangs, as one that is stopped does."""
    asked = 0

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await asyncio.Event().wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    url = f"tls://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    seed = nkeys.encode_seed(bytes(32), nkeys.PREFIX_BYTE_USER).decode()
    context = ssl.create_default_context()
    bus = Bus([url, url], relay_seed=seed, system_seed=seed, tls=context)
    connecting = asyncio.create_task(bus.connect())
    try:
        # Seen to stay at 1 without _Transport: the library waits for the first one's end.
        await eventually(lambda: asked > 2)
    finally:
        connecting.cancel()
        await bus.close()
        server.close()
