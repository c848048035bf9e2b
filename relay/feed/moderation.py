"""Moderation of posts: a person reads each before anybody else does.

A refusal has a reason of a closed list, which its author reads. Refused, a post's text waits only
for an appeal, which another moderator decides; pictures of people, plates, numbers and names don't
wait for that. Moderators aren't shown who wrote a post. Nothing is decided twice: writers take
turns, and each looks first how the post stands.
"""

from dataclasses import dataclass
from typing import Literal

from firmware.protocol.encoding import new_id
from relay.base.clock import Clock
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

MAX_LISTED = 200
AppealVerdict = Literal["upheld", "overturned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostCase:
    """A post as moderators see it, with the decisions on it, the oldest first."""

    row: PostRow
    pictures: list[str]
    decisions: list[Decision]
    appeal: Appeal | None


class FeedModeration:
    """The moderators' queue of posts and their decisions; `moderator` is who decides."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def waiting(self) -> list[PostRow]:
        """Return the posts that wait for a decision, the oldest first, 200 at most."""
        async with self._database.read() as tx:
            return await feed.list_waiting(tx, limit=MAX_LISTED)

    async def count_waiting(self) -> int:
        """Return how many posts wait for a decision."""
        async with self._database.read() as tx:
            return await feed.count_waiting(tx)

    async def appeals(self) -> list[tuple[Appeal, PostRow]]:
        """Return the undecided appeals with their posts, the oldest first, 200 at most."""
        async with self._database.read() as tx:
            return await feed.list_appeals(tx, limit=MAX_LISTED)

    async def find(self, post_id: str) -> PostCase | None:
        """Return a post in any state."""
        async with self._database.read() as tx:
            row = await feed.find_post(tx, post_id)
            if row is None:
                return None
            return PostCase(
                row=row,
                pictures=(await feed.pictures_of(tx, [post_id]))[post_id],
                decisions=await feed.list_decisions(tx, [post_id]),
                appeal=next(iter(await feed.list_appeals_of(tx, [post_id])), None),
            )

    async def publish(self, post_id: str, *, moderator: str, is_urgent: bool = False) -> None:
        """Let a post be public at the end of the hour, an urgent one at once. FeedRefused."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            row = await self._waiting(tx, post_id)
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
            row = await self._waiting(tx, post_id)
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

    async def _waiting(self, tx: Transaction, post_id: str) -> PostRow:
        row = await feed.find_post(tx, post_id)
        if row is None:
            raise FeedRefused("not_found", "no such post")
        if row.state != "waiting":
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
