"""Table of committed events: each once, of each doorbell in the order of commit.

An event that was told by a clock that wasn't set is dated anew by the doorbell's next ClockSet,
once: `time_ms` stays as it was told, `corrected_ms` is what it means.

Owners see `relay_seq`. It rises in the order of commit of one doorbell's events, but is made of the
time of receipt: a count would tell how many events there are. Two doorbells may have the same one.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

import msgspec
from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.engine import RowMapping

from firmware.protocol.encoding import MAX_MQTT_BYTES, decode, new_id, sha256_hex
from firmware.protocol.events import (
    ClipReady,
    ClockSet,
    Event,
    EventBody,
    GuestGone,
    GuestLet,
    Motion,
    Note,
    OwnerGone,
    Paired,
    Pressed,
    Trouble,
)
from firmware.protocol.rights import What
from relay.store import event_cursors, event_ids
from relay.store.database import Snapshot, Transaction
from relay.store.guests import GuestRow
from relay.store.schema import SEQ_BITS, doorbells, events, thumbnails

LAST_MS = 253_402_300_799_999
"""The end of the year 9999: the last time that a document can name."""
ABOVE_ALL = 2**62
"""Above each `relay_seq`."""
SLOT_NOTE = "slot_note"
"""The kind of a note that came in a slot; its payload's body is a note like any other."""
SLOT_NOTES_LIFE_MS = 7 * 24 * 3600 * 1000
"""As long as a request stands: who opens the app within that time finds what was told."""
GUEST_KINDS: Mapping[What, tuple[type[EventBody], ...]] = {
    "rings": (Pressed, Motion),
    "history": (ClipReady,),
    "live": (),
    "record": (),
}
"""What a guest may be told by each part of their right, besides notes and set clocks."""
_ADDED_NAMES = {
    str(kind.__struct_config__.tag): tuple(
        f'"{field.encode_name}":' for field in msgspec.structs.fields(kind) if not field.required
    )
    for kind in get_args(EventBody)
}
"""Of each kind the fields that an event from before them lacks, as they begin in JSON."""
_BY_TIME = itemgetter(0, 1)
MAX_TOGETHER = 100
"""Doorbells of one query; an account with more asks several times."""
_STORE = insert(events)
_FORGET = delete(events).where(
    events.c.device == bindparam("of"), events.c.relay_seq == bindparam("at")
)
LASTING = [
    str(kind.__struct_config__.tag) for kind in (Paired, OwnerGone, GuestLet, GuestGone, Trouble)
]
"""The kinds that are never deleted for their age: the last word on each counts."""
MAX_CLOCK_SETS_READ = 50
MAX_OWNER_WORDS_READ = 500
MAX_TROUBLES_READ = 500
"""One that began this many tellings of troubles ago and isn't over is no longer found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event as it was committed. `relay_seq` rises with each commit of its doorbell's.

    `after_seq` is the number of the doorbell's event before it, where the writer says so.
    """

    relay_seq: int
    received_ms: int
    event: Event
    corrected_ms: int | None = None
    after_seq: int | None = field(default=None, compare=False)

    @property
    def happened_ms(self) -> int:
        """The event's time as far as known; an untrusted time isn't used."""
        if self.corrected_ms is not None:
            return self.corrected_ms
        return self.event.time_ms if self.event.is_clock_trusted else self.received_ms

    @property
    def device(self) -> str:
        """The doorbell that sent it."""
        return self.event.device

    @property
    def credential_id(self) -> str | None:
        """The passkey that a note is for; None if every owner of the doorbell may see the event."""
        return self.event.body.credential_id if isinstance(self.event.body, Note) else None


class EventKey(NamedTuple):
    """The primary key of an event."""

    device: str
    relay_seq: int


class PageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as a page of the app's list has it, and whether its picture can be fetched."""

    relay_seq: int
    received_ms: int
    corrected_ms: int | None
    has_thumbnail: bool
    event: Event | msgspec.Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event to be stored, with its canonical JSON."""

    row: EventRow
    payload: str
    kind: str


async def known(tx: Transaction, told: Collection[tuple[str, int, str]]) -> dict[str, EventRow]:
    """Return the stored ones of these events, named by doorbell, number and id; by event id."""
    if not told:
        return {}
    ids = {event_id for _, _, event_id in told}
    numbers = [(device, seq) for device, seq, _ in told]
    query = select(events).where(
        tuple_(events.c.device, events.c.seq).in_(numbers),
        events.c.event_id.in_(ids),  # a doorbell may tell any number of events by one number
        events.c.kind != SLOT_NOTE,
    )
    found = (await tx.execute(query)).mappings()
    return {row["event_id"]: _event(row) for row in found if row["event_id"] in ids}


async def new_event(
    tx: Transaction,
    event: Event,
    payload: str,
    *,
    after_seq: int,
    relay_seq: int,
    received_ms: int,
) -> NewEvent:
    """Return an event to be stored; a ClockSet that came before it corrects its time."""
    corrected_ms = None if event.is_clock_trusted else await _correction_of(tx, event)
    row = EventRow(
        relay_seq=relay_seq,
        received_ms=received_ms,
        event=event,
        corrected_ms=corrected_ms,
        after_seq=after_seq,
    )
    return NewEvent(row=row, payload=payload, kind=str(event.body.__struct_config__.tag))


async def store(tx: Transaction, new: Sequence[NewEvent]) -> None:
    """Store events, in the doorbell's order; a ClockSet corrects the times of earlier ones."""
    if not new:
        return
    await tx.execute(_STORE, [_values(one) for one in new])
    for one in new:
        if isinstance(one.row.event.body, ClockSet):
            await _correct(tx, one.row.event, one.row.event.body)


async def add(tx: Transaction, event: Event, *, received_ms: int) -> EventRow:
    """Store one event whose id is not known yet, by itself."""
    cursors = await event_cursors.read(tx, [event.device])
    if event.device not in cursors:  # a revoked doorbell's are read by nobody any more
        newest_seq = select(func.max(events.c.relay_seq)).where(events.c.device == event.device)
        found = (await tx.execute(newest_seq)).scalar() or 0
        cursors[event.device] = event_cursors.Cursor(0, int(found))
    cursor = cursors[event.device]
    cursor.take_seq(event.seq)
    data = event.encode()
    after_seq = cursor.last_relay_seq
    new = await new_event(
        tx,
        event,
        data.decode(),
        after_seq=after_seq,
        relay_seq=cursor.next_relay_seq(received_ms),
        received_ms=received_ms,
    )
    own_id = event_ids.NewId(
        event_id=event.id,
        device=event.device,
        digest=sha256_hex(data),
        is_kept=True,
        received_ms=received_ms,
    )
    await event_ids.add(tx, [own_id])
    await store(tx, [new])
    await event_cursors.write(tx, cursors)
    return new.row


async def add_slot_notes(
    tx: Transaction,
    told: Event,
    notes: Sequence[Note],
    *,
    received_ms: int,
    cursor: event_cursors.Cursor,
) -> list[EventRow]:
    """Store the notes of one slot as separate events, each for its owner.

    Their ids are fresh: one made of the slot's could be taken by the doorbell beforehand.
    """
    new = []
    for note in notes:
        event = msgspec.structs.replace(told, id=new_id(), body=note)
        after_seq = cursor.last_relay_seq
        row = EventRow(
            relay_seq=cursor.next_relay_seq(received_ms),
            received_ms=received_ms,
            event=event,
            after_seq=after_seq,
        )
        new.append(NewEvent(row=row, payload=event.encode().decode(), kind=SLOT_NOTE))
    if new:
        await tx.execute(_STORE, [_values(one) for one in new])
    return [one.row for one in new]


def _values(new: NewEvent) -> dict[str, object]:
    row, event = new.row, new.row.event
    return {
        "device": event.device,
        "relay_seq": row.relay_seq,
        "event_id": event.id,
        "seq": event.seq,
        "kind": new.kind,
        "time_ms": event.time_ms,
        "is_clock_trusted": event.is_clock_trusted,
        "corrected_ms": row.corrected_ms,
        "received_ms": row.received_ms,
        "credential_id": row.credential_id,
        "payload": new.payload,
    }


async def notes_for(
    tx: Transaction,
    devices: Sequence[str],
    *,
    credential_ids: Sequence[str],
    guests: Sequence[GuestRow] = (),
    after: Mapping[str, int] = MappingProxyType({}),
    after_seq: int = 0,
    limit: int = 200,
) -> list[EventRow]:
    """Return all notes for these passkeys, and those of doorbells since one was a guest there.

    Those after each doorbell's cursor, or after `after_seq` where it has none. The oldest first;
    which browser each is for, the caller looks at.
    """

    def is_told(own: Sequence[str], rights: Sequence[GuestRow]) -> ColumnElement[bool]:
        is_own = and_(events.c.device.in_(own), events.c.credential_id.in_(credential_ids))
        is_note = events.c.credential_id.is_not(None)
        return or_(is_own, *(_since(one) & is_note for one in rights))

    cursors = {one: after.get(one, after_seq) for one in _devices(devices, guests)}
    return await _oldest(tx, cursors, devices, guests, is_told, limit)


