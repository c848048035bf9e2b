"""Table of viewer tokens: other players' access to one doorbell's live view.

A token comes in as SHA-256 only. One counts for an account, a doorbell and a player's keys at a
time, and only while that account has that doorbell.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, insert, select

from relay.store.database import Transaction
from relay.store.schema import account_doorbells, doorbells, viewer_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerRow:
    """One valid token; `browser` is the `BrowserId` of the player's keys."""

    account_id: str
    device: str
    browser: str
    created_ms: int
    expires_ms: int


async def add(tx: Transaction, token_hash: str, row: ViewerRow, *, limit: int) -> None:
    """Store a token in place of the player's former one; beyond `limit` the oldest is deleted."""
    await end(tx, account_id=row.account_id, device=row.device, browser=row.browser)
    values = {name: getattr(row, name) for name in ViewerRow.__slots__}
    await tx.execute(insert(viewer_tokens).values(token_hash=token_hash, **values))
    mine = _is_for(row.account_id, row.device)
    newest_first = (
        (viewer_tokens.c.browser == row.browser).desc(),
        viewer_tokens.c.created_ms.desc(),
    )
    query = select(viewer_tokens.c.token_hash).where(mine).order_by(*newest_first).limit(limit)
    kept = list((await tx.execute(query)).scalars())
    await tx.execute(delete(viewer_tokens).where(mine, viewer_tokens.c.token_hash.not_in(kept)))


async def find(tx: Transaction, token_hash: str, device: str, *, now_ms: int) -> ViewerRow | None:
    """Return a token's row if it is valid for this doorbell, and the account still follows it."""
    query = _standing(now_ms).where(
        viewer_tokens.c.token_hash == token_hash, viewer_tokens.c.device == device
    )
    found = (await tx.execute(query)).mappings().first()
    return None if found is None else ViewerRow(**found)


async def list_of(tx: Transaction, *, account_id: str, device: str, now_ms: int) -> list[ViewerRow]:
    """Return an account's tokens for one doorbell, newest first."""
    query = _standing(now_ms).where(_is_for(account_id, device))
    rows = await tx.execute(query.order_by(viewer_tokens.c.created_ms.desc()))
    return [ViewerRow(**row) for row in rows.mappings()]


async def end(tx: Transaction, *, account_id: str, device: str, browser: str) -> None:
    """Delete a player's token."""
    await tx.execute(
        delete(viewer_tokens).where(_is_for(account_id, device), viewer_tokens.c.browser == browser)
    )


async def end_all(tx: Transaction, *, account_id: str, device: str) -> None:
    """Delete the tokens of all of an account's players at one doorbell."""
    await tx.execute(delete(viewer_tokens).where(_is_for(account_id, device)))


def _standing(now_ms: int) -> Any:  # Any: a Select over three tables
    columns = [viewer_tokens.c[name] for name in ViewerRow.__slots__]
    return (
        select(*columns)
        .join(
            account_doorbells,
            and_(
                account_doorbells.c.account_id == viewer_tokens.c.account_id,
                account_doorbells.c.device == viewer_tokens.c.device,
            ),
        )
        .join(doorbells, doorbells.c.device == viewer_tokens.c.device)
        .where(viewer_tokens.c.expires_ms > now_ms, doorbells.c.revoked_ms.is_(None))
    )


def _is_for(account_id: str, device: str) -> ColumnElement[bool]:
    return and_(viewer_tokens.c.account_id == account_id, viewer_tokens.c.device == device)
