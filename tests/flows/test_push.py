"""Notifications in Chromium: turned on and off, shown while no page is open, answered."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import expect
from sqlalchemy import select

from firmware.protocol.commands import CommandBody, ReplyBody, SealedOrder
from firmware.protocol.encoding import new_id
from firmware.protocol.live import (
    EmergencyPush,
    PlayReply,
    PushText,
    RingOverPush,
    SummaryPush,
)
from relay.store import push
from relay.store.schema import push_subscriptions
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.flows.browser import IN_ONE_BROWSER
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.phone import until
from tests.flows.pushed_home import HAS_NO_BOOK, Home, at_home, endpoints, jpeg, now_ms, shown
from tests.relay.http_world import OWNER_ORIGIN

pytestmark = list(IN_ONE_BROWSER)

MINUTE_MS = 60_000


# Turned on and off


async def test_an_owner_turns_notifications_on_and_the_doorbell_and_the_relay_know(
    tmp_path: Path,
) -> None:
    async with at_home(tmp_path) as home:
        page = home.at.page
        await home.open()
        await page.check("#push-motion")
        await page.check("#push-emergency")
        await page.check("#push-summary")
        await page.fill("#push-summary-at", "18:30")
        await page.select_option("#push-silent", "60")
        await page.check("#push-quiet")
        await page.fill("#push-from", "21:30")
        await page.fill("#push-to", "06:15")
        await page.click("#push-save")
        await expect(page.locator("#push-said")).to_contain_text("Your doorbell rings here")
        chosen = home.enrolled().push
        assert chosen is not None
        assert chosen.p256dh == home.phone.at_service.push.p256dh
        assert chosen.kinds == ["pressed", "motion", "emergency"]
        assert chosen.summary is not None
        assert chosen.summary.minute == 18 * 60 + 30
        assert chosen.silent_after_minutes == 60
        assert chosen.quiet is not None
        zone = await page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
        assert (chosen.quiet.from_minute, chosen.quiet.to_minute, chosen.quiet.time_zone) == (
            21 * 60 + 30,
            6 * 60 + 15,
            zone,
        )
        assert await endpoints(home) == {home.at.owner.browser.id: "https://push.test/abc"}
        await page.reload()
        await expect(page.locator("#push-from")).to_have_value("21:30")
        await expect(page.locator("#push-summary-at")).to_have_value("18:30")
        await expect(page.locator("#push-silent")).to_have_value("60")
        here = page.locator("#push-phones .row").filter(has_text="This browser")
        await expect(here).to_have_count(1)
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
        await eventually_no_endpoint(home)
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await asyncio.sleep(0.5)
        assert await home.phone.shown() == []


async def test_signing_out_ends_them_at_a_doorbell_that_takes_its_time(tmp_path: Path) -> None:
    """Seen to leave the doorbell as it was while it was waited for five seconds."""
    async with at_home(tmp_path) as home:
        await home.turn_on()

        async def slowly(body: CommandBody, answered: ReplyBody) -> ReplyBody:
            if not isinstance(body, SealedOrder):
                await asyncio.sleep(6)
            return await home.carry_out(body, answered)

        home.at.carrier.change_reply = slowly
        await home.at.page.click("#sign-out")
        await eventually(lambda: home.enrolled().push is None)
        await eventually_no_endpoint(home)


async def eventually_no_endpoint(home: Home) -> None:
    """Wait until the relay has no address to send to."""
    for _ in range(round(PATIENCE_S * 10)):
        if await endpoints(home) == {}:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(await endpoints(home))


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
            """() => import("/worker_store.js").then(async ({ readAnyPush, writePush }) => {
                 const push = await readAnyPush();
                 await writePush(push.relay_url, { ...push, told: {} });
               })"""
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
        assert (ring["tag"], ring["stays"]) == (f"pressed-{home.at.device}", True)
        assert ring["actions"] == ["reply", "snooze"]
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
        assert ring["tag"] == f"pressed-{home.at.device}"


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
        await home.phone.deliver(home.text(event, time_ms=now_ms() - 91 * MINUTE_MS))
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
        events = [
            event["event_id"] for one in await home.phone.shown() for event in one["data"]["events"]
        ]
        assert event.id not in events


async def test_a_tap_leads_the_open_app_to_the_door(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await shown(home)
        await home.phone.tap(f"pressed-{home.at.device}", "see")
        await home.at.page.wait_for_url(lambda url: url.endswith(f"#/live/{home.at.device}"))


async def test_a_quick_reply_is_signed_in_the_worker_and_played(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await shown(home)
        await home.phone.tap(f"pressed-{home.at.device}", "reply")
        await shown(home, lambda one: one["title"] == "Your quick reply was played")
        assert home.played == [PlayReply(event_id=event.id, reply_id=None)]


async def test_a_quick_reply_that_isnt_played_is_said(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        home.cannot_play = "no quick reply is set"
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await shown(home)
        await home.phone.tap(f"pressed-{home.at.device}", "reply")
        said = await shown(home, lambda one: "ot played" in one["title"])
        assert "no quick reply set" in said["title"]


# Over, paused, and what is no ring


async def test_who_looks_who_is_there_has_no_ring_left(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await shown(home)
        await home.at.page.goto(f"{OWNER_ORIGIN}/#/live/{home.at.device}")
        end_s = asyncio.get_running_loop().time() + 60
        while await home.phone.shown():
            assert asyncio.get_running_loop().time() < end_s
            await asyncio.sleep(0.1)


async def test_a_ring_that_another_phone_answered_ends_here(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await shown(home)
        await home.phone.deliver(home.text(event, body=RingOverPush(by="Bo")))
        over = await shown(home, lambda one: one["title"] == "Bo answered the bell")
        assert (over["silent"], over["stays"]) == (True, False)
        assert len(await home.phone.shown()) == 1


async def test_a_pause_is_ordered_from_the_notification_and_ended_on_the_page(
    tmp_path: Path,
) -> None:
    async with at_home(tmp_path) as home:
        await home.turn_on()
        event = await home.ring()
        await home.phone.deliver(home.text(event))
        await shown(home)
        await home.phone.tap(f"pressed-{home.at.device}", "snooze")
        await shown(home, lambda one: one["title"].startswith("Paused until"))
        browser = home.at.owner.browser.id
        assert home.snoozed == [(browser, 60)]
        await home.open()
        await expect(home.at.page.locator("#push-paused")).to_contain_text("Paused until")
        await home.at.page.click("#push-pause-end")
        await expect(home.at.page.locator("#push-paused")).to_have_text("The pause has ended.")
        assert home.snoozed == [(browser, 60), (browser, 0)]


async def test_a_summary_and_an_emergency_ask_the_relay_for_nothing(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        page, asked = home.at.page, list[str]()
        await page.goto(f"{OWNER_ORIGIN}/mark.txt")  # a page of the origin that runs nothing
        home.phone.context.on("request", lambda request: asked.append(request.url))
        for body in (
            SummaryPush(rings=1, motions=2, has_to_read=True),
            EmergencyPush(is_here=True),
        ):
            text = PushText(device=home.at.device, id=new_id(), time_ms=now_ms(), body=body)
            await home.phone.deliver(text.encode())
        emergency = await shown(home, lambda one: one["tag"] == "emergency")
        summary = await shown(home, lambda one: one["tag"].startswith("summary"))
        assert "One thing to read." in summary["body"]
        for one in (emergency, summary):
            assert (one["image"], one["actions"]) == ("", [])
        assert [url for url in asked if "/api/" in url] == []


async def test_another_phone_can_be_turned_off_from_here(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.turn_on()
        other = "b" * 20
        async with home.at.world.database.begin() as tx:
            mine = (await tx.execute(select(push_subscriptions))).one()
            await push.subscribe(
                tx,
                account_id=mine.account_id,
                browser=other,
                endpoint="https://push.test/other",
                now_ms=1,
                expires_ms=None,
            )
        await home.open()
        row = home.at.page.locator("#push-phones .row").filter(has_text="without a known name")
        await row.get_by_role("button").click()
        await expect(home.at.page.locator("#push-phone-said")).to_contain_text("no more")
        assert other not in await endpoints(home)
