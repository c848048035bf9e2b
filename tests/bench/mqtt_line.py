"""A doorbell's line to the broker: MQTT 3.1.1 over TLS, so small that thousands fit in one process.

The connection is set up as the firmware sets up its own: its certificate, its id as the client's, a
session that stays, a will, one subscription of QoS 1. It never reconnects by itself.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

from firmware.protocol.encoding import new_id
from firmware.protocol.events import Status
from firmware.protocol.topics import topic

KEEP_ALIVE_S = 60
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, DISCONNECT = (
    *(0x10, 0x20, 0x32, 0x40, 0x82, 0x90, 0xC0, 0xE0),
)
FAILED = 0x80


class Refused(Exception):
    """The broker refuses a connection or a subscription."""


class MqttLine(asyncio.Protocol):
    """One connection; `heard` is called with each command, and `open` connects it."""

    def __init__(self, device: str, heard: Callable[[str, bytes], None]) -> None:
        self.device = device
        self._heard = heard
        self._read = bytearray()
        self._transport: asyncio.Transport | None = None
        self._answers: dict[int, asyncio.Future[int]] = {}
        self._packet_id = 0
        self._pinging: asyncio.TimerHandle | None = None

    async def open(self, port: int, tls: ssl.SSLContext) -> None:
        """Connect and subscribe; raise Refused, OSError or TimeoutError."""
        loop = asyncio.get_running_loop()
        answer = self._awaited(CONNACK)
        await loop.create_connection(
            lambda: self, "127.0.0.1", port, ssl=tls, server_hostname="localhost"
        )
        will = status_of(self.device, "offline")
        flags = 0x04 | 0x08 | 0x20  # a will, of QoS 1, retained
        head = text("MQTT") + bytes([4, flags]) + KEEP_ALIVE_S.to_bytes(2)
        self._send(
            CONNECT, head + text(self.device) + text(topic(self.device, "status")) + text(will)
        )
        if await asyncio.wait_for(answer, KEEP_ALIVE_S):
            raise Refused(f"{self.device} may not connect")
        answer = self._awaited(SUBACK)
        self._send(SUBSCRIBE, self._next_id() + text(topic(self.device, "command")) + b"\1")
        if await asyncio.wait_for(answer, KEEP_ALIVE_S) == FAILED:
            raise Refused(f"{self.device} may not subscribe")
        self._ping_later()

    def publish(self, kind: str, data: bytes) -> None:
        """Publish at QoS 1; the broker's PUBACK isn't waited for."""
        self._send(PUBLISH, text(topic(self.device, kind)) + self._next_id() + data)

    def close(self) -> None:
        """Say goodbye, so that no will is told."""
        if self._pinging is not None:
            self._pinging.cancel()
        if self._transport is not None:
            self._send(DISCONNECT, b"")
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is waited for."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Refused(f"{self.device} was cut off: {exc}"))

    def data_received(self, data: bytes) -> None:
        """Take in packets."""
        self._read += data
        for kind, body in self._packets():
            if kind & 0xF0 == PUBLISH & 0xF0:
                self._take(kind, body)
            elif kind in self._answers:
                answer = self._answers.pop(kind)
                if not answer.done():
                    answer.set_result(body[-1])

    def _take(self, kind: int, body: bytes) -> None:
        at = 2 + int.from_bytes(body[:2])
        if kind & 0x06:
            self._send(PUBACK, body[at : at + 2])
            at += 2
        self._heard(self.device, body[at:])

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        while len(self._read) >= 2:
            size, at = 0, 1
            while True:
                if at >= len(self._read):
                    return
                size |= (self._read[at] & 0x7F) << 7 * (at - 1)
                at += 1
                if not self._read[at - 1] & 0x80:
                    break
            if len(self._read) < at + size:
                return
            packet = self._read[0], bytes(self._read[at : at + size])
            del self._read[: at + size]
            yield packet

    def _send(self, kind: int, body: bytes) -> None:
        assert self._transport is not None
        size, left = bytearray(), len(body)
        while True:
            left, low = left >> 7, left & 0x7F
            size.append(low | 0x80 if left else low)
            if not left:
                break
        self._transport.write(bytes([kind]) + size + body)

    def _next_id(self) -> bytes:
        self._packet_id = self._packet_id % 65_535 + 1
        return self._packet_id.to_bytes(2)

    def _awaited(self, kind: int) -> asyncio.Future[int]:
        return self._answers.setdefault(kind, asyncio.get_running_loop().create_future())

    def _ping_later(self) -> None:
        self._pinging = asyncio.get_running_loop().call_later(KEEP_ALIVE_S / 2, self._ping)

    def _ping(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._send(PINGREQ, b"")
            self._ping_later()


def text(value: str | bytes) -> bytes:
    """Return a string of MQTT: its length, then itself."""
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2) + data


def status_of(device: str, state: str) -> bytes:
    """Return a status document."""
    status = Status(device=device, state=state, time_ms=1, boot_id=new_id(), version="bench")
    return status.encode()


def tls_of(folder: Path) -> ssl.SSLContext:
    """Return a doorbell's own TLS, from its folder."""
    context = ssl.create_default_context(cafile=str(folder.parent / "ca.pem"))
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context
