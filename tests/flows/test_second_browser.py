"""An owner's second browser in Chromium: not let in, let in at the doorbell's page, and watching.

All programs are real: relay, broker, doorbell, its own page.
"""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.flows.browser import chromium, pictured_on_failure, sit_down, unpaired_town
from tests.flows.household import PICTURES_SHOWN
from tests.flows.people import join_as_owner, pair, tap_newcomers_words, unlock
from tests.story.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def sign_in(page: Page, settings: Settings) -> None:
    """Sign in with the owner's passkey."""
    await page.goto(f"{settings.app_url}/#/welcome")
    await page.click("#sign-in")
    await page.wait_for_selector("#see")


async def ask_to_be_let_in(page: Page) -> None:
    """Try to see, be told that this browser may not, and ask."""
    await page.click("#see")
    await expect(page.locator("#not-enrolled")).to_have_attribute("data-reason", "unknown_browser")
    await page.click("#enrol")
    await page.click("[data-testid=enrol]")
    await page.wait_for_selector("#confirm-at-door")


async def test_a_second_browser_watches_once_it_is_let_in_at_the_doorbell(tmp_path: Path) -> None:
    async with unpaired_town(tmp_path / "town") as (settings, door, _), chromium() as browser:
        async with pictured_on_failure(browser, tmp_path):
            first, second, home = [await sit_down(browser) for _ in range(3)]
            await join_as_owner(first.page, settings)
            await pair(first.page, home.page, door, settings)
            await first.bring_passkeys_to(second)
            await sign_in(second.page, settings)
            await ask_to_be_let_in(second.page)
            await home.page.goto(f"{settings.door_url}/confirm")
            await unlock(home.page)
            await tap_newcomers_words(second.page, home.page)
            await home.page.click("form[action^='/confirm/'] button")
            await second.page.click("[data-testid=enrolled] a")
            await second.page.wait_for_function(PICTURES_SHOWN, arg=10)
            await end_the_second(first.page, settings)
            await expect(second.page.locator("#sign-in")).to_be_visible()


async def end_the_second(page: Page, settings: Settings) -> None:
    """The first browser has heard of the second, and ends it."""
    await page.goto(f"{settings.app_url}/#/settings/people")
    others = page.locator("[data-testid=browser]").filter(has_not_text="this one")
    await expect(others).to_have_count(1)
    await others.locator("button").click()
    await expect(others).to_have_count(0)
