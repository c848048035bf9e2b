"""firmware.outbox.refusal_counts: each quarter is told once it is over, by every doorbell."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from firmware.outbox.refusal_counts import DAY_MS, TELL_FOR_MS, RefusalCounts, quarter_begin_ms
from firmware.protocol.encoding import new_id, sha256_hex
from firmware.protocol.events import EventBody, RefusalsCounted
from firmware.store.household import HouseholdStore
from tests.fakes.clock import ManualClock
from tests.fakes.events import PublishedEvents
from tests.fakes.recorder import Shelves

BEGIN_MS = round(datetime(2027, 1, 1, tzinfo=UTC).timestamp() * 1000)


class Counting:
    """A doorbell's counts, and what was told of them."""

    def __init__(self, folder: Path) -> None:
        self.household = HouseholdStore(Shelves(folder).database)
        self.clock = ManualClock(wall_ms=BEGIN_MS - DAY_MS)
        self.events = PublishedEvents()
        self.start()

    def start(self) -> None:
        self.counts = RefusalCounts(
            household=self.household, clock=self.clock, events=self.events, chance=random.Random(7)
        )

    async def at(self, wall_ms: int) -> list[EventBody]:
        """Return what is told at that time."""
        self.clock.set_wall_ms(wall_ms)
        before = len(self.events.bodies)
        await self.counts.publish_due()
        return self.events.bodies[before:]

    def refuse(self, quarter: str, reason: str) -> None:
        """Refuse a statement that never came before."""
        self.household.note_refusal(
            sha256_hex(new_id().encode()), quarter=quarter, reason=reason, now_ms=1, promises=[]
        )


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    return Counting(tmp_path)


async def test_a_quarter_is_told_on_the_first_day_of_the_next_and_once(counting: Counting) -> None:
    counting.refuse("2026-Q4", "clock")
    counting.refuse("2027-Q1", "area")
    assert await counting.at(BEGIN_MS - 1) == []
    assert await counting.at(BEGIN_MS) == []
    told = RefusalsCounted(quarter="2026-Q4", counts={"clock": 1})
    assert await counting.at(BEGIN_MS + DAY_MS) == [told]
    assert await counting.at(BEGIN_MS + 2 * DAY_MS) == []
    assert await counting.at(BEGIN_MS + 91 * DAY_MS) == [
        RefusalsCounted(quarter="2027-Q1", counts={"area": 1})
    ]
    assert counting.household.refusals("2026-Q4") == {}


async def test_a_doorbell_that_refused_nothing_tells_that_too(counting: Counting) -> None:
    assert await counting.at(BEGIN_MS + DAY_MS) == [RefusalsCounted(quarter="2026-Q4", counts={})]


async def test_after_a_restart_it_is_told_again_while_the_relay_still_counts(
    counting: Counting,
) -> None:
    counting.refuse("2026-Q4", "clock")
    first = await counting.at(BEGIN_MS + DAY_MS)
    counting.start()
    assert await counting.at(BEGIN_MS + 2 * DAY_MS) == first
    counting.start()
    assert await counting.at(BEGIN_MS + TELL_FOR_MS) == []


def test_a_quarter_begins_at_midnight_utc() -> None:
    assert quarter_begin_ms(BEGIN_MS) == BEGIN_MS
    assert quarter_begin_ms(BEGIN_MS + 89 * DAY_MS) == BEGIN_MS
    assert quarter_begin_ms(BEGIN_MS + 90 * DAY_MS) == BEGIN_MS + 90 * DAY_MS