async def missed(
    tx: Transaction,
    devices: Sequence[str],
    *,
    credential_ids: Sequence[str],
    guests: Sequence[GuestRow] = (),
    after: Mapping[str, int],
    limit: int,
) -> list[EventRow]:
    """Return what doorbells told after each one's cursor; of a doorbell without one, nothing.

    The oldest first: each doorbell's in the order of commit. Notes for these passkeys are among
    them, those of slots too.
    """

    def is_told(own: Sequence[str], rights: Sequence[GuestRow]) -> ColumnElement[bool]:
        is_own = and_(
            events.c.device.in_(own),
            or_(events.c.credential_id.is_(None), events.c.credential_id.in_(credential_ids)),
        )
        return or_(is_own, *(_heard_by(one) for one in rights))

    cursors = {one: after[one] for one in _devices(devices, guests) if one in after}
    return await _oldest(tx, cursors, devices, guests, is_told, limit)


async def _oldest(
    tx: Transaction,
    after: Mapping[str, int],
    devices: Collection[str],
    guests: Sequence[GuestRow],
    is_told: Callable[[Sequence[str], Sequence[GuestRow]], ColumnElement[bool]],
    limit: int,
) -> list[EventRow]:
    """Return the first events after each doorbell's cursor; of some doorbells, some are told.

    By doorbells, so that their index serves whatever else is asked, and a few at once.
    """
    found: list[EventRow] = []
    own, every = set(devices), list(after)
    while every:
        some, every = every[:MAX_TOGETHER], every[MAX_TOGETHER:]
        is_after = [(events.c.device == one) & (events.c.relay_seq > after[one]) for one in some]
        rights = [one for one in guests if one.device in some]
        query = (
            select(events)
            .where(or_(*is_after), is_told([one for one in some if one in own], rights))
            .order_by(events.c.relay_seq, events.c.device)
            .limit(limit)
        )
        found += [_event(row) for row in (await tx.execute(query)).mappings()]
    return sorted(found, key=lambda row: (row.relay_seq, row.device))[:limit]


async def newest_seqs(tx: Transaction, devices: Collection[str]) -> dict[str, int]:
    """Return the number of each doorbell's last committed event; without events it has none."""
    newest_of = (
        select(func.max(events.c.relay_seq))
        .where(events.c.device == doorbells.c.device)
        .correlate(doorbells)
        .scalar_subquery()
    )
    query = select(doorbells.c.device, newest_of.label("newest")).where(
        doorbells.c.device.in_(devices)
    )
    return {row.device: row.newest for row in await tx.execute(query) if row.newest is not None}


async def newest_heard(tx: Transaction, guests: Sequence[GuestRow]) -> dict[str, int]:
    """Return the number of the last event at each doorbell that these guests may know of.

    When a doorbell told of something else isn't for them to know.
    """
    found: dict[str, int] = {}
    for one in guests:
        query = select(func.max(events.c.relay_seq)).where(_heard_by(one))
        newest_seq = (await tx.execute(query)).scalar()
        found[one.device] = max(found.get(one.device, 0), newest_seq or one.since_seq - 1)
    return found


async def old_keys(
    tx: Transaction,
    devices: Collection[str],
    *,
    before_ms: int,
    now_ms: int,
    limit: int,
    credential_id: str | None = None,
) -> list[EventKey]:
    """Name these doorbells' events received before a time; of a passkey's notes if one is named.

    Not those that say who owns a doorbell or visits it, nor troubles: the last one counts. What was
    numbered ahead of the time, after a relay's clock had jumped, goes by the time of its receipt.
    """
    is_old = events.c.relay_seq < before_ms << SEQ_BITS
    is_ahead = (events.c.relay_seq > now_ms << SEQ_BITS) & (events.c.received_ms < before_ms)
    parts = [
        select(events.c.device, events.c.relay_seq).where(
            events.c.device.in_(devices),
            which,
            events.c.kind.not_in(LASTING),
            *([] if credential_id is None else [events.c.credential_id == credential_id]),
        )
        for which in (is_old, is_ahead)  # each by the primary key
    ]
    query = union_all(*parts).limit(limit)
    return [EventKey(row.device, row.relay_seq) for row in await tx.execute(query)]


