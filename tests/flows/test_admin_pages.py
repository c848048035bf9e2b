"""The administrators' pages in Chromium: join by passkey, refuse, sign out; an officer appeals."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.flows.browser import loading, sit_down
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.household import PHONE
from tests.flows.test_request_pages import relay_and_browser
from tests.relay.admin_people import waiting_request
from tests.relay.http_world import RELAY_URL

pytestmark = pytest.mark.browser


async def test_a_moderator_joins_and_refuses_and_an_officer_appeals(tmp_path: Path) -> None:
    async with relay_and_browser(tmp_path) as (world, browser):
        officer, request_id = await waiting_request(world)
        mia = await sit_down(browser, viewport=PHONE)
        page = mia.page
        await page.goto(f"{RELAY_URL}/admin/join?invitation={await world.invite_admin()}")
        await page.fill("#name", "Mia Sund")
        await page.click("#add-passkey")
        async with loading(page):
            await page.click("#joined:not([hidden]) a")
        async with loading(page):
            await page.click("#queue a")
        await page.check("#category-pressure")
        await page.click("#guide-pressure summary")
        await page.fill("#reason", "It presses.")
        assert not await page.evaluate(WIDER_THAN_SCREEN)
        async with loading(page):
            await page.click("#refuse")
        await expect(page.locator("#done")).to_be_visible()
        async with loading(page):
            await page.click("#sign-out")
        await page.click("#sign-in")
        await expect(page.locator("#empty")).to_be_visible()

        await page.context.add_cookies(
            [
                {
                    "name": "dw_agency",
                    "value": officer.http.cookies["dw_agency"],
                    "url": f"{RELAY_URL}/agency",
                }
            ]
        )
        await page.goto(f"{RELAY_URL}/agency/requests/{request_id}")
        await expect(page.locator("#refusal")).to_have_text("It presses.")
        await page.fill("#appeal-text", "It names a theft.")
        await page.click("#send-appeal")
        await expect(page.locator("#appeal-waits")).to_be_visible()
        assert mia.faults == []
