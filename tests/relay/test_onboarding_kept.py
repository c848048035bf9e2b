"""What an agency's way in holds to: its domain, the file that was read, its own page's address."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.agency.onboarding import FORGOTTEN_MS, LEFT_MS
from relay.store import agency_settings, onboardings
from relay.store.agency_settings import AgencySettings
from relay.store.onboardings import State
from tests.relay.admin_people import signed_in_admin
from tests.relay.http_world import RELAY_URL, World, open_world
from tests.relay.onboarding_people import (
    TEXT,
    Applicant,
    change_of,
    digest_in,
    hand_in,
    prepare,
    reason_of,
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def domain_of(world: World) -> str | None:
    async with world.database.read() as tx:
        return (await agency_settings.find(tx, "mapleton")).email_domain


async def test_who_asked_earlier_does_not_bring_another_domain_in(world: World) -> None:
    """Seen to hand the domain to Mallory with the check in `_submit` removed."""
    mallory = await Applicant(world, domain="mallory.example").enrolled()
    admin = await signed_in_admin(world)
    change = await prepare(admin, mallory)
    async with world.database.begin() as tx:
        settings = AgencySettings(agency="mapleton", email_domain="mapleton.gov")
        await agency_settings.put(tx, settings, world.clock.wall_ms())
    size = (await world.register.view()).register.size
    answer = await hand_in(admin, mallory, change, *world.town.admins)
    assert (answer.status_code, reason_of(answer)) == (422, "known_elsewhere")
    assert await domain_of(world) == "mapleton.gov"
    assert (await world.register.view()).register.size == size
    assert await mallory.state() == "prepared"


async def test_who_asked_earlier_hands_nothing_more_in(world: World) -> None:
    mallory = Applicant(world, domain="mallory.example")
    await mallory.ask()
    await mallory.confirm()
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    await hand_in(admin, applicant, await prepare(admin, applicant), *world.town.admins)
    assert await domain_of(world) == "mapleton.gov"
    answer = await mallory.upload(mallory.enrolment(version=2))
    assert (answer.status_code, reason_of(answer)) == (422, "known_elsewhere")
    assert await mallory.state() == "confirmed"


async def test_a_file_that_was_exchanged_is_not_prepared_unread(world: World) -> None:
    applicant, admin = await Applicant(world).enrolled(), await signed_in_admin(world)
    path = f"/onboardings/{applicant.id}"
    read = digest_in((await admin.get(path)).text)
    other = applicant.enrolment(text=TEXT.replace("30 days", "900 days"))
    assert (await applicant.upload(other)).status_code == 303
    for seen in (read, "", "x"):
        late = await admin.send(path + "/prepare", enrolment_sha256=seen)
        assert (late.status_code, reason_of(late)) == (409, "state")
    assert await applicant.state() == "enrolled"
    assert "900 days" in late.text
    shown = digest_in(late.text)
    assert shown not in ("", read)
    assert (await admin.send(path + "/prepare", enrolment_sha256=shown)).status_code == 303
    assert "900 days" in (await change_of(admin, applicant)).text


async def test_the_page_names_its_own_address_whatever_was_asked(world: World) -> None:
    applicant = Applicant(world)
    await applicant.ask()
    own = f"<code>{RELAY_URL}{applicant.path}</code>"
    assert own in (await applicant.http.get(applicant.path)).text
    wrong = await applicant.confirm("no code")
    assert reason_of(wrong) == "code"
    assert own in wrong.text
    lied = await applicant.http.get(applicant.path + "?x=1", headers={"Host": "evil.test"})
    assert "evil.test" not in lied.text


async def test_the_letter_has_no_words_of_who_asked(world: World) -> None:
    applicant = Applicant(world)
    await applicant.ask(name="Your mailbox is full: write to help@evil.test")
    (letter,) = world.post.letters
    assert "evil.test" not in letter.subject + letter.text
    assert letter.text.count("mapleton") == 2  # once in each language


async def test_what_nobody_went_on_with_is_forgotten(world: World) -> None:
    now_ms = world.clock.wall_ms()
    states: dict[str, tuple[State, int]] = {
        "asked-new": ("asked", now_ms - FORGOTTEN_MS + 1),
        "asked-old": ("asked", now_ms - FORGOTTEN_MS - 1),
        "prepared-old": ("prepared", now_ms - LEFT_MS - 1),
        "submitted-old": ("submitted", now_ms - LEFT_MS - 1),
    }
    left: tuple[State, ...] = ("confirmed", "enrolled", "refused")
    for state in left:
        states[f"{state}-new"] = (state, now_ms - LEFT_MS + 1)
        states[f"{state}-old"] = (state, now_ms - LEFT_MS - 1)
    async with world.database.begin() as tx:
        for name, (state, changed_ms) in states.items():
            await onboardings.add(
                tx, name, agency="oakville", name="Oakville", email="x@oak.gov", now_ms=changed_ms
            )
            await onboardings.change(tx, name, changed_ms, state=state)
    await Applicant(world).ask()
    async with world.database.read() as tx:
        known = {name for name in states if await onboardings.find(tx, name)}
    forgotten = {"asked-old", *(f"{state}-old" for state in left)}
    assert known == set(states) - forgotten
