"""The hub of open event streams: in memory, for one process, nothing stored.

    committed here ─► hub ─► listeners here that follow the doorbell or the account
                       └──► carrier (relay/notify/news.py) ─► the hubs of other relays

A listener is woken by what it follows alone, so what a notice costs doesn't depend on who else
listens. One that falls behind by QUEUE_LENGTH is cut off (`next` says so once): it connects again
and reads what it missed from the database, so nothing is lost and nobody is slowed down.

`is_unsure` is set on a listener at once when what its account may hear has changed: whoever writes
to it looks before the next word, also before one that was queued earlier.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TypeAlias

import msgspec

from firmware.protocol.encoding import DeviceId, Id
from relay.store.events import EventRow
from relay.store.health import HealthRow

QUEUE_LENGTH = 256
MAX_STREAMS = 20
"""Of one account at once: every browser of a household, each in several windows."""
SPREAD_S = 0.002
"""For each listener, when all read anew what they may have missed."""

Topic: TypeAlias = str
"""What a notice is told under, and a listener follows: as in the functions below."""
REQUESTS: Topic = "requests"


class _Told(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What relays tell each other, too."""


class EventCommitted(_Told, frozen=True, kw_only=True, tag="event"):
    """A doorbell's event is committed."""

    row: EventRow


class ThumbnailKept(_Told, frozen=True, kw_only=True, tag="thumbnail"):
    """The sealed thumbnail of an event can be fetched."""

    device: DeviceId
    event_id: Id


class StateChanged(_Told, frozen=True, kw_only=True, tag="state"):
    """A doorbell went online or offline."""

    device: DeviceId
    state: str


class HealthChanged(_Told, frozen=True, kw_only=True, tag="health"):
    """A displayed part of a doorbell's health has changed."""

    device: DeviceId
    row: HealthRow


class RequestAppeared(_Told, frozen=True, kw_only=True, tag="request"):
    """An evidence request was published."""

    request_id: str


class AudienceChanged(_Told, frozen=True, kw_only=True, tag="audience"):
    """What an account may hear has changed: a doorbell, a passkey, a guest's right, a session."""

    account_id: str


class MayHaveMissed(msgspec.Struct, frozen=True):
    """What other relays told meanwhile may be lost: the app reads it all anew."""


CarriedNotice: TypeAlias = (
    EventCommitted
    | ThumbnailKept
    | StateChanged
    | HealthChanged
    | RequestAppeared
    | AudienceChanged
)
Notice: TypeAlias = CarriedNotice | MayHaveMissed


def of_device(device: str) -> Topic:
    """Return the topic of a doorbell's notices."""
    return f"device.{device}"


def of_account(account_id: str) -> Topic:
    """Return the topic of an account's audience."""
    return f"account.{account_id}"


def topic_of(notice: CarriedNotice) -> Topic:
    """Return what a notice is told under."""
    match notice:
        case EventCommitted(row=row):
            return of_device(row.device)
        case ThumbnailKept() | StateChanged() | HealthChanged():
            return of_device(notice.device)
        case AudienceChanged():
            return of_account(notice.account_id)
        case RequestAppeared():
            return REQUESTS


class ListenerTooSlow(Exception):
    """The listener fell behind and was disconnected."""


class RelayEnds(Exception):
    """This process ends: the app goes on at another."""


class Carrier(Protocol):
    """What brings notices to other relays, and theirs here."""

    def publish(self, notice: CarriedNotice) -> None:
        """Tell other relays soon; doesn't wait."""
        ...

    def follow(self, topic: Topic) -> None:
        """Hear of a topic from now on; `settle` says when."""
        ...

    def unfollow(self, topic: Topic) -> None:
        """Hear no more of a topic."""
        ...

    async def settle(self) -> None:
        """Wait until all that is followed is heard, if that can be now."""
        ...


class NoCarrier:
    """The carrier of a relay that is alone."""

    def publish(self, notice: CarriedNotice) -> None:
        """Do nothing."""

    def follow(self, topic: Topic) -> None:
        """Do nothing."""

    def unfollow(self, topic: Topic) -> None:
        """Do nothing."""

    async def settle(self) -> None:
        """Do nothing."""


