"""Tables of the neighbours' feed: posts, their pictures, decisions, appeals; and members.

What is erased is overwritten, not only unlinked: on SQLite with `secure_delete`.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    tuple_,
    update,
)

from relay.store import feed_legal, feed_pushes
from relay.store.database import Transaction, signal
from relay.store.schema import (
    agency_posts,
    feed_appeals,
    feed_decisions,
    feed_members,
    feed_pictures,
    feed_posts,
    feed_rejudgements,
)
from relay.store.upserts import upsert

State = Literal["waiting", "published", "refused", "withdrawn"]
Verdict = Literal["published", "refused", "upheld", "overturned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """An account's district, and the topics that it follows there."""

    account_id: str
    district: str
    follows: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRow:
    """One post; `text` is empty once it is erased, `account_id` None for nobody's.

    A published post is public from `published_ms` on.
    """

    id: str
    district: str
    cell: str
    kind: str
    hour_ms: int
    text: str
    written_by: str
    account_id: str | None
    agency: str | None
    refers: str | None
    is_urgent: bool
    state: State
    written_ms: int
    changed_ms: int
    published_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One moderator's decision; `since_ms` is when the post began to wait for it."""

    id: str
    post_id: str | None
    moderator: str
    verdict: Verdict
    reason: str | None
    words: str
    since_ms: int
    decided_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeal:
    """An author's appeal against a refusal, for another moderator."""

    post_id: str
    text: str
    appealed_ms: int
    decided_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureRow:
    """One picture with its post or, as long as none took it, its uploader."""

    id: str
    post_id: str | None
    account_id: str | None
    jpeg: bytes


# --- members ---------------------------------------------------------------------------------


async def find_membership(tx: Transaction, account_id: str) -> Membership | None:
    """Return what an account has chosen."""
    query = select(feed_members).where(feed_members.c.account_id == account_id)
    row = (await tx.execute(query)).first()
    if row is None:
        return None
    follows = tuple(json.loads(row.follows))
    return Membership(account_id=row.account_id, district=row.district, follows=follows)


async def set_membership(tx: Transaction, membership: Membership) -> None:
    """Store an account's choice in place of the one before."""
    values = {"district": membership.district, "follows": json.dumps(membership.follows)}
    await tx.execute(
        upsert(tx, feed_members)
        .values(account_id=membership.account_id, **values)
        .on_conflict_do_update(index_elements=["account_id"], set_=values)
    )


async def end_membership(tx: Transaction, account_id: str) -> None:
    """Delete an account's choice, and what it is pushed of its district."""
    await feed_pushes.forget(tx, account_id)
    await tx.execute(delete(feed_members).where(feed_members.c.account_id == account_id))


# --- posts -----------------------------------------------------------------------------------


async def add_post(tx: Transaction, row: PostRow) -> None:
    """Store a new post."""
    values = {name: getattr(row, name) for name in PostRow.__slots__}
    await tx.execute(insert(feed_posts).values(**values))
    if row.state == "published" and row.published_ms is not None:
        await feed_pushes.add_batch(tx, row.district, row.published_ms)
    signal(tx, "feed")


async def find_post(tx: Transaction, post_id: str) -> PostRow | None:
    """Return a post in any state."""
    row = (await tx.execute(select(feed_posts).where(feed_posts.c.id == post_id))).first()
    return None if row is None else _post(row)


async def list_published(
    tx: Transaction,
    *,
    now_ms: int,
    since_ms: int,
    limit: int,
    district: str | None = None,
    before: tuple[int, str] | None = None,
) -> list[PostRow]:
    """Return public posts, newest first: published since a time, and before a place in the list.

    A place is a post's `published_ms` and id: those of one batch have the same time.
    """
    columns = feed_posts.c
    query = select(feed_posts).where(
        columns.state == "published",
        columns.published_ms <= now_ms,
        columns.published_ms > since_ms,
    )
    if district is not None:
        query = query.where(columns.district == district)
    if before is not None:
        query = query.where(tuple_(columns.published_ms, columns.id) < tuple_(*before))
    query = query.order_by(columns.published_ms.desc(), columns.id.desc()).limit(limit)
    return await _posts(tx, query)


