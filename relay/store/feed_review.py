"""Tables of agencies' signed posts, decisions judged again, and notices of agreements."""

from dataclasses import dataclass

from sqlalchemy import Row, delete, func, insert, select, update

from firmware.protocol.encoding import Document, decode
from firmware.protocol.feed_posts import PostCosignature, SignedPost
from relay.store.database import Transaction
from relay.store.schema import agency_posts, feed_dangers, feed_notices, feed_rejudgements
from relay.store.upserts import upsert


class JudgedPost(Document, frozen=True, kw_only=True):
    """A post as it stood before it was decided: what a second moderator sees of it."""

    text: str
    pictures: list[str]
    state: str
    is_urgent: bool
    changed_ms: int
    published_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejudgement:
    """A decision that is judged again; a reason of "" is a post that was published.

    `post` is None once it is judged, or its time is over.
    """

    id: str
    post_id: str
    post: JudgedPost | None
    first_moderator: str
    first_reason: str
    drawn_ms: int
    second_moderator: str | None
    second_reason: str | None
    judged_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyPostRow:
    """An agency's post with its signatures."""

    id: str
    agency: str
    account_id: str
    cosigner_id: str | None
    signed: SignedPost
    cosigned: PostCosignature | None
    made_ms: int


# --- agencies' posts --------------------------------------------------------------------------


async def add_agency_post(tx: Transaction, row: AgencyPostRow) -> None:
    """Store an agency's signed post."""
    await tx.execute(
        insert(agency_posts).values(
            id=row.id,
            agency=row.agency,
            account_id=row.account_id,
            cosigner_id=row.cosigner_id,
            signed=row.signed.encode().decode(),
            cosigned=None if row.cosigned is None else row.cosigned.encode().decode(),
            made_ms=row.made_ms,
        )
    )


async def find_agency_post(tx: Transaction, post_id: str) -> AgencyPostRow | None:
    """Return an agency's signed post."""
    query = select(agency_posts).where(agency_posts.c.id == post_id)
    row = (await tx.execute(query)).first()
    return None if row is None else _agency_post(row)


async def list_agency_posts(tx: Transaction, agency: str, *, limit: int) -> list[AgencyPostRow]:
    """Return an agency's own signed posts, the newest first."""
    query = (
        select(agency_posts)
        .where(agency_posts.c.agency == agency)
        .order_by(agency_posts.c.made_ms.desc(), agency_posts.c.id)
        .limit(limit)
    )
    return [_agency_post(row) for row in await tx.execute(query)]


async def count_agency_posts(tx: Transaction, agency: str, *, since_ms: int) -> int:
    """Return how many posts an agency has signed since a time."""
    query = (
        select(func.count())
        .select_from(agency_posts)
        .where(agency_posts.c.agency == agency, agency_posts.c.made_ms > since_ms)
    )
    return int((await tx.execute(query)).scalar_one())


async def set_post_cosigned(tx: Transaction, post_id: str, cosigned: PostCosignature) -> None:
    """Store the second signature."""
    await tx.execute(
        update(agency_posts)
        .where(agency_posts.c.id == post_id)
        .values(cosigned=cosigned.encode().decode())
    )


async def delete_agency_posts(tx: Transaction, *, before_ms: int) -> None:
    """Delete the agencies' posts that were made before a time."""
    await tx.execute(delete(agency_posts).where(agency_posts.c.made_ms < before_ms))


def _agency_post(row: Row[tuple[object, ...]]) -> AgencyPostRow:
    return AgencyPostRow(
        id=row.id,
        agency=row.agency,
        account_id=row.account_id,
        cosigner_id=row.cosigner_id,
        signed=decode(SignedPost, row.signed.encode()),
        cosigned=None if row.cosigned is None else decode(PostCosignature, row.cosigned.encode()),
        made_ms=row.made_ms,
    )


async def count_danger(tx: Transaction, month: str, agency: str) -> None:
    """Count a post that was shown before a moderator read it."""
    columns = feed_dangers.c
    adding = upsert(tx, feed_dangers).values(month=month, agency=agency, count=1)
    await tx.execute(
        adding.on_conflict_do_update(
            index_elements=[columns.month, columns.agency], set_={"count": columns["count"] + 1}
        )
    )


