"""The release screen in Chromium: what is signed there, the doorbell's own verifier accepts."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from firmware.consent.facts import Decision, Grant, Refusal
from firmware.protocol.decisions import Decline, Hold, Knock, RefuseAgency, Revoke
from firmware.protocol.events import ClockSet, Motion, Pressed
from firmware.protocol.grants import SignedStatement
from firmware.protocol.notes import (
    ConfirmationWanted,
    HeldTime,
    HoldsNow,
    MatchedRequest,
    Nothing,
    RefusedNow,
    ReleaseDone,
    RequestsMatched,
    StatementDone,
    StatementRefused,
)
from relay.request.published_requests import PublishedRequest
from relay.store import fleet
from tests.fakes.local_page import DIGEST, NUMBER
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.flows.asked_home import (
    DOOR_PAGE,
    Home,
    clip_of,
    digest_of,
    home_in_browser,
    set_time,
    terms_of,
)
from tests.flows.asking_doors import WAITING, asking_door
from tests.flows.browser import IN_ONE_BROWSER
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.filmed import GROUPS_MS, filmed, out_of_reach
from tests.flows.household import REQUESTS, until_kept
from tests.relay.http_world import DAY_MS, HOUR_MS, OWNER_ORIGIN, World, open_world

pytestmark = list(IN_ONE_BROWSER)

WRONG_MS = 90_000
COUNT_TOUCHES = """addEventListener("pointerdown", () => {
  localStorage.setItem("touches", Number(localStorage.getItem("touches") ?? 0) + 1);
}, true);"""


@pytest_asyncio.fixture(loop_scope="module")
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


IS_ABOVE_THE_PLACES = """(button) => document.querySelector(button).getBoundingClientRect().bottom
  <= document.querySelector(".places").getBoundingClientRect().top"""


async def give(home: Home) -> None:
    """Sign for what is chosen."""
    await home.give()
    await home.page.wait_for_selector("#statement-sent")


async def picture(page: Page, end: str) -> str:
    """Return the first or last picture as it would leave, once it is painted."""
    canvas = page.locator(f"[data-testid={end}-picture]")
    await expect(page.locator(".trim")).to_have_attribute("data-painted", "")
    return str(await canvas.evaluate("(shown) => shown.toDataURL()"))


async def drag(page: Page, handle: str, *, to: str) -> None:
    """Drag one handle of the trim beyond the other one, in steps."""
    boxes = [await page.locator(f"[data-testid=cut-{end}]").bounding_box() for end in (handle, to)]
    (x, y), (other_x, _) = ((box["x"] + box["width"] / 2, box["y"] + 20) for box in boxes if box)
    await page.mouse.move(x, y)
    await page.mouse.down()
    await page.mouse.move(other_x - 60, y, steps=5)
    await page.mouse.up()


def released(signed: SignedStatement, asked: PublishedRequest) -> ReleaseDone:
    """Return what the doorbell tells once it gave."""
    return ReleaseDone(
        statement_digest=digest_of(signed), request_digest=asked.digest, package_id="p" * 26
    )


async def granted(home: Home) -> Grant:
    """Return the grant that the doorbell makes of the one statement that was sent."""
    grant = await home.judged(await home.sent())
    assert isinstance(grant, Grant), grant
    return grant


async def test_one_signature_gives_several_recordings_at_the_doorbells_own_times(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        await out_of_reach(home)
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
        await home.open_choice(asked)
        boxes = home.page.locator("[data-testid=choose-clip]")
        await expect(boxes).to_have_count(2)  # each recording once
        await expect(home.page.locator("[data-testid=asked-clip]").first).to_contain_text(
            "time corrected"
        )
        for index in range(2):
            await boxes.nth(index).check()
        await give(home)
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
            "one reminder",
        ):
            await expect(letter).to_contain_text(words)
        assert await home.page.locator("#danger").count() == 0


async def test_sound_and_identity_are_given_only_if_the_owner_ticks_them(world: World) -> None:
    async with home_in_browser(world) as home:
        await out_of_reach(home)
        asked = await home.ask()
        await home.hear(asked)
        await home.visitor()
        await home.open_choice(asked)
        await home.page.check("[data-testid=choose-clip]")
        await home.page.get_by_label("Give their sound too").check()
        await home.page.click("#next")
        await home.page.get_by_label("My name", exact=True).first.check()
        await home.page.get_by_label("My address", exact=True).first.check()
        await home.page.click("#give")
        await expect(home.page.locator("#answers [role=alert]")).to_contain_text("My address")
        await home.page.fill("#identity-address", "Elm Street 5")
        await home.page.click("#give")
        await home.page.wait_for_selector("#statement-sent")
        terms = (await granted(home)).terms
        assert terms.has_audio
        assert (terms.identity.name, terms.identity.address) == ("Ada", "Elm Street 5")
        assert terms.identity.contact == ""


async def test_there_is_no_sound_to_choose_once_it_is_known_that_none_has_any(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await filmed(home)
        await home.open_choice(asked)
        sound = home.page.get_by_label("Give their sound too")
        await sound.check()  # nobody knows yet
        await home.page.check("[data-testid=choose-clip]")
        await expect(sound).to_be_disabled()
        await expect(home.page.locator("#about-sound")).to_contain_text("has sound")
        await give(home)
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
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        clip = await filmed(home, started_ms=WRONG_MS, is_clock_trusted=False)  # set later
        await home.open_choice(asked)
        await home.page.check("[data-testid=choose-clip]")
        sliders = home.page.locator("[data-testid=cut-from], [data-testid=cut-to]")
        await expect(sliders).to_have_count(2)
        longer = home.page.locator("[data-testid=longer]")
        await expect(longer).to_contain_text("the whole recording")
        whole = [await picture(home.page, end) for end in ("first", "last")]
        assert whole[0] != whole[1]
        await sliders.first.focus()
        await home.page.keyboard.press("ArrowRight")
        await expect(longer).to_contain_text("parts 2 to 3 of 3")
        await sliders.last.focus()
        await home.page.keyboard.press("ArrowLeft")
        await expect(longer).to_contain_text("part 2 of 3")
        for key in ("ArrowLeft", "Home", "PageDown"):
            await home.page.keyboard.press(key)  # nothing is no part
        await drag(home.page, "to", to="from")
        await expect(longer).to_contain_text("part 2 of 3")
        part = [await picture(home.page, end) for end in ("first", "last")]
        assert len({*whole, *part}) == 4
        await give(home)
        (given,) = (await granted(home)).terms.clips
        begin_ms = clip.started_ms
        assert (given.from_ms, given.to_ms) == (begin_ms + 500, begin_ms + 1_000)


async def test_a_browser_that_decodes_no_single_pictures_says_so_and_trims_all_the_same(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await filmed(home)
        await home.page.add_init_script("delete window.VideoDecoder")
        await home.open_choice(asked)
        await home.page.check("[data-testid=choose-clip]")
        trim = home.page.locator("[data-testid=trim]")
        await expect(trim).to_contain_text("can't show single pictures")
        await home.page.locator("[data-testid=cut-to]").press("ArrowLeft")
        await expect(trim).to_contain_text("parts 1 to 2 of 3")
        shown = home.page.locator("[data-testid=asked-clip] video")  # the player shows its end
        at_s = await shown.evaluate("(video) => video.currentTime")
        assert GROUPS_MS[1] / 1000 < at_s < GROUPS_MS[2] / 1000


async def test_no_takes_two_touches_and_giving_three_recordings_at_most_ten(world: World) -> None:
    """Counted from the list to the release at the doorbell's page, without number and passkey."""
    async with (
        asking_door() as (bell, door),
        home_in_browser(world) as home,
    ):
        bell.waits = WAITING["grant"]
        asked = await home.ask()
        await home.hear(asked)
        for minutes in (100, 90, 80):
            await filmed(home, begun_ms=world.clock.wall_ms() - minutes * 60_000)
        await home.page.context.add_init_script(COUNT_TOUCHES)
        page = await from_the_list(home)
        await page.click("#decline")
        declined = await home.sent()
        assert terms_of(declined) == Decline(request_digest=asked.digest)
        assert await touches(page) == 2
        page = await from_the_list(home)
        await page.click("#next")
        for number in range(3):
            await page.locator("[data-testid=choose-clip]").nth(number).check()
        await home.give()
        grant = await home.sent()
        assert len(terms_of(grant).clips) == 3
        page_of_door = ConfirmationWanted(
            statement_digest=digest_of(grant), door_page=f"{door}/confirm"
        )
        await home.tell(page_of_door)
        async with page.expect_popup() as opening:
            await page.click("#door-page")
        at_door = await opening.value
        await at_door.fill("[name=door_number]", NUMBER)
        await at_door.click("form button")  # it belongs to the number
        await at_door.click("form[action^='/confirm/'] button")
        await eventually(lambda: bell.told == [f"confirm {DIGEST}"])
        assert await touches(page) + 1 <= 10  # and the last one, at the door


