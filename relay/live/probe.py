"""A probe of STUN and TURN servers, as a browser would use them: the relay's adapter of aioice."""

import asyncio
from typing import cast

from aioice import stun, turn

from firmware.protocol.commands import IceServer
from relay.config.values import IceUrl
from relay.errors import RelayError

TIMEOUT_S = 5.0


class IceServerUnusable(RelayError):
    """A STUN or TURN server doesn't work; the text says what to check."""


async def try_turn(url: IceUrl, server: IceServer, *, timeout_s: float = TIMEOUT_S) -> str:
    """Make a TURN allocation and delete it; return the relayed IP address.

    Raises IceServerUnusable.
    """
    try:
        async with asyncio.timeout(timeout_s):
            transport, protocol = await turn.create_turn_endpoint(
                _Closing,
                server_addr=(url.host, url.port),
                username=server.username,
                password=server.credential,
                ssl=True if url.scheme == "turns" else None,
                transport=url.transport,
            )
            host: str = transport.get_extra_info("sockname")[0]
            transport.close()
            await protocol.closed
    except (OSError, stun.TransactionError) as error:
        raise _unusable(url, error) from error
    return host


async def try_stun(url: IceUrl, *, timeout_s: float = TIMEOUT_S) -> str:
    """Return our IP address as a STUN server sees it, or raise IceServerUnusable."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout_s):
            transport, client = await loop.create_datagram_endpoint(
                _StunClient, remote_addr=(url.host, url.port)
            )
            try:
                response, _ = await client.ask(
                    stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
                )
            finally:
                transport.close()
        host: str = response.attributes["XOR-MAPPED-ADDRESS"][0]
    except (OSError, KeyError, stun.TransactionError) as error:
        raise _unusable(url, error) from error
    return host


class _Closing(asyncio.DatagramProtocol):
    """A protocol that drops all data, and signals when the allocation is closed."""

    def __init__(self) -> None:
        self.closed = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.closed.done():
            self.closed.set_result(None)


class _StunClient(asyncio.DatagramProtocol):
    """A STUN client of one server, one transaction at a time."""

    def __init__(self) -> None:
        self._transaction: stun.Transaction | None = None
        self._transaction_id = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # asyncio's own words

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        if self._transaction is not None and message.transaction_id == self._transaction_id:
            self._transaction.response_received(message, addr)

    def send_stun(self, message: stun.Message, addr: tuple[str, int]) -> None:
        """Send, and again, for the transaction (aioice's TransactionSender)."""
        del addr
        self._transport.sendto(bytes(message))

    async def ask(self, request: stun.Message) -> tuple[stun.Message, tuple[str, int]]:
        """Return the answer, or raise TransactionError."""
        self._transaction_id = request.transaction_id
        self._transaction = stun.Transaction(request, ("", 0), self)
        return await self._transaction.run()


def _unusable(url: IceUrl, error: Exception) -> IceServerUnusable:
    code = error.response.error_code if isinstance(error, stun.TransactionFailed) else None
    match error:
        case stun.TransactionFailed() if code in (401, 441):
            hint = (
                "it doesn't take the relay's credentials: has coturn use-auth-secret, is its "
                "static-auth-secret what live.turn_secret_file holds, and are both clocks right?"
            )
        case stun.TransactionFailed():
            hint = f"it refuses with STUN error {code}; see its log"
        case TimeoutError() | stun.TransactionTimeout():
            hint = f"no answer over {url.transport.upper()}: does it run, is the port open to it?"
        case OSError():
            hint = f"{error.strerror or error}: is the name right, and does it run?"
        case _:
            hint = "it answers, but not as a STUN server does"
    return IceServerUnusable(f"{url.text}: {hint}")
