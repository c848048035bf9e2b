"""The hub of open event streams: in memory, for one process, nothing stored.

Every listener gets every notice and picks what its owner may hear. A listener that falls behind
by QUEUE_LENGTH is cut off (`next` says so once): it connects again and reads what it missed from
the database, so nothing is lost and nobody is slowed down. Of doorbells that aren't its own, at
most STRANGERS_LENGTH notices wait: one doorbell's flood cuts off nobody else's listener. Each
replica has a hub of its own.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

from relay.store.events import EventRow
from relay.store.health import HealthRow

QUEUE_LENGTH = 256
STRANGERS_LENGTH = 16
"""Of other doorbells: one is enough to look again whose doorbells these are."""
MAX_STREAMS = 20
"""Of one account at once: every browser of a household, each in several windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCommitted:
    """A doorbell's event is committed."""

    row: EventRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailKept:
    """The sealed thumbnail of an event can be fetched."""

    device: str
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """A doorbell went online or offline."""

    device: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged:
    """A displayed part of a doorbell's health has changed."""

    device: str
    row: HealthRow


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAppeared:
    """An evidence request was published."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorbellLinked:
    """An account has gained or lost a doorbell: its listeners must look again."""


Notice: TypeAlias = (
    EventCommitted | ThumbnailKept | StateChanged | HealthChanged | RequestAppeared | DoorbellLinked
)


class ListenerTooSlow(Exception):
    """The listener fell behind and was disconnected."""


class RelayEnds(Exception):
    """This process ends: the app goes on at another."""


class Listener:
    """One open stream's queue of notices.

    `devices` are the doorbells that it listens for, None as long as that isn't known.
    `has_missed` tells whether notices of others were dropped.
    """

    def __init__(self) -> None:
        self.devices: frozenset[str] | None = None
        self.has_missed = False
        # Overflow: the listener is cut off (see the module's docstring).
        self._queue: asyncio.Queue[tuple[Notice, bool]] = asyncio.Queue(QUEUE_LENGTH)
        self._strangers = 0
        self._is_cut_off = False
        self._is_ended = False

    async def next(self, timeout_s: float) -> Notice | None:
        """Return the next notice, or None after `timeout_s`; raise ListenerTooSlow, RelayEnds."""
        if self._is_ended:
            raise RelayEnds
        if self._is_cut_off:
            raise ListenerTooSlow
        try:
            async with asyncio.timeout(timeout_s):
                notice, is_strange = await self._queue.get()
        except TimeoutError:
            return None
        if self._is_ended:
            raise RelayEnds
        self._strangers -= is_strange
        return notice

    def end(self) -> None:
        """End the stream at once."""
        self._is_ended = True
        with suppress(asyncio.QueueFull):  # then nobody waits here
            self._queue.put_nowait((DoorbellLinked(), False))

    def put(self, notice: Notice) -> None:
        """Queue a notice without waiting."""
        device = device_of(notice)
        is_strange = device is not None and self.devices is not None and device not in self.devices
        if is_strange and self._strangers >= STRANGERS_LENGTH:
            self.has_missed = True
            return
        try:
            self._queue.put_nowait((notice, is_strange))
        except asyncio.QueueFull:
            self._is_cut_off = True
        else:
            self._strangers += is_strange


def device_of(notice: Notice) -> str | None:
    """Return the doorbell that a notice is about; None if it is about none."""
    match notice:
        case EventCommitted(row=row):
            return row.device
        case (
            StateChanged(device=device)
            | HealthChanged(device=device)
            | ThumbnailKept(device=device)
        ):
            return device
        case RequestAppeared() | DoorbellLinked():
            return None


class Hub:
    """Distributes notices to all listeners."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._of_accounts: Counter[str] = Counter()
        self._is_ending = False

    @property
    def listeners(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    def is_full(self, account_id: str) -> bool:
        """Return whether an account has as many listeners as allowed."""
        return self._of_accounts[account_id] >= MAX_STREAMS

    @contextmanager
    def listen(self, account_id: str | None = None) -> Iterator[Listener]:
        """Listen for as long as the block runs; counted for the account, if one is named."""
        if account_id is not None:
            self._of_accounts[account_id] += 1
        listener = Listener()
        self._listeners.add(listener)
        if self._is_ending:
            listener.end()
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if account_id is not None:
                self._of_accounts[account_id] -= 1
                if not self._of_accounts[account_id]:
                    del self._of_accounts[account_id]

    def end(self) -> None:
        """End all streams, those that begin later too: they go on at another relay."""
        self._is_ending = True
        for listener in self._listeners:
            listener.end()

    def event_committed(self, row: EventRow) -> None:
        """Publish that an event is committed."""
        self._tell(EventCommitted(row=row))

    def thumbnail_kept(self, device: str, event_id: str) -> None:
        """Publish that an event has a thumbnail."""
        self._tell(ThumbnailKept(device=device, event_id=event_id))

    def state_changed(self, device: str, state: str) -> None:
        """Publish that a doorbell went online or offline."""
        self._tell(StateChanged(device=device, state=state))

    def health_changed(self, device: str, row: HealthRow) -> None:
        """Publish that a doorbell's health has changed."""
        self._tell(HealthChanged(device=device, row=row))

    def doorbell_linked(self) -> None:
        """Publish that an account has gained or lost a doorbell."""
        self._tell(DoorbellLinked())

    def request_published(self, request_id: str) -> None:
        """Publish that a request was published."""
        self._tell(RequestAppeared(request_id=request_id))

    def _tell(self, notice: Notice) -> None:
        for listener in self._listeners:
            listener.put(notice)
