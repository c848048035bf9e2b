"""Rows of legal process about posts, for their authors to be told."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, insert, select, update

from firmware.protocol.encoding import new_id
from relay.store.database import Transaction, signal
from relay.store.schema import feed_legal_notices, feed_posts


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalNotice:
    """Legal process about an account's posts; `yielded` says what it can yield."""

    id: str
    account_id: str
    kind: str
    yielded: tuple[str, ...]
    told_ms: int


async def authors_of(tx: Transaction, posts: Collection[str]) -> dict[str, str | None]:
    """Return posts' authors: None for nobody's. A post that isn't there isn't in it."""
    query = select(feed_posts.c.id, feed_posts.c.account_id).where(feed_posts.c.id.in_(posts))
    return {row.id: row.account_id for row in await tx.execute(query)}


async def add(
    tx: Transaction, accounts: Collection[str], *, kind: str, yielded: Sequence[str], now_ms: int
) -> None:
    """Store one notice for each account, to be pushed."""
    for account_id in sorted(accounts):
        await tx.execute(
            insert(feed_legal_notices).values(
                id=new_id(),
                account_id=account_id,
                kind=kind,
                yielded=json.dumps(list(yielded)),
                told_ms=now_ms,
                is_pushed=False,
            )
        )
        signal(tx, "feed")


async def list_of_account(tx: Transaction, account_id: str) -> list[LegalNotice]:
    """Return an account's notices, the newest first."""
    columns = feed_legal_notices.c
    query = select(feed_legal_notices).where(columns.account_id == account_id)
    return [
        LegalNotice(
            id=row.id,
            account_id=row.account_id,
            kind=row.kind,
            yielded=tuple(json.loads(row.yielded)),
            told_ms=row.told_ms,
        )
        for row in await tx.execute(query.order_by(columns.told_ms.desc(), columns.id))
    ]


async def take_unpushed(tx: Transaction, *, limit: int) -> set[str]:
    """Note that some accounts are told by push, once, and return them."""
    columns = feed_legal_notices.c
    query = select(columns.id, columns.account_id).where(columns.is_pushed.is_(False))
    rows = (await tx.execute(query.order_by(columns.told_ms).limit(limit))).all()
    done = columns.id.in_([row.id for row in rows])
    await tx.execute(update(feed_legal_notices).where(done).values(is_pushed=True))
    return {row.account_id for row in rows}


async def has_unpushed(tx: Transaction) -> bool:
    """Return whether somebody wasn't told by push yet."""
    query = select(feed_legal_notices.c.id).where(feed_legal_notices.c.is_pushed.is_(False))
    return (await tx.execute(query.limit(1))).first() is not None


async def delete_old(tx: Transaction, *, before_ms: int) -> None:
    """Delete the notices from before a time."""
    await tx.execute(delete(feed_legal_notices).where(feed_legal_notices.c.told_ms <= before_ms))


async def delete_of_account(tx: Transaction, account_id: str) -> int:
    """Delete an account's notices; return how many there were."""
    mine = feed_legal_notices.c.account_id == account_id
    return int((await tx.execute(delete(feed_legal_notices).where(mine))).rowcount)


async def count_of_account(tx: Transaction, account_id: str) -> int:
    """Return how many notices an account has."""
    query = select(func.count()).select_from(feed_legal_notices)
    query = query.where(feed_legal_notices.c.account_id == account_id)
    return int((await tx.execute(query)).scalar_one())
