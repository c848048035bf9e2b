"""A real WebRTC viewer: takes H.264, decodes it, and says how soon the picture was there."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aioice.ice
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCRtpCodecCapability,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from tests.story.api import SLOWER, Json
from tests.story.settings import StoryError, has_only_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewing:
    """What a viewer saw; times count from the click."""

    connected_ms: int
    first_frame_ms: int
    frame_count: int
    width: int
    height: int
    replies: tuple[str, ...] = ()
    """The texts of the doorbell's quick replies, with the one that the viewer added."""
    reply_trouble: str = ""
    """Why the doorbell took no quick reply."""


async def watch(
    send_offer: Callable[[str], Awaitable[str]],
    *,
    frame_count: int,
    reply: str | None = None,
    timeout_s: float = 20.0 * SLOWER,
) -> Viewing:
    """Offer, connect and decode `frame_count` frames, or raise StoryError.

    Add a quick reply that the doorbell speaks, if `reply` is one and it has none.
    """
    if has_only_loopback():
        _offer_loopback_too()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        async with asyncio.timeout(timeout_s):
            return await _watch(connection, send_offer, frame_count, reply)
    except (TimeoutError, MediaStreamError) as error:
        state = f"{connection.connectionState}, ICE {connection.iceConnectionState}"
        raise StoryError(f"live view gave too few frames in {timeout_s:.0f} s ({state})") from error
    finally:
        await connection.close()


async def _watch(
    connection: RTCPeerConnection,
    send_offer: Callable[[str], Awaitable[str]],
    frame_count: int,
    reply: str | None,
) -> Viewing:
    begun_s = time.monotonic()
    is_connected = asyncio.Event()

    @connection.on("connectionstatechange")
    def _changed() -> None:
        if connection.connectionState == "connected":
            is_connected.set()

    adding = None
    if reply is not None:
        replies = _Replies(connection.createDataChannel("replies"))
        adding = asyncio.create_task(replies.add(reply), name="quick reply")
    transceiver = connection.addTransceiver("video", direction="recvonly")
    transceiver.setCodecPreferences(_h264_only())
    await connection.setLocalDescription(await connection.createOffer())
    answer = await send_offer(connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))
    await is_connected.wait()
    connected_s = time.monotonic()
    track = transceiver.receiver.track
    frame = await track.recv()
    first_frame_s = time.monotonic()
    for _ in range(frame_count - 1):
        frame = await track.recv()
    if not isinstance(frame, VideoFrame):
        raise StoryError("live view sent something else than pictures")
    texts, trouble = ((), "") if adding is None else await adding
    return Viewing(
        connected_ms=round((connected_s - begun_s) * 1000),
        first_frame_ms=round((first_frame_s - begun_s) * 1000),
        frame_count=frame_count,
        width=frame.width,
        height=frame.height,
        replies=texts,
        reply_trouble=trouble,
    )


class _Replies:
    """The data channel "replies" (firmware/live/reply_channel.py)."""

    def __init__(self, channel: RTCDataChannel) -> None:
        self._channel = channel
        self._said: asyncio.Queue[Json] = asyncio.Queue()
        self._is_open = asyncio.Event()
        channel.on("open", self._is_open.set)
        channel.on("message", lambda text: self._said.put_nowait(json.loads(text)))

    async def add(self, text: str) -> tuple[tuple[str, ...], str]:
        """Add a spoken reply if there is none; return all texts, and why it wasn't taken."""
        await self._is_open.wait()
        told = await self._ask({"type": "list"})
        if told.get("replies") == []:
            wish = {"type": "add_text", "name": "Coming", "text": text, "language": "en"}
            told = await self._ask(wish)
        if told["type"] == "error":
            return (), str(told["detail"])
        return tuple(one["text"] for one in told["replies"]), ""

    async def _ask(self, wish: Json) -> Json:
        self._channel.send(json.dumps(wish))
        return await self._said.get()


def _h264_only() -> list[RTCRtpCodecCapability]:
    capabilities = RTCRtpReceiver.getCapabilities("video")
    codecs = capabilities.codecs if capabilities else []
    return [codec for codec in codecs if codec.mimeType.lower() == "video/h264"]


def _offer_loopback_too() -> None:
    """Let aioice use 127.0.0.1 where there is nothing else; it has no setting for this."""

    def only_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return ["127.0.0.1"]

    aioice.ice.get_host_addresses = only_loopback
