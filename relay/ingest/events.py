"""Ingest of events: pull, parse, commit, send receipts, notify, acknowledge.

    broker ─► parse ─► one transaction a batch ─► hub, receipts to the doorbells
                        for each event by itself ─► hooks (pairing, packages) ─► acknowledged

Thumbnails, pushes and what is for the log are committed and receipted like the others, but don't
become rows among the events, have no hooks, and the hub hears only of a picture, and of the notes
in a slot (relay/ingest/carried_events.py). Nor does what names a passkey that no account has (any
more): of a deleted account nothing comes back.

Invariants: an event is committed once, whatever is sent twice; a receipt is only for what is
committed; a message is acknowledged after all that, so a relay that dies in between gets it
again. What one doorbell tells beyond its allowance (relay/ingest/event_quota.py) comes again later.
Hooks are therefore called at least once for an event and must be idempotent; a slow one
holds up only its own event. A message that can't be read, or whose event breaks what
commits it, is logged and discarded. The hub is told of each event before its hooks: a ring waits
for nobody; and again of one that came again, as the relay that committed it may have died.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from firmware.protocol.commands import Command, Receipt
from firmware.protocol.encoding import WireError, new_id
from firmware.protocol.events import Event, PushWanted
from relay.base.clock import Clock
from relay.bus import Bus, StreamMessage
from relay.custody.errors import KeyTaken, LogUnavailable
from relay.errors import BusUnavailable, ObjectStoreError, RelayError, StoreError, said
from relay.fleet.message_parser import parse_device_message
from relay.ingest.carried_events import (
    NOTHING,
    Custody,
    FollowUp,
    NoCustody,
    carry,
    is_about_nobody,
    is_carried,
)
from relay.ingest.event_order import EventOrder
from relay.ingest.event_quota import EventQuota
from relay.store import carried_events, events, fleet
from relay.store.database import UNSTORABLE, Database, Transaction
from relay.store.events import EventRow
from relay.store.push import PushRow

log = logging.getLogger(__name__)

RECEIPT_LIFE_MS = 60_000
HOOK_TIMEOUT_S = 15.0
HOOK_RETRY_S = 2.0
HOOK_ATTEMPTS = 60
EARLY_RETRY_S = 1.5
EXCESS_RETRY_S = 10.0
BROKER_AWAY_S = 0.5

UNUSABLE = (ArithmeticError, KeyTaken, LookupError, TypeError, ValueError, *UNSTORABLE)
"""What an event brings about that no check foresaw; a database that is away is none of these."""
RETRYABLE = (BusUnavailable, LogUnavailable, ObjectStoreError, StoreError, TimeoutError)

EventHook = Callable[[EventRow], Awaitable[None]]
"""Is called after the commit, at least once for each event."""


class Notices(Protocol):
    """The hub's notices that ingest sends."""

    def event_committed(self, row: EventRow) -> None:
        """An event is committed; it may have been told before."""
        ...

    def thumbnail_kept(self, device: str, event_id: str) -> None:
        """The picture of an event is there."""
        ...


