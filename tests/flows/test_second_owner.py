"""A second owner in Chromium: let in at the doorbell's page, sent away there, and told so.

All programs are real: relay, broker, doorbell, its own page.
"""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.flows.browser import chromium, pictured_on_failure, sit_down, unpaired_town
from tests.flows.people import join_as_owner, pair, tap_newcomers_words, unlock
from tests.story.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def let_in(guest: Page, owner: Page, settings: Settings) -> None:
    """Let a guest ask, and an owner sign for them."""
    await guest.goto(f"{settings.app_url}/#/ask")
    await guest.click("#ask")
    await guest.wait_for_selector("#has-asked")
    await owner.goto(f"{settings.app_url}/#/settings/people")
    await owner.click("[data-testid=let-in]")
    await owner.wait_for_selector("#confirm-at-door")


async def say_yes(home: Page, settings: Settings) -> None:
    """Confirm the one thing that waits at the doorbell's own page."""
    await home.goto(f"{settings.door_url}/confirm")
    if await home.locator("[name=door_number]").count():
        await unlock(home)
    await home.locator("main form[action^='/confirm/'] button").click()


async def test_who_is_sent_away_at_the_door_is_told_so_on_the_page_that_they_have_open(
    tmp_path: Path,
) -> None:
    async with unpaired_town(tmp_path / "town") as (settings, door, _), chromium() as browser:
        async with pictured_on_failure(browser, tmp_path):
            owner, guest, home = [await sit_down(browser) for _ in range(3)]
            await join_as_owner(owner.page, settings)
            await pair(owner.page, home.page, door, settings)
            await join_as_owner(guest.page, settings, "Nora")
            await let_in(guest.page, owner.page, settings)
            await home.page.goto(f"{settings.door_url}/confirm")
            await unlock(home.page)
            await tap_newcomers_words(guest.page, home.page)
            await say_yes(home.page, settings)
            await expect(owner.page.locator("[data-testid=let-in-done]")).to_be_visible()
            await guest.page.goto(f"{settings.app_url}/#/")
            await guest.page.wait_for_selector("#see")
            await guest.page.goto(f"{settings.app_url}/#/settings/police")
            await guest.page.click("#to-asking")
            await guest.page.wait_for_selector("#settings-form")
            await owner.page.goto(f"{settings.app_url}/#/people/owners")
            await owner.page.get_by_role("button", name="Send Nora away").click()
            await owner.page.wait_for_selector("#confirm-at-door")
            await say_yes(home.page, settings)
            await expect(owner.page.locator("[data-testid=owner-gone]")).to_be_visible()
            await expect(owner.page.locator("[data-testid=owner]")).to_have_count(0)
            said = guest.page.locator("[data-testid=no-longer-owner]")
            await expect(said).to_contain_text("no longer an owner")
            await expect(guest.page.locator("#see")).to_have_count(0)
