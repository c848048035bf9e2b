"""Whether the relay is reached: a TLS handshake with the broker, verified by the CA of enrolment.

A network of the same name with another way to the internet, or none, can't answer it: what counts
is the certificate that this doorbell has pinned, not that something answers. The handshake goes out
by the interface that joined, so a cable or another radio can't answer for it. Nothing of this
doorbell is sent, no certificate either.
"""

import asyncio
import logging
import socket
import ssl
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)

HANDSHAKE_S = 10.0
CONNECT_S = 4.0
"""For one of the relay's addresses: a network may have broken IPv6."""


class Probe(Protocol):
    """Tells whether the relay is reached (`RelayProbe`)."""

    async def answers(self, interface: str) -> bool:
        """Return whether the relay with the pinned certificate answers by this interface."""
        ...


class RelayProbe:
    """Implements `Probe` by the broker's address of enrolment."""

    def __init__(
        self, *, host: str, port: int, ca_file: Path, handshake_s: float = HANDSHAKE_S
    ) -> None:
        self._host = host
        self._port = port
        self._ca_file = ca_file
        self._handshake_s = handshake_s

    async def answers(self, interface: str) -> bool:
        """Return whether the relay with the pinned certificate answers by this interface."""
        try:
            async with asyncio.timeout(self._handshake_s):
                await self._shake_hands(interface)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            log.info("the relay isn't reached by %s: %s", interface or "any interface", error)
            return False
        return True

    async def _shake_hands(self, interface: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(self._ca_file)
        with await self._connected(interface) as line:
            _, writer = await asyncio.open_connection(
                sock=line, ssl=context, server_hostname=self._host
            )
            writer.close()

    async def _connected(self, interface: str) -> socket.socket:
        """Connect to the first address that answers; OSError if none does."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        problem: OSError = ConnectionError("the relay's name has no address")
        for family, kind, protocol, _, address in found:
            line = socket.socket(family, kind, protocol)
            try:
                line.setblocking(False)
                line.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
                async with asyncio.timeout(CONNECT_S):
                    await loop.sock_connect(line, address)
            except OSError as error:  # a TimeoutError is one
                line.close()
                problem = error
            except BaseException:
                line.close()
                raise
            else:
                return line
        raise problem
