"""Asking in Chromium: the owner's letter beside the form, and an agency's templates and areas."""

from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.test_request_pages import join, relay_and_browser, write
from tests.relay.http_world import RELAY_URL

pytestmark = pytest.mark.browser

WIDE = {"width": 1440, "height": 900}
FORM = f"{RELAY_URL}/agency/requests/new"


async def left_of(place: Locator) -> float:
    box = await place.bounding_box()
    assert box is not None
    return box["x"]


async def test_the_owners_letter_follows_beside_the_form_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    async with relay_and_browser(tmp_path) as (world, browser):
        berg = await join(world, browser, "Officer Berg")
        await join(world, browser, "Officer Dahl")
        page = berg.page
        await page.goto(FORM)
        preview, letter = page.locator("#preview"), page.locator("#preview article")
        await expect(letter).to_be_hidden()  # on a phone it is folded, below the form
        assert not await page.evaluate(WIDER_THAN_SCREEN)
        await page.set_viewport_size(WIDE)
        await expect(letter).to_be_visible()
        assert await left_of(preview) > await left_of(page.locator("#case_number")) + 400
        await expect(letter).to_contain_text("Still missing: the case number")
        await expect(page.locator("#missing")).to_contain_text("the area")
        await letter.locator("[data-missing=contact]").click()
        await expect(page.locator("#contact")).to_be_focused()
        await page.keyboard.type("desk@lakeland.example")
        contact = letter.locator("[data-line='release.contact']")
        await expect(contact).to_have_text("desk@lakeland.example")
        await page.click("[data-letter=sv]")
        await expect(letter).to_contain_text("Saknas än: ärendenumret")
        await expect(letter).to_have_attribute("lang", "sv")
        await write(page)
        await expect(page.locator("#missing")).to_have_text("Nothing is missing.")
        await expect(letter.locator(".missing")).to_have_count(0)
        assert berg.faults == []


async def is_reason_needed(page: Page, hours: float, *, is_shown: bool) -> None:
    await write(page, hours=hours)
    await expect(page.locator("#reason")).to_be_visible(visible=is_shown)
    missing = page.locator("#preview [data-missing=reason]")
    await expect(missing).to_have_count(int(is_shown))


async def test_a_reason_is_asked_for_by_a_window_longer_than_two_hours(tmp_path: Path) -> None:
    async with relay_and_browser(tmp_path) as (world, browser):
        berg = await join(world, browser, "Officer Berg")
        await join(world, browser, "Officer Dahl")
        await is_reason_needed(berg.page, 1, is_shown=False)
        await is_reason_needed(berg.page, 3, is_shown=True)
        sent = await berg.page.evaluate("fetch('').then((answer) => answer.text())")
        place = sent.split('id="reason-field"')[1]  # as a browser without JavaScript has it
        assert not place.startswith(" hidden")
        assert berg.faults == []


TEXT = "A bicycle was taken from a yard."


async def test_a_template_and_an_area_are_kept_by_one_officer_and_used_by_another(
    tmp_path: Path,
) -> None:
    async with relay_and_browser(tmp_path) as (world, browser):
        berg = await join(world, browser, "Officer Berg")
        dahl = await join(world, browser, "Officer Dahl")
        page = berg.page
        await write(page, text=f"{TEXT} Berg asks.")
        await keep(page, "template", "Bicycle")
        status = page.locator("#kept-template")
        await expect(status).to_contain_text("It names an officer of your agency.")
        await page.fill("#text", TEXT)
        await page.click("#keep-template button")
        await expect(status).to_have_text("Kept for your agency as “Bicycle”.")
        await keep(page, "area", "By the lake")
        await expect(page.locator("#kept-area")).to_contain_text("By the lake")

        page = dahl.page
        await page.goto(FORM)
        await page.fill("#text", "Something else.")
        await use(page, "template", "Bicycle")
        await expect(page.locator("#text")).to_have_value(TEXT)
        await expect(page.locator("#incident_type")).to_have_value("burglary")
        await expect(page.locator("#retention_days")).to_have_value("365")
        await expect(page.locator("#case_number")).to_have_value("")
        await page.click("#used-template button")
        await expect(page.locator("#text")).to_have_value("Something else.")
        await use(page, "area", "By the lake")
        await expect(page.locator("#area input[name=cell]")).to_have_count(1)

        await page.goto(f"{RELAY_URL}/agency/presets")
        assert not await page.evaluate(WIDER_THAN_SCREEN)
        row = page.locator("#templates [data-preset]")
        await row.locator("summary").click()
        await row.get_by_label("Name").fill("Stolen bicycle")
        await row.get_by_role("button", name="Rename").click()
        await expect(row.locator("strong")).to_have_text("Stolen bicycle")
        await row.get_by_role("link", name="Use").click()
        await expect(page.locator("#text")).to_have_value(TEXT)
        await page.goto(f"{RELAY_URL}/agency/presets")
        await row.locator("summary").click()
        await row.get_by_role("checkbox").check()
        await row.get_by_role("button", name="Remove").click()
        await expect(row).to_have_count(0)
        assert [fault for fault in berg.faults if "422" not in fault] == dahl.faults == []


async def keep(page: Page, kind: str, name: str) -> None:
    await page.click(f"#keep-{kind} summary")
    await page.fill(f"#{kind}-name", name)
    await page.keyboard.press("Enter")  # it keeps the template, and hands nothing in


async def use(page: Page, kind: str, name: str) -> None:
    await page.select_option(f"#chosen-{kind}", label=name)
    await page.click(f"#choose-{kind} button")
