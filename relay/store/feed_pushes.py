"""Rows of who is pushed what neighbours tell, and what was published for them since."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, or_, select, update

from relay.store.database import Transaction
from relay.store.schema import feed_members, feed_posts, feed_pushes, push_subscriptions
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


async def list_due(tx: Transaction, *, now_ms: int, limit: int) -> list[FeedPushRow]:
    """Return digests that are due, and who is pushed at once and has something new in the district.

    Which topics the new posts are of isn't looked at.
    """
    posts, members = feed_posts.c, feed_members.c
    is_new = (
        select(posts.id)
        .join(feed_members, members.account_id == feed_pushes.c.account_id)
        .where(
            posts.state == "published",
            posts.district == members.district,
            posts.published_ms > feed_pushes.c.seen_ms,
            posts.published_ms <= now_ms,
        )
        .correlate(feed_pushes)
        .exists()
    )
    is_at_once = (feed_pushes.c.how == "push") & is_new
    query = select(feed_pushes).where(or_(feed_pushes.c.next_ms <= now_ms, is_at_once))
    rows = (await tx.execute(query.order_by(feed_pushes.c.account_id).limit(limit))).mappings()
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
    public = select(func.min(feed_posts.c.published_ms)).where(
        feed_posts.c.state == "published", feed_posts.c.published_ms > now_ms
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