async def list_dangers(tx: Transaction, *, since: str) -> dict[str, int]:
    """Return by month, from `since` on, how often something was shown before it was read."""
    columns = feed_dangers.c
    query = (
        select(columns.month, func.sum(columns["count"]))
        .where(columns.month >= since)
        .group_by(columns.month)
    )
    return {month: int(times) for month, times in await tx.execute(query)}


# --- decisions judged again ---------------------------------------------------------------------


async def add_rejudgement(tx: Transaction, one: Rejudgement) -> None:
    """Store a decision that was drawn to be judged again."""
    await tx.execute(
        insert(feed_rejudgements).values(
            id=one.id,
            post_id=one.post_id,
            post=None if one.post is None else one.post.encode().decode(),
            first_moderator=one.first_moderator,
            first_reason=one.first_reason,
            drawn_ms=one.drawn_ms,
            open_ms=None if one.post is None else one.drawn_ms,
        )
    )


async def count_rejudgements(tx: Transaction, *, since_ms: int) -> int:
    """Return how many decisions were drawn since a time."""
    query = (
        select(func.count())
        .select_from(feed_rejudgements)
        .where(feed_rejudgements.c.drawn_ms >= since_ms)
    )
    return int((await tx.execute(query)).scalar_one())


async def list_open_rejudgements(
    tx: Transaction, *, but_of: str, since_ms: int
) -> list[Rejudgement]:
    """Return what was drawn since a time and waits for another moderator than `but_of`."""
    query = (
        select(feed_rejudgements)
        .where(
            feed_rejudgements.c.open_ms > since_ms,
            feed_rejudgements.c.first_moderator != but_of,
        )
        .order_by(feed_rejudgements.c.open_ms, feed_rejudgements.c.id)
    )
    return [_rejudgement(row) for row in await tx.execute(query)]


async def find_rejudgement(tx: Transaction, post_id: str) -> Rejudgement | None:
    """Return what was drawn of a post, judged again or not."""
    query = select(feed_rejudgements).where(feed_rejudgements.c.post_id == post_id)
    row = (await tx.execute(query)).first()
    return None if row is None else _rejudgement(row)


async def close_rejudgement(
    tx: Transaction, rejudgement_id: str, *, moderator: str, reason: str, now_ms: int
) -> None:
    """Store the second judgement, and erase the text that it was about."""
    await tx.execute(
        update(feed_rejudgements)
        .where(feed_rejudgements.c.id == rejudgement_id)
        .values(
            post=None,
            open_ms=None,
            second_moderator=moderator,
            second_reason=reason,
            judged_ms=now_ms,
        )
    )


async def erase_rejudged(tx: Transaction, *, before_ms: int) -> None:
    """Erase the texts of what was drawn before a time: it stays unjudged."""
    await tx.execute(
        update(feed_rejudgements)
        .where(feed_rejudgements.c.open_ms < before_ms)
        .values(post=None, open_ms=None)
    )


async def list_rejudgements(tx: Transaction, *, since_ms: int) -> list[Rejudgement]:
    """Return all that was drawn since a time, the oldest first."""
    query = (
        select(feed_rejudgements)
        .where(feed_rejudgements.c.drawn_ms >= since_ms)
        .order_by(feed_rejudgements.c.drawn_ms, feed_rejudgements.c.id)
    )
    return [_rejudgement(row) for row in await tx.execute(query)]


def _rejudgement(row: Row[tuple[object, ...]]) -> Rejudgement:
    return Rejudgement(
        id=row.id,
        post_id=row.post_id,
        post=None if row.post is None else decode(JudgedPost, row.post.encode()),
        first_moderator=row.first_moderator,
        first_reason=row.first_reason,
        drawn_ms=row.drawn_ms,
        second_moderator=row.second_moderator,
        second_reason=row.second_reason,
        judged_ms=row.judged_ms,
    )


# --- notices of agreements ----------------------------------------------------------------------


async def take_notice(tx: Transaction, key: str, now_ms: int) -> bool:
    """Return whether a notice wasn't made before; from now on it was."""
    adding = (
        upsert(tx, feed_notices)
        .values(key=key, made_ms=now_ms)
        .on_conflict_do_nothing(index_elements=[feed_notices.c.key])
    )
    return (await tx.execute(adding)).rowcount == 1


async def list_notices(tx: Transaction) -> frozenset[str]:
    """Return the keys of all notices that were made."""
    return frozenset((await tx.execute(select(feed_notices.c.key))).scalars())
