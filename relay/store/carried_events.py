"""Table of carried events: their ids and digests, not their contents.

A thumbnail is kept elsewhere, a push for a while only. Here is what makes each of them count once
(`events.known` does it for the others): the digest says whether an id comes again for the same.
"""

from collections.abc import Collection

from sqlalchemy import delete, insert, select

from firmware.protocol.events import Event
from relay.store.database import Transaction
from relay.store.schema import carried_events

_ADD = insert(carried_events)


async def known(tx: Transaction, event_ids: Collection[str]) -> dict[str, str]:
    """Return the digests of those of these events that are known, by event id."""
    query = select(carried_events.c.event_id, carried_events.c.digest).where(
        carried_events.c.event_id.in_(event_ids)
    )
    return {row.event_id: row.digest for row in await tx.execute(query)}


async def add(tx: Transaction, event: Event, *, received_ms: int) -> None:
    """Store one event whose id is not known yet."""
    values = {"event_id": event.id, "device": event.device, "digest": event.digest()}
    await tx.execute(_ADD, {**values, "received_ms": received_ms})


async def forget(tx: Transaction, *, before_ms: int) -> None:
    """Delete the rows from before a time."""
    await tx.execute(delete(carried_events).where(carried_events.c.received_ms < before_ms))
