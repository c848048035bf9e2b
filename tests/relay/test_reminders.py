"""Reminders before an agreement ends, and what its lapse does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from firmware.protocol.register.entries import AgencySuspended, Delays, Limits
from relay.agency.register import RegisterService
from relay.agency.reminders import Reminders, days_left
from relay.cli.preflight import check_reminder_addresses
from relay.cli.register import with_register
from relay.config.settings import MailConfig
from relay.store import onboardings
from relay.store.database import Database
from relay.web import emails
from relay.web.emails import TranslatedEmails
from tests.fakes.clock import ManualClock
from tests.fakes.lost_relay import make_relay
from tests.relay.http_people import certified_officer
from tests.relay.http_world import CELLS, DAY_MS, RELAY_URL, World, open_world
from tests.relay.register_town import RegisterTown

DAY_S = 24 * 3600


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        async with world.database.begin() as tx:
            now_ms = world.clock.wall_ms()
            await onboardings.add(
                tx,
                "a" * 26,
                agency="lakeland",
                name="Lakeland Police",
                email="chief@lakeland.gov",
                now_ms=now_ms,
            )
            await onboardings.change(tx, "a" * 26, now_ms, state="submitted")
        yield world


def reminders(world: World) -> Reminders:
    return Reminders(
        world.database,
        world.clock,
        world.agencies,
        letters=TranslatedEmails(RELAY_URL),
        mailer=world.post,
    )


async def test_each_reminder_goes_out_once(world: World) -> None:
    world.clock.advance(300 * DAY_S)
    sent: list[int] = []
    for left in range(65, 0, -1):
        sent += [left] * await reminders(world).step()
        world.clock.advance(DAY_S)
    assert sent == [60, 30, 7]
    assert await reminders(world).step() == 0
    assert [letter.to for letter in world.post.letters] == ["chief@lakeland.gov"] * 3
    assert "version 2" in world.post.letters[0].text


async def test_a_relay_that_was_away_sends_the_nearest_only(world: World) -> None:
    world.clock.advance(361 * DAY_S)
    assert await reminders(world).step() == 1
    assert "in 4 days" in world.post.letters[0].subject
    assert await reminders(world).step() == 0


async def test_one_that_was_not_mailed_is_tried_again(world: World) -> None:
    world.clock.advance(340 * DAY_S)
    world.post.is_away = True
    assert await reminders(world).step() == 0
    world.post.is_away = False
    assert await reminders(world).step() == 1


async def test_no_reminder_once_the_next_version_is_there_or_the_agency_is_suspended(
    world: World,
) -> None:
    world.clock.advance(340 * DAY_S)
    assert days_left(await world.register.view(), "lakeland") == 25
    now_ms = world.clock.wall_ms()
    await world.town.agree("lakeland", "Lakeland Police", cells=CELLS, begins_ms=now_ms + DAY_MS)
    assert days_left(await world.register.view(), "lakeland") is None
    world.clock.advance(340 * DAY_S)
    assert days_left(await world.register.view(), "lakeland") == 26
    await world.town.change(AgencySuspended(agency="lakeland"))
    assert await reminders(world).step() == 0
    assert world.post.letters == []


async def test_officers_see_on_their_page_that_it_ends(world: World) -> None:
    officer = await certified_officer(world)
    assert 'id="ends-soon"' not in (await officer.http.get("/agency")).text
    world.clock.advance(340 * DAY_S)
    officer = await certified_officer(world, "Officer Ek")
    page = (await officer.http.get("/agency")).text
    assert "The agreement ends in 25 days" in page
    assert 'href="/for-agencies"' in page


async def test_a_lapse_stops_requests_and_not_the_pages(world: World) -> None:
    world.clock.advance(364 * DAY_S)
    officer = await certified_officer(world)
    draft = officer.sign(officer.write())
    assert (await officer.hand_in(draft)).is_success
    world.clock.advance(23 * 3600)
    late = await certified_officer(world, "Officer Ek")
    world.clock.advance(3600 + 60)
    assert (await late.http.get("/agency/evidence")).status_code == 200
    refused = await late.hand_in(late.sign(late.write()))
    assert refused.status_code == 422
    assert refused.json()["error"]["code"] == "agreement"


async def test_certificates_that_end_are_named_in_one_letter_once(world: World) -> None:
    officer = await certified_officer(world)
    assert await reminders(world).step() == 1
    (letter,) = world.post.letters
    ends = emails.day_of(world.clock.wall_ms() + 30 * DAY_MS)
    for name in ("Officer Berg", "Officer Dahl"):
        assert f"{ends}  {name}\n" in letter.text
    assert await reminders(world).step() == 0
    later = officer.certify(days=90)
    await world.agencies.take_certificate(officer.officer_id, later)
    world.clock.advance(59.5 * DAY_S)  # Berg has a new one by then, Dahl's has ended
    world.post.is_away = True
    assert await reminders(world).step() == 0
    world.post.is_away = False
    world.clock.advance(DAY_S)
    assert await reminders(world).step() == 1
    assert "Officer Berg" in world.post.letters[1].text
    assert "Officer Dahl" not in world.post.letters[1].text


async def test_check_names_agencies_that_nobody_is_written_to(tmp_path: Path) -> None:
    relay = await make_relay(tmp_path)
    clock = ManualClock()
    mail = MailConfig(host="mail.test", port=587, sender="relay@mail.test")

    async def fill(database: Database, desk: RegisterService) -> None:
        town = RegisterTown(desk, database)
        await town.charter(delays=Delays(), limits=Limits())
        await town.agree("lakeland", "Lakeland", cells=CELLS, begins_ms=clock.wall_ms())

    await with_register(relay.config, fill)
    assert (
        await check_reminder_addresses(relay.config, clock) == []
    )  # mail isn't set: said elsewhere
    config = replace(relay.config, mail=mail)
    (finding,) = await check_reminder_addresses(config, clock)
    assert finding.is_warning
    assert "lakeland has no confirmed address" in finding.detail
    assert (
        await check_reminder_addresses(config, ManualClock(wall_ms=clock.wall_ms() + 400 * DAY_MS))
        == []
    )