async def list_waiting(tx: Transaction, *, limit: int) -> list[PostRow]:
    """Return the posts that wait for a moderator, the oldest first."""
    columns = feed_posts.c
    query = select(feed_posts).where(_is_undecided())
    return await _posts(tx, query.order_by(columns.changed_ms, columns.id).limit(limit))


async def count_waiting(tx: Transaction) -> int:
    """Return how many posts wait for a moderator."""
    query = select(func.count()).select_from(feed_posts).where(_is_undecided())
    return int((await tx.execute(query)).scalar_one())


def _is_undecided() -> ColumnElement[bool]:
    """Return the condition of a post that waits, or that was shown at once and nobody has read."""
    is_decided = exists().where(feed_decisions.c.post_id == agency_posts.c.id)
    unread = select(agency_posts.c.id).where(agency_posts.c.cosigned.is_not(None), not_(is_decided))
    columns = feed_posts.c
    shown = and_(columns.id.in_(unread), columns.state == "published")
    return or_(columns.state == "waiting", shown)


async def list_of_account(tx: Transaction, account_id: str, *, since_ms: int) -> list[PostRow]:
    """Return an account's posts since a time, in any state, newest first."""
    columns = feed_posts.c
    query = select(feed_posts).where(
        columns.account_id == account_id, columns.written_ms > since_ms
    )
    return await _posts(tx, query.order_by(columns.written_ms.desc(), columns.id))


async def set_state(
    tx: Transaction,
    post_id: str,
    state: State,
    now_ms: int,
    *,
    published_ms: int | None = None,
    is_urgent: bool = False,
) -> None:
    """Store a post's new state; the caller has looked at the old one in this transaction."""
    changes: dict[str, Any] = {"state": state, "changed_ms": now_ms}
    if published_ms is not None:
        changes |= {"published_ms": published_ms, "is_urgent": is_urgent}
    mine = feed_posts.c.id == post_id
    await tx.execute(update(feed_posts).where(mine).values(**changes))
    if published_ms is not None:
        district = (await tx.execute(select(feed_posts.c.district).where(mine))).scalar_one()
        await feed_pushes.add_batch(tx, district, published_ms)
    signal(tx, "feed")


# --- pictures --------------------------------------------------------------------------------


async def add_picture(
    tx: Transaction, picture_id: str, account_id: str, jpeg: bytes, now_ms: int
) -> None:
    """Store a picture that no post has yet."""
    await tx.execute(
        insert(feed_pictures).values(
            id=picture_id,
            post_id=None,
            place=0,
            account_id=account_id,
            uploaded_ms=now_ms,
            jpeg=jpeg,
        )
    )


async def find_picture(tx: Transaction, picture_id: str) -> PictureRow | None:
    """Return a picture with its bytes."""
    row = (await tx.execute(select(feed_pictures).where(feed_pictures.c.id == picture_id))).first()
    if row is None:
        return None
    return PictureRow(
        id=row.id, post_id=row.post_id, account_id=row.account_id, jpeg=bytes(row.jpeg)
    )


async def loose_pictures(tx: Transaction, account_id: str) -> frozenset[str]:
    """Return an account's pictures that no post has yet."""
    query = select(feed_pictures.c.id).where(feed_pictures.c.account_id == account_id)
    return frozenset((await tx.execute(query)).scalars())


async def take_pictures(tx: Transaction, post_id: str, pictures: Sequence[str]) -> None:
    """Give pictures to a post, in this order; from then on the post says whose they are."""
    for place, picture_id in enumerate(pictures):
        await tx.execute(
            update(feed_pictures)
            .where(feed_pictures.c.id == picture_id)
            .values(post_id=post_id, place=place, account_id=None)
        )


async def pictures_of(tx: Transaction, post_ids: Collection[str]) -> dict[str, list[str]]:
    """Return the ids of posts' pictures, in order."""
    columns = feed_pictures.c
    query = select(columns.post_id, columns.id).where(columns.post_id.in_(post_ids))
    found: dict[str, list[str]] = {post_id: [] for post_id in post_ids}
    for row in await tx.execute(query.order_by(columns.post_id, columns.place)):
        found[row.post_id].append(row.id)
    return found


