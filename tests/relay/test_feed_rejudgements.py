"""Decisions that are judged again: which are drawn, who judges them, and what is counted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.encoding import new_id
from relay.feed.rejudgements import (
    FEWEST_A_MONTH,
    LIFE_MS,
    ONE_IN,
    RejudgementService,
    agreement_by_reason,
)
from relay.store import feed_review
from relay.store.database import Database
from relay.store.feed_review import JudgedPost, Rejudgement
from tests.fakes.clock import ManualClock
from tests.relay.databases import open_database

POST = JudgedPost(
    text="A branch fell.", pictures=[], state="waiting", is_urgent=False, changed_ms=5,
    published_ms=None,
)  # fmt: skip


class Dice:
    """Chance that a test sets; `asked` are the numbers from below which it drew."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.asked: list[int] = []

    def __call__(self, below: int) -> int:
        self.asked.append(below)
        return self.number


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(tmp_path / "relay.sqlite3")
    yield database
    await database.close()


async def decide(
    database: Database, service: RejudgementService, *, moderator: str = "one", reason: str = ""
) -> str:
    post_id = new_id()
    async with database.begin() as tx:
        await service.take_decision(tx, post_id, POST, moderator=moderator, reason=reason)
    return post_id


async def waiting(database: Database, service: RejudgementService, moderator: str) -> list[str]:
    async with database.read() as tx:
        return [post_id for post_id, _ in await service.waiting_for(tx, moderator)]


async def judge(
    database: Database, service: RejudgementService, post_id: str, moderator: str, reason: str = ""
) -> bool:
    async with database.begin() as tx:
        return await service.judge(tx, post_id, moderator=moderator, reason=reason)


async def test_all_of_a_months_first_30_are_drawn_then_one_in_twenty(database: Database) -> None:
    dice = Dice(1)
    clock = ManualClock()
    service = RejudgementService(database, clock, draw=dice)
    for _ in range(FEWEST_A_MONTH + 5):
        await decide(database, service)
    assert len(await waiting(database, service, "two")) == FEWEST_A_MONTH
    assert dice.asked == [ONE_IN] * 5
    dice.number = 0
    await decide(database, service)
    assert len(await waiting(database, service, "two")) == FEWEST_A_MONTH + 1
    dice.number = 1
    clock.advance(32 * 24 * 3600)  # another month begins anew
    await decide(database, service)
    assert len(await waiting(database, service, "two")) == 1  # the others are too old by now


async def test_who_decided_first_does_not_judge_again(database: Database) -> None:
    service = RejudgementService(database, ManualClock())
    post_id = await decide(database, service, moderator="one")
    assert await waiting(database, service, "one") == []
    assert not await judge(database, service, post_id, "one")
    assert await waiting(database, service, "two") == [post_id]
    assert await judge(database, service, post_id, "two", "minor")
    assert not await judge(database, service, post_id, "three")
    assert await waiting(database, service, "three") == []


async def test_the_text_goes_once_it_is_judged_or_its_time_is_over(database: Database) -> None:
    clock = ManualClock()
    service = RejudgementService(database, clock)
    judged, late = await decide(database, service), await decide(database, service)
    assert await judge(database, service, judged, "two")
    clock.advance(LIFE_MS / 1000 + 1)
    async with database.begin() as tx:
        await feed_review.erase_rejudged(tx, before_ms=clock.wall_ms() - LIFE_MS)
    async with database.read() as tx:
        rows = await feed_review.list_rejudgements(tx, since_ms=0)
    assert {row.post_id: row.post for row in rows} == {judged: None, late: None}
    assert not await judge(database, service, late, "two")


def _row(first: str, second: str | None) -> Rejudgement:
    return Rejudgement(
        id=new_id(),
        post_id=new_id(),
        post=None,
        first_moderator="one",
        first_reason=first,
        drawn_ms=0,
        second_moderator=None if second is None else "two",
        second_reason=second,
        judged_ms=None if second is None else 1,
    )


def test_agreement_is_counted_by_the_first_ones_reason() -> None:
    rows = [_row("", ""), _row("", "minor"), _row("minor", "minor"), _row("plate", None)]
    found = {one.reason: (one.agreed, one.judged) for one in agreement_by_reason(rows)}
    assert found == {"": (1, 2), "minor": (1, 1)}
