"""Public figures of the feed's moderation: by month, and the queue of now.

Counts and times alone: no text, no name of anybody. A month's second judgements are counted once
the month is over, so that nobody learns from them which decisions are judged again.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from relay.base.clock import Clock
from relay.base.months import month_begin_ms, month_of
from relay.feed.rejudgements import (
    ReasonAgreement,
    agreement_by_reason,
)
from relay.feed.rules import DAY_MS, HOUR_MS
from relay.store import feed, feed_review
from relay.store.database import Database
from relay.store.feed import Decision
from relay.store.feed_review import Rejudgement

SHOWN_MS = 400 * DAY_MS
"""More than twelve months, and the running one."""
KEPT_MS = 60_000
"""Figures are read anew after a minute: whoever asks again and again costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthFigures:
    """One month such as 2026-11; `median_hours` is from hand-in to the first decision.

    `refused`, `upheld` and `overturned` are by reason; `again` is empty until the month is over.
    `at_once` counts what agencies had shown because life is in danger.
    """

    month: str
    published: int
    refused: dict[str, int]
    upheld: dict[str, int]
    overturned: dict[str, int]
    median_hours: float | None
    drawn: int | None
    again: list[ReasonAgreement]
    at_once: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFigures:
    """What waits for a moderator now; `oldest_hours` None where nothing waits."""

    posts: int
    oldest_hours: float | None
    appeals: int
    oldest_appeal_hours: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFigures:
    """All public figures, the newest month first."""

    queue: QueueFigures
    months: list[MonthFigures]


class ModerationFigures:
    """Reads the public figures."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._kept: tuple[int, FeedFigures] | None = None

    async def read(self) -> FeedFigures:
        """Return the figures, a minute old at most."""
        now_ms = self._clock.wall_ms()
        if self._kept is not None and 0 <= now_ms - self._kept[0] < KEPT_MS:
            return self._kept[1]
        figures = await self._read(now_ms)
        self._kept = (now_ms, figures)
        return figures

    async def _read(self, now_ms: int) -> FeedFigures:
        since_ms = month_begin_ms(month_of(now_ms - SHOWN_MS))
        async with self._database.read() as tx:
            waiting = await feed.list_waiting(tx, limit=1)
            count = await feed.count_waiting(tx)
            appeals = [appeal for appeal, _ in await feed.list_appeals(tx, limit=1000)]
            decisions = await feed.list_decisions_since(tx, since_ms)
            drawn = await feed_review.list_rejudgements(tx, since_ms=since_ms)
            at_once = await feed_review.list_dangers(tx, since=month_of(since_ms))
        queue = QueueFigures(
            posts=count,
            oldest_hours=_hours(now_ms - waiting[0].changed_ms) if waiting else None,
            appeals=len(appeals),
            oldest_appeal_hours=_hours(now_ms - appeals[0].appealed_ms) if appeals else None,
        )
        return FeedFigures(
            queue=queue, months=months_of(decisions, drawn, at_once, month_of(now_ms))
        )


def months_of(
    decisions: list[Decision], drawn: list[Rejudgement], at_once: Mapping[str, int], running: str
) -> list[MonthFigures]:
    """Return the figures of each month in which something happened, the newest first. Pure."""
    decided: dict[str, list[Decision]] = {}
    for one in decisions:
        decided.setdefault(month_of(one.decided_ms), []).append(one)
    again: dict[str, list[Rejudgement]] = {}
    for row in drawn:
        again.setdefault(month_of(row.drawn_ms), []).append(row)
    return [
        _month(
            month,
            decided.get(month, []),
            None if month == running else again.get(month, []),
            at_once.get(month, 0),
        )
        for month in sorted({*decided, *at_once}, reverse=True)
    ]


def _month(
    month: str, decisions: list[Decision], drawn: list[Rejudgement] | None, at_once: int
) -> MonthFigures:
    first = [one for one in decisions if one.verdict in ("published", "refused")]
    hours = [(one.decided_ms - one.since_ms) / HOUR_MS for one in first]
    return MonthFigures(
        month=month,
        published=sum(one.verdict == "published" for one in decisions),
        refused=_by_reason(decisions, "refused"),
        upheld=_by_reason(decisions, "upheld"),
        overturned=_by_reason(decisions, "overturned"),
        median_hours=round(median(hours), 1) if hours else None,
        drawn=None if drawn is None else len(drawn),
        again=[] if drawn is None else agreement_by_reason(drawn),
        at_once=at_once,
    )


def _by_reason(decisions: list[Decision], verdict: str) -> dict[str, int]:
    counts = Counter(one.reason or "other" for one in decisions if one.verdict == verdict)
    return dict(sorted(counts.items()))


def _hours(span_ms: int) -> float:
    return round(max(0, span_ms) / HOUR_MS, 1)
