"""firmware.decisions.request_intake: who is told of which request, when, and how often."""

from dataclasses import replace
from pathlib import Path

import pytest

from firmware.protocol.encoding import new_id
from firmware.protocol.notes import MatchedRequest, Nothing, RequestsMatched
from tests.fakes.log_town import DAY_MS, HOUR_MS, MINUTE_MS, OTHER_CELL
from tests.fakes.slot_house import SlotHouse


@pytest.fixture
def house(tmp_path: Path) -> SlotHouse:
    house = SlotHouse(tmp_path)
    house.add_owner()
    return house


async def test_an_owner_is_told_once_of_a_request_for_their_place(house: SlotHouse) -> None:
    signed = house.town.publish()
    await house.pass_and_answer()
    told = MatchedRequest(
        request_id=house.desk.matched()[0].fact.request.id,
        request_digest=signed.request_digest,
        agency_name="Lakeland Police",
        is_emergency=False,
    )
    assert house.notes_to(house.phones[0]) == [RequestsMatched(requests=[told])]
    await house.pass_and_answer()
    assert house.notes_to(house.phones[0]) == [Nothing()]


async def test_a_request_in_an_invented_town_is_told_as_one(house: SlotHouse) -> None:
    house.town.publish()
    real = house.facts()
    house.register_facts = replace(real, is_example=True)
    await house.pass_and_answer()
    (told,) = house.notes_to(house.phones[0])
    assert isinstance(told, RequestsMatched)
    assert not real.is_example
    assert told.requests[0].is_example


async def test_it_is_told_again_until_the_slot_that_told_it_is_logged(house: SlotHouse) -> None:
    signed = house.town.publish()
    for _ in range(3):
        await house.pass_slot()
        house.receive()
        assert house.digests_told() == [signed.request_digest]
    await house.answer()
    house.restart()
    await house.pass_slot()
    assert house.digests_told() == []


async def test_a_new_browser_and_a_new_owner_hear_of_what_stands(house: SlotHouse) -> None:
    signed = house.town.publish()
    await house.pass_and_answer()
    house.add_owner("Bo")
    house.add_phone(house.owners.owners[0])
    await house.pass_and_answer()
    assert [house.digests_told(phone) for phone in house.phones] == [
        [],
        [signed.request_digest],
        [signed.request_digest],
    ]


async def test_nobody_is_told_unless_they_opted_in(house: SlotHouse) -> None:
    house.town.publish()
    house.set(is_opted_in=False)
    await house.pass_and_answer()
    assert house.digests_told() == []
    house.set(is_opted_in=True)
    await house.pass_and_answer()
    assert len(house.digests_told()) == 1


async def test_the_doorbells_own_file_says_so_until_the_owners_do(tmp_path: Path) -> None:
    house = SlotHouse(tmp_path, is_opted_in=False)
    house.add_owner()
    house.town.publish()
    assert house.desk.matched() == []
    house.set(is_opted_in=True)
    assert len(house.desk.matched()) == 1


def test_another_place_or_none_is_not_asked(house: SlotHouse) -> None:
    house.town.publish(cells=[OTHER_CELL])
    assert house.desk.matched() == []


def test_a_doorbell_without_a_place_is_not_asked(tmp_path: Path) -> None:
    house = SlotHouse(tmp_path, cell="")
    house.town.publish()
    assert house.desk.matched() == []


@pytest.mark.parametrize(
    "what", ["withdrawn", "expired", "suspended", "revoked", "refused", "old", "clock"]
)
async def test_what_may_no_longer_be_asked_is_not_told(house: SlotHouse, what: str) -> None:
    signed = house.town.publish()
    assert len(house.desk.matched()) == 1
    if what == "withdrawn":
        house.town.withdraw(signed)
    elif what == "suspended":
        house.town.suspend()
    elif what == "revoked":
        house.town.revoke(house.town.officer)
    elif what == "refused":
        house.household.refuse_agency("lakeland-police", is_refused=True)
    elif what == "expired":
        house.clock.advance(25 * 3600)
    elif what == "old":
        house.register_facts = replace(house.town.facts(), fresh_ms=house.town.now_ms - 2 * HOUR_MS)
    else:
        house.clock.trusted = False
    assert house.desk.matched() == []
    if what != "clock":
        await house.pass_slot()
        assert house.digests_told() == []


async def test_a_declined_request_is_told_to_no_other_browser(house: SlotHouse) -> None:
    signed = house.town.publish()
    house.household.decline(signed.request_digest, house.clock.wall_ms())
    await house.pass_slot()
    assert house.digests_told() == []


