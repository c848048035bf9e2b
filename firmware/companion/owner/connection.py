"""The WebRTC connection to the doorbell, with the data channel "asked". Imports aiortc alone here.

Whoever is at the other end is proved before anything is said: the answer to our offer counts only
if the doorbell's pinned key signed it, and the certificate it names is the one that DTLS then
demands (`firmware.companion.viewer.gateway`). Video is offered because every session of a doorbell
has it; none comes.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiortc import (
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)

from firmware.companion.owner.errors import LineFailed
from firmware.companion.viewer.gateway import Gateway
from firmware.companion.viewer.relay_client import IceServer
from firmware.protocol.asking import ASKED_LABEL

CONNECT_S = 30.0
MAX_QUEUED_MESSAGES = 4096
"""64 MB in chunks. Overflow rule: a doorbell that sends more than is read loses its line."""


class AskedConnection:
    """The channel's messages, in both directions."""

    def __init__(self, channel: Any) -> None:  # Any: aiortc's RTCDataChannel
        self._channel = channel
        self._heard: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._opened = asyncio.Event()
        channel.on("open", self._opened.set)
        channel.on("message", self._hear)
        channel.on("close", self._end)

    def send(self, text: str) -> None:
        """Send one text, or raise LineFailed."""
        if self._channel.readyState != "open":
            raise LineFailed("the line to the doorbell broke; try again")
        self._channel.send(text)

    async def receive(self) -> str | bytes:
        """Return the next message, or raise LineFailed."""
        message = await self._heard.get()
        if message is None:
            self._end()
            raise LineFailed("the line to the doorbell broke; try again")
        return message

    async def opened(self) -> None:
        """Wait until it stands."""
        await self._opened.wait()

    def look_at(self, state: str) -> None:
        """Hear how the connection is."""
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
async def open_line(
    gateway: Gateway, servers: Sequence[IceServer], *, connect_s: float = CONNECT_S
) -> AsyncIterator[AskedConnection]:
    """Connect, or raise LineFailed or a ViewerError; all is closed at the end."""
    try:
        connection = RTCPeerConnection(_configuration(servers))
    except ValueError as error:
        raise LineFailed(f"the relay names a STUN or TURN server that is none: {error}") from error
    key = ""
    try:
        line = AskedConnection(connection.createDataChannel(ASKED_LABEL))
        connection.on("connectionstatechange", lambda: line.look_at(connection.connectionState))
        video = connection.addTransceiver("video", direction="recvonly")
        video.setCodecPreferences(_h264())
        await connection.setLocalDescription(await connection.createOffer())
        opened = await gateway.open(connection.localDescription.sdp)
        key = opened.key
        await connection.setRemoteDescription(RTCSessionDescription(sdp=opened.sdp, type="answer"))
        try:
            async with asyncio.timeout(connect_s):
                await line.opened()
        except TimeoutError as error:
            raise LineFailed(
                "the doorbell answered, but no connection came about; is a TURN server needed?"
            ) from error
        yield line
    finally:
        await connection.close()
        if key:
            await gateway.aclose()


def _configuration(servers: Sequence[IceServer]) -> RTCConfiguration:
    # An empty list, not None: None would ask a public STUN server.
    return RTCConfiguration(
        iceServers=[
            RTCIceServer(
                urls=server.urls,
                username=server.username or None,
                credential=server.credential or None,
            )
            for server in servers
        ]
    )


def _h264() -> list[Any]:  # Any: aiortc's RTCRtpCodecCapability
    capabilities = RTCRtpReceiver.getCapabilities("video")
    codecs = capabilities.codecs if capabilities else []
    return [codec for codec in codecs if codec.mimeType.lower() == "video/h264"]
