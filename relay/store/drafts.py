"""Table of officers' drafts of requests: unsigned, each for its own officer only."""

from dataclasses import dataclass

from sqlalchemy import Row, delete, func, insert, select, update

from relay.store.database import Transaction
from relay.store.schema import request_drafts


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftRow:
    """One draft; `form` is JSON of relay.request.drafts.DraftForm."""

    id: str
    account_id: str
    form: str
    saved_ms: int


async def add(tx: Transaction, row: DraftRow) -> None:
    """Store a new draft."""
    await tx.execute(
        insert(request_drafts).values(
            id=row.id, account_id=row.account_id, form=row.form, saved_ms=row.saved_ms
        )
    )


async def change(tx: Transaction, draft_id: str, form: str, now_ms: int) -> None:
    """Store a draft's new content."""
    await tx.execute(
        update(request_drafts)
        .where(request_drafts.c.id == draft_id)
        .values(form=form, saved_ms=now_ms)
    )


async def find(tx: Transaction, draft_id: str) -> DraftRow | None:
    """Return one draft of any officer."""
    query = select(request_drafts).where(request_drafts.c.id == draft_id)
    row = (await tx.execute(query)).first()
    return None if row is None else _row(row)


async def list_of(tx: Transaction, account_id: str, *, since_ms: int) -> list[DraftRow]:
    """Return an officer's drafts, the newest first."""
    query = (
        select(request_drafts)
        .where(request_drafts.c.account_id == account_id, request_drafts.c.saved_ms >= since_ms)
        .order_by(request_drafts.c.saved_ms.desc(), request_drafts.c.id)
    )
    return [_row(row) for row in await tx.execute(query)]


async def count_of(tx: Transaction, account_id: str) -> int:
    """Return the number of an officer's drafts."""
    query = select(func.count()).where(request_drafts.c.account_id == account_id)
    return int((await tx.execute(query)).scalar_one())


async def remove(tx: Transaction, draft_id: str, account_id: str) -> bool:
    """Delete a draft if it is this officer's; return whether it was."""
    query = (
        delete(request_drafts)
        .where(request_drafts.c.id == draft_id, request_drafts.c.account_id == account_id)
        .returning(request_drafts.c.id)
    )
    return (await tx.execute(query)).first() is not None


async def forget(tx: Transaction, *, before_ms: int) -> None:
    """Delete the drafts that weren't changed since a time."""
    await tx.execute(delete(request_drafts).where(request_drafts.c.saved_ms < before_ms))


def _row(row: Row[tuple[object, ...]]) -> DraftRow:
    return DraftRow(id=row.id, account_id=row.account_id, form=row.form, saved_ms=row.saved_ms)
