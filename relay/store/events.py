"""Table of committed events: each once, in the order of commit."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, or_, select
from sqlalchemy.engine import RowMapping

from firmware.protocol.encoding import MAX_MQTT_BYTES, decode
from firmware.protocol.events import Event, Note
from relay.store.database import Transaction
from relay.store.schema import events


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event as it was committed. `relay_seq` rises with each commit."""

    relay_seq: int
    received_ms: int
    event: Event

    @property
    def device(self) -> str:
        """The doorbell that told it."""
        return self.event.device

    @property
    def credential_id(self) -> str | None:
        """Whom a note is for; None if every owner of the doorbell may see the event."""
        return self.event.body.credential_id if isinstance(self.event.body, Note) else None


async def known(tx: Transaction, event_ids: Collection[str]) -> dict[str, EventRow]:
    """Return those of these events that are committed, by event id."""
    query = select(events).where(events.c.event_id.in_(event_ids))
    rows = [_event(row) for row in (await tx.execute(query)).mappings()]
    return {row.event.id: row for row in rows}


async def add(tx: Transaction, event: Event, *, received_ms: int) -> EventRow:
    """Commit one event whose id is not known yet."""
    body = event.body
    values = {
        "event_id": event.id,
        "device": event.device,
        "seq": event.seq,
        "kind": type(body).__struct_config__.tag,
        "time_ms": event.time_ms,
        "received_ms": received_ms,
        "credential_id": body.credential_id if isinstance(body, Note) else None,
        "payload": event.encode().decode(),
    }
    result = await tx.execute(insert(events).values(**values))
    key = result.inserted_primary_key
    relay_seq = int(key[0]) if key else 0
    return EventRow(relay_seq=relay_seq, received_ms=received_ms, event=event)


async def newest(
    tx: Transaction,
    devices: Sequence[str],
    *,
    credential_ids: Sequence[str],
    before_seq: int | None = None,
    limit: int = 50,
) -> list[EventRow]:
    """Return these doorbells' events, newest first; notes only for these passkeys."""
    query = (
        select(events)
        .where(
            events.c.device.in_(devices),
            or_(events.c.credential_id.is_(None), events.c.credential_id.in_(credential_ids)),
        )
        .order_by(events.c.relay_seq.desc())
        .limit(limit)
    )
    if before_seq is not None:
        query = query.where(events.c.relay_seq < before_seq)
    return [_event(row) for row in (await tx.execute(query)).mappings()]


def _event(row: RowMapping) -> EventRow:
    event = decode(Event, row["payload"].encode(), max_bytes=MAX_MQTT_BYTES)
    return EventRow(relay_seq=row["relay_seq"], received_ms=row["received_ms"], event=event)
