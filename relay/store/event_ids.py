"""Table of events' ids: each event counts once, whether its row is kept or it passes through.

The digest says whether an id comes again for the same event; of events from before this table it is
empty, and their rows say it.
"""

from collections.abc import Collection, Sequence
from typing import TypedDict

from sqlalchemy import bindparam, delete, exists, insert, select

from relay.store.database import Transaction
from relay.store.schema import event_ids

_ADD = insert(event_ids)
_KNOWN = select(event_ids.c.event_id, event_ids.c.digest).where(
    event_ids.c.event_id.in_(bindparam("ids", expanding=True))
)


class NewId(TypedDict):
    """One id that wasn't known; `is_kept`: the event has a row of its own."""

    event_id: str
    device: str
    digest: str
    is_kept: bool
    received_ms: int


async def known(tx: Transaction, ids: Collection[str]) -> dict[str, str]:
    """Return the digests of those of these events that are known, by event id."""
    found = await tx.execute(_KNOWN, {"ids": list(ids)})
    return {row.event_id: row.digest for row in found}


async def add(tx: Transaction, new: Sequence[NewId]) -> None:
    """Store ids that aren't known yet."""
    if new:
        await tx.execute(_ADD, new)


async def is_kept(tx: Transaction, device: str, event_id: str) -> bool:
    """Return whether an event of this doorbell has a row of its own."""
    query = select(
        exists().where(
            event_ids.c.event_id == event_id,
            event_ids.c.device == device,
            event_ids.c.is_kept,
        )
    )
    return bool((await tx.execute(query)).scalar_one())


async def forget(tx: Transaction, *, before_ms: int) -> None:
    """Delete the rows from before a time."""
    await tx.execute(delete(event_ids).where(event_ids.c.received_ms < before_ms))
