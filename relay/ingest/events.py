"""Ingest of events: pull, parse, commit, send receipts, notify, acknowledge.

    broker ─► parse ─► one transaction a batch ─► hub, receipts to the doorbells
                        for each event by itself ─► hooks (pairing, packages) ─► acknowledged;
                        the hub hears of owners and guests after these

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
import contextlib
import logging
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from firmware.protocol.commands import Command, Receipt
from firmware.protocol.encoding import WireError, new_id
from firmware.protocol.events import EventBody, GuestGone, GuestLet, OwnerGone, Paired
from relay.base.canonical import canonical_of
from relay.base.clock import Clock
from relay.bus import Bus, Puller, StreamMessage
from relay.custody.errors import LogUnavailable
from relay.errors import BusUnavailable, ObjectStoreError, RelayError, said
from relay.fleet.message_parser import parse_event
from relay.ingest.carried_events import Custody, NoCustody
from relay.ingest.event_batches import Committed, EventBatches, ReceivedEvent, by_turn
from relay.ingest.event_quota import EventQuota
from relay.ingest.fence import Fence, Owned
from relay.store.database import AWAY, UNSTORABLE, Database, reason_of
from relay.store.events import EventRow
from relay.store.push import PushRow

log = logging.getLogger(__name__)

DAY_MS = 24 * 3600 * 1000
RECEIPT_LIFE_MS = 60_000
HOOK_TIMEOUT_S = 15.0
HOOK_RETRY_S = 2.0
HOOK_RETRY_MOST_S = 60.0
HOOK_LIFE_MS = 7 * DAY_MS
HOOK_ATTEMPTS = 500
"""An event is followed up for so long after it was stored while a part is away, and so often at
least, as clocks may be set; one that says what somebody may, until that part is back."""
EARLY_RETRY_S = 1.5
EXCESS_RETRY_S = 10.0
UNCLAIMED_RETRY_S = 0.5
"""Until then a partition's new owner has taken it over, and this process asks for nothing of it."""
BROKER_AWAY_S = 0.5
DATABASE_AWAY_S = 1.0

RETRYABLE = (BusUnavailable, LogUnavailable, ObjectStoreError, TimeoutError, *AWAY)

ASKED_ABOUT = (Paired, OwnerGone, GuestLet, GuestGone)
"""What open pages ask more about as soon as they hear of it: told once its hooks are done."""

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


