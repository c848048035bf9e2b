"""Events that aren't stored as events: thumbnails, pushes, check-ins, notices, commitments.

All come in a doorbell's order and count once like any event; `carry` runs in the transaction that
commits them. A thumbnail goes to a table of its own, a push to whoever is subscribed, a check-in's
messages to the table of silences, a notice for passers-by in place of that doorbell's before, a
commitment to the custody log; a slot's notes become events of
their own, one for each browser.
"""

import logging
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Protocol

from firmware.protocol.door_notices import (
    DoorNoticeEnded,
    DoorNoticeTold,
    check_told_notice,
    notice_id_of,
)
from firmware.protocol.encoding import WireError
from firmware.protocol.events import (
    CheckedIn,
    Event,
    KeyChangeCommitted,
    Note,
    OwnerGone,
    Paired,
    PushWanted,
    RefusalsCounted,
    ReleaseCommitted,
    SlotCommitted,
    Thumbnail,
)
from relay.store import door_notices, events, people, push, routing, silences, thumbnails
from relay.store.database import Transaction
from relay.store.event_cursors import Cursor
from relay.store.events import EventRow
from relay.store.push import PushRow

log = logging.getLogger(__name__)

MAX_PUSH_LIFE_MS = 6 * 3600 * 1000
"""No push waits longer than a daily summary, whatever a doorbell says."""
MAX_UNDATED_LIFE_MS = 10 * 60 * 1000
"""A doorbell without a clock can't say when a ring is old; its pushes wait no longer than this."""


class Custody(Protocol):
    """The operations of the custody service that ingest needs."""

    async def take(self, tx: Transaction, event: Event) -> None:
        """Add a commitment, or counts, in the transaction that commits the event."""
        ...


class NoCustody:
    """The custody of a relay without logs: commitments are dropped, so nothing is ever released."""

    async def take(self, tx: Transaction, event: Event) -> None:  # noqa: ARG002
        """Drop the commitment."""
        if isinstance(event.body, ReleaseCommitted):
            log.warning("a doorbell's release is dropped: this relay has no [log]")


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """The follow-up work after the commit."""

    thumbnail_of: str | None = None
    pushes: tuple[PushRow, ...] = ()
    notes: tuple[EventRow, ...] = ()


NOTHING = FollowUp()


def is_carried(event: Event) -> bool:
    """Return whether an event passes through instead of being kept among the events."""
    return isinstance(
        event.body,
        Thumbnail
        | PushWanted
        | CheckedIn
        | DoorNoticeTold
        | DoorNoticeEnded
        | SlotCommitted
        | ReleaseCommitted
        | KeyChangeCommitted
        | RefusalsCounted,
    )


def needs_turn(event: Event) -> bool:
    """Return whether processing it reads or writes what isn't its doorbell's own: logs, owners."""
    return isinstance(
        event.body, ReleaseCommitted | KeyChangeCommitted | RefusalsCounted | DoorNoticeTold
    )


def passkey_of(event: Event) -> str | None:
    """Return the passkey without whose account an event is dropped, if it is for one."""
    return event.body.credential_id if isinstance(event.body, Note | OwnerGone | Paired) else None


async def unknown_passkeys(tx: Transaction, told: Iterable[Event]) -> set[str]:
    """Return the passkeys named in these events that no account has (any more).

    The others stay until the end of the transaction.
    """
    named: set[str] = set()
    for event in told:
        if isinstance(event.body, SlotCommitted):
            named.update(note.credential_id for note in event.body.notes)
        elif (own := passkey_of(event)) is not None:
            named.add(own)
    return await people.unknown_credentials(tx, named) if named else set()


async def carry(
    tx: Transaction,
    event: Event,
    *,
    received_ms: int,
    custody: Custody,
    cursor: Cursor,
    unknown: Container[str],
) -> FollowUp:
    """Process one such event, which is new; `unknown` are the passkeys that no account has."""
    match event.body:
        case Thumbnail() as told:
            if await thumbnails.add(tx, event.device, told, received_ms=received_ms):
                return FollowUp(thumbnail_of=told.for_event_id)
            log.warning(
                "thumbnail %s of %s dropped: no such event, or not its first",
                event.id,
                event.device,
            )
        case PushWanted() as wanted:
            most_ms = MAX_PUSH_LIFE_MS if event.is_clock_trusted else MAX_UNDATED_LIFE_MS
            queued = await push.queue(
                tx,
                event.device,
                event.id,
                wanted,
                now_ms=received_ms,
                expires_ms=min(wanted.expires_ms, received_ms + most_ms),
            )
            return FollowUp(pushes=tuple(queued))
        case CheckedIn() as told:
            await silences.replace(tx, event.device, event.id, told, now_ms=received_ms)
        case DoorNoticeTold() as told:
            await _take_notice(tx, event, told, received_ms=received_ms)
        case DoorNoticeEnded(notice_id=notice_id):
            await door_notices.end(tx, event.device, notice_id)
        case SlotCommitted() as told:
            await custody.take(tx, event)
            own = [note for note in told.notes if note.credential_id not in unknown]
            notes = await events.add_slot_notes(
                tx, event, own, received_ms=received_ms, cursor=cursor
            )
            return FollowUp(notes=tuple(notes))
        case ReleaseCommitted() | KeyChangeCommitted() | RefusalsCounted():
            await custody.take(tx, event)
        case _:
            pass
    return NOTHING


async def _take_notice(
    tx: Transaction, event: Event, told: DoorNoticeTold, *, received_ms: int
) -> None:
    """Put up a doorbell's notice, unless it is another's, or no account owns the doorbell.

    The contact may name an owner: whoever had their account deleted stands on no page here.
    """
    if not await routing.has_owner(tx, event.device):
        return
    try:
        notice = check_told_notice(told, event.device)
    except WireError as error:
        log.warning("notice %s of %s dropped: %s", event.id, event.device, error)
        return
    row = door_notices.DoorNoticeRow(
        notice_id=notice_id_of(notice.key), signed=told.signed, received_ms=received_ms
    )
    await door_notices.replace(tx, event.device, row)
