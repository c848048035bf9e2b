"""The daily summary: one a day, at its moment, with the day's figures."""

from pathlib import Path

import msgspec
import pytest

from firmware.notes.daily_summaries import DailySummaries
from firmware.outbox.queue import Outbox
from firmware.protocol.encoding import decode, unb64u
from firmware.protocol.events import ClockSet, Event, EventBody, Motion, Pressed, PushWanted
from firmware.protocol.live import DailyTime, PushText, SummaryPush
from tests.fakes.push_subscription import PushSubscription
from tests.fakes.slot_house import SlotHouse

DAY_MS = 24 * 3600 * 1000
HOUR_S = 3600


class Doorbell(SlotHouse):
    """A doorbell with summaries, and what is pushed: when, and to whom."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pushed: list[tuple[int, PushWanted]] = []
        self.subscriptions: dict[str, PushSubscription] = {}
        self.add_owner(phones=2)
        self.summaries = DailySummaries(
            device=self.keys.device,
            browsers=self.browsers,
            clock=self.clock,
            counts=self.outbox,
            unread=self.desk,
            events=self,
            sleep=self.sleep,
        )

    def want(self, number: int, *, in_minutes: int) -> str:
        browser = self.phones[number].keys.id
        subscription = self.subscriptions.setdefault(browser, PushSubscription())
        minute = (self.clock.wall_ms() // 60_000 + in_minutes) % 1440
        daily = DailyTime(minute=minute, time_zone="UTC")
        self.browsers.set_push(browser, msgspec.structs.replace(subscription.push, summary=daily))
        return browser

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        if isinstance(body, PushWanted):
            self.pushed.append((self.clock.wall_ms(), body))
        return await super().publish(body, event_id=event_id)

    async def run_for(self, hours: float) -> list[tuple[int, PushWanted]]:
        """Let summaries run; return what is pushed meanwhile."""
        before = len(self.pushed)
        end_ms = self.clock.wall_ms() + round(hours * HOUR_S * 1000)
        looked_ms = self.clock.wall_ms()
        while self.clock.wall_ms() < end_ms:
            looked_ms = await self.summaries.turn(looked_ms)
        return self.pushed[before:]

    def text(self, wanted: PushWanted) -> SummaryPush:
        message = wanted.messages[0]
        plain = self.subscriptions[message.browser].decrypt(unb64u(message.encrypted))
        body = decode(PushText, plain).body
        assert isinstance(body, SummaryPush)
        return body


@pytest.fixture
def doorbell(tmp_path: Path) -> Doorbell:
    return Doorbell(tmp_path)


async def test_comes_once_a_day_at_its_minute_with_the_last_days_figures(
    doorbell: Doorbell,
) -> None:
    doorbell.want(0, in_minutes=90)
    for body in (Pressed(), Motion(), Motion()):
        await doorbell.publish(body)
    (first,) = await doorbell.run_for(3)
    assert first[0] // 60_000 * 60_000 == first[0]
    assert doorbell.text(first[1]) == SummaryPush(rings=1, motions=2, has_to_read=False)
    (second,) = await doorbell.run_for(24)
    assert second[0] == first[0] + DAY_MS
    assert doorbell.text(second[1]) == SummaryPush(rings=0, motions=0, has_to_read=False)


async def test_phones_with_one_moment_share_a_push_and_others_have_their_own(
    doorbell: Doorbell,
) -> None:
    both = {doorbell.want(0, in_minutes=30), doorbell.want(1, in_minutes=30)}
    ((_, wanted),) = await doorbell.run_for(1)
    assert {one.browser for one in wanted.messages} == both
    doorbell.want(1, in_minutes=30)
    assert len(await doorbell.run_for(24)) == 2


async def test_a_doorbell_without_the_time_leaves_the_day_out(doorbell: Doorbell) -> None:
    doorbell.want(0, in_minutes=30)
    doorbell.clock.trusted = False
    assert await doorbell.run_for(2) == []
    doorbell.clock.trusted = True
    assert await doorbell.run_for(2) == []
    assert len(await doorbell.run_for(24)) == 1


async def test_a_leap_of_the_clock_over_the_moment_pushes_nothing_late(doorbell: Doorbell) -> None:
    doorbell.want(0, in_minutes=30)
    looked_ms = await doorbell.summaries.turn(doorbell.clock.wall_ms())
    doorbell.clock.set_wall_ms(doorbell.clock.wall_ms() + 13 * HOUR_S * 1000)
    for _ in range(10):
        looked_ms = await doorbell.summaries.turn(looked_ms)
    assert doorbell.pushed == []


# What is counted


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "counted.sqlite3", "a" * 20, boot="boot")


def test_a_press_counts_after_its_receipt_and_after_a_restart(
    outbox: Outbox, tmp_path: Path
) -> None:
    told = outbox.append(Pressed(), time_ms=1000, is_clock_trusted=True)
    outbox.append(Motion(), time_ms=2000, is_clock_trusted=True)
    outbox.forget([told.id])
    outbox.close()
    again = Outbox(tmp_path / "counted.sqlite3", "a" * 20)
    assert again.count(0, 3000) == (1, 1)
    assert again.count(1001, 2000) == (0, 0)


def test_what_happened_while_the_time_wasnt_known_counts_once_it_is_dated(outbox: Outbox) -> None:
    told = outbox.append(Pressed(), time_ms=5, is_clock_trusted=False)
    assert outbox.count(0, 10_000) == (0, 0)
    outbox.append(
        ClockSet(from_seq=told.seq, to_seq=told.seq, offset_ms=7000),
        time_ms=9000,
        is_clock_trusted=True,
    )
    assert outbox.count(7000, 7010) == (1, 0)


def test_a_bell_that_is_rung_all_day_fills_no_card(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "few.sqlite3", "a" * 20, most_counted=3)
    for number in range(5):
        outbox.append(Pressed(), time_ms=number, is_clock_trusted=True)
    assert outbox.count(0, 10) == (3, 0)
