"""Asking in Chromium: the owner's letter beside the form, and what an agency keeps for its forms."""

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