async def retry_all(batch: Sequence[StreamMessage]) -> None:
    """Ask for what isn't settled of a batch again; without the broker it comes by itself."""
    for delivery in batch:
        with contextlib.suppress(BusUnavailable):
            await delivery.retry(0)


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
        hooked: tuple[type[EventBody], ...] | None = None,
        custody: Custody | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
        quota: EventQuota | None = None,
        partitions: Owned | None = None,
    ) -> None:
        """`hooked` are the events that the hooks act on; None: they are called with each."""
        self._bus = bus
        self._clock = clock
        self._notices = notices
        self._hooked = hooked
        self._pusher = pusher
        self._hooks = tuple(hooks)
        self._partitions = partitions
        self._is_told = False
        self._batches = EventBatches(
            fence=Fence(database, partitions),
            clock=clock,
            custody=custody or NoCustody(),
            monotonic_s=monotonic_s,
            quota=quota,
        )

    async def run(self) -> None:
        """Process events until cancelled."""
        puller = await self._bus.events()
        self._work_on_own(puller)
        async with asyncio.TaskGroup() as finishing:
            while True:
                pieces: list[list[ReceivedEvent]] = []
                try:
                    pieces = by_turn(await self._parse_all(await puller.next()))
                    while pieces:
                        for item in await self._take(pieces[0]):
                            if self._is_followed_up(item):
                                finishing.create_task(self._finish(item), name=item.event.id)
                            else:
                                await self._settle(item, is_done=True)
                        del pieces[0]
                except BusUnavailable as error:
                    log.warning("ingest waits for the broker: %s", error)
                    await asyncio.sleep(BROKER_AWAY_S)
                except AWAY as error:
                    log.warning("ingest waits for the database: %s", said(error))
                    await asyncio.sleep(DATABASE_AWAY_S)
                    await retry_all([one.delivery for piece in pieces for one in piece])

    def _work_on_own(self, puller: Puller) -> None:
        """Have the puller take from this process's partitions, whichever they are from now on."""
        if self._partitions is not None and not self._is_told:  # a supervisor may run this again
            self._is_told = True
            puller.work_on(self._partitions.owned)
            self._partitions.on_change(puller.work_on)

    async def _parse_all(self, batch: Sequence[StreamMessage]) -> list[ReceivedEvent]:
        return [item for item in [await self._parse(delivery) for delivery in batch] if item]

    async def _take(self, told: Sequence[ReceivedEvent]) -> list[Committed]:
        """Commit some events and send the receipts."""
        result = await self._batches.commit(told)
        for item in result.committed:
            self._pusher.send(item.carried.pushes)
        for item in result.committed:
            if not isinstance(item.event.body, ASKED_ABOUT):
                self._tell(item)
        await self._send_receipts(result.committed)
        for delivery in result.refused:
            await delivery.discard()
        for delivery in result.early:
            await delivery.retry(EARLY_RETRY_S)
        for delivery in result.excess:
            await delivery.retry(EXCESS_RETRY_S)
        for delivery in result.unclaimed:
            await delivery.retry(UNCLAIMED_RETRY_S)
        return result.committed

    async def _parse(self, delivery: StreamMessage) -> ReceivedEvent | None:
        try:
            event, canonical = parse_event(delivery.subject, delivery.data)
        except WireError as error:
            log.warning("event on %s refused: %s", delivery.subject, error)
            await delivery.discard()
            return None
        return ReceivedEvent(delivery=delivery, event=event, canonical=canonical)

    async def _send_receipts(self, committed: Sequence[Committed]) -> None:
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
            await self._bus.publish_command(device, canonical_of(receipt))

    def _tell(self, item: Committed) -> None:
        """Tell of an event, each doorbell's in the order of commit; again if it came again."""
        if item.row is not None:
            self._notices.event_committed(item.row)
        for note in item.carried.notes:
            self._notices.event_committed(note)
        if item.carried.thumbnail_of is not None:
            self._notices.thumbnail_kept(item.event.device, item.carried.thumbnail_of)

    async def _finish(self, item: Committed) -> None:
        is_done = item.row is None or await self._run_hooks(item.row)
        if isinstance(item.event.body, ASKED_ABOUT):
            self._tell(item)
        await self._settle(item, is_done=is_done)

    def _is_followed_up(self, item: Committed) -> bool:
        if isinstance(item.event.body, ASKED_ABOUT):
            return True
        is_hooked = self._hooked is None or isinstance(item.event.body, self._hooked)
        return item.row is not None and is_hooked

    async def _settle(self, item: Committed, *, is_done: bool) -> None:
        try:
            if is_done:
                await item.delivery.ack()
                return
            now_ms = self._clock.wall_ms()
            age_ms = 0 if item.row is None else max(0, now_ms - item.row.received_ms)
            is_old = age_ms >= HOOK_LIFE_MS and item.delivery.attempts >= HOOK_ATTEMPTS
            if is_old and not isinstance(item.event.body, ASKED_ABOUT):
                log.error(
                    "event %s of %s: its follow-up is given up", item.event.id, item.event.device
                )
                await item.delivery.ack()
                return
            await item.delivery.retry(min(HOOK_RETRY_MOST_S, HOOK_RETRY_S + age_ms / 60_000))
        except BusUnavailable as error:  # the broker hands it out again
            log.warning("event %s: %s", item.event.id, error)

    async def _run_hooks(self, row: EventRow) -> bool:
        for hook in self._hooks:
            try:
                async with asyncio.timeout(HOOK_TIMEOUT_S):
                    await hook(row)
            except UNSTORABLE as error:  # whose words may show rows
                log.error(
                    "event %s of %s: its follow-up failed: %s",
                    row.event.id,
                    row.device,
                    reason_of(error),
                )
            except RETRYABLE as error:
                log.warning("event %s is tried again: %s", row.event.id, said(error))
                return False
            except RelayError as error:
                log.warning("event %s of %s: %s", row.event.id, row.device, error)
            except Exception:  # supervisor: one bad event mustn't stop the others
                log.exception("event %s of %s: its follow-up failed", row.event.id, row.device)
        return True