class Listener:
    """One open stream's queue of notices; `topics` are what it follows."""

    def __init__(self) -> None:
        self.topics: frozenset[Topic] = frozenset()
        self.is_unsure = False
        # Overflow: the listener is cut off (see the module's docstring).
        self._queue: asyncio.Queue[Notice] = asyncio.Queue(QUEUE_LENGTH)
        self._is_cut_off = False
        self._is_ended = False

    async def next(self, timeout_s: float) -> Notice | None:
        """Return the next notice, or None after `timeout_s`; raise ListenerTooSlow, RelayEnds."""
        if self._is_ended:
            raise RelayEnds
        if self._is_cut_off:
            raise ListenerTooSlow
        if not self._queue.empty():
            return self._queue.get_nowait()
        try:
            async with asyncio.timeout(timeout_s):
                notice = await self._queue.get()
        except TimeoutError:
            return None
        if self._is_ended:
            raise RelayEnds
        return notice

    def end(self) -> None:
        """End the stream at once."""
        self._is_ended = True
        with suppress(asyncio.QueueFull):  # then nobody waits here
            self._queue.put_nowait(MayHaveMissed())

    def put(self, notice: Notice) -> None:
        """Queue a notice without waiting; of several changes of the audience, one waits."""
        if isinstance(notice, AudienceChanged):
            if self.is_unsure:
                return
            self.is_unsure = True
        try:
            self._queue.put_nowait(notice)
        except asyncio.QueueFull:
            self._is_cut_off = True


class Hub:
    """Distributes notices to the listeners that follow them, here and at other relays."""

    def __init__(self) -> None:
        self._carrier: Carrier = NoCarrier()
        self._listeners: dict[Topic, set[Listener]] = {}
        self._open: set[Listener] = set()
        self._of_accounts: Counter[str] = Counter()
        self._is_ending = False

    @property
    def listeners(self) -> int:
        """How many streams are open."""
        return len(self._open)

    def carry_by(self, carrier: Carrier) -> None:
        """Tell other relays by this carrier, from the start on."""
        self._carrier = carrier

    def is_full(self, account_id: str) -> bool:
        """Return whether an account has as many listeners as allowed."""
        return self._of_accounts[account_id] >= MAX_STREAMS

    @contextmanager
    def listen(
        self, account_id: str | None = None, devices: Iterable[str] = ()
    ) -> Iterator[Listener]:
        """Listen for as long as the block runs; counted for the account, if one is named."""
        listener = Listener()
        if account_id is not None:
            self._of_accounts[account_id] += 1
        self._open.add(listener)
        if self._is_ending:
            listener.end()
        try:
            self._set(listener, self._topics(account_id, devices))
            yield listener
        finally:
            self._set(listener, frozenset())
            self._open.discard(listener)
            if account_id is not None:
                self._of_accounts[account_id] -= 1
                if not self._of_accounts[account_id]:
                    del self._of_accounts[account_id]

    def end(self) -> None:
        """End all streams, those that begin later too: they go on at another relay."""
        self._is_ending = True
        for listener in self._open:
            listener.end()

    def follow(self, listener: Listener, account_id: str | None, devices: Iterable[str]) -> None:
        """Follow these doorbells from now on, and no other."""
        self._set(listener, self._topics(account_id, devices))

    async def settle(self) -> None:
        """Wait until what other relays tell of all that is followed is heard."""
        await self._carrier.settle()

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

    def audience_changed(self, account_id: str) -> None:
        """Publish that what an account may hear has changed."""
        self._tell(AudienceChanged(account_id=account_id))

    def request_published(self, request_id: str) -> None:
        """Publish that a request was published."""
        self._tell(RequestAppeared(request_id=request_id))

    def hear(self, notice: CarriedNotice) -> None:
        """Hand on what another relay told."""
        for listener in self._listeners.get(topic_of(notice), ()):
            listener.put(notice)

    def doorbell_revoked(self, device: str) -> None:
        """Have those who follow a doorbell look again; every relay hears of that by itself."""
        for listener in self._listeners.get(of_device(device), ()):
            listener.put(AudienceChanged(account_id=""))

    def may_have_missed(self) -> None:
        """Have all look again, and read anew what they may have missed: a while apart."""
        loop = asyncio.get_running_loop()
        everybody = self._listeners.get(REQUESTS, set())
        for listener in everybody:
            listener.is_unsure = True
            after_s = random.uniform(0, len(everybody) * SPREAD_S)  # noqa: S311 (no secret)
            loop.call_later(after_s, listener.put, MayHaveMissed())

    def _tell(self, notice: CarriedNotice) -> None:
        self.hear(notice)
        self._carrier.publish(notice)

    def _topics(self, account_id: str | None, devices: Iterable[str]) -> frozenset[Topic]:
        own = set() if account_id is None else {of_account(account_id)}
        return frozenset({REQUESTS, *own, *map(of_device, devices)})

    def _set(self, listener: Listener, topics: frozenset[Topic]) -> None:
        for topic in listener.topics - topics:
            others = self._listeners[topic]
            others.discard(listener)
            if not others:
                del self._listeners[topic]
                self._carrier.unfollow(topic)
        for topic in topics - listener.topics:
            if topic not in self._listeners:
                self._listeners[topic] = set()
                self._carrier.follow(topic)
            self._listeners[topic].add(listener)
        listener.topics = topics
