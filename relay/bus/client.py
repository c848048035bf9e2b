"""The NATS client, without its patience for brokers that don't answer any more."""

import asyncio
import logging

from nats.aio.client import Client as NatsClient

CLOSE_S = 5.0
"""What was published is flushed within that, or the broker is gone."""

log = logging.getLogger(__name__)


class Client(NatsClient):
    """A client that leaves a broker at once.

    The library closes a lost TLS connection in peace, and waits 30 s for the other side to do so as
    well: one that is stopped or cut off never does. While a connection is being made again, its
    `close` may wait for ever.
    """

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

    async def _attempt_reconnect(self) -> None:
        self._abort()
        await super()._attempt_reconnect()

    def _abort(self) -> None:
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
