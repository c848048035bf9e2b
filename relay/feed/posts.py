"""Posts as their authors see them: written, withdrawn, appealed.

A post waits for a moderator. Three in 24 hours are enough, in whatever state: refused and
withdrawn ones count. Withdrawn, a post's text and pictures are erased at once.
"""

from dataclasses import dataclass

from firmware.protocol.encoding import new_id
from relay.base.clock import Clock
from relay.feed.rules import (
    APPEAL_WITHIN_MS,
    DAY_MS,
    LIFE_MS,
    MAX_POSTS_A_DAY,
    NO_DISTRICTS,
    FeedRefused,
    PostDraft,
    check_draft,
    check_words,
    require_district,
)
from relay.feed.text_contexts import TextContexts
from relay.feed.text_rules import check_text
from relay.map.districts import Districts
from relay.store import feed, feed_legal
from relay.store.database import Database, Transaction
from relay.store.feed import Appeal, Decision, PostRow, State
from relay.store.feed_legal import LegalNotice
from relay.store.people import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPost:
    """A post for its author. `refusal` is the newest, `appeal_until_ms` None where none is open."""

    row: PostRow
    state: State
    pictures: list[str]
    refusal: Decision | None
    appeal: Appeal | None
    appeal_until_ms: int | None


class Posts:
    """The authors' service. Each method is for the account that asks."""

    def __init__(
        self, database: Database, clock: Clock, districts: Districts, texts: TextContexts
    ) -> None:
        self._database = database
        self._clock = clock
        self._districts = districts
        self._texts = texts

    async def write(self, account: Account, draft: PostDraft) -> PostRow:
        """Store a post of a member's for a moderator. FeedRefused, TextRefused."""
        now_ms = self._clock.wall_ms()
        draft = check_draft(draft, now_ms)
        context = await self._texts.of_neighbours()
        check_text(draft.text, kind=draft.kind, author="neighbour", context=context)
        async with self._database.begin() as tx:
            row = await self._row(tx, account, draft, now_ms)
            since_ms = now_ms - DAY_MS
            if (
                len(await feed.list_of_account(tx, account.id, since_ms=since_ms))
                >= MAX_POSTS_A_DAY
            ):
                words = f"you wrote {MAX_POSTS_A_DAY} posts within a day: write the next tomorrow"
                raise FeedRefused("too_many_posts", words)
            if not set(draft.pictures) <= await feed.loose_pictures(tx, account.id):
                raise FeedRefused("pictures", "a picture isn't there any more: add it once again")
            await feed.add_post(tx, row)
            await feed.take_pictures(tx, row.id, draft.pictures)
        return row

    async def _row(
        self, tx: Transaction, account: Account, draft: PostDraft, now_ms: int
    ) -> PostRow:
        member = await feed.find_membership(tx, account.id)
        if member is None:
            if not self._districts:
                raise FeedRefused("no_districts", NO_DISTRICTS)
            raise FeedRefused("not_a_member", "choose your district first: you post in that one")
        district = require_district(self._districts, member.district)
        if draft.cell not in district.cells:
            words = f"choose a place in your own district, {district.name}"
            raise FeedRefused("other_district", words)
        return PostRow(
            id=new_id(),
            district=district.id,
            cell=draft.cell,
            kind=draft.kind,
            hour_ms=draft.hour_ms,
            text=draft.text,
            written_by="neighbour",
            account_id=account.id,
            agency=None,
            refers=None,
            is_urgent=False,
            state="waiting",
            written_ms=now_ms,
            changed_ms=now_ms,
            published_ms=None,
        )

    async def mine(self, account: Account) -> list[OwnPost]:
        """Return an account's posts of the last 30 days, newest first."""
        now_ms = self._clock.wall_ms()
        async with self._database.read() as tx:
            # A published one lives longer than from when it was written.
            rows = await feed.list_of_account(tx, account.id, since_ms=now_ms - 2 * LIFE_MS)
            rows = [row for row in rows if (row.published_ms or row.written_ms) > now_ms - LIFE_MS]
            ids = [row.id for row in rows]
            pictures = await feed.pictures_of(tx, ids)
            appeals = {one.post_id: one for one in await feed.list_appeals_of(tx, ids)}
            refusals = {
                one.post_id: one
                for one in await feed.list_decisions(tx, ids)
                if one.verdict in ("refused", "upheld")
            }
        return [
            _own(row, pictures[row.id], refusals.get(row.id), appeals.get(row.id), now_ms)
            for row in rows
        ]

    async def legal_notices(self, account: Account) -> list[LegalNotice]:
        """Return what legal process there was about an account's posts, the newest first."""
        async with self._database.read() as tx:
            return await feed_legal.list_of_account(tx, account.id)

    async def find(self, account: Account, post_id: str) -> PostRow:
        """Return an account's own post. FeedRefused: it is nobody's, or another's."""
        async with self._database.read() as tx:
            return await self._own(tx, account, post_id)

    async def withdraw(self, account: Account, post_id: str) -> None:
        """Take back one's own post, in any state: its text and pictures are erased at once."""
        async with self._database.begin() as tx:
            row = await self._own(tx, account, post_id)
            if row.state == "withdrawn":
                return
            now_ms = self._clock.wall_ms()
            await feed.set_state(tx, post_id, "withdrawn", now_ms)
            await feed.erase_content(tx, [post_id])
            await feed.close_appeal(tx, post_id, now_ms)

    async def appeal(self, account: Account, post_id: str, text: str) -> None:
        """Appeal against the refusal of one's own post, once and within 7 days. FeedRefused."""
        text = check_words(text, "an appeal says why the post keeps the rules")
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row = await self._own(tx, account, post_id)
            if await feed.list_appeals_of(tx, [post_id]):
                raise FeedRefused("appealed", "this refusal was appealed already: wait for the end")
            if row.state != "refused":
                raise FeedRefused("state", "only a refusal can be appealed")
            if now_ms >= row.changed_ms + APPEAL_WITHIN_MS:
                raise FeedRefused("appeal_late", "a refusal can be appealed within seven days")
            appeal = Appeal(post_id=post_id, text=text, appealed_ms=now_ms, decided_ms=None)
            await feed.add_appeal(tx, appeal)

    async def _own(self, tx: Transaction, account: Account, post_id: str) -> PostRow:
        row = await feed.find_post(tx, post_id)
        if row is None or row.account_id != account.id:
            raise FeedRefused("not_found", "no such post")
        return row


def _own(
    row: PostRow,
    pictures: list[str],
    refusal: Decision | None,
    appeal: Appeal | None,
    now_ms: int,
) -> OwnPost:
    """Return a post as its author sees it: until its batch is out, one let through waits."""
    until_ms = row.changed_ms + APPEAL_WITHIN_MS
    is_open = row.state == "refused" and appeal is None and now_ms < until_ms
    is_out = row.published_ms is not None and row.published_ms <= now_ms
    return OwnPost(
        row=row,
        state="waiting" if row.state == "published" and not is_out else row.state,
        pictures=pictures,
        refusal=refusal if row.state == "refused" else None,
        appeal=appeal,
        appeal_until_ms=until_ms if is_open else None,
    )
