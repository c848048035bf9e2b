"""The NATS client, without its patience for brokers that don't answer any more.

And it ends with the task that calls it. The library waits by `asyncio.wait_for`: Python 3.11's
returns an answer that comes in the same turn of the loop as a cancellation as if there were none
(CPython issue 86296), and a reconnection only ends by one. The task would go on for ever.
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, TypeVar

from nats.aio.client import DEFAULT_FLUSH_TIMEOUT, Srv
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.aio.transport import TcpTransport

GOODBYE_S = 1.0
"""Nobody hears more of a lost connection."""
CLOSE_S = 5.0
"""What was published is flushed within that, or the broker is gone."""

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class _Transport(TcpTransport):
    """A connection whose end is waited for GOODBYE_S at most.

    One whose TLS handshake took too long never tells the library that it is closed.
    """

    async def wait_closed(self) -> None:
        """Return once it is closed, or after GOODBYE_S."""
        try:
            async with asyncio.timeout(GOODBYE_S):
                await super().wait_closed()  # type: ignore[no-untyped-call]
        except TimeoutError:
            if self._io_writer is not None:
                self._io_writer.transport.abort()


class Client(NatsClient):
    """A client that leaves a broker at once.

    The library closes a lost TLS connection in peace, and waits 30 s for the other side to do so as
    well: one that is stopped or cut off never does. While a connection is being made again, its
    `close` may wait for ever.
    """

    _left: Srv | None = None

    async def close(self) -> None:
        """Close the connection in peace, or else by force after CLOSE_S."""
        closing = asyncio.ensure_future(super().close())
        await asyncio.wait({closing}, timeout=CLOSE_S)
        if closing.done():
            return closing.result()
        log.warning("a broker connection didn't close within %.0f s: it is left", CLOSE_S)
        self._abort()
        closing.cancel()
        return None

    async def flush(self, timeout: int = DEFAULT_FLUSH_TIMEOUT) -> None:  # noqa: ASYNC109 (theirs)
        """Wait until the broker has taken what was published."""
        await _keeping_cancellation(super().flush(timeout))

    async def request(self, *args: Any, **how: Any) -> Msg:  # Any: as the library has them
        """Ask, and return the answer."""
        return await _keeping_cancellation(super().request(*args, **how))

    async def force_reconnect(self) -> None:
        """Leave this broker for another, and for itself only if none other takes the connection."""
        self._left = self._current_server
        await _keeping_cancellation(super().force_reconnect())

    async def _select_next_server(self) -> None:
        """Connect to a broker; the library shuffles them, the one that was left among them."""
        left, self._left = self._left, None
        if left in self._server_pool:
            self._server_pool.remove(left)
            self._server_pool.append(left)
        await super()._select_next_server()

    async def _connect_to_server(self, s: Srv) -> None:
        await super()._connect_to_server(s)
        if type(self._transport) is TcpTransport:
            transport = _Transport()  # type: ignore[no-untyped-call]
            vars(transport).update(vars(self._transport))
            self._transport = transport

    async def _attempt_reconnect(self) -> None:
        self._abort()
        await super()._attempt_reconnect()

    def _abort(self) -> None:
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()


async def _keeping_cancellation(call: Awaitable[Answer]) -> Answer:
    """Await a call of the library's; CancelledError if the task was cancelled meanwhile."""
    task = asyncio.current_task()
    before = 0 if task is None else task.cancelling()
    try:
        return await call
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
