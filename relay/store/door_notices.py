"""Table of doorbells' notices for passers-by: one a doorbell, public under its own random id.

What isn't renewed is removed, so that a doorbell that was reset or thrown away says nothing for
long. A revoked doorbell's notice isn't shown.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, delete, select

from firmware.protocol.door_notices import SignedDoorNotice
from relay.store.database import Transaction
from relay.store.schema import door_notices, doorbells
from relay.store.upserts import upsert

LIFE_MS = 31 * 24 * 3600 * 1000
"""How long a notice stays that isn't renewed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorNoticeRow:
    """A notice as its own key signed it; whose doorbell's it is isn't in it."""

    notice_id: str
    signed: SignedDoorNotice
    received_ms: int


async def replace(tx: Transaction, device: str, row: DoorNoticeRow) -> None:
    """Store a doorbell's checked notice in place of the one before; never in another's place."""
    await tx.execute(delete(door_notices).where(door_notices.c.device == device))
    await tx.execute(
        upsert(tx, door_notices)
        .values(
            device=device,
            notice_id=row.notice_id,
            notice=row.signed.notice,
            signature=row.signed.signature,
            received_ms=row.received_ms,
        )
        .on_conflict_do_nothing()
    )


async def end(tx: Transaction, device: str, notice_id: str) -> None:
    """Delete this doorbell's notice of that id; another doorbell's stays."""
    await tx.execute(
        delete(door_notices).where(
            door_notices.c.device == device, door_notices.c.notice_id == notice_id
        )
    )


async def end_all(tx: Transaction, device: str) -> int:
    """Delete this doorbell's notice, whatever its id; return how many there were."""
    result = await tx.execute(delete(door_notices).where(door_notices.c.device == device))
    return int(result.rowcount)


async def find(tx: Transaction, notice_id: str, *, now_ms: int) -> DoorNoticeRow | None:
    """Return the notice of this id, if it is to be shown."""
    return await _one(tx, _shown(now_ms).where(door_notices.c.notice_id == notice_id))


async def of_doorbell(tx: Transaction, device: str, *, now_ms: int) -> DoorNoticeRow | None:
    """Return a doorbell's notice, if it is to be shown."""
    return await _one(tx, _shown(now_ms).where(door_notices.c.device == device))


async def forget(tx: Transaction, *, now_ms: int) -> None:
    """Delete the notices that weren't renewed in time."""
    await tx.execute(delete(door_notices).where(door_notices.c.received_ms <= now_ms - LIFE_MS))


def _shown(now_ms: int) -> Select[Any]:  # Any: the columns' types
    columns = door_notices.c
    return (
        select(columns.notice_id, columns.notice, columns.signature, columns.received_ms)
        .join(doorbells, doorbells.c.device == columns.device)
        .where(doorbells.c.revoked_ms.is_(None), columns.received_ms > now_ms - LIFE_MS)
    )


async def _one(tx: Transaction, query: Select[Any]) -> DoorNoticeRow | None:
    row = (await tx.execute(query)).first()
    if row is None:
        return None
    signed = SignedDoorNotice(notice=row.notice, signature=row.signature)
    return DoorNoticeRow(notice_id=row.notice_id, signed=signed, received_ms=row.received_ms)
