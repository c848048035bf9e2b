"""Table of sealed thumbnails: one an event, the first that arrives.

An event's picture never changes, so that a browser may keep it, and goes before its event.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, select

from firmware.protocol.encoding import MAX_MQTT_BYTES, decode
from firmware.protocol.events import Thumbnail
from firmware.protocol.thumbnails import SealedThumbnail, WrappedKey
from relay.store import event_ids
from relay.store.database import Transaction
from relay.store.schema import thumbnails
from relay.store.upserts import upsert

LIFE_MS = 30 * 24 * 3600 * 1000
"""How long a picture is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThumbnailRow:
    """One ciphertext, with its key wrapped to each browser."""

    received_ms: int
    sealed: SealedThumbnail

    def key_for(self, browser: str) -> WrappedKey | None:
        """Return the key wrapped to this browser, if there is one."""
        return next((key for key in self.sealed.keys if key.browser == browser), None)


async def add(tx: Transaction, device: str, told: Thumbnail, *, received_ms: int) -> bool:
    """Store a thumbnail; False if that doorbell has no such event, or it has one already."""
    if not await event_ids.is_kept(tx, device, told.for_event_id):
        return False
    result = await tx.execute(
        upsert(tx, thumbnails)
        .values(
            event_id=told.for_event_id,
            device=device,
            received_ms=received_ms,
            sealed=told.sealed.encode().decode(),
        )
        .on_conflict_do_nothing()
    )
    return result.rowcount == 1


async def get(tx: Transaction, device: str, event_id: str, *, now_ms: int) -> ThumbnailRow | None:
    """Return the thumbnail of a doorbell's event, if it is stored."""
    query = select(thumbnails.c.received_ms, thumbnails.c.sealed).where(
        thumbnails.c.event_id == event_id,
        thumbnails.c.device == device,
        thumbnails.c.received_ms > now_ms - LIFE_MS,
    )
    row = (await tx.execute(query)).first()
    if row is None:
        return None
    sealed = decode(SealedThumbnail, row.sealed.encode(), max_bytes=MAX_MQTT_BYTES)
    return ThumbnailRow(received_ms=row.received_ms, sealed=sealed)


async def having(tx: Transaction, event_ids: Collection[str], *, now_ms: int) -> frozenset[str]:
    """Return those of these events that have a thumbnail."""
    query = select(thumbnails.c.event_id).where(
        thumbnails.c.event_id.in_(event_ids), thumbnails.c.received_ms > now_ms - LIFE_MS
    )
    return frozenset((await tx.execute(query)).scalars())


async def forget(tx: Transaction, *, now_ms: int) -> None:
    """Delete expired thumbnails."""
    await tx.execute(delete(thumbnails).where(thumbnails.c.received_ms <= now_ms - LIFE_MS))
