"""Whoever sees all pushes of a doorbell can't say whether a request was about its door.

Two doorbells alike but for what their owners hear, want or decided push the same: as often, as
large, to the same browsers, in the same order, at the same moments. Daily summaries come on a day
with nothing too, and every doorbell pushes every emergency.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from firmware.notes.check_ins import CHECK_IN_FILE, CheckIns
from firmware.notes.daily_summaries import DailySummaries
from firmware.protocol.encoding import decode, unb64u
from firmware.protocol.events import CheckedIn, PushWanted, SlotCommitted
from firmware.protocol.live import (
    BackPush,
    DailyTime,
    EmergencyPush,
    PushBody,
    PushText,
    SummaryPush,
)
from tests.fakes.log_town import OTHER_CELL, Town, make_town
from tests.fakes.push_subscription import PushSubscription
from tests.fakes.slot_house import SlotHouse

Prepare = Callable[[SlotHouse], Awaitable[None]]
PHONES = 2
SLOTS = 4
MINUTE_MS = 60_000
DANGER = "A child is missing."


async def _nothing(house: SlotHouse) -> None:
    house.town.append(house.town.change(house.town.sign_agreement(house.town.agreement)))


async def _asked(house: SlotHouse) -> None:
    house.town.publish()


async def _asked_and_declined(house: SlotHouse) -> None:
    house.household.decline(house.town.publish().request_digest, house.clock.wall_ms())


async def _asked_and_granted(house: SlotHouse) -> None:
    house.grant(house.town.publish().request_digest)


async def _elsewhere(house: SlotHouse) -> None:
    house.town.publish(cells=[OTHER_CELL])


async def _urgent(house: SlotHouse) -> None:
    house.town.publish(danger=DANGER)


async def _urgent_elsewhere(house: SlotHouse) -> None:
    house.town.publish(danger=DANGER, cells=[OTHER_CELL])


async def _urgent_and_opted_out(house: SlotHouse) -> None:
    house.set(is_opted_in=False)
    house.town.publish(danger=DANGER)


async def _urgent_by_a_refused_agency(house: SlotHouse) -> None:
    house.household.refuse_agency("lakeland-police", is_refused=True)
    house.town.publish(danger=DANGER)


async def _urgent_and_declined(house: SlotHouse) -> None:
    house.household.decline(house.town.publish(danger=DANGER).request_digest, 1)


QUIET_DAYS = {
    "nothing": _nothing,
    "declined": _asked_and_declined,
    "granted": _asked_and_granted,
    "elsewhere": _elsewhere,
}
EMERGENCIES = {
    "elsewhere": _urgent_elsewhere,
    "opted out": _urgent_and_opted_out,
    "agency refused": _urgent_by_a_refused_agency,
    "declined": _urgent_and_declined,
}


class PushedHouse(SlotHouse):
    """A doorbell whose browsers want summaries and emergencies, all at one moment of the day."""

    def __init__(self, folder: Path, town: Town, twin: "PushedHouse | None" = None) -> None:
        folder.mkdir()
        super().__init__(folder, town)
        self.subscriptions: dict[str, PushSubscription] = {}
        if twin is not None:
            self.subscriptions = twin.subscriptions
        if twin is None:
            self.add_owner(phones=PHONES)
        else:
            for owner in twin.owners.owners:
                self.owners.add(owner)
            for known in twin.browsers.all():
                self.browsers.enrol(known.keys, known.credential_id, self.clock.wall_ms())
        minute = (self.clock.wall_ms() + (SLOTS + 1) * self.slot_ms) // MINUTE_MS % 1440
        for known in self.browsers.all():
            subscription = self.subscriptions.setdefault(known.keys.id, PushSubscription())
            push = msgspec.structs.replace(
                subscription.push,
                kinds=["pressed", "emergency"],
                silent_after_minutes=15,
                summary=DailyTime(minute=minute, time_zone="UTC"),
            )
            self.browsers.set_push(known.keys.id, push)
        self.summaries = DailySummaries(
            device=self.keys.device,
            browsers=self.browsers,
            clock=self.clock,
            counts=self.outbox,
            unread=self.desk,
            events=self,
            sleep=self.sleep,
        )
        self.is_online = True
        self.check_ins = CheckIns(
            device=self.keys.device,
            browsers=self.browsers,
            clock=self.clock,
            events=self,
            link=self,
            kept=folder / CHECK_IN_FILE,
            sleep=self.sleep,
        )

    def read(self) -> set[PushBody]:
        """Return what the browsers read in the pushes that wait."""
        return {
            decode(PushText, self.subscriptions[one.browser].decrypt(unb64u(one.encrypted))).body
            for event in self.outbox.pending(100)
            if isinstance(event.body, PushWanted)
            for one in event.body.messages
        }

    def seen(self) -> list[object]:
        """Return all that the relay has of the events that wait, and let it have them."""
        seen: list[object] = []
        for event in self.outbox.pending(100):
            match event.body:
                case SlotCommitted() as told:
                    inside = [(note.browser, len(note.sealed)) for note in told.notes]
                case PushWanted() as wanted:
                    inside = [(one.browser, len(one.encrypted)) for one in wanted.messages]
                    inside.append(("expires", wanted.expires_ms))
                case CheckedIn() as told:
                    inside = [(one.browser, len(one.encrypted)) for one in told.messages]
                case other:
                    raise AssertionError(other)
            kind = type(event.body).__name__
            seen.append((event.seq, event.time_ms, kind, len(event.encode()), inside))
        self.receive()
        return seen


async def watch(house: PushedHouse, prepare: Prepare) -> tuple[list[object], set[PushBody]]:
    """Let slots and a summary pass, the request coming after the first slot."""
    seen: list[object] = []
    read: set[PushBody] = set()
    for number in range(SLOTS):
        if number == 1:
            await prepare(house)
        await house.pass_slot()
        read |= house.read()
        seen += house.seen()
    looked_ms = house.clock.wall_ms()
    end_ms = looked_ms + 3 * house.slot_ms
    while house.clock.wall_ms() < end_ms:
        looked_ms = await house.summaries.turn(looked_ms)
    read |= house.read()
    return seen + house.seen(), read


async def fall_silent(house: PushedHouse, prepare: Prepare) -> tuple[list[object], set[PushBody]]:
    """Check in, hear of the request, be away for half an hour and come back."""
    await house.check_ins.turn()
    await house.pass_slot()
    await prepare(house)
    await house.pass_slot()
    house.is_online = False
    await house.check_ins.turn()
    house.clock.advance(1800)
    house.is_online = True
    await house.check_ins.turn()
    read = house.read()
    return house.seen(), read


def kinds_of(seen: list[object]) -> list[str]:
    return [one[2] for one in seen]  # type: ignore[index]


@pytest.mark.parametrize("other", QUIET_DAYS)
async def test_a_summary_comes_the_same_whether_there_is_something_to_read(
    tmp_path: Path, other: str
) -> None:
    town = make_town()
    asked = PushedHouse(tmp_path / "asked", town.copy())
    twin = PushedHouse(tmp_path / "other", town.copy(), asked)
    seen, read = await watch(asked, _asked)
    other_seen, other_read = await watch(twin, QUIET_DAYS[other])
    assert kinds_of(seen) == ["SlotCommitted"] * SLOTS + ["PushWanted"]
    assert seen == other_seen
    assert read == {SummaryPush(rings=0, motions=0, has_to_read=True)}
    assert other_read == {SummaryPush(rings=0, motions=0, has_to_read=False)}


@pytest.mark.parametrize("other", QUIET_DAYS)
async def test_a_doorbell_comes_back_from_a_silence_the_same(tmp_path: Path, other: str) -> None:
    town = make_town()
    asked = PushedHouse(tmp_path / "asked", town.copy())
    twin = PushedHouse(tmp_path / "other", town.copy(), asked)
    seen, read = await fall_silent(asked, _asked)
    other_seen, other_read = await fall_silent(twin, QUIET_DAYS[other])
    slots = ["SlotCommitted"] * 2
    assert kinds_of(seen) == ["CheckedIn", *slots, "PushWanted", "CheckedIn"]
    assert seen == other_seen
    assert read == other_read
    assert {type(body) for body in read} == {BackPush}


@pytest.mark.parametrize("other", EMERGENCIES)
async def test_an_emergency_is_pushed_the_same_whoever_it_is_about(
    tmp_path: Path, other: str
) -> None:
    town = make_town()
    asked = PushedHouse(tmp_path / "asked", town.copy())
    twin = PushedHouse(tmp_path / "other", town.copy(), asked)
    seen, read = await watch(asked, _urgent)
    other_seen, other_read = await watch(twin, EMERGENCIES[other])
    slots = ["SlotCommitted"] * (SLOTS - 1)
    assert kinds_of(seen) == ["SlotCommitted", slots[0], "PushWanted", *slots[1:], "PushWanted"]
    assert seen == other_seen
    said = {"elsewhere": False, "opted out": None, "agency refused": None, "declined": True}
    assert EmergencyPush(is_here=True) in read
    assert EmergencyPush(is_here=said[other]) in other_read


async def test_an_emergency_is_pushed_once_also_by_a_doorbell_that_starts_again(
    tmp_path: Path,
) -> None:
    house = PushedHouse(tmp_path / "house", make_town())
    await _urgent_elsewhere(house)
    await house.pass_slot()
    assert kinds_of(house.seen()) == ["SlotCommitted", "PushWanted"]
    house.restart()
    await house.pass_slot()
    assert kinds_of(house.seen()) == ["SlotCommitted"]


async def test_an_emergency_of_three_hours_ago_is_pushed_by_nobody(
    tmp_path: Path,
) -> None:
    house = PushedHouse(tmp_path / "house", make_town())
    await _urgent(house)
    house.clock.advance(3 * 3600)
    await house.pass_slot()
    assert kinds_of(house.seen()) == ["SlotCommitted"]