async def forget(tx: Transaction, keys: Sequence[EventKey]) -> None:
    """Delete events, as far as they are there."""
    if keys:
        named = [{"of": key.device, "at": key.relay_seq} for key in keys]
        await tx.execute(_FORGET, named)


async def old_slot_notes(
    tx: Transaction,
    devices: Collection[str],
    *,
    since_ms: int | None,
    before_ms: int,
    limit: int,
) -> list[EventKey]:
    """Name these doorbells' notes of slots that were received before a time, read or not.

    With `since_ms` those since then, and nothing else is read; None: all, for which each note that
    a doorbell has is read.
    """
    when = events.c.received_ms < before_ms  # also of what was numbered ahead of its time
    if since_ms is not None:
        seqs = (since_ms << SEQ_BITS, before_ms << SEQ_BITS)
        when = (events.c.relay_seq >= seqs[0]) & (events.c.relay_seq < seqs[1])
    query = (
        select(events.c.device, events.c.relay_seq)
        .where(events.c.device.in_(devices), events.c.kind == SLOT_NOTE, when)
        .limit(limit)
    )
    return [EventKey(row.device, row.relay_seq) for row in await tx.execute(query)]


async def crowded_slot_notes(
    tx: Transaction, devices: Collection[str], *, slots: int, limit: int
) -> list[EventKey]:
    """Name each of these doorbells' notes of all but its newest slots, read or not."""
    crowded = (
        select(events.c.device)
        .where(events.c.device.in_(devices), events.c.kind == SLOT_NOTE)
        .group_by(events.c.device)
        .having(func.count(events.c.seq.distinct()) > slots)  # each browser has a note in each
    )
    found: list[EventKey] = []
    for device in (await tx.execute(crowded)).scalars().all():
        is_its = (events.c.kind == SLOT_NOTE) & (events.c.device == device)
        newest = select(events.c.seq).where(is_its).distinct().order_by(events.c.seq.desc())
        oldest_kept = newest.offset(slots - 1).limit(1).scalar_subquery()
        query = select(events.c.relay_seq).where(is_its, events.c.seq < oldest_kept)
        seqs = (await tx.execute(query.limit(limit - len(found)))).scalars()
        found.extend(EventKey(device, relay_seq) for relay_seq in seqs)
        if len(found) == limit:
            break
    return found


async def _correct(tx: Transaction, told: Event, clock: ClockSet) -> None:
    """Correct the times of the events that `clock` names, only of earlier, uncorrected ones."""
    change = (
        update(events)
        .where(
            events.c.device == told.device,
            events.c.seq.between(clock.from_seq, min(clock.to_seq, told.seq - 1)),
            events.c.is_clock_trusted.is_(False),
            events.c.corrected_ms.is_(None),
            events.c.time_ms.between(-clock.offset_ms, LAST_MS - clock.offset_ms),
        )
        .values(corrected_ms=events.c.time_ms + clock.offset_ms)
    )
    await tx.execute(change)


async def _correction_of(tx: Transaction, event: Event) -> int | None:
    """Return the corrected time of an event that arrives after its ClockSet.

    Only the nearest are asked, so that no doorbell can make its events cost more and more.
    """
    query = (
        select(events)
        .where(
            events.c.device == event.device,
            events.c.seq > event.seq,
            events.c.kind == ClockSet.__struct_config__.tag,
        )
        .order_by(events.c.seq)
        .limit(MAX_CLOCK_SETS_READ)
    )
    for row in (await tx.execute(query)).mappings():
        clock = _event(row).event.body
        if isinstance(clock, ClockSet) and clock.from_seq <= event.seq <= clock.to_seq:
            corrected_ms = event.time_ms + clock.offset_ms
            if 0 <= corrected_ms <= LAST_MS:
                return corrected_ms
    return None


async def newest(
    tx: Transaction,
    devices: Sequence[str],
    *,
    credential_ids: Sequence[str],
    guests: Sequence[GuestRow] = (),
    limit: int = 50,
) -> list[EventRow]:
    """Return these doorbells' newest events, as `page_in` does."""

    def ask(snapshot: Snapshot) -> list[PageEvent]:
        return page_in(snapshot, devices, credential_ids=credential_ids, guests=guests, limit=limit)

    return [
        EventRow(
            relay_seq=one.relay_seq,
            received_ms=one.received_ms,
            event=one.event if isinstance(one.event, Event) else _parsed(bytes(one.event)),
            corrected_ms=one.corrected_ms,
        )
        for one in await tx.run_sync(ask)
    ]