async def erase_pictures(tx: Transaction, post_ids: Collection[str]) -> None:
    """Erase posts' pictures."""
    await _overwrite(tx)
    await tx.execute(delete(feed_pictures).where(feed_pictures.c.post_id.in_(post_ids)))


async def erase_content(tx: Transaction, post_ids: Collection[str]) -> None:
    """Erase posts' texts and pictures, and what was written about them; their rows stay."""
    await erase_pictures(tx, post_ids)
    await tx.execute(update(feed_posts).where(feed_posts.c.id.in_(post_ids)).values(text=""))
    await tx.execute(
        update(feed_rejudgements)
        .where(feed_rejudgements.c.post_id.in_(post_ids))
        .values(post=None, open_ms=None)
    )
    await tx.execute(
        update(feed_appeals).where(feed_appeals.c.post_id.in_(post_ids)).values(text="")
    )


# --- moderation ------------------------------------------------------------------------------


async def add_decision(tx: Transaction, decision: Decision) -> None:
    """Store a decision."""
    values = {name: getattr(decision, name) for name in Decision.__slots__}
    await tx.execute(insert(feed_decisions).values(**values))


async def list_decisions(tx: Transaction, post_ids: Collection[str]) -> list[Decision]:
    """Return the decisions on posts, oldest first."""
    columns = feed_decisions.c
    query = select(feed_decisions).where(columns.post_id.in_(post_ids))
    return [_decision(row) for row in await tx.execute(query.order_by(columns.decided_ms))]


async def add_appeal(tx: Transaction, appeal: Appeal) -> None:
    """Store an appeal: one a post."""
    values = {name: getattr(appeal, name) for name in Appeal.__slots__}
    await tx.execute(insert(feed_appeals).values(**values))


async def list_appeals_of(tx: Transaction, post_ids: Collection[str]) -> list[Appeal]:
    """Return the appeals about posts."""
    query = select(feed_appeals).where(feed_appeals.c.post_id.in_(post_ids))
    return [_appeal(row) for row in await tx.execute(query)]


async def list_appeals(tx: Transaction, *, limit: int) -> list[tuple[Appeal, PostRow]]:
    """Return the undecided appeals with their posts, the oldest first."""
    query = (
        select(feed_appeals)
        .where(feed_appeals.c.decided_ms.is_(None))
        .order_by(feed_appeals.c.appealed_ms, feed_appeals.c.post_id)
        .limit(limit)
    )
    found = [_appeal(row) for row in await tx.execute(query)]
    wanted = select(feed_posts).where(feed_posts.c.id.in_({one.post_id for one in found}))
    rows = {row.id: row for row in await _posts(tx, wanted)}
    return [(one, rows[one.post_id]) for one in found]


async def close_appeal(tx: Transaction, post_id: str, now_ms: int) -> None:
    """Store that an appeal is decided."""
    await tx.execute(
        update(feed_appeals).where(feed_appeals.c.post_id == post_id).values(decided_ms=now_ms)
    )


async def list_decisions_since(tx: Transaction, since_ms: int) -> list[Decision]:
    """Return all decisions since a time, the oldest first."""
    query = select(feed_decisions).where(feed_decisions.c.decided_ms >= since_ms)
    return [_decision(row) for row in await tx.execute(query.order_by(feed_decisions.c.decided_ms))]


# --- erasure ---------------------------------------------------------------------------------


async def erase_old(
    tx: Transaction, *, before_ms: int, appeal_before_ms: int, loose_before_ms: int
) -> None:
    """Erase what is older than these times: posts, refused posts' content, loose pictures.

    A published post's age counts from its publication, any other's from when it was written.
    """
    await _overwrite(tx)
    posts, pictures = feed_posts.c, feed_pictures.c
    await tx.execute(
        delete(feed_pictures).where(
            pictures.account_id.is_not(None), pictures.uploaded_ms <= loose_before_ms
        )
    )
    pending = select(feed_appeals.c.post_id).where(feed_appeals.c.decided_ms.is_(None))
    over = select(posts.id).where(
        posts.state == "refused",
        posts.changed_ms <= appeal_before_ms,
        posts.text != "",
        posts.id.not_in(pending),
    )
    await erase_content(tx, list((await tx.execute(over)).scalars()))
    # Nothing is published before it is written: the index by that time finds all of both.
    old = select(posts.id).where(
        posts.written_ms <= before_ms,
        func.coalesce(posts.published_ms, posts.written_ms) <= before_ms,
    )
    await erase_posts(tx, list((await tx.execute(old)).scalars()))
    await feed_pushes.forget_batches(tx, before_ms=before_ms)


