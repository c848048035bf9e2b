"""Who is let in at the doorbell in Chromium: an owner's second browser, a guest, a second owner.

All programs are real: relay, broker, doorbell, its own page. The household is the same for all.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.flows.browser import (
    Person,
    chromium,
    pictured_on_failure,
    sit_down,
    unpaired_town,
)
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.household import PICTURES_SHOWN
from tests.flows.people import add_owner_passkey, join_as_owner, pair, tap_newcomers_words, unlock
from tests.story.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """An owner who has paired their doorbell, and who opens its own page at home."""

    settings: Settings
    browser: Browser
    owner: Person
    home: Person


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def household(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Household]:
    folder = tmp_path_factory.mktemp("let-in")
    async with unpaired_town(folder / "town") as (settings, door, _), chromium() as browser:
        async with pictured_on_failure(browser, folder):
            owner, home = [await sit_down(browser) for _ in range(2)]
            await join_as_owner(owner.page, settings)
            await pair(owner.page, home.page, door, settings)
        yield Household(settings=settings, browser=browser, owner=owner, home=home)


async def open_confirm(home: Page, settings: Settings) -> None:
    """Open what waits at the doorbell's own page, with the door number if it asks for it."""
    await home.goto(f"{settings.door_url}/confirm")
    if await home.locator("[name=door_number]").count():
        await unlock(home)


async def say_yes(home: Page, settings: Settings) -> None:
    """Confirm the one thing that waits at the doorbell's own page."""
    await open_confirm(home, settings)
    await home.locator("main form[action^='/confirm/'] button").click()


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


async def end_the_second(page: Page, settings: Settings) -> None:
    """The first browser has heard of the second, and ends it."""
    await page.goto(f"{settings.app_url}/#/settings/people")
    others = page.locator("[data-testid=browser]").filter(has_not_text="this one")
    await expect(others).to_have_count(1)
    await others.locator("button").click()
    await expect(others).to_have_count(0)


async def test_a_second_browser_watches_once_it_is_let_in_at_the_doorbell(
    household: Household, tmp_path: Path
) -> None:
    settings, first, home = household.settings, household.owner, household.home
    async with pictured_on_failure(household.browser, tmp_path):
        second = await sit_down(household.browser)
        await first.bring_passkeys_to(second)
        await sign_in(second.page, settings)
        await ask_to_be_let_in(second.page)
        await open_confirm(home.page, settings)
        await tap_newcomers_words(second.page, home.page)
        await home.page.click("form[action^='/confirm/'] button")
        await second.page.click("[data-testid=enrolled] a")
        await second.page.wait_for_function(PICTURES_SHOWN, arg=10)
        await end_the_second(first.page, settings)
        await expect(second.page.locator("#sign-in")).to_be_visible()
        await second.context.close()


async def test_a_guest_watches_once_they_are_let_in_and_until_they_are_ended(
    household: Household, tmp_path: Path
) -> None:
    settings, owner, home = household.settings, household.owner, household.home
    async with pictured_on_failure(household.browser, tmp_path):
        guest = await sit_down(household.browser)
        await owner.page.goto(f"{settings.app_url}/#/people/guests")
        await owner.page.click("#invite-guest")
        link = await owner.page.input_value("#guest-link")

        await guest.page.goto(link)
        await guest.page.fill("#name", "Gus")
        await add_owner_passkey(guest.page)
        await guest.page.click("#guest-ask")
        await guest.page.wait_for_selector("#guest-asked")

        await owner.page.goto(f"{settings.app_url}/#/settings/people")
        asks = owner.page.locator("[data-testid=guest-join]")
        await expect(asks).to_contain_text("Gus")
        await expect(asks.locator("#guest-keeps")).to_be_visible()
        for page in (owner.page, guest.page):
            assert await page.evaluate(WIDER_THAN_SCREEN) == []
            assert await page.evaluate(TOO_SMALL) == []
        await asks.locator("[data-testid=let-guest-in]").click()
        await expect(owner.page.locator("#confirm-at-door")).to_be_visible()

        await open_confirm(home.page, settings)
        await expect(home.page.locator("main")).to_contain_text("they can keep")
        await tap_newcomers_words(guest.page, home.page)
        await home.page.click("form[action^='/confirm/'] button")
        await expect(owner.page.locator("[data-testid=guest-in]")).to_be_visible()

        await guest.page.click("#to-door")
        await expect(guest.page.locator("#guest-banner")).to_contain_text("Mary")
        places = guest.page.locator("nav.places a")  # Door and Neighbours
        await expect(places).to_have_count(2)
        await guest.page.goto(f"{settings.app_url}/#/settings/people")
        await expect(guest.page.locator("main h1")).to_have_text("For owners")
        await guest.page.goto(f"{settings.app_url}/#/")
        await guest.page.click("#see")
        await guest.page.wait_for_function(PICTURES_SHOWN, arg=10)

        await owner.page.goto(f"{settings.app_url}/#/people/looked")
        await expect(owner.page.locator("[data-testid=look]").first).to_contain_text("Gus")
        await owner.page.goto(f"{settings.app_url}/#/people/guests")
        await owner.page.locator("[data-testid=guest] button", has_text="End").click()
        await owner.page.click("dialog button[value=yes]")
        await expect(guest.page.locator("#live-state")).to_have_text("Your doorbell ended it")
        await guest.page.goto(f"{settings.app_url}/#/")
        await expect(guest.page.locator("#see")).to_have_count(0)
        ended = guest.page.locator("[data-testid=no-longer-guest]")
        await expect(ended).to_contain_text("Mary ended your time as a guest")
        await guest.context.close()


async def let_in(guest: Page, owner: Page, settings: Settings) -> None:
    """Let somebody ask, and an owner sign for them."""
    await guest.goto(f"{settings.app_url}/#/ask")
    await guest.click("#ask")
    await guest.wait_for_selector("#has-asked")
    await owner.goto(f"{settings.app_url}/#/settings/people")
    await owner.click("[data-testid=let-in]")
    await owner.wait_for_selector("#confirm-at-door")


async def test_who_is_sent_away_at_the_door_is_told_so_on_the_page_that_they_have_open(
    household: Household, tmp_path: Path
) -> None:
    settings, owner, home = household.settings, household.owner, household.home
    async with pictured_on_failure(household.browser, tmp_path):
        nora = await sit_down(household.browser)
        await join_as_owner(nora.page, settings, "Nora")
        await let_in(nora.page, owner.page, settings)
        await open_confirm(home.page, settings)
        await tap_newcomers_words(nora.page, home.page)
        await say_yes(home.page, settings)
        await expect(owner.page.locator("[data-testid=let-in-done]")).to_be_visible()
        await nora.page.goto(f"{settings.app_url}/#/")
        await nora.page.wait_for_selector("#see")
        await nora.page.goto(f"{settings.app_url}/#/settings/police")
        await nora.page.click("#to-asking")
        await nora.page.wait_for_selector("#settings-form")
        await owner.page.goto(f"{settings.app_url}/#/people/owners")
        await owner.page.get_by_role("button", name="Send Nora away").click()
        await owner.page.wait_for_selector("#confirm-at-door")
        await say_yes(home.page, settings)
        await expect(owner.page.locator("[data-testid=owner-gone]")).to_be_visible()
        await expect(owner.page.locator("[data-testid=owner]")).to_have_count(0)
        said = nora.page.locator("[data-testid=no-longer-owner]")
        await expect(said).to_contain_text("no longer an owner")
        await expect(nora.page.locator("#see")).to_have_count(0)
        await nora.context.close()
