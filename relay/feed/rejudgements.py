"""Blind second judgements: some decisions on posts are judged again by another moderator.

    a decision ─► drawn by chance ─► the post stays in the others' queue as if nobody had decided
               └► not drawn           ─► another moderator decides it too ─► both are compared

The first 30 decisions of a month are all drawn, then one in twenty by chance, at the moment of the
decision. Who decided first no longer sees the post; for everybody else it stays where it was, with
its age, so that nobody can tell a second judgement from a first one. The second one changes
nothing about the post. Not drawn is what was refused for its pictures, which are erased at once.
"""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from firmware.protocol.encoding import new_id
from relay.base.clock import Clock
from relay.base.months import month_begin_ms, month_of
from relay.store import feed_review
from relay.store.database import Database, Transaction
from relay.store.feed_review import JudgedPost, Rejudgement

FEWEST_A_MONTH = 30
ONE_IN = 20
LIFE_MS = 7 * 24 * 3600 * 1000
"""What nobody has judged again by then is left at that, and its text erased."""
Draw = Callable[[int], int]
"""Returns a number from 0 to below its argument, by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonAgreement:
    """How often a second moderator judged as the first one did; `reason` is the first one's."""

    reason: str
    judged: int
    agreed: int


class RejudgementService:
    """Draws decisions, hands them to other moderators, and compares both."""

    def __init__(self, database: Database, clock: Clock, *, draw: Draw = secrets.randbelow) -> None:
        self._database = database
        self._clock = clock
        self._draw = draw

    async def take_decision(
        self, tx: Transaction, post_id: str, post: JudgedPost, *, moderator: str, reason: str
    ) -> None:
        """Draw a decision with its transaction, or not; `reason` is "" if it published the post."""
        now_ms = self._clock.wall_ms()
        drawn = await feed_review.count_rejudgements(tx, since_ms=month_begin_ms(month_of(now_ms)))
        if drawn >= FEWEST_A_MONTH and self._draw(ONE_IN) != 0:
            return
        await feed_review.add_rejudgement(
            tx,
            Rejudgement(
                id=new_id(),
                post_id=post_id,
                post=post,
                first_moderator=moderator,
                first_reason=reason,
                drawn_ms=now_ms,
                second_moderator=None,
                second_reason=None,
                judged_ms=None,
            ),
        )

    async def waiting_for(self, tx: Transaction, moderator: str) -> list[tuple[str, JudgedPost]]:
        """Return the posts that this moderator may judge again, with their ids."""
        since_ms = self._clock.wall_ms() - LIFE_MS
        found = await feed_review.list_open_rejudgements(tx, but_of=moderator, since_ms=since_ms)
        return [(one.post_id, one.post) for one in found if one.post is not None]

    async def find_for(
        self, tx: Transaction, post_id: str, moderator: str
    ) -> JudgedPost | str | None:
        """Return a post that this moderator may judge again, or the reason by which they did."""
        one = await feed_review.find_rejudgement(tx, post_id)
        if one is None or one.first_moderator == moderator:
            return None
        if one.second_moderator == moderator:
            return one.second_reason
        return one.post

    async def judge(self, tx: Transaction, post_id: str, *, moderator: str, reason: str) -> bool:
        """Store a second judgement; False if this post doesn't wait for one by this moderator."""
        one = await feed_review.find_rejudgement(tx, post_id)
        if one is None or one.post is None or one.first_moderator == moderator:
            return False
        await feed_review.close_rejudgement(
            tx, one.id, moderator=moderator, reason=reason, now_ms=self._clock.wall_ms()
        )
        return True


def agreement_by_reason(found: Sequence[Rejudgement]) -> list[ReasonAgreement]:
    """Return the agreement of both moderators by the first one's reason, "" for published. Pure.

    They agree if both published the post, or both refused it for the same reason.
    """
    judged = [one for one in found if one.second_reason is not None]
    return [
        ReasonAgreement(
            reason=reason,
            judged=sum(one.first_reason == reason for one in judged),
            agreed=sum(one.first_reason == one.second_reason == reason for one in judged),
        )
        for reason in sorted({one.first_reason for one in judged})
    ]