async def erase_posts(tx: Transaction, post_ids: Sequence[str]) -> None:
    """Erase posts and all about them; decisions stay, without words and post."""
    await _overwrite(tx)
    for start in range(0, len(post_ids), 500):
        some = post_ids[start : start + 500]
        decided = feed_decisions.c.post_id.in_(some)
        for statement in (
            delete(feed_pictures).where(feed_pictures.c.post_id.in_(some)),
            delete(feed_appeals).where(feed_appeals.c.post_id.in_(some)),
            update(feed_rejudgements)
            .where(feed_rejudgements.c.post_id.in_(some))
            .values(post=None, open_ms=None),
            update(feed_decisions).where(decided).values(post_id=None, words=""),
            delete(feed_posts).where(feed_posts.c.id.in_(some)),
        ):
            await tx.execute(statement)


async def erase_account(tx: Transaction, account_id: str) -> dict[str, int]:
    """Erase what is an account's; return how many there were, by what they are.

    Its published posts stay until they are 30 days old, as nobody's.
    """
    posts = feed_posts.c
    mine = posts.account_id == account_id
    query = select(posts.id).where(mine, posts.state != "published")
    unpublished = list((await tx.execute(query)).scalars())
    await erase_posts(tx, unpublished)
    await feed_pushes.forget(tx, account_id)
    loose = delete(feed_pictures).where(feed_pictures.c.account_id == account_id)
    member = delete(feed_members).where(feed_members.c.account_id == account_id)
    return {
        "feed_posts_unpublished": len(unpublished),
        "feed_posts_made_anonymous": (
            await tx.execute(update(feed_posts).where(mine).values(account_id=None))
        ).rowcount,
        "feed_pictures": (await tx.execute(loose)).rowcount,
        "feed_membership": (await tx.execute(member)).rowcount,
        "feed_legal_notices": await feed_legal.delete_of_account(tx, account_id),
    }


async def count_account(tx: Transaction, account_id: str) -> dict[str, int]:
    """Return how many rows of the kinds that a person knows an account has."""
    query = select(func.count()).select_from(feed_members)
    member = query.where(feed_members.c.account_id == account_id)
    of_account = select(feed_posts.c.state).where(feed_posts.c.account_id == account_id)
    states = list((await tx.execute(of_account)).scalars())
    published = sum(state == "published" for state in states)
    return {
        "feed_posts_unpublished": len(states) - published,
        "feed_posts_made_anonymous": published,
        "feed_membership": int((await tx.execute(member)).scalar_one()),
        "feed_legal_notices": await feed_legal.count_of_account(tx, account_id),
    }


async def _overwrite(tx: Transaction) -> None:
    """Let SQLite write zeros over what is deleted on this connection."""
    if tx.dialect.name == "sqlite":
        await tx.exec_driver_sql("PRAGMA secure_delete = ON")


async def _posts(tx: Transaction, query: Select[Any]) -> list[PostRow]:  # Any: the columns' types
    return [_post(row) for row in await tx.execute(query)]


def _post(row: Row[Any]) -> PostRow:  # Any: the columns' types
    values = {name: getattr(row, name) for name in PostRow.__slots__}
    return PostRow(**{**values, "state": cast("State", row.state)})


def _decision(row: Row[Any]) -> Decision:  # Any: the columns' types
    values = {name: getattr(row, name) for name in Decision.__slots__}
    return Decision(**{**values, "verdict": cast("Verdict", row.verdict)})


def _appeal(row: Row[Any]) -> Appeal:  # Any: the columns' types
    return Appeal(**{name: getattr(row, name) for name in Appeal.__slots__})
