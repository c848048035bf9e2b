"""One doorbell as a smart home sees it: rings, motion, the last picture, recordings, live view.

Rings come over a line of their own that is kept open (`RingLine`); recordings over one that is
opened when one is wanted. Live view is open for a minute after a ring and for ten after a touch, so
that the light at the door means that somebody looks; with the right `record` at all times.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

import msgspec

from firmware.companion.viewer.clip_requests import CLIPS_LABEL, ClipLine, fetch_clip, list_clips
from firmware.companion.viewer.clock import PlayerClock
from firmware.companion.viewer.connection import DoorConnection
from firmware.companion.viewer.errors import (
    ConnectionBroken,
    NotNow,
    TooManyReaders,
    ViewerError,
)
from firmware.companion.viewer.gateway import Gateway, Opened
from firmware.companion.viewer.sdp_fragment import Fragment
from firmware.protocol.encoding import Id, WireError, unb64u
from firmware.protocol.players import PlayerSetup

RINGS_LABEL = "rings"
RING_S, TOUCH_S = 60.0, 600.0
RENEW_S = 240.0
BACK_OFF_S = (2.0, 5.0, 15.0, 30.0, 60.0)
MAX_JPEG_BYTES = 64 * 1024
MAX_READERS = 8
MAX_QUEUED_NEWS = 32

Why = Literal["ring", "touch", "record"]
logger = logging.getLogger(__name__)


class Now(msgspec.Struct, frozen=True, kw_only=True, tag="now", tag_field="type"):
    """What this player may do, as the doorbell says at the beginning of a line."""

    name: Annotated[str, msgspec.Meta(max_length=200)]
    what: Annotated[list[Annotated[str, msgspec.Meta(max_length=20)]], msgspec.Meta(max_length=8)]


class Happened(msgspec.Struct, frozen=True, kw_only=True, tag="event", tag_field="type"):
    """A press or motion."""

    event: Id
    kind: Literal["pressed", "motion"]
    at_ms: int


class PictureHead(msgspec.Struct, frozen=True, kw_only=True, tag="picture", tag_field="type"):
    """A picture's facts; its bytes follow."""

    event: Id
    taken_ms: int
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_JPEG_BYTES)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The last picture of an event."""

    event: str
    taken_ms: int
    jpeg: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Until when live view is open (wall time), and why; `until_ms` None: always."""

    why: Why
    until_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something changed: an event, or None for the picture or the state."""

    event: Happened | None


class OpenConnection(Protocol):
    """Opens a line for one purpose (`firmware.companion.viewer.connection.open_connection`)."""

    def __call__(self, gateway: Gateway, label: str) -> AbstractAsyncContextManager[DoorConnection]:
        """Connect; raises ViewerErrors."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateways:
    """The three kinds of session with the doorbell."""

    live: Gateway
    rings: Gateway
    clips: Gateway


