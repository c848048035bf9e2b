"""The data channel "rings": a player is sent rings, motion and their pictures as they happen.

The doorbell sends JSON texts, each with a `type`:
`now`: what the player may do, at the beginning and whenever that changes;
`event`: {"event": id, "kind": "pressed" or "motion", "at_ms"};
`picture`: {"event": id, "taken_ms", "size"}, and then the JPEG in chunks of at most 16 KiB.
Nothing is asked here. Overflow rule: what finds MAX_WAITING things waiting drops the oldest.
No aiortc here.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from firmware.live.data_channel import Channel, ChannelClosed, ChannelEnd
from firmware.live.ring_feed import DoorEvent, RingFeed
from firmware.notes.event_pictures import EventPicture

RINGS_LABEL = "rings"
CHUNK_BYTES = 16 * 1024
MAX_WAITING = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerRights:
    """What is told to a player of itself: the doorbell's name for it, and what it may do."""

    name: str
    what: Sequence[str]


class RingChannel:
    """Sends one player what happens, until cancelled."""

    def __init__(self, feed: RingFeed, rights: PlayerRights) -> None:
        self._feed = feed
        self._rights = rights
        self._end = ChannelEnd()
        self._waiting: deque[DoorEvent | EventPicture] = deque(maxlen=MAX_WAITING)
        self._has_more = asyncio.Event()

    def attach(self, channel: Channel) -> bool:
        """Take the first channel that the peer opens; return False for any further one."""
        is_first = self._end.attach(channel)
        if is_first:
            self._has_more.set()
        return is_first

    async def serve(self) -> None:
        """Send until cancelled, or until the channel is closed."""
        self._feed.add(self)
        try:
            while not self._end.is_open:
                await self._wait()
            self._send_now()
            while True:
                while self._waiting:
                    await self._send(self._waiting.popleft())
                await self._wait()
        except ChannelClosed:
            return
        finally:
            self._feed.remove(self)

    def send_rights(self, rights: PlayerRights) -> None:
        """Send what the player may do, if that has changed."""
        if rights != self._rights:
            self._rights = rights
            self._send_rights()

    def take(self, what: DoorEvent | EventPicture) -> None:
        """Take what happened; it is sent as soon as the player has room."""
        self._waiting.append(what)
        self._has_more.set()

    async def _wait(self) -> None:
        self._has_more.clear()
        await self._has_more.wait()

    def _send_rights(self) -> None:
        self._end.send_json(
            {"type": "now", "name": self._rights.name, "what": list(self._rights.what)}
        )

    def _send_now(self) -> None:
        self._send_rights()
        if self._feed.picture is not None:
            self._waiting.appendleft(self._feed.picture)

    async def _send(self, what: DoorEvent | EventPicture) -> None:
        if isinstance(what, DoorEvent):
            self._end.send_json(
                {"type": "event", "event": what.event_id, "kind": what.kind, "at_ms": what.at_ms}
            )
            return
        if what is not self._feed.picture:
            return  # a newer one follows, or a mask hides it by now
        facts = {"event": what.event_id, "taken_ms": what.taken_ms, "size": len(what.jpeg)}
        self._end.send_json({"type": "picture", **facts})
        view = memoryview(what.jpeg)
        for begin in range(0, len(view), CHUNK_BYTES):
            await self._end.wait_for_room()
            self._end.send(bytes(view[begin : begin + CHUNK_BYTES]))
