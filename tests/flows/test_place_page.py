"""The doorbell's place in Chromium: by coordinates, by where the device is, or by a cell; only the
cell leaves the browser, sealed to the doorbell."""

from pathlib import Path

import h3
import pytest
from playwright.async_api import Request, expect

from firmware.consent.facts import Decision
from firmware.protocol.decisions import ChangeSettings, OwnerSettings, Preferences
from firmware.protocol.notes import PreferencesNow, SettingsNow
from tests.fakes.owner_file import file_of
from tests.flows.asked_home import digest_of, home_in_browser
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.relay.http_world import OWNER_ORIGIN, open_world

pytestmark = pytest.mark.browser

AT = (59.3293, 18.0686)
CELL = h3.latlng_to_cell(*AT, 9)
SAME = [
    "59.3293, 18.0686",
    "59,3293 N 18,0686 E",
    "59.3293N, 18.0686Ö",
    "59°19'45.5\"N 18°4'7\"E",
    CELL,
]
WRONG = ["", "Main Street 4", "91, 18", "59.3293", "89ffffffffffffff"]
GONE = """() => Object.defineProperty(Navigator.prototype, "geolocation", { value: {
  getCurrentPosition: (_, fail) => fail({ code: 3 }),
} })"""


async def test_a_place_is_given_by_coordinates_and_only_its_cell_is_sealed(
    tmp_path: Path,
) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        page, sent = home.page, []

        def note(request: Request) -> None:
            sent.append(f"{request.url} {request.post_data or ''}")

        page.on("request", note)
        await home.tell(PreferencesNow(preferences=Preferences(), file=file_of(), at_ms=1))
        await page.goto(f"{OWNER_ORIGIN}/#/settings/doorbell/{home.device}/place")
        await page.reload()
        field, said = page.locator("#setting-cell"), page.locator("#place-said")
        for text in WRONG:
            await page.fill("#place-typed", text)
            await page.click("#place-find")
            await expect(page.locator("#place-problem"), text).to_be_visible()
            await expect(field).to_have_value("")
            await expect(page.locator("#save-settings")).to_be_disabled()
        for text in SAME:
            await field.fill("")
            await page.fill("#place-typed", text)
            await page.locator("#place-typed").press("Enter")
            await expect(field, text).to_have_value(CELL)
            await expect(said).to_contain_text(CELL)
        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        assert await page.evaluate(TOO_SMALL) == []
        await page.click("#save-settings")
        signed = await home.sent()
        decision = await home.judged(signed)
        assert isinstance(decision, Decision)
        wanted = OwnerSettings(revision=1, cell=CELL)
        assert decision.terms == ChangeSettings(settings=wanted)
        assert decision.is_widening  # another cell waits for the door
        done = SettingsNow(statement_digest=digest_of(signed), settings=wanted, at_ms=1)
        await home.tell(done)
        await expect(page.locator("#settings-saved")).to_be_visible()
        assert any("/statements" in one for one in sent)
        for secret in (CELL, "59.32", "59,32", "18.06", "18,06"):
            assert [one for one in sent if secret in one] == [], secret


async def test_a_place_is_given_by_where_the_device_is_or_says_why_not(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        page, context = home.page, home.person.context
        await home.tell(PreferencesNow(preferences=Preferences(), file=file_of(), at_ms=1))
        await page.goto(f"{OWNER_ORIGIN}/#/settings/doorbell/{home.device}/place")
        await page.reload()
        field, problem = page.locator("#setting-cell"), page.locator("#place-problem")
        await context.clear_permissions()
        await page.click("#place-here")
        await expect(problem).to_contain_text("mayn't know where it is")
        await expect(field).to_have_value("")
        await context.grant_permissions(["geolocation"])
        where = {"latitude": AT[0], "longitude": AT[1]}
        await context.set_geolocation({**where, "accuracy": 20})  # type: ignore[typeddict-item]
        await page.click("#place-here")
        await expect(field).to_have_value(CELL)
        await expect(page.locator("#place-vague")).to_have_count(0)
        await field.fill("")
        await context.set_geolocation({**where, "accuracy": 900})  # type: ignore[typeddict-item]
        await page.click("#place-here")
        await expect(page.locator("#place-vague")).to_contain_text("900 m")
        await expect(field).to_have_value(CELL)
        await page.evaluate(GONE)
        await page.click("#place-here")
        await expect(problem).to_contain_text("in time")
        await expect(field).to_have_value(CELL)  # what was found before stays
