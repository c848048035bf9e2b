"""Moderation of posts: a person reads each before anybody else does.

A refusal has a reason of a closed list, which its author reads. Refused, a post's text waits only
for an appeal, which another moderator decides; pictures of people, plates, numbers and names don't
wait for that. Moderators aren't shown who wrote a post. Nothing is decided twice: writers take
turns, and each looks first how the post stands. Some decisions are judged again, without effect, by
another moderator, for whom the post stands where it stood (rejudgements.py). What two officers had
shown because life is in danger waits here too, as it is public before anybody read it.
"""

from dataclasses import dataclass, replace
from typing import Literal

from firmware.protocol.encoding import new_id
from relay.base.appeal_verdicts import AppealVerdict
from relay.base.clock import Clock
from relay.feed.rejudgements import RejudgementService
from relay.feed.rules import (
    PICTURE_REASONS,
    FeedRefused,
    Reason,
    check_words,
    published_at,
)
from relay.store import feed
from relay.store.database import Database, Transaction
from relay.store.feed import Appeal, Decision, PostRow, Verdict
from relay.store.feed_review import JudgedPost

MAX_LISTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PostCase:
    """A post as a moderator sees it, with the decisions on it, the oldest first."""

    row: PostRow
    pictures: list[str]
    decisions: list[Decision]
    appeal: Appeal | None
    is_undecided: bool


