"""A broker whose certificate is good and whose will isn't: it says what MQTT lets nobody say."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware.link.mqtt import BrokerAddress
from tests.fakes.fleet_ca import FleetCa

SMALL_BUFFER_BYTES = 4096
CONNACK = b"\x20\x02\x00\x00"


@dataclass(frozen=True, kw_only=True)
class Guest:
    """A doorbell that connected and subscribed."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, packet: bytes) -> None:
        self.writer.write(packet)
        await self.writer.drain()


Mischief = Callable[[Guest], Awaitable[None]]


def packet(header: int, body: bytes, *, size: int | None = None) -> bytes:
    """Return an MQTT packet; `size` is what its header says, if that isn't so."""
    left, length = len(body) if size is None else size, bytearray()
    while True:
        left, digit = divmod(left, 128)
        length.append(digit | (128 if left else 0))
        if not left:
            return bytes([header]) + bytes(length) + body


def message(payload: bytes, *, qos: int, number: int = 1) -> bytes:
    """Return a PUBLISH."""
    mid = number.to_bytes(2, "big") if qos else b""
    return packet(0x30 | qos << 1, b"\x00\x01x" + mid + payload)


@asynccontextmanager
async def hostile_broker(folder: Path, mischief: Mischief) -> AsyncIterator[BrokerAddress]:
    """Serve one that does its `mischief` to each doorbell after its SUBACK."""
    ca = FleetCa()
    certificate_file, key_file = ca.write_server(folder)
    (folder / "ca.pem").write_text(ca.pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate_file, key_file)
    visits: set[asyncio.Task[None]] = set()

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.add(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await _read_packet(reader)
            writer.write(CONNACK)
            subscribe = await _read_packet(reader)
            writer.write(packet(0x90, subscribe[:2] + b"\x01"))
            await mischief(Guest(reader=reader, writer=writer))
        writer.transport.abort()

    server = await asyncio.start_server(welcome, "127.0.0.1", 0, ssl=tls, limit=SMALL_BUFFER_BYTES)
    try:
        yield BrokerAddress(
            host="localhost",
            port=server.sockets[0].getsockname()[1],
            ca_file=folder / "ca.pem",
            certificate_file=certificate_file,  # it lets anybody in
            key_file=key_file,
        )
    finally:
        server.close()
        for visit in visits:
            visit.cancel()


async def _read_packet(reader: asyncio.StreamReader) -> bytes:
    """Return the body of a packet of up to 127 bytes, or of CONNECT's usual length."""
    _, size = await reader.readexactly(2)
    return await reader.readexactly(size)
