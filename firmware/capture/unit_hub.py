"""The hubs that carry pictures from the camera's thread to subscribers.

Most of those are on the asyncio loop; motion reads luma frames on a thread of its own.

`UnitHub.put` runs on the source's thread: it adds the unit to the ring and, while somebody
watches, appends it for the loop, where all else runs. The ring gets each unit first, so whoever
reacts to a unit finds it there. No bytes are copied. For a new mask all hubs are told to
`discard_before`, so that nothing filmed without it is handed on; who holds units of its own (the
ring) is cleared beside them.
"""

import asyncio
import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, Self, TypeVar

from firmware.capture.camera_output import AccessUnit, LumaFrame, SmallPicture
from firmware.capture.loop_queue import LoopQueue
from firmware.system.listeners import Listeners

log = logging.getLogger(__name__)

P = TypeVar("P", LumaFrame, SmallPicture)
S = TypeVar("S")

HANDOVER_MAX_UNITS = 600
"""20 s at 30 fps: longer than any stall of the loop that a doorbell should survive."""
SUBSCRIPTION_MAX_UNITS = 300


class UnitStore(Protocol):
    """Keeps access units (`firmware.clips.ring.Ring`)."""

    def add(self, unit: AccessUnit) -> None:
        """Keep one unit; called on the source's thread, before any subscription gets it."""
        ...

    def newest_gop(self) -> Sequence[AccessUnit]:
        """Return the units from the newest key frame on."""
        ...


class UnitSource(Protocol):
    """The source of a subscription: a hub, or the small stream."""

    def leave(self, subscription: "Subscription") -> None:
        """Remove this subscription; called once, when it is closed."""
        ...


class UnitHub:
    """Hands access units to the ring and, while there are subscriptions, to them on the loop.

    With no subscription the loop isn't woken. Overflow rule of the handover queue: when the loop
    stood still for so long that it is full, new units are dropped up to the next key frame that
    finds room. What was queued stays, so all who subscribe see whole GOPs from their beginning,
    one perhaps without its end; the ring has them all. A unit whose time isn't later than that of
    the one before is dropped for all, up to the next key frame.
    """

    def __init__(
        self,
        ring: UnitStore,
        loop: asyncio.AbstractEventLoop,
        *,
        max_units: int = HANDOVER_MAX_UNITS,
    ) -> None:
        self._ring = ring
        self._loop = loop
        self._max_units = max_units
        self._lock = threading.Lock()
        self._queue: deque[AccessUnit] = deque()
        self._is_scheduled = False
        self._is_key_wanted = False
        self._is_withheld = False
        self._is_queue_full = False
        self._last_pts_90k = -1
        self._oldest_pts_90k = 0
        self._subscriptions: list[Subscription] = []
        self.dropped_units = 0
        """Lost to a loop that stood still; what a new mask hides isn't counted."""

    def put(self, unit: AccessUnit) -> None:
        """Hand in one unit on the source's thread; never waits for the loop."""
        with self._lock:
            if not self._accept(unit):
                return
            self._ring.add(unit)
            if not self._subscriptions or not self._has_room(unit):
                return
            self._queue.append(unit)
            if self._is_scheduled:
                return
            self._is_scheduled = True
        _call_on(self._loop, self._drain)

    def subscribe(self, name: str, *, max_units: int = SUBSCRIPTION_MAX_UNITS) -> "Subscription":
        """Return the units from the next key frame on; close it, or use it by `with`."""
        subscription = Subscription(name, max_units, self)
        with self._lock:
            self._subscriptions.append(subscription)
        return subscription

    def subscribe_late(self, name: str, *, max_units: int) -> "Subscription":
        """Return the newest GOP and what follows; without it if it is more than may wait."""
        subscription = Subscription(name, max_units, self)
        with self._lock:
            self._subscriptions.append(subscription)
            gop = self._ring.newest_gop()
            is_hidden = not gop or gop[0].pts_90k < self._oldest_pts_90k
        if not is_hidden and len(gop) < max_units:
            for unit in gop:
                subscription.offer(unit)
        return subscription

    def leave(self, subscription: "Subscription") -> None:
        """Remove a closed subscription."""
        with self._lock:
            self._subscriptions.remove(subscription)
            if not self._subscriptions:
                self._queue.clear()

    @property
    def late(self) -> "LateFeed":
        """The feed for late subscribers: from the newest key frame on."""
        return LateFeed(self)

    def withhold(self, is_withheld: bool) -> None:
        """Give units to nobody, not to the ring either; then again, from a key frame on."""
        with self._lock:
            self._is_withheld = is_withheld

    def discard_before(self, pts_90k: int) -> None:
        """Drop all older units and those that follow up to the next key frame.

        Call it on the loop, once nothing more is put without a new mask, with the time of then:
        what is on its way is older. What waits here and at the subscriptions is dropped as well;
        the ring is its owner's to clear.
        """
        with self._lock:
            self._queue.clear()
            self._oldest_pts_90k = max(self._oldest_pts_90k, pts_90k)
            self._is_key_wanted = True
        for subscription in self._subscriptions:
            subscription.discard()

    def _accept(self, unit: AccessUnit) -> bool:
        if self._is_withheld:
            self._is_key_wanted = True
            return False
        if unit.pts_90k < self._oldest_pts_90k:
            return False
        if unit.pts_90k <= self._last_pts_90k:
            self._is_key_wanted = True
            return False
        if unit.is_key:
            self._is_key_wanted = False
        if self._is_key_wanted:
            return False
        self._last_pts_90k = unit.pts_90k
        return True

    def _has_room(self, unit: AccessUnit) -> bool:
        if len(self._queue) >= self._max_units:
            self._is_queue_full = True
        elif unit.is_key:
            self._is_queue_full = False
        self.dropped_units += self._is_queue_full
        return not self._is_queue_full

    def _drain(self) -> None:
        with self._lock:
            units, self._queue = self._queue, deque()
            self._is_scheduled = False
        for unit in units:
            for subscription in self._subscriptions:
                subscription.offer(unit)