class FeedModeration:
    """The moderators' queue of posts and their decisions; `moderator` is who decides."""

    def __init__(self, database: Database, clock: Clock, rejudgements: RejudgementService) -> None:
        self._database = database
        self._clock = clock
        self._rejudgements = rejudgements

    async def waiting(self, moderator: str) -> tuple[list[PostRow], int]:
        """Return the posts that wait for this moderator, and how many there are.

        What was shown at once comes first, then the oldest; 200 at most.
        """
        async with self._database.read() as tx:
            rows = await feed.list_waiting(tx, limit=MAX_LISTED)
            count = await feed.count_waiting(tx)
            again = await self._rejudgements.waiting_for(tx, moderator)
            for post_id, judged in again:
                row = await feed.find_post(tx, post_id)
                if row is not None:
                    rows.append(as_undecided(row, judged))
        rows.sort(key=lambda row: (row.state != "published", row.changed_ms, row.id))
        return rows[:MAX_LISTED], count + len(again)

    async def appeals(self, moderator: str) -> list[tuple[Appeal, PostRow]]:
        """Return the undecided appeals with their posts, the oldest first, 200 at most.

        But for those of posts that this moderator judges again: they would tell what was decided.
        """
        async with self._database.read() as tx:
            found = await feed.list_appeals(tx, limit=MAX_LISTED)
            again = {one for one, _ in await self._rejudgements.waiting_for(tx, moderator)}
        return [(appeal, row) for appeal, row in found if row.id not in again]

    async def find(self, post_id: str, moderator: str) -> PostCase | None:
        """Return a post in any state, as this moderator sees it."""
        async with self._database.read() as tx:
            row = await feed.find_post(tx, post_id)
            if row is None:
                return None
            judged = await self._rejudgements.find_for(tx, post_id, moderator)
            appeal = next(iter(await feed.list_appeals_of(tx, [post_id])), None)
            if isinstance(judged, JudgedPost):
                return PostCase(
                    row=as_undecided(row, judged),
                    pictures=judged.pictures,
                    decisions=[],
                    appeal=None,
                    is_undecided=True,
                )
            if judged is not None and appeal is None:
                return _as_judged(row, judged, moderator)
            return PostCase(
                row=row,
                pictures=(await feed.pictures_of(tx, [post_id]))[post_id],
                decisions=await feed.list_decisions(tx, [post_id]),
                appeal=appeal,
                is_undecided=await _is_undecided(tx, row),
            )

    async def publish(self, post_id: str, *, moderator: str, is_urgent: bool = False) -> None:
        """Let a post be public at the end of the hour, an urgent one at once. FeedRefused."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            if await self._rejudgements.judge(tx, post_id, moderator=moderator, reason=""):
                return
            row = await self._undecided(tx, post_id)
            await self._draw(tx, row, moderator, reason=None)
            if row.state == "waiting":
                out_ms = published_at(now_ms, is_urgent=is_urgent)
                await feed.set_state(
                    tx, post_id, "published", now_ms, published_ms=out_ms, is_urgent=is_urgent
                )
            await self._decided(tx, row, "published", moderator, now_ms)

    async def refuse(
        self, post_id: str, reason: Reason, *, words: str = "", moderator: str
    ) -> None:
        """Refuse a post, and say why; "other" needs `words`. FeedRefused."""
        if reason == "other" or words.strip():
            words = check_words(words, "say to the author what is wrong")
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            if await self._rejudgements.judge(tx, post_id, moderator=moderator, reason=reason):
                return
            row = await self._undecided(tx, post_id)
            await self._draw(tx, row, moderator, reason=reason)
            await feed.set_state(tx, post_id, "refused", now_ms)
            if reason in PICTURE_REASONS:
                await feed.erase_pictures(tx, [post_id])
            await self._decided(tx, row, "refused", moderator, now_ms, reason=reason, words=words)

    async def decide_appeal(
        self, post_id: str, verdict: AppealVerdict, *, words: str, moderator: str
    ) -> None:
        """Decide an appeal, as another moderator than the one who refused. FeedRefused."""
        words = check_words(words, "whoever decides an appeal says why, to the author")
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row, appeal = await self._appealed(tx, post_id)
            refusal = await self._refusal(tx, post_id)
            if refusal.moderator == moderator:
                words = "you refused it yourself: another moderator decides the appeal"
                raise FeedRefused("moderator", words)
            await feed.close_appeal(tx, post_id, now_ms)
            if verdict == "overturned":
                out_ms = published_at(now_ms, is_urgent=False)
                await feed.set_state(tx, post_id, "published", now_ms, published_ms=out_ms)
            else:
                await feed.erase_content(tx, [post_id])
            await self._decided(
                tx,
                row,
                verdict,
                moderator,
                now_ms,
                reason=refusal.reason,
                words=words,
                since_ms=appeal.appealed_ms,
            )

    async def _draw(
        self, tx: Transaction, row: PostRow, moderator: str, *, reason: Reason | None
    ) -> None:
        """Have the decision judged again, by chance; not where its pictures are erased by it."""
        pictures = (await feed.pictures_of(tx, [row.id]))[row.id]
        if pictures and reason in PICTURE_REASONS:
            return
        judged = JudgedPost(
            text=row.text,
            pictures=pictures,
            state=row.state,
            is_urgent=row.is_urgent,
            changed_ms=row.changed_ms,
            published_ms=row.published_ms,
        )
        await self._rejudgements.take_decision(
            tx, row.id, judged, moderator=moderator, reason=reason or ""
        )

    async def _undecided(self, tx: Transaction, post_id: str) -> PostRow:
        row = await feed.find_post(tx, post_id)
        if row is None:
            raise FeedRefused("not_found", "no such post")
        if not await _is_undecided(tx, row):
            words = f"the post doesn't wait for a moderator any more: it is {row.state}"
            raise FeedRefused("state", words)
        return row

    async def _appealed(self, tx: Transaction, post_id: str) -> tuple[PostRow, Appeal]:
        row = await feed.find_post(tx, post_id)
        if row is None:
            raise FeedRefused("not_found", "no such post")
        appeal = next(iter(await feed.list_appeals_of(tx, [post_id])), None)
        if appeal is None or appeal.decided_ms is not None or row.state != "refused":
            raise FeedRefused("state", "no appeal about this post waits: it is decided")
        return row, appeal

    async def _refusal(self, tx: Transaction, post_id: str) -> Decision:
        decisions = await feed.list_decisions(tx, [post_id])
        return next(one for one in reversed(decisions) if one.verdict == "refused")

    async def _decided(
        self,
        tx: Transaction,
        row: PostRow,
        verdict: Verdict,
        moderator: str,
        now_ms: int,
        *,
        reason: str | None = None,
        words: str = "",
        since_ms: int | None = None,
    ) -> None:
        await feed.add_decision(
            tx,
            Decision(
                id=new_id(),
                post_id=row.id,
                moderator=moderator,
                verdict=verdict,
                reason=reason,
                words=words,
                since_ms=row.changed_ms if since_ms is None else since_ms,
                decided_ms=now_ms,
            ),
        )


def as_undecided(row: PostRow, judged: JudgedPost) -> PostRow:
    """Return a post as it stood before it was decided, for who judges it again."""
    return replace(
        row,
        text=judged.text,
        state="published" if judged.state == "published" else "waiting",
        is_urgent=judged.is_urgent,
        changed_ms=judged.changed_ms,
        published_ms=judged.published_ms,
    )


def _as_judged(row: PostRow, reason: str, moderator: str) -> PostCase:
    """Return a post as if this moderator's second judgement were the only one."""
    verdict: Literal["refused", "published"] = "refused" if reason else "published"
    own = Decision(
        id=row.id,
        post_id=row.id,
        moderator=moderator,
        verdict=verdict,
        reason=reason or None,
        words="",
        since_ms=row.written_ms,
        decided_ms=row.changed_ms,
    )
    shown = replace(row, state=verdict, published_ms=row.published_ms or row.changed_ms)
    return PostCase(row=shown, pictures=[], decisions=[own], appeal=None, is_undecided=False)


async def _is_undecided(tx: Transaction, row: PostRow) -> bool:
    """Return whether a post waits for a moderator: also one that was shown at once, unread."""
    if row.state != "published" or row.written_by != "agency" or not row.is_urgent:
        return row.state == "waiting"
    return not await feed.list_decisions(tx, [row.id])
