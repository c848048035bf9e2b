"""Rows of who is pushed what neighbours tell, and what was published for them since."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select, update

from relay.store.database import Transaction
from relay.store.schema import (
    feed_batches,
    feed_members,
    feed_posts,
    feed_pushes,
    push_subscriptions,
)
from relay.store.upserts import upsert


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPushRow:
    """One account's choice; `quiet` is JSON, `next_ms` None where it is no digest."""

    account_id: str
    how: str
    minute: int
    time_zone: str
    quiet: str | None
    seen_ms: int
    next_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a district publishes at one time; its followers are to be pushed then."""

    published_ms: int
    district: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A push subscription of one browser of an account's."""

    account_id: str
    browser: str
    endpoint: str


async def find(tx: Transaction, account_id: str) -> FeedPushRow | None:
    """Return an account's choice."""
    query = select(feed_pushes).where(feed_pushes.c.account_id == account_id)
    row = (await tx.execute(query)).mappings().first()
    return None if row is None else FeedPushRow(**row)


async def put(tx: Transaction, row: FeedPushRow) -> None:
    """Store an account's choice in place of the one before."""
    values = {name: getattr(row, name) for name in FeedPushRow.__slots__ if name != "account_id"}
    await tx.execute(
        upsert(tx, feed_pushes)
        .values(account_id=row.account_id, **values)
        .on_conflict_do_update(index_elements=["account_id"], set_=values)
    )


async def forget(tx: Transaction, account_id: str) -> None:
    """Delete an account's choice."""
    await tx.execute(delete(feed_pushes).where(feed_pushes.c.account_id == account_id))


async def add_batch(tx: Transaction, district: str, published_ms: int) -> None:
    """Note that a district publishes something, for its followers to be pushed then."""
    batch = {"district": district, "published_ms": published_ms}
    await tx.execute(upsert(tx, feed_batches).values(**batch).on_conflict_do_nothing())


async def next_batch(tx: Transaction, *, now_ms: int) -> Batch | None:
    """Return the oldest batch that is public and that not all followers were pushed."""
    query = select(feed_batches).where(feed_batches.c.published_ms <= now_ms)
    ordered = query.order_by(feed_batches.c.published_ms, feed_batches.c.district)
    row = (await tx.execute(ordered.limit(1))).mappings().first()
    return None if row is None else Batch(**row)


async def end_batch(tx: Transaction, batch: Batch) -> None:
    """Forget a batch that all followers were pushed."""
    columns = feed_batches.c
    await tx.execute(
        delete(feed_batches).where(
            columns.published_ms == batch.published_ms, columns.district == batch.district
        )
    )


async def forget_batches(tx: Transaction, *, before_ms: int) -> None:
    """Forget batches whose posts are erased."""
    await tx.execute(delete(feed_batches).where(feed_batches.c.published_ms <= before_ms))


async def list_followers(
    tx: Transaction, batch: Batch, *, after: str, limit: int
) -> list[FeedPushRow]:
    """Return who of a batch's district is pushed at once and wasn't yet, by account after `after`.

    Which topics they follow isn't looked at.
    """
    members, pushes = feed_members.c, feed_pushes.c
    query = (
        select(feed_pushes)
        .join(feed_members, members.account_id == pushes.account_id)
        .where(
            members.district == batch.district,
            members.account_id > after,
            pushes.how == "push",
            pushes.seen_ms < batch.published_ms,
        )
    )
    rows = (await tx.execute(query.order_by(members.account_id).limit(limit))).mappings()
    return [FeedPushRow(**row) for row in rows]


async def list_digests_due(tx: Transaction, *, now_ms: int, limit: int) -> list[FeedPushRow]:
    """Return the choices whose digest is due, the longest due first."""
    pushes = feed_pushes.c
    query = select(feed_pushes).where(pushes.next_ms <= now_ms)
    rows = (await tx.execute(query.order_by(pushes.next_ms).limit(limit))).mappings()
    return [FeedPushRow(**row) for row in rows]


async def kinds_since(tx: Transaction, account_id: str, *, since_ms: int, now_ms: int) -> set[str]:
    """Return the kinds of what was published in an account's district since a time."""
    query = (
        select(feed_posts.c.kind)
        .distinct()
        .join(feed_members, feed_members.c.district == feed_posts.c.district)
        .where(
            feed_members.c.account_id == account_id,
            feed_posts.c.state == "published",
            feed_posts.c.published_ms > since_ms,
            feed_posts.c.published_ms <= now_ms,
        )
    )
    return set((await tx.execute(query)).scalars())


async def set_seen(tx: Transaction, account_id: str, *, seen_ms: int, next_ms: int | None) -> None:
    """Note up to when an account was pushed, and when its next digest is due."""
    mine = feed_pushes.c.account_id == account_id
    await tx.execute(update(feed_pushes).where(mine).values(seen_ms=seen_ms, next_ms=next_ms))


async def next_time_ms(tx: Transaction, *, now_ms: int) -> int | None:
    """Return when the next batch is published or digest due, after now; None if neither is."""
    public = select(func.min(feed_batches.c.published_ms)).where(
        feed_batches.c.published_ms > now_ms
    )
    digest = select(func.min(feed_pushes.c.next_ms)).where(feed_pushes.c.next_ms > now_ms)
    times = [(await tx.execute(query)).scalar_one() for query in (public, digest)]
    return min((time for time in times if time is not None), default=None)


async def endpoints_of(
    tx: Transaction, accounts: Collection[str], *, now_ms: int
) -> Sequence[Endpoint]:
    """Return the push subscriptions of accounts that haven't expired."""
    columns = push_subscriptions.c
    query = select(columns.account_id, columns.browser, columns.endpoint).where(
        columns.account_id.in_(accounts),
        or_(columns.expires_ms.is_(None), columns.expires_ms > now_ms),
    )
    return [Endpoint(**row) for row in (await tx.execute(query)).mappings()]