class HomeDoor:
    """The doorbell's state for a smart home. `run` keeps it up to date."""

    def __init__(
        self,
        gateways: Gateways,
        setup: PlayerSetup,
        *,
        clock: PlayerClock,
        open_connection: OpenConnection,
    ) -> None:
        self.device = setup.device
        self.what: Sequence[str] = ()
        self.picture: Picture | None = None
        self.is_connected = False
        self.since_ms = clock.wall_ms()
        self.problem = ""
        self._spki = unb64u(setup.identity_key)
        self._gateways = gateways
        self._clock = clock
        self._open_line = open_connection
        self._window: tuple[Why, float, int] | None = None
        self._sessions: set[str] = set()
        self._closing: asyncio.Task[None] | None = None
        self._readers: set[asyncio.Queue[News]] = set()
        self._one_clip = asyncio.Lock()

    async def run(self) -> None:
        """Keep the line for rings open until cancelled."""
        failures = 0
        while True:
            try:
                async with self._open_line(self._gateways.rings, RINGS_LABEL) as line:
                    failures = 0
                    await self._listen(line)
            except (ViewerError, WireError, msgspec.DecodeError) as error:
                self._set_connected(False, str(error))
            await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
            failures += 1

    def subscribe(self) -> "asyncio.Queue[News]":
        """Return a queue of what changes, or raise TooManyReaders.

        Overflow rule: a slow reader misses the oldest.
        """
        if len(self._readers) >= MAX_READERS:
            raise TooManyReaders
        queue: asyncio.Queue[News] = asyncio.Queue(MAX_QUEUED_NEWS)
        self._readers.add(queue)
        return queue

    def unsubscribe(self, queue: "asyncio.Queue[News]") -> None:
        """Forget a queue."""
        self._readers.discard(queue)

    @property
    def window(self) -> Window | None:
        """Whether live view is open, and why."""
        if "record" in self.what:
            return Window(why="record", until_ms=None)
        if self._window is None or self._clock.monotonic_s() >= self._window[1]:
            return None
        return Window(why=self._window[0], until_ms=self._window[2])

    def touch(self) -> None:
        """Open live view for ten minutes."""
        self._open_window("touch", TOUCH_S)

    async def open(self, sdp: str) -> Opened:
        """Open live view, or raise NotNow or another ViewerError; it ends with the window."""
        if self.window is None:
            raise NotNow
        opened = await self._gateways.live.open(sdp)
        self._sessions.add(opened.key)
        return opened

    async def trickle(self, key: str, fragment: Fragment) -> None:
        """Bring more candidates."""
        await self._gateways.live.trickle(key, fragment)

    async def close(self, key: str) -> None:
        """End live view."""
        self._sessions.discard(key)
        await self._gateways.live.close(key)

    async def clips(self) -> list[ClipLine]:
        """Return the newest recordings, or raise a ViewerError."""
        async with self._one_clip, self._open_line(self._gateways.clips, CLIPS_LABEL) as line:
            return await list_clips(line)

    async def clip(self, clip_id: str, digest: str) -> bytes:
        """Return a recording (MP4) whose manifest has this digest, or raise a ViewerError."""
        async with self._one_clip, self._open_line(self._gateways.clips, CLIPS_LABEL) as line:
            data = bytearray()
            await fetch_clip(line, clip_id, digest, self._spki, data)
            return bytes(data)

    async def _listen(self, line: DoorConnection) -> None:
        renewing = asyncio.create_task(_renew(line), name="renew the line")
        try:
            while True:
                message = await line.receive()
                if not isinstance(message, str):
                    raise ConnectionBroken
                match msgspec.json.decode(message, type=Now | Happened | PictureHead):
                    case Now() as now:
                        self.what = tuple(now.what)
                        self._set_connected(True, "")
                    case Happened() as happened:
                        self._happened(happened)
                    case PictureHead() as head:
                        jpeg = await line.receive_bytes(head.size)
                        self.picture = Picture(event=head.event, taken_ms=head.taken_ms, jpeg=jpeg)
                        self._tell(News(event=None))
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)

    def _happened(self, happened: Happened) -> None:
        if happened.kind == "pressed":
            self._open_window("ring", RING_S)
        self._tell(News(event=happened))

    def _open_window(self, why: Why, seconds: float) -> None:
        now_s = self._clock.monotonic_s()
        if self._window is not None and self._window[1] > now_s + seconds:
            return  # a ring doesn't shorten a touch
        self._window = (why, now_s + seconds, self._clock.wall_ms() + round(seconds * 1000))
        self._tell(News(event=None))
        if self._closing is None or self._closing.done():
            self._closing = asyncio.create_task(self._close_in_time(), name="live window")

    async def _close_in_time(self) -> None:
        """End all live sessions when the window closes."""
        while self._window is not None:
            left_s = self._window[1] - self._clock.monotonic_s()
            if left_s <= 0:
                break
            await asyncio.sleep(left_s)
        if "record" not in self.what:
            ending, self._sessions = self._sessions, set()
            await asyncio.gather(*(self._gateways.live.end(key) for key in ending))
        self._tell(News(event=None))

    def _set_connected(self, is_connected: bool, problem: str) -> None:
        if is_connected != self.is_connected:
            self.since_ms = self._clock.wall_ms()
        self.is_connected, self.problem = is_connected, problem
        self._tell(News(event=None))

    def _tell(self, news: News) -> None:
        for queue in self._readers:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(news)

    async def aclose(self) -> None:
        """End what runs."""
        if self._closing is not None:
            self._closing.cancel()
            await asyncio.gather(self._closing, return_exceptions=True)


async def _renew(line: DoorConnection) -> None:
    while True:
        await asyncio.sleep(RENEW_S)
        line.renew()
