"""Table of how far each doorbell's events have come: its highest number, and newest `relay_seq`.

Read once and written once for a batch of events, of the doorbells that sent it.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from relay.store.database import Transaction
from relay.store.schema import SEQ_BITS, doorbells, event_cursors
from relay.store.upserts import upsert

_READ = (
    select(
        doorbells.c.device,
        func.coalesce(event_cursors.c.last_seq, 0),
        func.coalesce(event_cursors.c.last_relay_seq, 0),
    )
    .outerjoin(event_cursors, event_cursors.c.device == doorbells.c.device)
    .where(
        doorbells.c.device.in_(bindparam("devices", expanding=True)),
        doorbells.c.revoked_ms.is_(None),
    )
)


@dataclass(slots=True)
class Cursor:
    """One doorbell's, for the length of a transaction."""

    last_seq: int
    last_relay_seq: int
    has_moved: bool = False

    def take_seq(self, seq: int) -> None:
        """Note that an event of this number is committed."""
        self.last_seq, self.has_moved = max(self.last_seq, seq), True

    def next_relay_seq(self, received_ms: int) -> int:
        """Return the next event's: above all of this doorbell's, by the time of its receipt."""
        by_time = received_ms << SEQ_BITS | secrets.randbits(SEQ_BITS)
        self.last_relay_seq, self.has_moved = max(by_time, self.last_relay_seq + 1), True
        return self.last_relay_seq


async def read(tx: Transaction, devices: Collection[str]) -> dict[str, Cursor]:
    """Return those of these doorbells that aren't revoked, by their ids."""
    found = await tx.execute(_READ, {"devices": sorted(devices)})
    return {device: Cursor(last_seq, relay_seq) for device, last_seq, relay_seq in found}


async def write(tx: Transaction, cursors: Mapping[str, Cursor]) -> None:
    """Store those that have moved; each is of an enrolled doorbell."""
    moved = [
        {"device": device, "last_seq": cursor.last_seq, "last_relay_seq": cursor.last_relay_seq}
        for device, cursor in sorted(cursors.items())
        if cursor.has_moved
    ]
    if not moved:
        return
    change = upsert(tx, event_cursors)
    change = change.on_conflict_do_update(
        index_elements=["device"],
        set_={
            "last_seq": change.excluded.last_seq,
            "last_relay_seq": change.excluded.last_relay_seq,
        },
    )
    await tx.execute(change, moved)
