"""A WebRTC connection to the doorbell with data channels alone. aiortc is imported here only.

Whoever is at the other end is proved before anything is sent: the answer to our offer counts only
if the doorbell's pinned key signed it, and the certificate that it names is the one that DTLS then
demands (gateway.py).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription

from firmware.companion.viewer.errors import ConnectionBroken
from firmware.companion.viewer.gateway import Gateway
from firmware.companion.viewer.relay_client import IceServer

CONTROL_LABEL = "control"
CONNECT_S = 20.0
MAX_QUEUED_MESSAGES = 4096
"""64 MB in chunks. Overflow rule: a doorbell that sends more than is read loses its line."""


class DoorConnection:
    """One data channel's messages, in both directions, and the renewal of its session."""

    def __init__(self, channel: Any, control: Any) -> None:  # Any: aiortc's RTCDataChannel
        self._channel = channel
        self._control = control
        self._heard: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._opened = asyncio.Event()
        channel.on("open", self._opened.set)
        channel.on("message", self._hear)
        channel.on("close", self._end)

    def send_json(self, message: dict[str, object]) -> None:
        """Send one message, or raise ConnectionBroken."""
        if self._channel.readyState != "open":
            raise ConnectionBroken
        self._channel.send(json.dumps(message, separators=(",", ":")))

    async def receive(self) -> str | bytes:
        """Return the next message, or raise ConnectionBroken."""
        message = await self._heard.get()
        if message is None:
            self._end()
            raise ConnectionBroken
        return message

    async def receive_bytes(self, size: int) -> bytes:
        """Return the bytes that follow in binary messages, or raise ConnectionBroken."""
        data = bytearray()
        while len(data) < size:
            message = await self.receive()
            if not isinstance(message, bytes) or len(data) + len(message) > size:
                raise ConnectionBroken
            data += message
        return bytes(data)

    def renew(self) -> None:
        """Prolong the session."""
        if self._control.readyState == "open":
            self._control.send('{"type":"renew"}')

    async def opened(self) -> None:
        """Wait until it stands."""
        await self._opened.wait()

    def look_at(self, state: str) -> None:
        """Take the connection's state."""
        if state in ("failed", "closed"):
            self._end()

    def _hear(self, message: str | bytes) -> None:
        if self._heard.qsize() < MAX_QUEUED_MESSAGES:
            self._heard.put_nowait(message)
        else:
            self._channel.close()

    def _end(self) -> None:
        self._heard.put_nowait(None)


@asynccontextmanager
async def open_connection(
    gateway: Gateway, label: str, *, connect_s: float = CONNECT_S
) -> AsyncIterator[DoorConnection]:
    """Connect, or raise a ViewerError; the connection and its session are closed at the end."""
    servers = await gateway.ice_servers()
    try:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[_rtc(one) for one in servers]))
    except ValueError as error:
        raise ConnectionBroken("the relay names a STUN or TURN server that is none") from error
    key = ""
    try:
        line = DoorConnection(
            connection.createDataChannel(label), connection.createDataChannel(CONTROL_LABEL)
        )
        connection.on("connectionstatechange", lambda: line.look_at(connection.connectionState))
        await connection.setLocalDescription(await connection.createOffer())
        opened = await gateway.open(connection.localDescription.sdp)
        key = opened.key
        await connection.setRemoteDescription(RTCSessionDescription(sdp=opened.sdp, type="answer"))
        try:
            async with asyncio.timeout(connect_s):
                await line.opened()
        except TimeoutError as error:
            raise ConnectionBroken(
                "the doorbell answered, but no connection came about; are both in one network?"
            ) from error
        yield line
    finally:
        await connection.close()
        if key:
            await gateway.end(key)


def _rtc(server: IceServer) -> RTCIceServer:
    return RTCIceServer(
        urls=server.urls,
        username=server.username or None,
        credential=server.credential or None,
    )
