"""Playback of a clip over the video track: its access units at their recorded pace.

Each viewer's recording is a `UnitFeed` of its own that their `Source` reads once. One GOP is read
ahead, off the loop, so that slow storage doesn't show.
"""

import asyncio
from collections import deque
from collections.abc import Sequence

from firmware.capture.camera_output import TICKS_PER_S
from firmware.live.feed import ClipGops, Unit
from firmware.system.listeners import Listeners

LATE_S = 0.5


class EmptyFeed:
    """A feed without pictures, for a viewer of recordings only."""

    def subscribe(self, name: str, *, max_units: int) -> "EmptyFeed":  # noqa: ARG002
        """Return a stream that never yields."""
        return self

    @property
    def dropped_units(self) -> int:
        """Nothing is ever lost."""
        return 0

    async def __anext__(self) -> Unit:
        """Wait until cancelled."""
        await asyncio.get_running_loop().create_future()
        raise StopAsyncIteration

    def close(self) -> None:
        """Nothing is held."""


class ClipFeed:
    """One clip's access units, played once, to the end or until the feed is closed.

    `places` is notified at each key frame of where in the clip that is, in ms; `ended` once, when
    there are no more pictures, before the stream ends. Both on the loop.
    """

    def __init__(self, reel: ClipGops) -> None:
        self.places = Listeners[int]()
        self.ended = Listeners[()]()
        self._reel = reel
        self._has_ended = False
        self._units: deque[Unit] = deque()
        self._ahead: asyncio.Task[Sequence[Unit] | None] | None = None
        self._begun_s: float | None = None
        self._first_90k = 0
        self._is_closed = False

    def subscribe(self, name: str, *, max_units: int) -> "ClipFeed":  # noqa: ARG002
        """Return the access units; nothing queues up, so none are dropped."""
        return self

    @property
    def dropped_units(self) -> int:
        """Nothing is ever lost."""
        return 0

    async def __anext__(self) -> Unit:
        """Return the next access unit once its time has come."""
        if not self._units and not self._is_closed:
            self._units.extend(await self._next_gop() or ())
        if self._is_closed or not self._units:
            self._end()
            raise StopAsyncIteration
        unit = self._units.popleft()
        await self._until(unit.pts_90k)
        if unit.is_key:
            self.places.notify(unit.pts_90k * 1000 // TICKS_PER_S)
        return unit

    def close(self) -> None:
        """End it; may be called twice."""
        self._is_closed = True
        self._units.clear()
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None

    async def _next_gop(self) -> Sequence[Unit] | None:
        if self._ahead is None:
            self._ahead = self._read()
        gop = await self._ahead
        self._ahead = None if gop is None else self._read()
        return gop

    def _read(self) -> "asyncio.Task[Sequence[Unit] | None]":
        return asyncio.create_task(_next(self._reel), name="live clip reading")

    async def _until(self, pts_90k: int) -> None:
        loop = asyncio.get_running_loop()
        if self._begun_s is None:
            self._begun_s, self._first_90k = loop.time(), pts_90k
        due_s = self._begun_s + (pts_90k - self._first_90k) / TICKS_PER_S
        late_s = loop.time() - due_s
        if late_s > LATE_S:  # slow storage: go on from here, not faster
            self._begun_s += late_s
        elif late_s < 0:
            await asyncio.sleep(-late_s)

    def _end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self.ended.notify()


async def _next(reel: ClipGops) -> Sequence[Unit] | None:
    return await anext(reel.gops, None)