class LateFeed:
    """A hub's units from the newest key frame on, which was handed on already: for live view."""

    def __init__(self, hub: UnitHub) -> None:
        self._hub = hub

    def subscribe(self, name: str, *, max_units: int = SUBSCRIPTION_MAX_UNITS) -> "Subscription":
        """Return the newest GOP and what follows; without it if it is more than may wait."""
        return self._hub.subscribe_late(name, max_units=max_units)


class Subscription(LoopQueue[AccessUnit]):
    """One reader's access units; they begin at a key frame.

    Overflow rule: a reader that is too slow loses everything queued and goes on at the next key
    frame (`dropped_units` counts), so it is late by at most the queue and never shows rubbish.
    """

    def __init__(self, name: str, max_units: int, source: UnitSource) -> None:
        super().__init__(max_units)
        self._source = source
        self.name = name
        self.dropped_units = 0
        self._is_key_wanted = True
        self._last_pts_90k = -1

    def offer(self, unit: AccessUnit) -> None:
        """Take one unit from the hub (on the loop); nothing if it had this one or a later one."""
        if unit.pts_90k <= self._last_pts_90k:
            return
        self._last_pts_90k = unit.pts_90k
        if self._is_full:
            log.warning("%s is too slow: %d access units dropped", self.name, len(self._items))
            self.dropped_units += len(self._items)
            self.discard()
        if self._is_key_wanted and not unit.is_key:
            return
        self._is_key_wanted = False
        self._put(unit)

    def discard(self) -> None:
        """Drop what waits and go on at the next key frame (on the loop)."""
        super().discard()
        self._is_key_wanted = True

    def _leave(self) -> None:
        self._source.leave(self)


