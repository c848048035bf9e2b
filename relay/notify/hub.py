"""The hub that open event streams hang on: one process, in memory, nothing kept.

Every listener gets every notice and picks what its owner may hear. A listener that falls behind
by QUEUE_LENGTH is cut off (`next` says so once): it connects again and reads what it missed from
the database, so nothing is lost and nobody is slowed down. Each replica has a hub of its own.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from relay.store.events import EventRow
from relay.store.health import HealthRow

QUEUE_LENGTH = 256
MAX_STREAMS = 20
"""Of one account at once: every browser of a household, each in several windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventCommitted:
    """A doorbell told something, and it is committed."""

    row: EventRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailKept:
    """The sealed picture of an event can be fetched."""

    device: str
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """A doorbell came or went."""

    device: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthChanged:
    """How a doorbell is has changed in a way that people want to know."""

    device: str
    row: HealthRow


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAppeared:
    """An evidence request was published."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorbellLinked:
    """An account has a doorbell more, or less, from now on: who listens must look again."""


Notice: TypeAlias = (
    EventCommitted | ThumbnailKept | StateChanged | HealthChanged | RequestAppeared | DoorbellLinked
)


class ListenerTooSlow(Exception):
    """This listener fell behind and was cut off."""


class Listener:
    """One open stream's end of the hub."""

    def __init__(self) -> None:
        # Overflow: the listener is cut off (see the module's docstring).
        self._queue: asyncio.Queue[Notice] = asyncio.Queue(QUEUE_LENGTH)
        self._is_cut_off = False

    async def next(self, timeout_s: float) -> Notice | None:
        """Return the next notice, or None after `timeout_s`; raise ListenerTooSlow."""
        if self._is_cut_off:
            raise ListenerTooSlow
        try:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()
        except TimeoutError:
            return None

    def put(self, notice: Notice) -> None:
        """Hand over a notice without waiting."""
        try:
            self._queue.put_nowait(notice)
        except asyncio.QueueFull:
            self._is_cut_off = True


class Hub:
    """Where notices come in and listeners hang on."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._of_accounts: Counter[str] = Counter()

    def is_full(self, account_id: str) -> bool:
        """Return whether an account listens as often as it may."""
        return self._of_accounts[account_id] >= MAX_STREAMS

    @contextmanager
    def listen(self, account_id: str | None = None) -> Iterator[Listener]:
        """Hang on for as long as the block runs; counted for the account, if one is named."""
        if account_id is not None:
            self._of_accounts[account_id] += 1
        listener = Listener()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if account_id is not None:
                self._of_accounts[account_id] -= 1
                if not self._of_accounts[account_id]:
                    del self._of_accounts[account_id]

    def event_committed(self, row: EventRow) -> None:
        """Tell of a committed event."""
        self._tell(EventCommitted(row=row))

    def thumbnail_kept(self, device: str, event_id: str) -> None:
        """Tell that an event has a picture."""
        self._tell(ThumbnailKept(device=device, event_id=event_id))

    def state_changed(self, device: str, state: str) -> None:
        """Tell that a doorbell came or went."""
        self._tell(StateChanged(device=device, state=state))

    def health_changed(self, device: str, row: HealthRow) -> None:
        """Tell that something about how a doorbell is has changed."""
        self._tell(HealthChanged(device=device, row=row))

    def doorbell_linked(self) -> None:
        """Tell that somebody has a doorbell that they hadn't, or one less."""
        self._tell(DoorbellLinked())

    def request_published(self, request_id: str) -> None:
        """Tell of a published request."""
        self._tell(RequestAppeared(request_id=request_id))

    def _tell(self, notice: Notice) -> None:
        for listener in self._listeners:
            listener.put(notice)
