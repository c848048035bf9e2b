"""The owner's app when a doorbell's card was copied; in Chromium."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from firmware.protocol.claims import read_invitation
from relay.store import fleet
from tests.flows.asked_home import home_in_browser
from tests.relay.http_world import OWNER_ORIGIN, open_world

pytestmark = pytest.mark.browser


async def test_an_owner_is_told_of_the_copy_and_shows_the_link(tmp_path: Path) -> None:
    async with (
        open_world(tmp_path) as world,
        home_in_browser(world, service_workers="allow") as home,
    ):
        async with world.database.begin() as tx:
            await fleet.mark_cloned(tx, home.device, cloned_ms=world.clock.wall_ms())
            await fleet.add_claim(tx, "hash", 1)
            await fleet.use_claim(tx, "hash", device=home.device, used_ms=1)
            await fleet.note_replay(tx, "hash", now_ms=world.clock.wall_ms())
        page = home.page
        await page.goto(f"{OWNER_ORIGIN}/")
        await page.reload()
        wrong = page.get_by_test_id("wrong-now")
        await expect(wrong).to_contain_text("uses a copy of the doorbell's card")
        await expect(wrong).to_contain_text("Somebody else tried the invitation")
        await wrong.get_by_role("link").click()
        await page.click("#show-link")
        link = await page.locator("#identity-link").input_value()
        assert read_invitation(link.encode()).claim.ca_sha256 == world.authority.sha256