async def from_the_list(home: Home) -> Page:
    """Open the list anew, forget the touches so far, and touch the request."""
    await home.page.goto(f"{OWNER_ORIGIN}/#/requests")
    await home.page.reload()
    await home.page.evaluate("localStorage.removeItem('touches')")
    await home.page.click("#my-requests a")
    return home.page


async def touches(page: Page) -> int:
    return int(await page.evaluate("localStorage.getItem('touches')"))


async def test_a_recording_that_is_gone_can_not_be_chosen(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await filmed(home)
        gone = await home.visitor(minutes_ago=70)
        await home.open_choice(asked)
        row = home.page.locator(f"[data-clip='{gone.clip_id}']")
        await row.locator("input").click()  # it is unchecked at once
        await expect(row).to_contain_text("doesn't have this recording any more")
        await expect(row.locator("input")).to_be_disabled()
        await expect(row.locator("input")).not_to_be_checked()
        await home.page.click("#next")
        await expect(home.page.locator("#answers [role=alert]")).to_contain_text("at least one")
        await home.page.locator("[data-testid=choose-clip]").first.check()
        await give(home)
        assert len((await granted(home)).terms.clips) == 1


async def test_each_screen_says_that_the_relay_is_away_and_nothing_is_lost(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await filmed(home)
        await home.open_choice(asked)
        await home.page.check("[data-testid=choose-clip]")
        await home.page.click("#next")
        await home.page.route("**/statements", lambda route: route.abort())
        for answer, place in (("#decline", "[data-answer=decline]"), ("#give", "#answers-said")):
            await home.page.click(answer)
            await expect(home.page.locator(f"{place} [role=alert]")).to_contain_text("relay")
        await home.page.unroute("**/statements")
        await home.page.click("#give")
        assert isinstance(await granted(home), Grant)
        home.person.faults.clear()  # the browser tells of what couldn't be sent


async def test_the_list_is_the_last_one_and_says_so_where_the_relay_gives_none(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        row = home.page.locator("#my-requests [data-stands=open]")
        await home.page.goto(f"{OWNER_ORIGIN}/#/requests")
        await expect(row).to_be_visible()
        await until_kept(home.page, home.owner, REQUESTS, asked.id)
        await home.page.route("**/api/v1/requests", lambda route: route.abort())
        await home.page.reload()
        await expect(home.page.locator("#as-of")).to_contain_text("can't be reached")
        await expect(row).to_contain_text("Open until")
        home.person.faults.clear()  # the browser tells of what couldn't be fetched


async def test_a_request_that_ends_on_the_third_screen_is_over_there(world: World) -> None:
    async with home_in_browser(world) as home:
        asked = await home.ask()
        await home.hear(asked)
        await filmed(home)
        await home.open_choice(asked)
        await home.page.check("[data-testid=choose-clip]")
        await home.page.click("#next")
        world.clock.advance((asked.request.expires_ms - world.clock.wall_ms()) / 1000 + 1)
        await set_time(home.page, world)
        await home.page.click("#give")
        await expect(home.page.locator("#is-over")).to_be_visible()
        assert await home.page.locator("#give, #next, #decline").count() == 0
        assert await world.told(home.device) == []


async def test_what_another_owner_answers_meanwhile_is_said_on_whichever_screen(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        await out_of_reach(home)
        asked = await home.ask()
        await home.hear(asked)
        await home.visitor()
        await home.open_choice(asked)
        await home.page.check("[data-testid=choose-clip]")
        no = StatementDone(statement_digest="b" * 64, kind="decline", about=asked.digest)
        await home.tell(no)
        others = home.page.locator("#others-answer")
        await expect(others).to_contain_text("said no")
        await home.page.click("#next")
        theirs = ReleaseDone(
            statement_digest="c" * 64, request_digest=asked.digest, package_id="q" * 26
        )
        await home.tell(theirs)
        await expect(others).to_contain_text("already given")
        await home.page.goto(f"{OWNER_ORIGIN}/#/requests")
        stands = home.page.locator("[data-stands]")
        await expect(stands).to_have_text("Given by another owner")
        back = StatementDone(statement_digest="d" * 64, kind="revoke", about="c" * 64)
        await home.tell(back)
        await expect(stands).to_have_text("Given by another owner, and taken back")


async def test_what_reaches_over_the_asked_time_is_given_only_as_far_as_it_lies_in_it(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        await out_of_reach(home)
        asked = await home.ask()
        await home.hear(asked)
        await home.visitor(minutes_ago=60.05)  # it ends seconds after the asked hour
        await home.open_choice(asked)
        await expect(home.page.locator("[data-testid=asked-clip]")).to_contain_text("edge")
        await home.page.check("[data-testid=choose-clip]")
        await give(home)
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
        await home.page.click("#next")
        await expect(home.page.locator("[data-testid=choose-clip]")).to_have_count(1)


async def test_a_clip_that_is_told_anew_while_the_owner_reads_must_be_chosen_again(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        await out_of_reach(home)
        asked = await home.ask()
        await home.hear(asked)
        told = await home.visitor()
        await home.open_choice(asked)
        await home.page.check("[data-testid=choose-clip]")
        right_ms = told.started_ms + 1_000
        await home.record(msgspec.structs.replace(told, started_ms=right_ms))
        async with asyncio.timeout(PATIENCE_S):
            while not await home.page.inner_text("#announcer"):
                await world.tell(home.device, Pressed())  # announced, so the page has heard both
                await asyncio.sleep(0.2)
        await home.page.click("#next")
        await expect(home.page.locator("#answers [role=alert]")).to_contain_text(
            "told of them anew"
        )
        await expect(home.page.locator("[data-testid=choose-clip]")).not_to_be_checked()
        assert await world.told(home.device) == []
        await home.page.check("[data-testid=choose-clip]")
        await give(home)
        assert (await granted(home)).terms.clips[0].from_ms == right_ms


async def test_a_grant_is_followed_to_its_end_and_can_be_taken_back(world: World) -> None:
    async with home_in_browser(world) as home:
        await out_of_reach(home)
        asked = await home.ask()
        await home.hear(asked)
        await home.visitor()
        await home.open_choice(asked)
        await home.page.check("[data-testid=choose-clip]")
        await give(home)
        signed = await home.sent()
        await home.wants_confirmation(signed)
        await expect(home.page.locator("#door-page")).to_have_attribute(
            "href", f"{DOOR_PAGE}?lang=en&zone=UTC"
        )
        await home.page.click("#away-how")
        await home.page.click("#ask-knock")
        assert terms_of(await home.sent()) == Knock(
            statement_digest=digest_of(signed), language="en"
        )
        await home.tell(released(signed, asked))
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
        counts = RefusedNow(statement_digest=digest_of(never), refused=["lakeland"])
        await home.tell(counts)
        await page.wait_for_selector("#refuse-done")
        for signed in (held, declined, never):
            assert isinstance(await home.judged(signed), Decision)
        await page.set_viewport_size({"width": 360, "height": 640})
        await page.evaluate("scrollTo(0, 0)")
        for answer in ("#decline", "#hold", "#next"):
            assert await page.evaluate(IS_ABOVE_THE_PLACES, answer)


async def test_all_that_is_decided_goes_to_the_relay_in_one_size(world: World) -> None:
    async with home_in_browser(world) as home:
        await out_of_reach(home)
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
        await home.page.click("#next")
        await home.page.check("[data-testid=choose-clip]")
        await home.give()
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
        await expect(home.page.locator("#door-away")).to_contain_text("can't be reached")
        await home.page.click("#next")
        await expect(home.page.locator("#door-away")).to_be_visible()
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
