"""Whoever sees all that doorbells tell can't say which of them was asked for recordings.

Two doorbells alike but for what their owners hear, want or decided tell the same events: as many,
as large, to the same browsers, at the same moments. What a hostile relay answers changes nothing.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from firmware.protocol.encoding import MAX_MQTT_BYTES
from firmware.protocol.events import MAX_SLOT_NOTES, SlotCommitted
from tests.fakes.log_town import OTHER_CELL, Town, make_town
from tests.fakes.slot_house import SlotHouse

Prepare = Callable[[SlotHouse], Awaitable[None]]
PHONES = 3


async def _asked(house: SlotHouse) -> None:
    house.town.publish()


async def _asked_urgently(house: SlotHouse) -> None:
    house.town.publish(danger="A child is missing.")


async def _elsewhere(house: SlotHouse) -> None:
    house.town.publish(cells=[OTHER_CELL])


async def _nobody_asked(house: SlotHouse) -> None:
    house.town.append(house.town.change(house.town.sign_agreement(house.town.agreement)))


async def _opted_out(house: SlotHouse) -> None:
    house.set(is_opted_in=False)
    house.town.publish()


async def _agency_refused(house: SlotHouse) -> None:
    house.household.refuse_agency("lakeland-police", is_refused=True)
    house.town.publish()


async def _declined(house: SlotHouse) -> None:
    house.household.decline(house.town.publish().request_digest, house.clock.wall_ms())


async def _granted(house: SlotHouse) -> None:
    house.grant(house.town.publish().request_digest)


async def _with_clips(house: SlotHouse) -> None:
    house.town.publish()
    for _ in range(5):
        house.film()


async def _reminded(house: SlotHouse) -> None:
    house.set(is_opted_in=True, has_reminder=True)
    house.town.publish()


SITUATIONS: dict[str, Prepare] = {
    "asked": _asked,
    "asked urgently": _asked_urgently,
    "another place asked": _elsewhere,
    "nobody asked": _nobody_asked,
    "opted out": _opted_out,
    "agency refused": _agency_refused,
    "declined": _declined,
    "granted": _granted,
    "with clips": _with_clips,
    "with a reminder": _reminded,
}


def seen_of(house: SlotHouse) -> list[object]:
    """Return all that an observer has of the events: order, moments, sizes, who gets notes."""
    seen: list[object] = []
    for event in house.outbox.pending(100):
        assert isinstance(event.body, SlotCommitted)
        notes = [(note.credential_id, note.browser, len(note.sealed)) for note in event.body.notes]
        seen.append((event.seq, event.time_ms, event.body.slot, len(event.encode()), notes))
    return seen


async def watch(house: SlotHouse, prepare: Prepare, *, is_answered: bool) -> list[object]:
    """Let five slots pass, the request coming after the first; return what can be seen."""
    seen: list[object] = []
    for number in range(5):
        if number == 1:
            await prepare(house)
        await house.pass_slot()
        seen += seen_of(house)
        if is_answered:
            await house.answer()
        house.receive()
    return seen


def house_of(folder: Path, town: Town, twin: SlotHouse | None) -> SlotHouse:
    """Return a doorbell with three browsers: those of its twin, if it has one."""
    folder.mkdir()
    house = SlotHouse(folder, town)
    if twin is None:
        house.add_owner(phones=PHONES - 1)
        house.add_owner("Bo")
        return house
    for owner in twin.owners.owners:
        house.owners.add(owner)
    for browser in twin.browsers.all():
        house.browsers.enrol(browser.keys, browser.credential_id, house.clock.wall_ms())
    house.phones = twin.phones
    return house


@pytest.mark.parametrize("is_answered", [True, False], ids=["logged", "never logged"])
@pytest.mark.parametrize("situation", [name for name in SITUATIONS if name != "asked"])
async def test_what_a_doorbell_tells_is_the_same_as_if_it_was_asked(
    tmp_path: Path, situation: str, is_answered: bool
) -> None:
    town = make_town()
    asked = house_of(tmp_path / "asked", town.copy(), None)
    other = house_of(tmp_path / "other", town.copy(), asked)
    seen = await watch(asked, _asked, is_answered=is_answered)
    assert len(seen) == 5
    assert seen == await watch(other, SITUATIONS[situation], is_answered=is_answered)


async def test_the_doorbells_of_this_test_are_told_different_things(tmp_path: Path) -> None:
    told = {}
    for number, (situation, prepare) in enumerate(SITUATIONS.items()):
        house = house_of(tmp_path / str(number), make_town(), None)
        await prepare(house)
        await house.pass_slot()
        told[situation] = len(house.digests_told())
    assert [name for name, count in told.items() if count] == [
        "asked",
        "asked urgently",
        "with clips",
        "with a reminder",
    ]


async def test_an_owner_who_never_looks_changes_nothing(tmp_path: Path) -> None:
    town = make_town()
    looks = house_of(tmp_path / "looks", town.copy(), None)
    never = house_of(tmp_path / "never", town.copy(), looks)

    async def asked_and_read(house: SlotHouse) -> None:
        await _asked(house)
        await house.pass_slot()
        for phone in house.phones:
            house.notes_to(phone)

    async def asked_and_unread(house: SlotHouse) -> None:
        await _asked(house)
        await house.pass_slot()

    assert await watch(looks, asked_and_read, is_answered=True) == await watch(
        never, asked_and_unread, is_answered=True
    )


async def test_the_largest_message_fits_into_one(tmp_path: Path) -> None:
    house = SlotHouse(tmp_path)
    house.add_owner(phones=MAX_SLOT_NOTES)
    await house.pass_slot()
    (event,) = house.outbox.pending(10)
    assert len(event.encode()) < MAX_MQTT_BYTES - 1024
