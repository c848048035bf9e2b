"""The page of an agency's posts in Chromium: signed by one officer, co-signed by an approver.

The relay's HTTP side is the real one; the officers' authenticators are the browsers' virtual ones.
"""

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.flows.browser import loading
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.test_request_pages import join, relay_and_browser
from tests.relay.agency_feed import CELL, MAPS, public_posts
from tests.relay.http_world import RELAY_URL

pytestmark = pytest.mark.browser
PAGE = f"{RELAY_URL}/agency/feed"
TEXT = "Elm Street is closed: gas is leaking. Shut the windows."


async def test_officers_post_and_an_approver_has_danger_shown_at_once(tmp_path: Path) -> None:
    async with relay_and_browser(tmp_path, maps=MAPS) as (world, browser):
        berg = await join(world, browser, "Officer Berg")
        dahl = await join(world, browser, "Officer Dahl", role="approver")
        page = berg.page
        await page.goto(PAGE)
        assert not await page.evaluate(WIDER_THAN_SCREEN)
        await page.select_option("#cell", CELL)
        await page.fill("#text", "Did you see a grey van?")
        await page.click("#sign")
        await expect(page.locator("#status")).to_contain_text("take out what asks for witnesses")

        await page.fill("#text", TEXT)
        async with loading(page):
            await page.click("#sign")
        await expect(page.locator("#own-posts [data-state]")).to_have_text("waits for a moderator")
        assert await public_posts(world) == []

        await page.select_option("#cell", CELL)
        await page.fill("#text", TEXT)
        await page.click("#danger summary")
        await page.select_option("#cosigner", index=1)
        await page.click("#sign")
        await expect(page.locator("#own-posts li")).to_have_count(2)

        await dahl.page.goto(PAGE)
        card = dahl.page.locator("[data-cosign]")
        await expect(card.locator("dl")).to_contain_text(TEXT)
        await card.locator("button").click()
        await expect(card).to_have_count(0)
        (shown,) = await public_posts(world)
        assert (shown["text"], shown["is_urgent"], shown["by"]) == (TEXT, True, "agency")
        refused = "Failed to load resource"  # the first text, which the relay refused
        faults = [one for one in (*berg.faults, *dahl.faults) if refused not in one]
        assert faults == []


async def test_a_form_that_its_program_sends_has_no_button_before_that_is_there(
    tmp_path: Path,
) -> None:
    """Pressed before, it was sent as browsers do: what was written stood in the page's address."""
    async with relay_and_browser(tmp_path, maps=MAPS) as (world, browser):
        page = (await join(world, browser, "Officer Berg")).page
        await page.route("**/agency_feed*", lambda route: route.abort())
        await page.goto(PAGE)
        await expect(page.locator("#text")).to_be_visible()
        await expect(page.locator("#sign")).to_be_hidden()
        await page.unroute("**/agency_feed*")
        await page.reload()
        await expect(page.locator("#sign")).to_be_visible()

        await page.route("**/passkey*", lambda route: route.abort())
        await page.goto(f"{RELAY_URL}/agency/join?invitation={await world.invite_officer()}")
        address = page.url
        await page.fill("#name", "Officer Dahl")
        await page.press("#name", "Enter")
        await page.wait_for_timeout(300)
        # Seen to fail (the invitation was gone) with a form that isn't a dialog's.
        assert page.url == address
