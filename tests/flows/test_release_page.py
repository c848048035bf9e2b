"""The release screen in Chromium: what is signed there, the doorbell's own verifier accepts."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Page, Route, expect

from firmware.consent.facts import Decision, Grant, Refusal
from firmware.protocol.decisions import Decline, Hold, Knock, RefuseAgency, Revoke
from firmware.protocol.events import ClockSet, Motion, Pressed
from firmware.protocol.notes import (
    HeldTime,
    HoldsNow,
    MatchedRequest,
    Nothing,
    ReleaseDone,
    RequestsMatched,
    SettingsNow,
    StatementDone,
    StatementRefused,
)
from relay.store import fleet
from tests.flows.asked_home import (
    DOOR_PAGE,
    Home,
    clip_of,
    digest_of,
    home_in_browser,
    terms_of,
)
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.filmed import filmed
from tests.relay.http_world import DAY_MS, HOUR_MS, OWNER_ORIGIN, World, open_world

pytestmark = pytest.mark.browser

WRONG_MS = 90_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def give(page: Page) -> None:
    """Sign for what is chosen."""
    await page.click("#give")
    await page.wait_for_selector("#statement-sent")


async def granted(home: Home) -> Grant:
    """Return the grant that the doorbell makes of the one statement that was sent."""
    grant = await home.judged(await home.sent())
    assert isinstance(grant, Grant), grant
    return grant


async def test_one_signature_gives_several_recordings_at_the_doorbells_own_times(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        right_ms = world.clock.wall_ms() - 90 * 60_000
        untrusted = {"time_ms": WRONG_MS, "is_clock_trusted": False}
        ring = await world.tell(home.device, Pressed(), **untrusted)
        told = await home.record(clip_of(ring.id, WRONG_MS - 6_000), **untrusted)
        clock = ClockSet(from_seq=ring.seq, to_seq=ring.seq + 1, offset_ms=right_ms - WRONG_MS)
        await world.tell(home.device, clock)
        # The library's correction is its own, and a few milliseconds off the events'.
        await home.record(msgspec.structs.replace(told, started_ms=right_ms - 6_000 + 7))
        await home.visitor(minutes_ago=80)
        await home.open(asked)
        boxes = home.page.locator("[data-testid=choose-clip]")
        await expect(boxes).to_have_count(2)  # each recording once
        await expect(home.page.locator("[data-testid=asked-clip]").first).to_contain_text(
            "time corrected"
        )
        for index in range(2):
            await boxes.nth(index).check()
        await give(home.page)
        grant = await granted(home)
        given = {clip.clip_id: (clip.from_ms, clip.to_ms) for clip in grant.terms.clips}
        assert given == {
            clip_id: (fact.started_ms, fact.ended_ms) for clip_id, fact in home.library.items()
        }
        assert not grant.terms.has_audio
        assert grant.terms.identity.name == grant.terms.identity.address == ""
        assert await home.page.evaluate(WIDER_THAN_SCREEN) == []


async def test_the_letter_says_who_asks_by_which_officers_and_who_could_open_it(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        start_ms = world.clock.wall_ms() - 5 * HOUR_MS
        asked = await home.ask(
            from_ms=start_ms, to_ms=start_ms + 3 * HOUR_MS, reason="The time isn't known."
        )
        await home.hear(asked, is_reminder=True)
        await home.open(asked)
        letter = home.page.locator("#release")
        first = letter.locator("p").first
        await expect(first).to_have_text(
            "You may ignore this. The police can't see whether you saw it."
        )
        for words in (
            "Lakeland Police",
            "Officer Berg",
            "Officer Dahl",
            "desk@lakeland.example",
            "K-2026/17",
            "at most 90 days",
            "with nobody else",
            "The time isn't known.",
            "And nobody else",
            "a number there that nobody can read",
            "one reminder",
        ):
            await expect(letter).to_contain_text(words)
        assert await home.page.locator("#keys li").count() == len(world.agency.sealing_keys)
        assert await home.page.locator("#danger").count() == 0


async def test_sound_and_identity_are_given_only_if_the_owner_ticks_them(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await home.visitor()
        await home.open(asked)
        await home.page.check("[data-testid=choose-clip]")
        await home.page.get_by_label("Give their sound too").check()
        await home.page.get_by_label("My name", exact=True).first.check()
        await home.page.get_by_label("My address", exact=True).first.check()
        await home.page.click("#give")
        await expect(home.page.locator("#release [role=alert]")).to_contain_text("My address")
        await home.page.fill("#identity-address", "Elm Street 5")
        await give(home.page)
        terms = (await granted(home)).terms
        assert terms.has_audio
        assert (terms.identity.name, terms.identity.address) == ("Ada", "Elm Street 5")
        assert terms.identity.contact == ""


async def test_there_is_no_sound_to_choose_once_it_is_known_that_none_has_any(
    world: World,
) -> None:
    async with home_in_browser(world, service_workers="block") as home:
        asked = await home.ask()
        await home.hear(asked)
        await filmed(home)
        await home.open(asked)
        sound = home.page.get_by_label("Give their sound too")
        await home.page.check("[data-testid=choose-clip]")
        await sound.check()  # nobody knows yet
        await home.page.click("[data-testid=watch-clip]")
        await expect(sound).to_be_disabled()
        await expect(home.page.locator("#about-sound")).to_contain_text("has sound")
        await give(home.page)
        assert not (await granted(home)).terms.has_audio


async def test_a_request_in_an_invented_town_says_so_by_the_doorbells_own_word(
    world: World,
) -> None:
    """Seen to fail with the note's `is_example` left out of release.js and of requests.js."""
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked, is_example=True)
        await home.page.goto(f"{OWNER_ORIGIN}/#/requests")
        mark = home.page.locator("[data-testid=invented-town]")
        await expect(mark).to_contain_text("Invented town")
        await home.open(asked)
        await expect(mark).to_contain_text("No real police ask here")
        await expect(home.page.locator("#example")).to_contain_text("example.testtown")
        assert await home.page.evaluate(WIDER_THAN_SCREEN) == []