def page_in(
    snapshot: Snapshot,
    devices: Collection[str],
    *,
    credential_ids: Collection[str],
    guests: Sequence[GuestRow] = (),
    before_seq: int | None = None,
    before_device: str = "",
    since_ms: int = 0,
    limit: int = 50,
    pictures_since_ms: int = LAST_MS,
) -> list[PageEvent]:
    """Return these doorbells' events, newest first; notes only for these passkeys.

    None that was received before `since_ms`.

    Of doorbells where one is a guest those that their right has, since it began.

    Without those of slots (`notes_for` has them): each browser gets one in each, and most say
    nothing.

    Which ones is by number and, where two doorbells have the same, by doorbell: pages neither
    overlap nor leave gaps. Their order among each other is by when they happened.
    """
    found: list[Any] = []  # rows
    own, visited = sorted(set(devices)), sorted({one.device for one in guests})
    while own or visited:
        some, own = own[:MAX_TOGETHER], own[MAX_TOGETHER:]
        hosts, visited = set(visited[:MAX_TOGETHER]), visited[MAX_TOGETHER:]
        rights = [one for one in guests if one.device in hosts]
        query = _page(len(some), rights) if rights else _own_page(len(some))
        given: dict[str, object] = {
            "passkeys": list(credential_ids),
            "limit": limit,
            "since_seq": since_ms << SEQ_BITS,
            "pictures_since_ms": pictures_since_ms,
        }
        for name, device in _named(some, rights):
            given[f"device_{name}"] = device
            given[f"below_{name}"] = _below(before_seq, before_device, device)
        found += snapshot.execute(query, given).all()
    if len(found) > limit:
        found = sorted(found, key=lambda row: (row.relay_seq, row.device), reverse=True)[:limit]
    found.sort(key=_BY_TIME, reverse=True)
    return [
        PageEvent(
            relay_seq=relay_seq,
            received_ms=received_ms,
            corrected_ms=corrected_ms,
            has_thumbnail=bool(has_thumbnail),
            event=_as_told(kind, payload),
        )
        for _, relay_seq, _, received_ms, corrected_ms, has_thumbnail, kind, payload in found
    ]


def _as_told(kind: str, payload: str) -> Event | msgspec.Raw:
    """Return an event as its doorbell told it; parsed, if that may lack fields of its kind."""
    for name in _ADDED_NAMES[kind]:
        if name not in payload:
            return _parsed(payload.encode())
    return msgspec.Raw(payload)


def _below(before_seq: int | None, before_device: str, device: str) -> int:
    """Return the number below which a doorbell's events come after those of a page."""
    if before_seq is None:
        return ABOVE_ALL
    return before_seq + 1 if device < before_device else before_seq


def _named(own: Sequence[str], guests: Sequence[GuestRow]) -> Iterator[tuple[str, str]]:
    for place, device in enumerate(own):
        yield f"own_{place}", device
    for place, device in enumerate(sorted({one.device for one in guests})):
        yield f"guest_{place}", device


@cache
def _own_page(doorbells: int) -> Select[Any]:
    return _page(doorbells, ())


def _page(doorbells: int, guests: Sequence[GuestRow]) -> Select[Any]:
    """Return the query of a page: it reads of each doorbell what the page may have, and no more.

    By all doorbells at once, a database would read and sort all that they ever told.
    """
    is_own = or_(
        events.c.credential_id.is_(None),
        events.c.credential_id.in_(bindparam("passkeys", expanding=True)),
    )
    parts = [
        _newest_of(f"own_{place}", (events.c.kind != SLOT_NOTE) & is_own)
        for place in range(doorbells)
    ]
    for place, device in enumerate(sorted({one.device for one in guests})):
        rights = [_of_guest(one) for one in guests if one.device == device]
        parts.append(_newest_of(f"guest_{place}", or_(*rights)))
    page = union_all(*parts).subquery()
    has_picture = exists().where(
        thumbnails.c.event_id == page.c.event_id,
        thumbnails.c.received_ms > bindparam("pictures_since_ms"),
    )
    return (
        select(
            case(
                (page.c.corrected_ms.is_not(None), page.c.corrected_ms),
                (page.c.is_clock_trusted, page.c.time_ms),
                else_=page.c.received_ms,
            ).label("happened_ms"),
            *(page.c.relay_seq, page.c.device, page.c.received_ms, page.c.corrected_ms),
            case((has_picture, 1), else_=0),
            *(page.c.kind, page.c.payload),
        )
        .order_by(page.c.relay_seq.desc(), page.c.device.desc())
        .limit(bindparam("limit", type_=Integer))
    )