async def test_a_note_has_two_requests_at_most_emergencies_first_then_the_oldest(
    house: SlotHouse,
) -> None:
    now_ms, town = house.town.now_ms, house.town
    requests = [
        town.request(
            case_number=f"LK-{age}", cells=[town.agreement.cells[0]], created_ms=now_ms - age * 1000
        )
        for age in (50, 40)
    ]
    requests.append(town.request(case_number="LK-9", danger="A child is missing."))
    facts = town.facts()
    signed = []
    for number, request in enumerate(requests):
        other = town.copy()  # the same place twice in a day is against the rules of one agency
        signed.append(other.publish(request))
        facts = replace(facts, requests={**facts.requests, **other.facts().requests})
        assert len(facts.requests) == number + 1
    house.register_facts = facts
    await house.pass_and_answer()
    assert house.digests_told() == [signed[2].request_digest, signed[0].request_digest]
    (body,) = house.notes_to(house.phones[0])
    assert isinstance(body, RequestsMatched)
    assert [one.is_emergency for one in body.requests] == [True, False]
    await house.pass_and_answer()
    assert house.digests_told() == [signed[1].request_digest]


async def test_there_is_no_reminder_unless_the_owners_want_one(house: SlotHouse) -> None:
    house.town.publish()
    await house.pass_and_answer()
    for _ in range(23):
        house.clock.advance(3600 - house.slot_ms / 1000)
        await house.pass_and_answer()
        assert house.digests_told() == []


async def test_there_is_one_reminder_at_half_time(house: SlotHouse) -> None:
    house.set(is_opted_in=True, has_reminder=True)
    house.town.publish(expires_ms=house.town.now_ms + DAY_MS)
    reminders = []
    for hour in range(23):
        await house.pass_and_answer()
        (body,) = house.notes_to(house.phones[0])
        if isinstance(body, RequestsMatched):
            reminders.append((hour, body.requests[0].is_reminder))
        house.clock.advance(3600 - house.slot_ms / 1000)
    assert reminders == [(0, False), (12, True)]


@pytest.mark.parametrize("answer", ["granted", "declined"])
async def test_who_has_answered_is_not_reminded(house: SlotHouse, answer: str) -> None:
    house.set(is_opted_in=True, has_reminder=True)
    signed = house.town.publish(expires_ms=house.town.now_ms + DAY_MS)
    await house.pass_and_answer()
    if answer == "granted":
        house.grant(signed.request_digest)
    else:
        house.household.decline(signed.request_digest, house.clock.wall_ms())
    house.clock.advance(20 * 3600)
    await house.pass_and_answer()
    assert house.digests_told() == []


async def test_a_renewal_is_new_to_who_never_heard_of_the_request(house: SlotHouse) -> None:
    renewal = house.town.renew(house.town.publish())
    await house.pass_and_answer()
    assert house.digests_told() == [renewal.request_digest]


@pytest.mark.parametrize("has_reminder", [False, True])
async def test_to_who_heard_of_the_request_a_renewal_is_the_one_reminder(
    house: SlotHouse, has_reminder: bool
) -> None:
    house.set(is_opted_in=True, has_reminder=has_reminder)
    signed = house.town.publish()
    await house.pass_and_answer()
    house.clock.advance(60)
    house._wind_town()
    renewal = house.town.renew(signed)
    await house.pass_and_answer()
    assert house.digests_told() == ([renewal.request_digest] if has_reminder else [])
    house.clock.advance(20 * 3600)
    await house.pass_and_answer()
    assert house.digests_told() == []


async def test_a_grant_of_another_version_on_the_card_keeps_nothing_untold(
    house: SlotHouse,
) -> None:
    """Seen to fail where `granted_requests` reads all or nothing."""
    signed = house.town.publish()
    house.grant("ab" * 32)
    with house.shelves.database.write() as connection:
        connection.execute("UPDATE waiting_statements SET statement = ?", (b"{}",))
    await house.pass_and_answer()
    assert house.digests_told() == [signed.request_digest]


@pytest.mark.parametrize("answer", ["granted", "declined"])
async def test_a_renewal_of_what_was_answered_is_not_told(house: SlotHouse, answer: str) -> None:
    house.set(is_opted_in=True, has_reminder=True)
    signed = house.town.publish()
    await house.pass_and_answer()
    if answer == "granted":
        house.grant(signed.request_digest)
    else:
        house.household.decline(signed.request_digest, house.clock.wall_ms())
    house.town.renew(signed, created_ms=house.clock.wall_ms() + MINUTE_MS)
    house.clock.advance(120)
    await house.pass_and_answer()
    assert house.digests_told() == []


async def test_who_was_told_what_is_forgotten_when_it_is_long_over(house: SlotHouse) -> None:
    house.town.publish()
    await house.pass_and_answer()
    house.desk.forget_old()
    assert len(house.store.told()) == 1
    house.clock.advance(15 * 24 * 3600)
    house.desk.forget_old()
    assert house.store.told() == {}


async def test_the_longest_names_that_there_can_be_fit_into_a_note(house: SlotHouse) -> None:
    for name in ("\\" * 200, '"' * 200, "🚓" * 200):
        bodies = {
            house.phones[0].keys.id: RequestsMatched(
                requests=[
                    MatchedRequest(
                        request_id=new_id(),
                        request_digest="0" * 64,
                        agency_name=name,
                        is_emergency=True,
                        is_reminder=True,
                        is_example=True,
                    )
                    for _ in range(2)
                ]
            )
        }
        (note,) = await house.slots._notes.for_slot(1, bodies)
        assert len(note.sealed) == 3478