async def test_a_part_of_a_recording_is_given_in_whole_groups_of_pictures(world: World) -> None:
    async with home_in_browser(world, service_workers="block") as home:
        asked = await home.ask()
        await home.hear(asked)
        clip = await filmed(home, started_ms=WRONG_MS, is_clock_trusted=False)  # set later
        await home.open(asked)
        await home.page.click("[data-testid=watch-clip]")
        sliders = home.page.locator("[data-testid=cut-from], [data-testid=cut-to]")
        await expect(sliders).to_have_count(2)
        await sliders.first.focus()
        await home.page.keyboard.press("ArrowRight")
        await expect(home.page.locator("[data-testid=cut]")).to_contain_text("This part alone")
        await sliders.last.focus()
        await home.page.keyboard.press("ArrowLeft")
        await home.page.check("[data-testid=choose-clip]")
        await give(home.page)
        (given,) = (await granted(home)).terms.clips
        begin_ms = clip.started_ms
        assert (given.from_ms, given.to_ms) == (begin_ms + 500, begin_ms + 1_000)


async def test_what_reaches_over_the_asked_time_is_given_only_as_far_as_it_lies_in_it(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await home.visitor(minutes_ago=60.05)  # it ends seconds after the asked hour
        await home.open(asked)
        await expect(home.page.locator("[data-testid=asked-clip]")).to_contain_text("edge")
        await home.page.check("[data-testid=choose-clip]")
        await give(home.page)
        (given,) = (await granted(home)).terms.clips
        assert given.to_ms == asked.request.to_ms


async def test_who_was_asked_in_a_slot_while_the_app_was_closed_is_asked_when_it_opens(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        await home.close_for(hours=5)
        asked = await home.ask()
        matched = MatchedRequest(
            request_id=asked.id,
            request_digest=asked.digest,
            agency_name="Lakeland Police",
            is_emergency=False,
        )
        quiet = [Nothing()] * 5
        await home.tell_in_slot(*quiet, RequestsMatched(requests=[matched]), *quiet)
        for _ in range(120):
            await world.tell(home.device, Motion(zones=[]))
        await home.visitor()

        async def slowly(route: Route) -> None:
            await asyncio.sleep(0.5)
            await route.continue_()

        await home.page.route("**/api/v1/notes?*", slowly)
        await home.page.goto(home.address(asked))
        await expect(home.page.locator("[data-testid=choose-clip]")).to_have_count(1)


async def test_a_clip_that_is_told_anew_while_the_owner_reads_must_be_chosen_again(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        told = await home.visitor()
        await home.open(asked)
        await home.page.check("[data-testid=choose-clip]")
        right_ms = told.started_ms + 1_000
        await home.record(msgspec.structs.replace(told, started_ms=right_ms))
        async with asyncio.timeout(10):
            while not await home.page.inner_text("#announcer"):
                await world.tell(home.device, Pressed())  # announced, so the page has heard both
                await asyncio.sleep(0.2)
        await home.page.click("#give")
        await expect(home.page.locator("#release [role=alert]")).to_contain_text(
            "told of them anew"
        )
        await expect(home.page.locator("[data-testid=choose-clip]")).not_to_be_checked()
        assert await world.told(home.device) == []
        await home.page.check("[data-testid=choose-clip]")
        await give(home.page)
        assert (await granted(home)).terms.clips[0].from_ms == right_ms


async def test_a_grant_is_followed_to_its_end_and_can_be_taken_back(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await home.visitor()
        await home.open(asked)
        await home.page.check("[data-testid=choose-clip]")
        await give(home.page)
        signed = await home.sent()
        await home.wants_confirmation(signed)
        await expect(home.page.locator("#door-page")).to_have_attribute("href", DOOR_PAGE)
        await home.page.click("#knock summary")
        await home.page.click("#ask-knock")
        assert terms_of(await home.sent()) == Knock(
            statement_digest=digest_of(signed), language="en"
        )
        await home.tell(ReleaseDone(statement_digest=digest_of(signed), package_id="p" * 26))
        await home.page.wait_for_selector("#released")
        await expect(home.page.locator("#back-means")).to_contain_text("dishonest relay")
        await home.page.click("#take-back")
        revoked = await home.sent()
        assert terms_of(revoked) == Revoke(grant_digest=digest_of(signed))
        assert isinstance(await home.judged(revoked), Decision)
        await home.tell(StatementDone(statement_digest=digest_of(revoked), kind="revoke"))
        await home.page.wait_for_selector("#taken-back")


async def test_hold_decline_and_never_again_are_signed_and_each_shows_how_it_stands(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await home.open(asked)
        page, request = home.page, asked.request
        await page.click("#hold")
        held = await home.sent()
        assert terms_of(held) == Hold(from_ms=request.from_ms, to_ms=request.to_ms)
        await page.wait_for_selector("#statement-sent")
        until_ms = world.clock.wall_ms() + 14 * DAY_MS
        hold = HeldTime(
            hold_digest=digest_of(held),
            from_ms=request.from_ms,
            to_ms=request.to_ms,
            until_ms=until_ms,
        )
        await home.tell(HoldsNow(statement_digest=digest_of(held), holds=[hold]))
        await page.wait_for_selector("#hold-done")
        await page.click("#decline")
        declined = await home.sent()
        assert terms_of(declined) == Decline(request_digest=asked.digest)
        refused = StatementRefused(
            statement_digest=digest_of(declined), reason="clock", detail="no time"
        )
        await home.tell(refused)
        await expect(page.locator("[data-answer=decline] #statement-refused")).to_contain_text(
            "clock isn't set"
        )
        await page.click("#refuse")
        never = await home.sent()
        assert terms_of(never) == RefuseAgency(agency="lakeland", is_refused=True)
        counts = SettingsNow(statement_digest=digest_of(never), settings=None, refused=["lakeland"])
        await home.tell(counts)
        await page.wait_for_selector("#refuse-done")
        for signed in (held, declined, never):
            assert isinstance(await home.judged(signed), Decision)


async def test_all_that_is_decided_goes_to_the_relay_in_one_size(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await home.visitor()
        sizes = set()

        async def weighed(route: Route) -> None:
            sizes.add(len(route.request.post_data or ""))
            await route.continue_()

        await home.page.route("**/statements", weighed)
        await home.open(asked)
        for button in ("#hold", "#decline", "#refuse"):
            await home.page.click(button)
            await home.sent()
        await home.page.check("[data-testid=choose-clip]")
        await home.page.click("#give")
        await home.sent()
        assert len(sizes) == 1


async def test_an_emergency_is_told_once_calmly_and_reads_like_any_other_request(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask(danger="A child of four is missing since noon.")
        await home.page.goto(home.address(asked).split("/#/")[0] + "/#/history")
        await home.hear(asked)
        banner = home.page.locator("#emergency-asked")
        await expect(banner).to_contain_text("You may ignore it")
        await banner.get_by_role("link").click()
        await expect(home.page.locator("#danger")).to_contain_text("A child of four")
        await expect(home.page.locator("#release p").first).to_contain_text("You may ignore this")
        await home.hear(asked, is_reminder=True)
        await home.page.reload()
        await home.page.wait_for_selector("#reminder")
        await expect(banner).to_have_count(0)


async def test_a_doorbell_that_is_away_is_said_to_be(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await home.open(asked)
        async with world.database.begin() as tx:
            await fleet.set_state(tx, home.device, "offline", since_ms=world.clock.wall_ms())
        await home.page.reload()
        await home.page.click("#decline")
        await home.page.wait_for_selector("#statement-away")
        assert not isinstance(await home.judged(await home.sent()), Refusal)


async def test_nothing_can_be_given_to_a_request_that_is_over(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await home.visitor()
        assert (await home.officer.withdraw(asked.request)).is_success
        await home.world.publishing.publish_due()
        await home.open(asked)
        await expect(home.page.locator("#is-over")).to_be_visible()
        assert await home.page.locator("#give").count() == 0