class PictureHub(Generic[P]):
    """Hands the newest picture from the source's thread to each reader, at its own pace.

    Readers are on the loop (`subscribe`), which isn't woken without one, or on a thread of their
    own (`subscribe_thread`). Pictures that are withheld go only to those on the loop who asked for
    them so: the reader of codes. `wanted` is notified, on the loop, when the first begins to look
    (True) and when nobody does any more. Overflow rule of the handover to the loop: one place; a
    newer picture replaces one that the loop hasn't taken.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.wanted = Listeners[bool]()
        self._lock = threading.Lock()
        self._waiting: P | None = None
        self._slots: list[PictureSlot[P]] = []
        self._thread_slots: list[ThreadSlot[P]] = []
        self._is_withheld = False
        self._oldest_pts_90k = 0

    def put(self, picture: P) -> None:
        """Take one picture on the source's thread."""
        with self._lock:
            if picture.pts_90k < self._oldest_pts_90k:
                return
            if not self._is_withheld:
                for slot in self._thread_slots:
                    slot.offer(picture)
            if not self._slots:
                return
            is_scheduled = self._waiting is not None
            self._waiting = picture
        if not is_scheduled:
            _call_on(self._loop, self._hand_on)

    def subscribe(self, *, sees_withheld: bool = False) -> "PictureSlot[P]":
        """Return a slot of the caller's own; close it, or use it by `with`."""
        slot = PictureSlot[P](self, sees_withheld=sees_withheld)
        self._join(self._slots, slot)
        return slot

    def subscribe_thread(self) -> "ThreadSlot[P]":
        """Return a slot for a reader on a thread of its own; close it, or use it by `with`."""
        slot = ThreadSlot[P](self)
        self._join(self._thread_slots, slot)
        return slot

    def withhold(self, is_withheld: bool) -> None:
        """Give pictures only to those who see what is withheld, or to all again."""
        with self._lock:
            self._is_withheld = is_withheld

    def discard_before(self, pts_90k: int) -> None:
        """Drop older pictures, and those that wait (on the loop)."""
        with self._lock:
            self._oldest_pts_90k = max(self._oldest_pts_90k, pts_90k)
            for thread_slot in self._thread_slots:
                thread_slot.discard()
        for slot in self._slots:
            slot.discard()

    def leave(self, slot: "PictureSlot[P]") -> None:
        """Remove a closed slot."""
        self._remove(self._slots, slot)

    def leave_thread(self, slot: "ThreadSlot[P]") -> None:
        """Remove a closed slot of a thread."""
        self._remove(self._thread_slots, slot)

    def _join(self, slots: list[S], slot: S) -> None:
        with self._lock:
            slots.append(slot)
            is_first = len(self._slots) + len(self._thread_slots) == 1
        if is_first:
            self.wanted.notify(True)

    def _remove(self, slots: list[S], slot: S) -> None:
        with self._lock:
            slots.remove(slot)
            is_unused = not self._slots and not self._thread_slots
        if is_unused:
            self.wanted.notify(False)

    def _hand_on(self) -> None:
        with self._lock:
            picture, self._waiting = self._waiting, None
            is_withheld = self._is_withheld
        if picture is None or picture.pts_90k < self._oldest_pts_90k:
            return
        for slot in self._slots:
            if slot.sees_withheld or not is_withheld:
                slot.offer(picture)


class PictureSlot(LoopQueue[P]):
    """The newest picture, for one reader.

    Overflow rule: one place; a newer picture replaces an older that nobody took.
    """

    def __init__(self, hub: PictureHub[P], *, sees_withheld: bool = False) -> None:
        super().__init__(1)
        self._hub: PictureHub[P] = hub
        self.sees_withheld = sees_withheld

    def offer(self, picture: P) -> None:
        """Take one picture from the hub (on the loop)."""
        self._put(picture)

    def close(self) -> None:
        """Close the slot; may be called twice. A waiting reader gets StopAsyncIteration."""
        self.discard()
        super().close()

    async def next(self) -> P:
        """Wait for a picture that came after the last one taken."""
        return await anext(self)

    def _leave(self) -> None:
        self._hub.leave(self)


class ThreadSlot(Generic[P]):
    """The newest picture, for one reader on a thread of its own.

    Overflow rule: one place; a newer picture replaces an older that nobody took.
    """

    def __init__(self, hub: PictureHub[P]) -> None:
        self._hub: PictureHub[P] = hub
        self._changed = threading.Condition()
        self._picture: P | None = None
        self._is_closed = False

    def offer(self, picture: P) -> None:
        """Take one picture from the hub (on the source's thread)."""
        with self._changed:
            self._picture = picture
            self._changed.notify()

    def discard(self) -> None:
        """Drop a picture that waits."""
        with self._changed:
            self._picture = None

    def close(self) -> None:
        """Close the slot (on the loop); may be called twice. A waiting reader gets None."""
        with self._changed:
            if self._is_closed:
                return
            self._is_closed = True
            self._picture = None
            self._changed.notify()
        self._hub.leave_thread(self)

    def next(self) -> P | None:
        """Wait for a picture that came after the last one taken; None once this is closed."""
        with self._changed:
            while self._picture is None and not self._is_closed:
                self._changed.wait()
            picture, self._picture = self._picture, None
            return picture

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


LumaHub = PictureHub[LumaFrame]
SmallHub = PictureHub[SmallPicture]
SmallSlot = PictureSlot[SmallPicture]


def _call_on(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Call on the loop from another thread; nothing if it has ended, which ends no camera."""
    with contextlib.suppress(RuntimeError):  # how asyncio says that a loop is closed
        loop.call_soon_threadsafe(callback)
