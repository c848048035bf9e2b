"""Commit of events in batches: one transaction each, one read of what the batch is about.

Whether an event is new is decided by the table of ids, and by its doorbell's numbers; what is new
is stored by one statement a table. If an event breaks its batch, halves are tried, down to that
event by itself, which is discarded: else a hostile doorbell could end ingest for all others. What
one half has committed counts, whatever becomes of the other.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from firmware.protocol.encoding import sha256_hex
from firmware.protocol.events import Event, PushWanted
from relay.base.clock import Clock
from relay.bus import StreamMessage, partition_of
from relay.custody.errors import KeyTaken
from relay.errors import PartitionLost, said
from relay.ingest.carried_events import (
    NOTHING,
    Custody,
    FollowUp,
    carry,
    is_carried,
    needs_turn,
    passkey_of,
    unknown_passkeys,
)
from relay.ingest.event_order import EventOrder
from relay.ingest.event_quota import EventQuota
from relay.ingest.fence import Fence
from relay.store import event_cursors, event_ids, events
from relay.store.database import AWAY, UNSTORABLE, Transaction, reason_of
from relay.store.event_cursors import Cursor
from relay.store.event_months import is_made_meanwhile
from relay.store.events import EventRow

log = logging.getLogger(__name__)

UNUSABLE = (ArithmeticError, KeyTaken, LookupError, TypeError, ValueError, *UNSTORABLE)
"""What an event brings about that no check foresaw; a database that is away is none of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """An event as it came, with its canonical bytes."""

    delivery: StreamMessage
    event: Event
    canonical: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A committed event: `row` is None for a carried one, and `carried` is its follow-up work."""

    delivery: StreamMessage
    event: Event
    row: EventRow | None
    carried: FollowUp = NOTHING


@dataclass(slots=True)
class Sorted:
    """One batch, sorted: `early` events wait for those before them, `excess` for their turn.

    `unclaimed` ones are of a partition that another process has now, or of a piece of the batch at
    which the database was lost: nothing was done about them here.
    """

    committed: list[Committed] = field(default_factory=list)
    refused: list[StreamMessage] = field(default_factory=list)
    early: list[StreamMessage] = field(default_factory=list)
    excess: list[StreamMessage] = field(default_factory=list)
    unclaimed: list[StreamMessage] = field(default_factory=list)

    def add(self, other: "Sorted") -> None:
        """Take over what another one has."""
        self.committed += other.committed
        self.refused += other.refused
        self.early += other.early
        self.excess += other.excess
        self.unclaimed += other.unclaimed


@dataclass(slots=True)
class _Known:
    """Events committed before, by event id: their digests, and the rows of those that have one."""

    digests: dict[str, str]
    rows: dict[str, EventRow]

    def __contains__(self, event: Event) -> bool:
        return event.id in self.digests or event.id in self.rows

    def is_same(self, event: Event, digest: str) -> bool:
        row = self.rows.get(event.id)
        if row is not None:
            return row.event == event
        return self.digests.get(event.id, digest) == digest


@dataclass(frozen=True, slots=True, kw_only=True)
class _New:
    """A new event: `stored` if it is kept, otherwise it is carried, or dropped."""

    told: ReceivedEvent
    received_ms: int
    digest: str
    stored: events.NewEvent | None
    is_dropped: bool


def by_turn(told: Sequence[ReceivedEvent]) -> list[list[ReceivedEvent]]:
    """Return a batch in up to two: the doorbells that need no turn among all writers come first.

    So a press waits for nobody who has that turn, and a doorbell's events stay together.
    """
    later = {one.event.device for one in told if needs_turn(one.event)}
    pieces = (
        [one for one in told if one.event.device not in later],
        [one for one in told if one.event.device in later],
    )
    return [piece for piece in pieces if piece]


class EventBatches:
    """Commits batches of doorbells' events."""

    def __init__(
        self,
        *,
        fence: Fence,
        clock: Clock,
        custody: Custody,
        monotonic_s: Callable[[], float] = time.monotonic,
        quota: EventQuota | None = None,
    ) -> None:
        self._fence = fence
        self._clock = clock
        self._custody = custody
        self._order = EventOrder(monotonic_s=monotonic_s)
        self._quota = quota or EventQuota(monotonic_s=monotonic_s)

    async def commit(self, told: Sequence[ReceivedEvent]) -> Sorted:
        """Commit a batch, in each doorbell's order; without what breaks it.

        Raises what is among AWAY if nothing of it could be settled.
        """
        result = Sorted()
        left = [sorted(told, key=lambda one: (one.event.device, one.event.seq))]
        while left:
            piece = left.pop()
            try:
                result.add(await self._commit_beside_months(piece))
            except PartitionLost as error:
                ours, lost = _without_partition(piece, error.partition)
                result.unclaimed += [one.delivery for one in lost]
                left += [ours] if ours else []
            except UNUSABLE as error:
                log.error(
                    "ingest: %d events can't be committed together: %s",
                    len(piece),
                    reason_of(error),
                    exc_info=None if isinstance(error, UNSTORABLE) else error,  # it shows rows
                )
                middle = len(piece) // 2
                if middle:
                    left += [piece[middle:], piece[:middle]]
                else:
                    self._quota.take(piece[0].event.device, len(piece[0].delivery.data))
                    result.refused.append(piece[0].delivery)
            except AWAY as error:
                if result == Sorted():
                    raise
                log.warning("ingest: a part of a batch waits for the database: %s", said(error))
                result.unclaimed += [one.delivery for some in (piece, *left) for one in some]
                break
        return result

    async def _commit_beside_months(self, piece: Sequence[ReceivedEvent]) -> Sorted:
        """Commit a piece; again if the month of its events was made meanwhile."""
        try:
            return await self._commit(piece)
        except UNSTORABLE as error:
            if not is_made_meanwhile(error):
                raise
        return await self._commit(piece)

    async def _commit(self, told: Sequence[ReceivedEvent]) -> Sorted:
        with self._quota.unless_it_fails():
            return await self._commit_charged(told)

    async def _commit_charged(self, told: Sequence[ReceivedEvent]) -> Sorted:
        result = Sorted()
        devices = {one.event.device for one in told}
        is_in_turn = any(needs_turn(one.event) for one in told)
        async with self._fence.begin(devices, is_in_turn=is_in_turn) as tx:
            cursors = await event_cursors.read(tx, devices)
            known = await _look_up(tx, told, cursors)
            unknown = await unknown_passkeys(tx, [one.event for one in told])
            new: dict[str, _New] = {}
            repeats: list[ReceivedEvent] = []
            for one in told:
                event, digest = one.event, sha256_hex(one.canonical)
                if reason := _reason_against(event, digest, known, cursors):
                    log.warning("event %s of %s refused: %s", event.id, event.device, reason)
                    result.refused.append(one.delivery)
                elif event in known:
                    repeats.append(one)
                elif self._order.must_wait(
                    event.device, event.seq, last_seq=cursors[event.device].last_seq
                ):
                    result.early.append(one.delivery)
                elif not self._quota.take(event.device, len(one.delivery.data)):
                    result.excess.append(one.delivery)
                else:
                    known.digests[event.id] = digest
                    new[event.id] = await self._sort(
                        tx, one, digest, cursors[event.device], unknown
                    )
            follow_ups = await self._store(tx, list(new.values()), cursors, unknown)
        result.committed = [
            Committed(
                delivery=one.told.delivery,
                event=one.told.event,
                row=None if one.stored is None else one.stored.row,
                carried=follow_ups.get(event_id, NOTHING),
            )
            for event_id, one in new.items()
        ]
        for one in repeats:
            first = new.get(one.event.id)
            row = known.rows.get(one.event.id)
            if first is not None and first.stored is not None:
                row = first.stored.row
            result.committed.append(Committed(delivery=one.delivery, event=one.event, row=row))
        return result

    async def _sort(
        self, tx: Transaction, told: ReceivedEvent, digest: str, cursor: Cursor, unknown: set[str]
    ) -> _New:
        """Decide whether an event, which is new, gets a row."""
        event, received_ms = told.event, self._clock.wall_ms()
        cursor.take_seq(event.seq)
        is_dropped, stored = False, None
        if isinstance(event.body, PushWanted) and not self._quota.take_push(event.device):
            log.warning("push %s of %s dropped: too many", event.id, event.device)
            is_dropped = True
        elif is_carried(event):
            pass
        elif passkey_of(event) in unknown:  # of a deleted account nothing comes back
            is_dropped = True
        else:
            after_seq = cursor.last_relay_seq
            stored = await events.new_event(
                tx,
                event,
                told.canonical.decode(),
                after_seq=after_seq,
                relay_seq=cursor.next_relay_seq(received_ms),
                received_ms=received_ms,
            )
        return _New(
            told=told, received_ms=received_ms, digest=digest, stored=stored, is_dropped=is_dropped
        )

    async def _store(
        self,
        tx: Transaction,
        new: Sequence[_New],
        cursors: Mapping[str, Cursor],
        unknown: set[str],
    ) -> dict[str, FollowUp]:
        """Store what is new; return the follow-up work of carried ones, by event id."""
        ids = [
            event_ids.NewId(
                event_id=one.told.event.id,
                device=one.told.event.device,
                digest=one.digest,
                is_kept=one.stored is not None,
                received_ms=one.received_ms,
            )
            for one in new
        ]
        await event_ids.add(tx, ids)
        await events.store(tx, [one.stored for one in new if one.stored is not None])
        follow_ups = {
            one.told.event.id: await carry(
                tx,
                one.told.event,
                received_ms=one.received_ms,
                custody=self._custody,
                cursor=cursors[one.told.event.device],
                unknown=unknown,
            )
            for one in new
            if one.stored is None and not one.is_dropped
        }
        await event_cursors.write(tx, cursors)
        return follow_ups


def _without_partition(
    told: Sequence[ReceivedEvent], partition: int
) -> tuple[list[ReceivedEvent], list[ReceivedEvent]]:
    """Return the events of all other partitions, and those of this one."""
    ours, lost = list[ReceivedEvent](), list[ReceivedEvent]()
    for one in told:
        (lost if partition_of(one.event.device) == partition else ours).append(one)
    return ours, lost


async def _look_up(
    tx: Transaction, told: Sequence[ReceivedEvent], cursors: Mapping[str, Cursor]
) -> _Known:
    digests = await event_ids.known(tx, {one.event.id for one in told})
    # What is above a doorbell's last number can't have a row.
    repeated = [
        (one.event.device, one.event.seq, one.event.id)
        for one in told
        if one.event.device in cursors and one.event.seq <= cursors[one.event.device].last_seq
    ]
    return _Known(digests, await events.known(tx, repeated))


def _reason_against(
    event: Event, digest: str, known: _Known, enrolled: Mapping[str, Cursor]
) -> str:
    if event.device not in enrolled:
        return "no such doorbell is enrolled"
    if not known.is_same(event, digest):
        return "its id was used for another event"
    return ""