def _newest_of(name: str, is_for_account: ColumnElement[bool]) -> Select[Any]:
    newest_of_it = (
        select(events)
        .where(
            events.c.device == bindparam(f"device_{name}"),
            events.c.relay_seq < bindparam(f"below_{name}"),
            events.c.relay_seq >= bindparam("since_seq"),
            is_for_account,
        )
        .order_by(events.c.relay_seq.desc())
        .limit(bindparam("limit", type_=Integer))
    )
    return select(newest_of_it.subquery())


def is_guests(row: EventRow, guest: GuestRow) -> bool:
    """Return whether a guest may be told of an event: by their right, and since it began."""
    if row.device != guest.device or row.relay_seq < guest.since_seq:
        return False
    body = row.event.body
    if isinstance(body, Note):
        return body.browser == guest.browser
    return isinstance(body, (ClockSet, *_kinds_of(guest)))


def _devices(devices: Sequence[str], guests: Sequence[GuestRow]) -> list[str]:
    """Name all doorbells of which somebody hears."""
    return sorted({*devices, *(one.device for one in guests)})


def _since(guest: GuestRow) -> ColumnElement[bool]:
    return and_(events.c.device == guest.device, events.c.relay_seq >= guest.since_seq)


def _of_guest(guest: GuestRow) -> ColumnElement[bool]:
    kinds = [one.__struct_config__.tag for one in (ClockSet, *_kinds_of(guest))]
    return _since(guest) & events.c.kind.in_(kinds)


def _heard_by(guest: GuestRow) -> ColumnElement[bool]:
    return or_(_of_guest(guest), _since(guest) & events.c.credential_id.is_not(None))


def _kinds_of(guest: GuestRow) -> tuple[type[EventBody], ...]:
    return tuple(kind for what in guest.what for kind in GUEST_KINDS[what])


async def open_troubles(tx: Transaction, device: str) -> list[EventRow]:
    """Return the events of troubles that have begun and aren't over, the newest first.

    By the doorbell's number, not by time: a trouble may be told while the clock isn't set.
    """
    query = (
        select(events)
        .where(events.c.device == device, events.c.kind == Trouble.__struct_config__.tag)
        .order_by(events.c.seq.desc())
        .limit(MAX_TROUBLES_READ)
    )
    latest: dict[str, tuple[EventRow, Trouble]] = {}
    for mapping in (await tx.execute(query)).mappings():
        row = _event(mapping)
        if isinstance(row.event.body, Trouble):
            latest.setdefault(row.event.body.code, (row, row.event.body))
    return [row for row, trouble in latest.values() if not trouble.is_over]


async def last_word_on_owner(tx: Transaction, device: str, credential_id: str) -> EventRow | None:
    """Return a passkey's last ownership event at a doorbell: Paired or OwnerGone."""
    return await _last_word(tx, device, (Paired, OwnerGone), credential_id)


async def last_word_on_guest(tx: Transaction, device: str, browser: str) -> EventRow | None:
    """Return the last event on a guest's browser at a doorbell: GuestLet or GuestGone."""
    return await _last_word(tx, device, (GuestLet, GuestGone), browser)


async def _last_word(
    tx: Transaction, device: str, types: Sequence[type[EventBody]], of: str
) -> EventRow | None:
    """Return the last event of these types on a passkey or browser.

    By the doorbell's number: hooks may be called again late, and then the last word still counts.
    """
    kinds = [kind.__struct_config__.tag for kind in types]
    query = (
        select(events)
        .where(events.c.device == device, events.c.kind.in_(kinds))
        .order_by(events.c.seq.desc())
        .limit(MAX_OWNER_WORDS_READ)
    )
    for mapping in (await tx.execute(query)).mappings():
        row = _event(mapping)
        match row.event.body:
            case Paired(credential_id=subject) | OwnerGone(credential_id=subject):
                pass
            case GuestLet(browser=subject) | GuestGone(browser=subject):
                pass
            case _:
                continue
        if subject == of:
            return row
    return None


def _parsed(payload: bytes) -> Event:
    return decode(Event, payload, max_bytes=MAX_MQTT_BYTES)


def _event(row: RowMapping) -> EventRow:
    event = _parsed(row["payload"].encode())
    return EventRow(
        relay_seq=row["relay_seq"],
        received_ms=row["received_ms"],
        event=event,
        corrected_ms=row["corrected_ms"],
    )
