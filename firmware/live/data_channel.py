"""The doorbell's end of a data channel: bounded messages in, JSON and bytes out, back-pressure.

What is said on it is the business of clip_channel.py, and of wish_channel.py and what is made of
it. No aiortc here: `Channel` is what is used of an RTCDataChannel.
"""

import asyncio
import json
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from firmware.protocol.encoding import WireError
from firmware.system.listeners import Listeners

MAX_MESSAGE_BYTES = 4096
MAX_KEPT_BYTES = 16 * 1024
"""Nothing that is sent here is longer: of more, only as much is kept as shows that."""
MAX_WAITING_MESSAGES = 8
LOW_WATER_BYTES = 64 * 1024
HIGH_WATER_BYTES = 256 * 1024


W = TypeVar("W")


class Channel(Protocol):
    """The part of an RTCDataChannel that is used; the names are the standard's."""

    bufferedAmountLowThreshold: int  # noqa: N815

    @property
    def bufferedAmount(self) -> int: ...  # noqa: N802

    @property
    def readyState(self) -> str: ...  # noqa: N802

    def send(self, data: bytes | str) -> None: ...

    def on(self, event: str, f: Callable[..., Any]) -> Any: ...  # Any: what pyee returns


class ChannelClosed(Exception):
    """The channel was closed by the peer amid an answer, or can't carry answers at all."""


def parse_text(decoder: msgspec.json.Decoder[W], message: str | bytes, *, what: str) -> W:
    """Parse one message of a peer, which may be of several kinds, or raise WireError."""
    if not isinstance(message, str):
        raise WireError("send a JSON text, not bytes")
    data = message.encode("utf-8", "replace")
    if len(data) > MAX_MESSAGE_BYTES:
        raise WireError(f"a message of {len(data)} bytes, at most {MAX_MESSAGE_BYTES} are allowed")
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"{what}: {error}") from error


class ChannelEnd:
    """Takes the first channel that the peer opens under one label.

    Overflow rule of the messages: one that finds MAX_WAITING_MESSAGES waiting is dropped, and the
    peer is told by who listens to `overflowed`.
    """

    def __init__(self) -> None:
        self.overflowed = Listeners[()]()
        self._channel: Channel | None = None
        self._messages: deque[str | bytes] = deque()
        self._has_message = asyncio.Event()
        self._drained = asyncio.Event()

    def attach(self, channel: Channel) -> bool:
        """Take the first channel that the peer opens; return False for any further one."""
        if self._channel is not None:
            return False
        self._channel = channel
        channel.bufferedAmountLowThreshold = LOW_WATER_BYTES
        channel.on("message", self._take)
        channel.on("bufferedamountlow", self._drained.set)
        channel.on("close", self._drained.set)
        return True

    @property
    def is_open(self) -> bool:
        """Return whether the channel is open for sending."""
        return self._channel is not None and self._channel.readyState == "open"

    async def next(self) -> str | bytes:
        """Return the next message of the peer, once it has taken enough of the answers before."""
        while self.is_flooded and self._channel is not None:
            self._drained.clear()
            await self._drained.wait()
        while not self._messages:
            self._has_message.clear()
            await self._has_message.wait()
        return self._messages.popleft()

    def take_if(self, is_wanted: Callable[[str | bytes], bool]) -> bool:
        """Take the next message if it waits already and matches; return whether it did."""
        if not self._messages or not is_wanted(self._messages[0]):
            return False
        self._messages.popleft()
        return True

    def send_json(self, answer: dict[str, Any]) -> None:  # Any: whatever JSON can hold
        """Send a JSON text; it is dropped if the channel is closed."""
        try:
            self.send(json.dumps(answer, separators=(",", ":")))
        except ChannelClosed:
            return

    def send(self, data: bytes | str) -> None:
        """Send one message, or raise ChannelClosed."""
        if self._channel is None or not self.is_open:
            raise ChannelClosed
        try:
            self._channel.send(data)
        except ValueError as error:  # the peer announced that it takes only smaller messages
            raise ChannelClosed from error

    async def wait_for_room(self) -> None:
        """Wait until the peer has taken enough of what was sent, or raise ChannelClosed."""
        if self._channel is None or not self.is_open:
            raise ChannelClosed
        if self._channel.bufferedAmount > HIGH_WATER_BYTES:
            self._drained.clear()
            await self._drained.wait()
        await asyncio.sleep(0)  # live view goes first

    @property
    def is_flooded(self) -> bool:
        """Return whether the peer doesn't drain the channel's buffer."""
        return self._channel is None or self._channel.bufferedAmount > HIGH_WATER_BYTES

    def _take(self, message: str | bytes) -> None:
        if len(self._messages) < MAX_WAITING_MESSAGES:
            self._messages.append(message[: MAX_KEPT_BYTES + 1])
            self._has_message.set()
        elif not self.is_flooded:
            self.overflowed.notify()
