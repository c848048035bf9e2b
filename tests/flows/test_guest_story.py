"""A guest in Chromium: invited by a link, let in at the doorbell, watching, and ended by the owner.

All programs are real: relay, broker, doorbell, its own page.
"""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.flows.browser import chromium, pictured_on_failure, sit_down, unpaired_town
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.household import PICTURES_SHOWN
from tests.flows.people import add_owner_passkey, join_as_owner, pair, tap_newcomers_words, unlock

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def test_a_guest_watches_once_they_are_let_in_and_until_they_are_ended(
    tmp_path: Path,
) -> None:
    async with unpaired_town(tmp_path / "town") as (settings, door, _), chromium() as browser:
        async with pictured_on_failure(browser, tmp_path):
            owner, guest, home = [await sit_down(browser) for _ in range(3)]
            await join_as_owner(owner.page, settings)
            await pair(owner.page, home.page, door, settings)

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

            await home.page.goto(f"{settings.door_url}/confirm")
            await unlock(home.page)
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
