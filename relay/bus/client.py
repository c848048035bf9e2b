"""The NATS client, without its patience for brokers that don't answer any more."""

from nats.aio.client import Client as NatsClient


class Client(NatsClient):
    """A client that leaves a broker at once.

    The library closes a lost TLS connection in peace, and waits 30 s for the other side to do so as
    well: one that is stopped or cut off never does.
    """

    async def _attempt_reconnect(self) -> None:
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
        await super()._attempt_reconnect()
