"""Check-ins: regular, after each change and reconnection, and none that would wait for a line."""

from pathlib import Path

import msgspec
import pytest

from firmware.errors import StoreError
from firmware.notes.check_ins import CHECK_IN_FILE, CheckIns
from firmware.protocol.encoding import decode, unb64u
from firmware.protocol.events import CheckedIn, Event, EventBody, PushWanted
from firmware.protocol.live import BackPush, PushText, SilentPush
from tests.fakes.push_subscription import PushSubscription
from tests.fakes.slot_house import SlotHouse


class Doorbell(SlotHouse):
    """A doorbell that checks in, and its line to the relay."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.is_online = True
        self.is_card_bad = False
        self.left: list[CheckedIn] = []
        self.subscriptions: dict[str, PushSubscription] = {}
        owner = self.add_owner(phones=2)
        assert owner
        self.backs: list[PushWanted] = []
        self.check_ins = self.started()

    def started(self) -> CheckIns:
        """Start that part of the doorbell, as after a restart."""
        return CheckIns(
            device=self.keys.device,
            browsers=self.browsers,
            clock=self.clock,
            events=self,
            link=self,
            kept=self.folder / CHECK_IN_FILE,
            sleep=self.sleep,
        )

    def want(self, number: int, after_minutes: int | None) -> str:
        """Let a phone choose when to hear of silence; return its id."""
        browser = self.phones[number].keys.id
        subscription = self.subscriptions.setdefault(browser, PushSubscription())
        push = msgspec.structs.replace(subscription.push, silent_after_minutes=after_minutes)
        self.browsers.set_push(browser, push)
        return browser

    async def publish(self, body: EventBody, *, event_id: str | None = None) -> Event:
        if self.is_card_bad:
            raise StoreError(self.folder, "can't be written")
        if isinstance(body, PushWanted):
            self.backs.append(body)
        else:
            assert isinstance(body, CheckedIn)
            self.left.append(body)
        return await super().publish(body, event_id=event_id)

    async def pass_time(self, seconds: float) -> int:
        """Let time pass by turns; return how often it checked in."""
        before = len(self.left)
        for _ in range(round(seconds / 5)):
            self.clock.advance(5)
            await self.check_ins.turn()
        return len(self.left) - before

    async def be_away(self, seconds: float) -> int:
        """Lose the relay for so long; return when it is reached again."""
        self.is_online = False
        await self.pass_time(seconds - 5)
        self.is_online = True
        await self.pass_time(5)
        return self.clock.wall_ms()

    def back_of(self, browser: str) -> list[BackPush]:
        """Return what one browser was told of the doorbell's return."""
        bodies = [
            decode(PushText, self.subscriptions[browser].decrypt(unb64u(one.encrypted))).body
            for wanted in self.backs
            for one in wanted.messages
            if one.browser == browser
        ]
        return [body for body in bodies if isinstance(body, BackPush)]


@pytest.fixture
def doorbell(tmp_path: Path) -> Doorbell:
    return Doorbell(tmp_path)


async def test_checks_in_every_ten_minutes_and_says_when_it_did(doorbell: Doorbell) -> None:
    browser = doorbell.want(0, 60)
    assert await doorbell.pass_time(5) == 1
    assert await doorbell.pass_time(595) == 0
    assert await doorbell.pass_time(5) == 1
    (message,) = doorbell.left[-1].messages
    plain = doorbell.subscriptions[browser].decrypt(unb64u(message.encrypted))
    text = decode(PushText, plain)
    assert (message.browser, message.after_minutes) == (browser, 60)
    assert (text.body, text.time_ms) == (SilentPush(after_minutes=60), doorbell.clock.wall_ms())


async def test_a_doorbell_whose_owners_want_none_never_checks_in(doorbell: Doorbell) -> None:
    assert await doorbell.pass_time(1300) == 0


async def test_a_new_choice_is_told_at_once_and_the_last_ones_end_too(doorbell: Doorbell) -> None:
    doorbell.want(0, 60)
    doorbell.want(1, 15)
    await doorbell.pass_time(5)
    doorbell.want(0, 15)
    assert await doorbell.pass_time(5) == 1
    doorbell.want(0, None)
    doorbell.want(1, None)
    assert await doorbell.pass_time(5) == 1
    assert doorbell.left[-1].messages == []
    assert await doorbell.pass_time(1300) == 0