class Pusher(Protocol):
    """The operations of Web Push that ingest needs."""

    def send(self, rows: Sequence[PushRow]) -> None:
        """Send committed messages in the background."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    delivery: StreamMessage
    event: Event


@dataclass(frozen=True, slots=True, kw_only=True)
class _Committed:
    """A committed event: `row` is None for a carried one, and `carried` is its follow-up work."""

    delivery: StreamMessage
    event: Event
    row: EventRow | None
    carried: FollowUp = NOTHING


@dataclass(slots=True)
class _Known:
    """Events committed before, by event id; carried ones as digests."""

    rows: dict[str, EventRow]
    digests: dict[str, str]

    def __contains__(self, event: Event) -> bool:
        return event.id in self.rows or event.id in self.digests

    def is_same(self, event: Event) -> bool:
        row, digest = self.rows.get(event.id), self.digests.get(event.id)
        if row is not None:
            return row.event == event
        return digest is None or digest == event.digest()


@dataclass(slots=True)
class _Sorted:
    """One batch, sorted: `early` events wait for those before them, `excess` for their turn."""

    committed: list[_Committed] = field(default_factory=list)
    refused: list[StreamMessage] = field(default_factory=list)
    early: list[StreamMessage] = field(default_factory=list)
    excess: list[StreamMessage] = field(default_factory=list)


class EventIngest:
    """The ingest task of doorbells' events."""

    def __init__(
        self,
        *,
        bus: Bus,
        database: Database,
        clock: Clock,
        notices: Notices,
        pusher: Pusher,
        hooks: Sequence[EventHook] = (),
        custody: Custody | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
        quota: EventQuota | None = None,
    ) -> None:
        self._bus = bus
        self._database = database
        self._clock = clock
        self._notices = notices
        self._pusher = pusher
        self._hooks = tuple(hooks)
        self._custody: Custody = custody or NoCustody()
        self._order = EventOrder(monotonic_s=monotonic_s)
        self._quota = quota or EventQuota(monotonic_s=monotonic_s)

    async def run(self) -> None:
        """Process events until cancelled."""
        puller = await self._bus.events()
        async with asyncio.TaskGroup() as finishing:
            while True:
                try:
                    for item in await self._take(await puller.next()):
                        finishing.create_task(self._finish(item), name=item.event.id)
                except BusUnavailable as error:
                    log.warning("ingest waits for the broker: %s", error)
                    await asyncio.sleep(BROKER_AWAY_S)

    async def _take(self, batch: Sequence[StreamMessage]) -> list[_Committed]:
        """Commit one batch and send the receipts."""
        told = [item for item in [await self._parse(delivery) for delivery in batch] if item]
        if not told:
            return []
        result = await self._commit_what_can_be(told)
        for item in result.committed:
            self._pusher.send(item.carried.pushes)
        for item in result.committed:
            self._tell(item)
        await self._send_receipts(result.committed)
        for delivery in result.refused:
            await delivery.discard()
        for delivery in result.early:
            await delivery.retry(EARLY_RETRY_S)
        for delivery in result.excess:
            await delivery.retry(EXCESS_RETRY_S)
        return result.committed

    async def _parse(self, delivery: StreamMessage) -> _Told | None:
        try:
            event = parse_device_message(Event, delivery.subject, delivery.data)
        except WireError as error:
            log.warning("event on %s refused: %s", delivery.subject, error)
            await delivery.discard()
            return None
        return _Told(delivery=delivery, event=event)

    async def _commit_what_can_be(self, told: Sequence[_Told]) -> "_Sorted":
        """Commit a batch; if an event breaks it, each by itself, and discard the one that does.

        Else a hostile doorbell could end ingest for all others, again at each redelivery.
        """
        try:
            return await self._commit(told)
        except UNUSABLE:
            log.exception("ingest: %d events can't be committed together", len(told))
        if len(told) == 1:
            return _Sorted(refused=[told[0].delivery])
        result = _Sorted()
        for item in sorted(told, key=lambda item: (item.event.device, item.event.seq)):
            alone = await self._commit_what_can_be([item])
            result.committed += alone.committed
            result.refused += alone.refused
            result.early += alone.early
            result.excess += alone.excess
        return result

    async def _commit(self, told: Sequence[_Told]) -> "_Sorted":
        result = _Sorted()
        async with self._database.begin() as tx:
            ids = [item.event.id for item in told]
            known = _Known(await events.known(tx, ids), await carried_events.known(tx, ids))
            last_seqs = await fleet.last_seqs(tx, {item.event.device for item in told})
            for item in sorted(told, key=lambda item: (item.event.device, item.event.seq)):
                event = item.event
                if reason := _reason_against(event, known, last_seqs):
                    log.warning("event %s of %s refused: %s", event.id, event.device, reason)
                    result.refused.append(item.delivery)
                    continue
                if event in known:
                    row = known.rows.get(event.id)
                    result.committed.append(
                        _Committed(delivery=item.delivery, event=event, row=row)
                    )
                    continue
                last_seq = last_seqs[event.device]
                if self._order.must_wait(event.device, event.seq, last_seq=last_seq):
                    result.early.append(item.delivery)
                    continue
                if not self._quota.take(event.device, len(item.delivery.data)):
                    result.excess.append(item.delivery)
                    continue
                last_seqs[event.device] = max(last_seq, event.seq)
                result.committed.append(await self._add(tx, item, known))
        return result

    async def _add(self, tx: Transaction, item: _Told, known: _Known) -> _Committed:
        event, now_ms = item.event, self._clock.wall_ms()
        await fleet.raise_last_seq(tx, event.device, event.seq)
        row, passing = None, NOTHING
        if isinstance(event.body, PushWanted) and not self._quota.take_push(event.device):
            log.warning("push %s of %s dropped: too many", event.id, event.device)
            await carried_events.add(tx, event, received_ms=now_ms)
            known.digests[event.id] = event.digest()
        elif is_carried(event):
            passing = await carry(tx, event, received_ms=now_ms, custody=self._custody)
            known.digests[event.id] = event.digest()
        elif await is_about_nobody(tx, event):
            await carried_events.add(tx, event, received_ms=now_ms)
            known.digests[event.id] = event.digest()
        else:
            row = known.rows[event.id] = await events.add(tx, event, received_ms=now_ms)
        return _Committed(delivery=item.delivery, event=event, row=row, carried=passing)

    async def _send_receipts(self, committed: Sequence[_Committed]) -> None:
        by_device: defaultdict[str, list[str]] = defaultdict(list)
        for item in committed:
            by_device[item.event.device].append(item.event.id)
        now_ms = self._clock.wall_ms()
        for device, event_ids in by_device.items():
            receipt = Command(
                id=new_id(),
                device=device,
                time_ms=now_ms,
                expires_ms=now_ms + RECEIPT_LIFE_MS,
                body=Receipt(event_ids=event_ids),
            )
            await self._bus.publish_command(device, receipt.encode())

    def _tell(self, item: _Committed) -> None:
        """Tell of an event, each doorbell's in the order of commit; again if it came again."""
        if item.row is not None:
            self._notices.event_committed(item.row)
        for note in item.carried.notes:
            self._notices.event_committed(note)
        if item.carried.thumbnail_of is not None:
            self._notices.thumbnail_kept(item.event.device, item.carried.thumbnail_of)

    async def _finish(self, item: _Committed) -> None:
        is_done = item.row is None or await self._run_hooks(item.row)
        try:
            if is_done or item.delivery.attempts >= HOOK_ATTEMPTS:
                await item.delivery.ack()
            else:
                await item.delivery.retry(HOOK_RETRY_S)
        except BusUnavailable as error:  # the broker hands it out again
            log.warning("event %s: %s", item.event.id, error)

    async def _run_hooks(self, row: EventRow) -> bool:
        for hook in self._hooks:
            try:
                async with asyncio.timeout(HOOK_TIMEOUT_S):
                    await hook(row)
            except RETRYABLE as error:
                log.warning("event %s is tried again: %s", row.event.id, said(error))
                return False
            except RelayError as error:
                log.warning("event %s of %s: %s", row.event.id, row.device, error)
            except Exception:  # supervisor: one bad event mustn't stop the others
                log.exception("event %s of %s: its follow-up failed", row.event.id, row.device)
        return True


def _reason_against(event: Event, known: _Known, enrolled: Container[str]) -> str:
    if event.device not in enrolled:
        return "no such doorbell is enrolled"
    if not known.is_same(event):
        return "its id was used for another event"
    return ""
