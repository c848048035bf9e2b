"""Notifications in Chromium: turned on and off, shown while no page is open, answered."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from firmware.protocol.encoding import new_id
from firmware.protocol.live import PlayReply
from tests.fakes.waiting import eventually
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.phone import until
from tests.flows.pushed_home import HAS_NO_BOOK, at_home, endpoints, jpeg, now_ms, shown
from tests.relay.http_world import OWNER_ORIGIN

pytestmark = pytest.mark.browser

MINUTE_MS = 60_000


# Turned on and off


async def test_an_owner_turns_notifications_on_and_the_doorbell_and_the_relay_know(
    tmp_path: Path,
) -> None:
    async with at_home(tmp_path) as home:
        page = home.at.page
        await home.open()
        await page.check("#push-motion")
        await page.check("#push-quiet")
        await page.fill("#push-from", "21:30")
        await page.fill("#push-to", "06:15")
        await page.click("#push-save")
        await expect(page.locator("#push-said")).to_contain_text("Your doorbell rings here")
        push = home.enrolled().push
        assert push is not None
        assert push.p256dh == home.phone.at_service.push.p256dh
        assert push.kinds == ["pressed", "motion"]
        assert push.quiet is not None
        zone = await page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
        assert (push.quiet.from_minute, push.quiet.to_minute, push.quiet.time_zone) == (
            21 * 60 + 30,
            6 * 60 + 15,
            zone,
        )
        assert await endpoints(home) == {home.at.owner.browser.id: "https://push.test/abc"}
        await page.reload()
        await expect(page.locator("#push-from")).to_have_value("21:30")
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        assert await page.evaluate(TOO_SMALL) == []
        assert home.at.person.faults == []


async def test_turning_them_off_makes_doorbell_and_relay_forget(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.turn_on()
        await home.at.page.click("#push-off")
        await expect(home.at.page.locator("#push-said")).to_contain_text("Off.")
        assert home.enrolled().push is None
        assert await endpoints(home) == {}


async def test_signing_out_ends_them_too(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.turn_on()
        await home.at.page.click("#sign-out")
        await eventually(lambda: home.enrolled().push is None)
        await until(home.at.page, HAS_NO_BOOK)
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await asyncio.sleep(0.5)
        assert await home.phone.shown() == []
        assert await endpoints(home) == {}


async def test_a_browser_that_isnt_let_in_is_told_to_be_let_in_first(tmp_path: Path) -> None:
    async with at_home(tmp_path, is_enrolled=False) as home:
        await home.open()
        await home.at.page.click("#push-save")
        await expect(home.at.page.locator("#push-not-enrolled a")).to_have_attribute(
            "href", "#/browsers"
        )
        assert await endpoints(home) == {}
        assert await home.at.page.evaluate("localStorage.getItem('test.push')") is None


async def test_an_owner_who_has_blocked_them_is_told_what_to_do(tmp_path: Path) -> None:
    async with at_home(tmp_path, may=False) as home:
        await home.phone.block()
        await home.open()
        await expect(home.at.page.locator("#push-blocked")).to_have_attribute("data-why", "denied")
        await expect(home.at.page.locator("#push-blocked")).to_contain_text("Only you can undo")


async def test_a_doorbell_that_was_away_is_told_when_it_is_back(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.turn_on()
        home.at.here.browsers.set_push(home.at.owner.browser.id, None)
        await home.at.page.evaluate(
            """() => import("/worker_store.js").then(async ({ readPush, writePush }) =>
                 writePush({ ...(await readPush()), told: [] }))"""
        )
        await home.ready()
        await eventually(lambda: home.enrolled().push is not None)


# While no page is open


async def test_a_ring_is_shown_at_once_and_its_picture_when_it_is_there(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        ring = await shown(home)
        assert ring["title"] == "Somebody pressed the bell"
        assert re.match(r"Doorbell \w{4}, ", ring["body"])
        assert (ring["tag"], ring["stays"]) == (event.id, True)
        assert ring["actions"] == ["see", "reply"]
        assert ring["image"] == ""
        await home.keep(event.id, home.seal(event.id, jpeg()))
        pictured = await shown(home, lambda one: one["image"] != "")
        assert pictured["image"].startswith("data:image/jpeg;base64,")
        assert pictured["silent"] is True
        assert pictured["title"] == ring["title"]


async def test_it_is_shown_while_no_page_of_the_app_is_open(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        await home.keep(event.id, home.seal(event.id, jpeg()))
        await home.at.page.goto("about:blank")
        assert [page.url for page in home.phone.context.pages] == ["about:blank"]
        await home.phone.deliver(home.text(event))
        await asyncio.sleep(2)  # nobody looks: the worker does it alone
        await home.at.page.goto(
            f"{OWNER_ORIGIN}/mark.txt"
        )  # a page of the origin that runs nothing
        ring = await shown(home, lambda one: one["image"] != "")
        assert ring["tag"] == event.id


async def test_a_picture_of_another_event_or_by_another_is_not_shown(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event, before = await home.ring(), new_id()
        await home.keep(event.id, home.seal(before, jpeg("red")))
        await home.phone.deliver(home.text(event))
        await shown(home)
        await asyncio.sleep(2)
        assert (await shown(home))["image"] == ""


async def test_what_was_shown_once_isnt_shown_again(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await shown(home)
        await home.at.page.evaluate(
            """() => navigator.serviceWorker.getRegistration()
                 .then((registration) => registration.getNotifications())
                 .then((all) => all.forEach((one) => one.close()))"""
        )
        await home.phone.deliver(home.text(event))
        await asyncio.sleep(1)
        assert await home.phone.shown() == []


async def test_a_ring_that_comes_late_says_so_and_makes_no_sound(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        await home.phone.deliver(home.text(event, time_ms=now_ms() - 11 * MINUTE_MS))
        late = await shown(home)
        assert "came late" in late["body"]
        assert (late["silent"], late["stays"], late["actions"]) == (True, False, ["see"])


@pytest.mark.parametrize("why", ["days_old", "other_door", "no_json", "extra_field", "no_device"])
async def test_shows_nothing_that_isnt_a_doorbells_word_of_today(tmp_path: Path, why: str) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        text = {
            "days_old": home.text(event, time_ms=now_ms() - 25 * 60 * MINUTE_MS),
            "other_door": home.text(event, device="a" * 20),
            "no_json": "{",
            "extra_field": home.text(event)[:-1] + ',"z":1}',
            "no_device": home.text(event).replace(event.device, "x"),
        }[why]
        await home.phone.deliver(text)
        await home.phone.deliver(home.text(await home.ring()))  # the worker goes on
        await shown(home)
        assert event.id not in [one["tag"] for one in await home.phone.shown()]


async def test_a_tap_leads_the_open_app_to_the_door(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await shown(home)
        await home.phone.tap(event.id, "see")
        await home.at.page.wait_for_url(lambda url: url.endswith(f"#/live/{home.at.device}"))


async def test_a_quick_reply_is_signed_in_the_worker_and_played(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await shown(home)
        await home.phone.tap(event.id, "reply")
        await shown(home, lambda one: one["title"] == "Your quick reply was played")
        assert home.played == [PlayReply(event_id=event.id, reply_id=None)]


async def test_a_quick_reply_that_isnt_played_is_said(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        home.cannot_play = "no quick reply is set"
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await shown(home)
        await home.phone.tap(event.id, "reply")
        said = await shown(home, lambda one: "ot played" in one["title"])
        assert "no quick reply set" in said["title"]
