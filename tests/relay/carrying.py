"""One carried event, processed by itself as a batch does it."""

from firmware.protocol.events import Event
from relay.ingest import carried_events
from relay.ingest.carried_events import Custody, FollowUp
from relay.store import event_cursors, event_ids
from relay.store.database import Transaction


async def carry(tx: Transaction, event: Event, *, received_ms: int, custody: Custody) -> FollowUp:
    """Process one such event, whose id is not known yet."""
    cursors = await event_cursors.read(tx, [event.device])
    new = event_ids.NewId(
        event_id=event.id,
        device=event.device,
        digest=event.digest(),
        is_kept=False,
        received_ms=received_ms,
    )
    await event_ids.add(tx, [new])
    follow_up = await carried_events.carry(
        tx,
        event,
        received_ms=received_ms,
        custody=custody,
        cursor=cursors.setdefault(event.device, event_cursors.Cursor(0, 0)),
        unknown=await carried_events.unknown_passkeys(tx, [event]),
    )
    await event_cursors.write(tx, cursors)
    return follow_up
