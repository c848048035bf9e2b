"""What an officer's start page says waits for them: only what their part may do anything about."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.protocol.encoding import new_id
from firmware.protocol.events import PackageWithdrawn
from firmware.protocol.register.entries import AgencySuspended
from relay.agency.keys import OfficerFile
from relay.web.agency.due_words import due_words
from relay.web.i18n import load_texts
from tests.relay.evidence_packages import deliver_package
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import CELLS, DAY_MS, World, open_world
from tests.relay.test_outcomes import ask, certified, wind

SINCE = "It asks for more than the case needs."


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def page_of(officer: Officer) -> str:
    return (await officer.http.get("/agency")).text


async def open_tasks_of(officer: Officer) -> dict[str, str]:
    """Return where each line of the notice leads, by its kind."""
    page = await page_of(officer)
    return dict(re.findall(r'data-duty="(\w+)"><a href="([^"]+)"', page))


async def test_nothing_waits_for_who_has_done_nothing(world: World) -> None:
    assert 'id="duties"' not in await page_of(await certified_officer(world))


async def test_deletions_and_outcomes_are_named_before_and_after_they_are_late(
    world: World,
) -> None:
    officer, records = await certified_officer(world), await certified(world, "records")
    request = await ask(officer)
    device = await world.enrol()
    package_id = await deliver_package(world, request.id, device=device, download_by=officer)
    await world.delivery.take_withdrawn(device, PackageWithdrawn(package_id=package_id))
    world.clock.advance(15 * 60)  # its batch is over
    admin = await certified(world, "admin")
    lines = {"deletion": f"/agency/evidence/{package_id}#answer"}
    for one in (officer, records):
        assert await open_tasks_of(one) == lines
    assert 'class="notice" id="duties"' in await page_of(officer)
    assert await open_tasks_of(admin) == {}
    await wind(world, officer, records, admin, ms=15 * DAY_MS)
    lines["outcome"] = f"/agency/requests/{request.id}/outcome"
    for one in (officer, records):
        assert await open_tasks_of(one) == lines
    page = await page_of(officer)
    assert 'class="warning" id="duties"' in page
    assert "Everybody can see that." in page
    assert "After that, your agency can ask for nothing new." in page
    assert await open_tasks_of(admin) == {}


async def test_what_stopped_on_its_way_is_told_to_its_two_officers_for_a_week(
    world: World,
) -> None:
    officer = await certified_officer(world)
    partner, colleague = officer.partner, await certified(world, "officer")
    assert partner is not None
    draft = officer.sign(officer.write())
    await officer.hand_in(draft)
    await partner.cosign(draft)
    await world.moderation.refuse(id_of(draft), "other", reason=SINCE, moderator="ann")
    path = f"/agency/requests/{id_of(draft)}"
    for one in (officer, partner):
        assert await open_tasks_of(one) == {"stopped": path}
    assert await open_tasks_of(colleague) == {}
    await officer.http.post(f"{path}/appeal", json=None, data={"text": SINCE})
    await world.appeals.decide(id_of(draft), "upheld", reason=SINCE)
    assert await open_tasks_of(partner) == {"appeal": f"{path}#appeal"}
    await wind(world, officer, ms=8 * DAY_MS)
    assert await open_tasks_of(officer) == {}


async def test_drafts_are_told_to_whoever_wrote_them(world: World) -> None:
    officer = await certified_officer(world)
    await officer.http.post("/agency/drafts", json={"id": new_id(), "form": {"text": "A bike."}})
    assert await open_tasks_of(officer) == {"drafts": "/agency/drafts"}
    assert officer.partner is not None
    assert await open_tasks_of(officer.partner) == {}


async def test_a_long_list_names_the_most_urgent_and_says_how_many_more(world: World) -> None:
    officer = await certified_officer(world)
    assert officer.partner is not None
    for writer in (officer, officer.partner):  # each has room for five
        for number in range(4):
            await ask(writer, case_number=f"K-{writer.name[-4:].upper()}-{number}")
    await wind(world, officer, ms=8 * DAY_MS)
    page = await page_of(officer)
    assert page.count('data-duty="outcome"') == 5
    assert '<a href="/agency/outcomes">and 3 more</a>' in page


async def test_records_are_led_nowhere_that_is_closed_to_them(world: World) -> None:
    officer, records = await certified_officer(world), await certified(world, "records")
    request = await ask(officer)
    for path in ("/agency/requests", f"/agency/requests/{request.id}"):
        page = (await records.http.get(path)).text
        assert "K-2026/17" in page
        closed = ('href="/agency/requests/new"', 'id="renew"', 'id="withdraw"', 'id="actions"')
        assert not [one for one in closed if one in page]
        opened = (await officer.http.get(path)).text
        assert [one for one in closed if one in opened]


async def test_a_certificate_that_ends_is_said_thirty_days_before(world: World) -> None:
    officer = Officer(world)
    await officer.register()
    await officer.take_csrf()
    assert 'id="certificate-ends"' not in await page_of(officer)
    await officer.get_certified()  # for thirty days
    assert 'id="certificate-ends"' in await page_of(officer)
    admin = await certified(world, "admin")
    now_ms = world.clock.wall_ms()
    signed = officer.certify(days=31)
    await world.agencies.take_certificate(officer.officer_id, signed)
    assert 'id="certificate-ends"' not in await page_of(officer)
    shown = f'data-ms="{now_ms + 31 * DAY_MS}"'
    for path in ("/agency/staff", f"/agency/staff/{officer.officer_id}"):
        assert shown in (await admin.http.get(path)).text


async def test_officer_json_is_there_as_long_as_it_is_needed(world: World) -> None:
    officer = Officer(world)
    joined = (await officer.register()).json()["officer"]
    assert 'href="/agency/officer.json"' in await page_of(officer)
    answer = await officer.http.get("/agency/officer.json")
    assert answer.json() == joined
    assert answer.headers["content-disposition"] == 'attachment; filename="officer.json"'
    assert OfficerFile(**(joined | {"passkey": officer.passkey.key})).passkey is not None
    assert (await world.browser().get("/agency/officer.json")).status_code == 401


async def test_only_who_may_read_evidence_is_told_that_it_stays(world: World) -> None:
    officer, admin = await certified_officer(world), await certified(world, "admin")
    await world.town.change(AgencySuspended(agency="lakeland"))
    stays = "Evidence that has arrived can still be read."
    assert stays in await page_of(officer)
    assert stays not in await page_of(admin)


async def test_what_is_due_stands_nearest_first_and_in_words(world: World) -> None:
    officer = await certified_officer(world)
    assert officer.partner is not None
    first = await ask(officer, case_number="K-FIRST")
    await wind(world, officer, officer.partner, ms=5 * DAY_MS)
    second = await ask(officer, case_number="K-SECOND", cells=CELLS[1:])
    for path in ("/agency", "/agency/requests"):
        assert dues(await page(officer, path)) == [(f"/agency/requests/{first.id}", "in 2 days")]
    await wind(world, officer, officer.partner, ms=5 * DAY_MS)
    for path in ("/agency", "/agency/requests"):
        assert dues(await page(officer, path)) == [
            (f"/agency/requests/{second.id}", "in 2 days"),
            (f"/agency/requests/{first.id}/outcome", "in 27 days"),
        ]
    listed = await page(officer, "/agency/requests")
    assert "Ends in 2 days" in listed
    assert "Outcome: in 27 days" in listed
    await wind(world, officer, officer.partner, ms=28 * DAY_MS)
    late = await page(officer, "/agency/requests")
    assert dues(late)[0] == (f"/agency/requests/{first.id}/outcome", "1 day overdue")
    assert '<span class="warn-text">Outcome: 1 day overdue</span>' in late


async def page(officer: Officer, path: str) -> str:
    return (await officer.http.get(path, headers={"Accept-Language": "en"})).text


def dues(text: str) -> list[tuple[str, str]]:
    """Return where each due line leads, and when it is due."""
    return re.findall(r'<li data-duty="\w+"><a href="([^"]+)".*?class="due">([^<]+)<', text)


@pytest.mark.parametrize(
    ("left_h", "words"),
    [
        *((0.5, "in less than an hour"), (1, "in 1 hour"), (23.9, "in 23 hours")),
        *((24, "in 1 day"), (71, "in 2 days"), (-1, "overdue since today")),
        *((-30, "1 day overdue"), (-49, "2 days overdue")),
    ],
)
def test_a_time_in_words_never_promises_more_than_is_left(left_h: float, words: str) -> None:
    now_ms = 10 * DAY_MS
    due_ms = now_ms + round(left_h * DAY_MS / 24)
    assert due_words(load_texts()["en"], due_ms, now_ms=now_ms) == words