async def test_none_waits_for_the_line_and_the_first_comes_with_it(doorbell: Doorbell) -> None:
    doorbell.want(0, 60)
    await doorbell.pass_time(5)
    doorbell.is_online = False
    assert await doorbell.pass_time(3600) == 0
    doorbell.is_online = True
    assert await doorbell.pass_time(5) == 1


async def test_a_card_that_fails_is_tried_again(doorbell: Doorbell) -> None:
    doorbell.want(0, 60)
    doorbell.is_card_bad = True
    assert await doorbell.pass_time(20) == 0
    doorbell.is_card_bad = False
    assert await doorbell.pass_time(5) == 1


async def test_a_doorbell_that_doesnt_know_the_time_leaves_nothing(doorbell: Doorbell) -> None:
    """Its word would say a wrong time, and count for a wrong while."""
    doorbell.want(0, 60)
    doorbell.clock.trusted = False
    assert await doorbell.pass_time(1300) == 0


async def test_back_after_a_silence_is_pushed_with_both_times_to_who_heard_of_it(
    doorbell: Doorbell,
) -> None:
    soon, late = doorbell.want(0, 15), doorbell.want(1, 60)
    await doorbell.pass_time(5)
    left_ms = doorbell.clock.wall_ms()
    back_ms = await doorbell.be_away(1800)
    assert doorbell.back_of(soon) == [BackPush(since_ms=back_ms, silent_since_ms=left_ms)]
    assert doorbell.back_of(late) == []
    await doorbell.pass_time(1800)
    assert len(doorbell.backs) == 1


async def test_back_after_a_short_break_is_nobodys_news(doorbell: Doorbell) -> None:
    doorbell.want(0, 15)
    await doorbell.pass_time(595)
    await doorbell.be_away(600)
    assert doorbell.backs == []


async def test_a_doorbell_that_had_no_power_is_back_too_once_it_knows_the_time(
    doorbell: Doorbell,
) -> None:
    browser = doorbell.want(0, 60)
    await doorbell.pass_time(5)
    left_ms = doorbell.clock.wall_ms()
    doorbell.clock.advance(7200)
    doorbell.check_ins = doorbell.started()
    doorbell.clock.trusted = False
    await doorbell.pass_time(5)
    back_ms = doorbell.clock.wall_ms()
    await doorbell.pass_time(300)
    assert doorbell.backs == []
    doorbell.clock.trusted = True
    await doorbell.pass_time(5)
    assert doorbell.back_of(browser) == [BackPush(since_ms=back_ms, silent_since_ms=left_ms)]
    doorbell.check_ins = doorbell.started()
    await doorbell.pass_time(5)
    assert len(doorbell.backs) == 1


async def test_who_wants_to_hear_only_now_isnt_told_of_an_old_silence(doorbell: Doorbell) -> None:
    doorbell.want(0, 15)
    await doorbell.pass_time(5)
    doorbell.want(0, None)
    await doorbell.pass_time(5)
    doorbell.want(0, 15)
    doorbell.clock.advance(86_400)
    doorbell.check_ins = doorbell.started()
    await doorbell.pass_time(5)
    assert doorbell.backs == []


async def test_that_it_is_back_is_tried_again_when_the_card_failed(doorbell: Doorbell) -> None:
    browser = doorbell.want(0, 15)
    await doorbell.pass_time(5)
    doorbell.is_card_bad = True
    await doorbell.be_away(1800)
    doorbell.is_card_bad = False
    await doorbell.pass_time(5)
    assert len(doorbell.back_of(browser)) == 1


@pytest.mark.parametrize("junk", [b"", b"{}", b'{"left_ms":-1,"v":1}'])
async def test_a_damaged_file_of_the_last_check_in_is_no_silence(
    doorbell: Doorbell, junk: bytes
) -> None:
    doorbell.want(0, 15)
    (doorbell.folder / CHECK_IN_FILE).write_bytes(junk)
    doorbell.check_ins = doorbell.started()
    await doorbell.pass_time(5)
    assert doorbell.backs == []
