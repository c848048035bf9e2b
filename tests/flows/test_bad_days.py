"""Bad days of the owner's app in Chromium: a doorbell or the relay away on every page, clocks that
are wrong, zones far ahead, days of 23 and 25 hours, and names that are too long."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import expect

from firmware.consent.facts import Refusal
from firmware.protocol.decisions import OwnerSettings, Preferences
from firmware.protocol.encoding import b64u, canonical, new_id, unb64u
from firmware.protocol.events import Note, Pressed
from firmware.protocol.notes import (
    NOTE_TAG,
    OwnerNote,
    PreferencesNow,
    SettingsNow,
    SignedNote,
    StatementRefused,
    seal_note,
)
from tests.fakes.clock import ManualClock
from tests.fakes.owner_file import file_of
from tests.flows.asked_home import Home, digest_of, home_in_browser, terms_of
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.household import KEYS_OF_THIS_BROWSER, PICTURES_SHOWN, go, set_state
from tests.flows.live_session import enrolled, visiting
from tests.relay.http_world import OWNER_ORIGIN, World, open_world

pytestmark = pytest.mark.browser

HOUR_MS = 3600 * 1000
PAGES: dict[str, tuple[str, str]] = {
    "": ("[data-testid=doorbell-state]", ""),
    "history": ("[data-testid=door-away]", ""),
    "history/{device}": ("[data-testid=door-away]", ""),
    "requests": ("[data-testid=door-away]", ""),
    "settings": ("[data-testid=door-away]", ""),
    "settings/doorbell/{device}": ("#known-since", ""),
    "settings/doorbell/{device}/length": ("#known-since", ""),
    "settings/camera/{device}/zones": ("#known-since", ""),
    "settings/doorbell/{device}/place": ("#known-since", "#place-typed"),
    "settings/notifications": ("[data-testid=door-away]", ""),
    "settings/people": ("[data-testid=door-away]", ""),
    "settings/police/{device}/asking": ("#known-since", ""),
    "settings/data/{device}/paper": ("#known-since", ""),
    "people/owners": ("[data-testid=door-away]", ""),
    "people/guests": ("[data-testid=door-away]", ""),
    "people/looked": ("[data-testid=door-away]", ""),
    "people/leave": ("[data-testid=door-away]", ""),
    "browsers/{device}": ("[data-testid=door-away]", "#browser-name"),
    "players": ("[data-testid=door-away]", "#player-code"),
    "wifi/{device}": ("[data-testid=door-away]", "#wifi-name"),
    "identity/{device}": ("[data-testid=door-away]", ""),
    "live/{device}": ("[data-testid=door-away]", ""),
    "replies/{device}": ("[data-testid=door-away]", ""),
}
"""What says on each page that the doorbell is away, and a field that an owner fills in there."""
TYPED = "typed before"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def test_each_page_says_since_when_the_doorbell_is_away_and_loses_nothing_typed(
    world: World,
) -> None:
    async with home_in_browser(world, service_workers="allow") as home:
        page = home.page
        await home.tell(PreferencesNow(preferences=Preferences(), file=file_of(), at_ms=1))
        await page.goto(f"{OWNER_ORIGIN}/#/")
        await page.reload()
        await page.wait_for_selector("#see")
        for address, (says, field) in PAGES.items():
            await set_state(world, home.device, "online")
            await go(page, address.format(device=home.device))
            if address:
                await expect(page.locator(says)).to_have_count(0)
            if field:
                await page.fill(field, TYPED)
            await set_state(world, home.device, "offline")
            said = page.locator(says).first
            await expect(said, address).to_contain_text("since")
            if field:
                await expect(page.locator(field), address).to_have_value(TYPED)
            assert await page.evaluate(WIDER_THAN_SCREEN) == [], address
        home.person.faults.clear()  # calls to a doorbell that answers nobody here


async def test_each_page_says_that_the_relay_is_away_and_what_was_typed_can_be_sent_later(
    world: World,
) -> None:
    async with home_in_browser(world, service_workers="allow") as home:
        page = home.page
        await home.tell(PreferencesNow(preferences=Preferences(), file=file_of(), at_ms=1))
        await page.goto(f"{OWNER_ORIGIN}/#/")
        await page.reload()
        await page.wait_for_selector("#see")
        for address, (_, field) in PAGES.items():  # their code comes with their first visit
            await go(page, address.format(device=home.device))
            if field:
                await page.wait_for_selector(field)
        await go(page, f"settings/doorbell/{home.device}/place")
        await page.fill("#setting-cell", "89283082803ffff")
        await page.route("**/api/v1/**", lambda route: route.abort())
        await page.click("#save-settings")
        await expect(page.locator("#setting-said")).to_contain_text("The relay doesn't answer")
        await expect(page.locator("#setting-said")).to_contain_text("nothing was lost")
        await expect(page.locator("#setting-cell")).to_have_value("89283082803ffff")
        await page.unroute("**/api/v1/**")
        await world.answer(home.device)  # what live view asked of it
        await page.click("#save-settings")
        assert terms_of(await home.sent()).settings == OwnerSettings(
            revision=1, cell="89283082803ffff"
        )
        await page.route("**/api/v1/**", lambda route: route.abort())
        await page.reload()
        banner = page.locator("#banner")
        for address in PAGES:
            await go(page, address.format(device=home.device))
            await expect(banner, address).to_contain_text("No contact with the relay since")
            await expect(page.locator(".state.on"), address).to_have_count(0)
        home.person.faults.clear()  # each call that failed


async def test_a_phone_whose_clock_is_over_an_hour_wrong_sees_the_door_or_what_to_do(
    tmp_path: Path,
) -> None:
    async with visiting(tmp_path) as at:
        now_ms = at.world.clock.wall_ms()
        late, early = (
            datetime.fromtimestamp(now_ms / 1000, UTC) + sign * timedelta(minutes=61)
            for sign in (-1, 1)
        )
        await at.page.clock.set_fixed_time(late)
        await at.see()
        await at.page.wait_for_function(PICTURES_SHOWN, arg=3)
        await at.page.clock.set_fixed_time(early)
        await at.see()
        problem = at.page.locator("#live-problem")
        await expect(problem).to_contain_text("This device's clock and your doorbell's differ")
        await expect(problem).to_contain_text("Let this device set its time by itself")
        await expect(at.page.locator("#live-again")).to_be_visible()


async def test_what_a_phone_with_a_late_clock_signs_is_refused_with_what_helps(
    world: World,
) -> None:
    async with home_in_browser(world, service_workers="allow") as home:
        page = home.page
        await home.tell(PreferencesNow(preferences=Preferences(), file=file_of(), at_ms=1))
        late_ms = world.clock.wall_ms() - HOUR_MS - 60_000
        await page.clock.set_fixed_time(datetime.fromtimestamp(late_ms / 1000, UTC))
        await page.goto(f"{OWNER_ORIGIN}/#/settings/police/{home.device}/asking")
        await page.reload()
        await page.check("#setting-is-opted-in")
        await page.click("#save-settings")
        signed = await home.sent()
        refusal = await home.judged(signed)
        assert isinstance(refusal, Refusal)
        assert refusal.reason == "expired"
        await home.tell(
            StatementRefused(
                statement_digest=digest_of(signed), reason=refusal.reason, detail=refusal.detail
            )
        )
        said = page.locator("#statement-refused")
        await expect(said).to_contain_text("let it set its time by itself")


async def test_days_are_those_of_whoever_looks_also_where_clocks_are_changed(
    tmp_path: Path,
) -> None:
    """On 25 October Europe's day has 25 hours, on the 4th Sydney's had 23; Tonga is 13 ahead."""
    evening = datetime(2026, 10, 25, 20, tzinfo=UTC)
    clock = ManualClock(wall_ms=round(evening.timestamp() * 1000))
    async with (
        open_world(tmp_path, clock=clock) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        page = home.page
        first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        for rang in (datetime(2026, 10, 4, 2, tzinfo=UTC), first, first + timedelta(hours=1)):
            await world.tell(home.device, Pressed(), time_ms=round(rang.timestamp() * 1000))

        async def look(zone: str) -> None:
            await home.person.devtools.send("Emulation.setTimezoneOverride", {"timezoneId": zone})
            await page.goto(f"{OWNER_ORIGIN}/#/history")
            await page.reload()
            await page.wait_for_selector(".day .row")

        lines, headings = page.locator(".day-line input"), page.locator(".day h2")
        await look("Europe/Stockholm")
        await expect(headings.first).to_have_text("Today")
        await expect(lines.first).to_have_attribute("max", "1499")
        half_past_two = re.compile("^02:30")  # before and after the change
        times = page.locator(".day").first.locator(".row time")
        await expect(times).to_have_text([half_past_two, half_past_two])
        await lines.first.focus()
        await page.keyboard.press("Home")
        await expect(lines.first).to_have_attribute("aria-valuetext", re.compile("^00:00. "))
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        await look("Australia/Sydney")
        await expect(lines.last).to_have_attribute("max", "1379")
        await look("Pacific/Tongatapu")
        await expect(headings.first).to_have_text("Yesterday")  # it is Monday there
        await expect(lines.first).to_have_attribute("max", "1439")
        assert (await page.locator(".row time").first.inner_text())[:5] == "14:30"


async def test_a_browsers_name_of_200_emoji_is_refused_in_words_and_stays_in_its_field(
    world: World,
) -> None:
    async with home_in_browser(world, service_workers="allow") as home:
        page = home.page
        await page.goto(f"{OWNER_ORIGIN}/#/browsers/{home.device}")
        await page.reload()
        await page.fill("#browser-name", "😀" * 200)
        await page.locator("#browser-name").press("Tab")
        await expect(page.locator("main")).to_contain_text("200 characters; at most 60 fit")
        await expect(page.locator("#browser-name")).to_have_value("😀" * 200)
        await page.fill("#browser-name", "😀" * 60)
        await page.locator("#browser-name").press("Tab")
        await expect(page.locator("main .warn-text")).to_have_text("")
        kept = await page.evaluate(KEYS_OF_THIS_BROWSER)
        assert kept["keys"]["browser"]["name"] == "😀" * 60


async def test_a_setting_that_only_a_newer_doorbell_knows_is_kept_through_an_older_app(
    world: World,
) -> None:
    async with home_in_browser(world, service_workers="allow") as home:
        page = home.page
        await home.tell(PreferencesNow(preferences=Preferences(), file=file_of(), at_ms=1))
        settings = {"revision": 4, "keep_days": 14, "sings_percent": 40}
        now = {"type": "settings_now", "statement_digest": "a" * 64, "settings": settings}
        await tell_raw(home, now | {"at_ms": 1})
        await page.goto(f"{OWNER_ORIGIN}/#/settings/doorbell/{home.device}/keep")
        await page.reload()
        await expect(page.locator("#setting-keep-days")).to_have_value("14")
        await page.select_option("#setting-keep-days", "7")
        await page.click("#save-settings")
        statement = json.loads((await home.sent()).statement)
        assert statement["terms"]["settings"] == settings | {"revision": 5, "keep_days": 7}


async def tell_raw(home: Home, body: dict[str, object]) -> None:
    """Let a doorbell of a newer kind tell something that this code has no type for."""
    plain = OwnerNote(
        device=home.device,
        id=new_id(),
        told_ms=home.world.clock.wall_ms(),
        sealing_key=home.keys.sealing_key,
        body=SettingsNow(statement_digest="a" * 64, settings=None, at_ms=1),
    )
    text = canonical(msgspec.json.decode(plain.encode()) | {"body": body})
    signed = SignedNote(note=text.decode(), signature=b64u(home.keys.signer.sign(NOTE_TAG + text)))
    sealed = b64u(seal_note(signed, unb64u(home.owner.browser.viewing_key)))
    credential_id = home.owner.passkey.credential_id
    told = Note(credential_id=credential_id, browser=home.owner.browser.id, sealed=sealed)
    await home.world.tell(home.device, told)


async def test_a_browser_whose_thirty_days_are_over_by_the_doorbells_clock_is_told_at_the_door(
    world: World,
) -> None:
    async with home_in_browser(world, service_workers="allow") as home:
        page = home.page
        over_ms = world.clock.wall_ms() - HOUR_MS
        browser = home.owner.browser
        right = enrolled(browser.id, browser.name)
        await home.tell(msgspec.structs.replace(right, until_ms=over_ms))
        await page.goto(f"{OWNER_ORIGIN}/#/")
        await page.reload()
        said = page.locator("[data-testid=browser-lapsed]")
        await expect(said).to_contain_text("thirty days were over")
        await said.get_by_role("link", name="Renew this browser").click()
        await page.wait_for_url(lambda url: url.endswith(f"#/browsers/{home.device}"))
