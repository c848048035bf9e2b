"""Clips over the data channel "clips": the words spoken there, and back-pressure.

The peer sends JSON texts of at most 4 KB: {"list": true} or {"get": clip id}. The doorbell
answers {"clips": [...]}, or {"clip", "size", "digest", "manifest"}, binary chunks of 16 KiB and
{"end": id}, or {"error": text}. One answer at a time, in order. No aiortc here: `Channel` is
what is used of an RTCDataChannel.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Literal, Protocol

import msgspec

from firmware.live.feed import ClipFile, ClipShelf
from firmware.protocol.encoding import Document, Id, WireError, decode

MAX_MESSAGE_BYTES = 4096
MAX_WAITING_MESSAGES = 8
MAX_LISTED_CLIPS = 200
CHUNK_BYTES = 16 * 1024
LOW_WATER_BYTES = 64 * 1024
HIGH_WATER_BYTES = 256 * 1024


class Channel(Protocol):
    """What is used of an RTCDataChannel; the names are the standard's."""

    bufferedAmountLowThreshold: int  # noqa: N815

    @property
    def bufferedAmount(self) -> int: ...  # noqa: N802

    @property
    def readyState(self) -> str: ...  # noqa: N802

    def send(self, data: bytes | str) -> None: ...

    def on(self, event: str, f: Callable[..., Any]) -> Any: ...  # Any: what pyee returns


class Wish(Document, frozen=True, kw_only=True, rename={"wants_list": "list"}):
    """What the peer says: exactly one of both."""

    get: Id | msgspec.UnsetType = msgspec.UNSET
    wants_list: Literal[True] | msgspec.UnsetType = msgspec.UNSET


def parse_wish(message: str | bytes) -> Wish:
    """Parse one message of the peer, or raise WireError."""
    if not isinstance(message, str):
        raise WireError("send a JSON text, not bytes")
    wish = decode(Wish, message.encode("utf-8", "replace"), max_bytes=MAX_MESSAGE_BYTES)
    if (wish.get is msgspec.UNSET) == (wish.wants_list is msgspec.UNSET):
        raise WireError('send either {"list": true} or {"get": a clip id}')
    return wish


class ChannelClosed(Exception):
    """The peer closed the channel amid an answer, or can't take answers at all."""


class ClipChannel:
    """Serves one viewer's data channel until cancelled."""

    def __init__(self, shelf: ClipShelf) -> None:
        self._shelf = shelf
        self._channel: Channel | None = None
        self._messages: asyncio.Queue[str | bytes] = asyncio.Queue(MAX_WAITING_MESSAGES)
        self._drained = asyncio.Event()

    def attach(self, channel: Channel) -> bool:
        """Take the first channel that the peer opens; return False for any further one."""
        if self._channel is not None:
            return False
        self._channel = channel
        channel.bufferedAmountLowThreshold = LOW_WATER_BYTES
        channel.on("message", self._offer)
        channel.on("bufferedamountlow", self._drained.set)
        channel.on("close", self._drained.set)
        return True

    async def serve(self) -> None:
        """Answer messages in order."""
        while True:
            message = await self._messages.get()
            try:
                await self._answer(message)
            except WireError as error:
                self._say({"error": str(error)})
            except ChannelClosed:
                return

    def _offer(self, message: str | bytes) -> None:
        try:
            self._messages.put_nowait(message)
        except asyncio.QueueFull:
            if self._channel is not None and self._channel.bufferedAmount <= HIGH_WATER_BYTES:
                self._say({"error": "too many messages at once; wait for the answers"})

    async def _answer(self, message: str | bytes) -> None:
        wish = parse_wish(message)
        if isinstance(wish.get, str):
            clip = await self._shelf.plain_mp4(wish.get)
            if clip is None:
                raise WireError("no clip of that id is kept here")
            await self._send_clip(wish.get, clip)
        else:
            self._say({"clips": [asdict(line) for line in self._shelf.newest(MAX_LISTED_CLIPS)]})

    async def _send_clip(self, clip_id: str, clip: ClipFile) -> None:
        self._say(
            {
                "clip": clip_id,
                "size": len(clip.mp4),
                "digest": clip.manifest_digest,
                "manifest": msgspec.to_builtins(clip.manifest),
            }
        )
        view = memoryview(clip.mp4)
        for begin in range(0, len(view), CHUNK_BYTES):
            await self._room()
            self._send(bytes(view[begin : begin + CHUNK_BYTES]))
        self._say({"end": clip_id})

    async def _room(self) -> None:
        """Wait until the peer has taken enough of what was sent."""
        channel = self._opened()
        if channel.bufferedAmount > HIGH_WATER_BYTES:
            self._drained.clear()
            await self._drained.wait()
        await asyncio.sleep(0)  # live view goes first

    def _say(self, answer: dict[str, Any]) -> None:  # Any: whatever JSON can hold
        try:
            self._send(json.dumps(answer, separators=(",", ":")))
        except ChannelClosed:
            return  # nobody is left to hear it

    def _send(self, data: bytes | str) -> None:
        channel = self._opened()
        try:
            channel.send(data)
        except ValueError as error:  # the peer announced that it takes only smaller messages
            raise ChannelClosed from error

    def _opened(self) -> Channel:
        if self._channel is None or self._channel.readyState != "open":
            raise ChannelClosed
        return self._channel
