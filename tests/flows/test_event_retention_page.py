"""How long the relay keeps events, chosen in the owner's app: asked before anything is deleted."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from firmware.protocol.events import Pressed
from relay.ingest.expiry import Expiry
from tests.flows.asked_home import Home, home_in_browser
from tests.relay.http_world import DAY_MS, OWNER_ORIGIN, open_world

pytestmark = pytest.mark.browser


async def chosen(home: Home) -> int | None:
    async with home.world.database.read() as tx:
        asked = "SELECT keep_event_days FROM accounts WHERE role = 'owner'"
        days: int | None = (await tx.exec_driver_sql(asked)).scalar_one()
        return days


async def stored(home: Home) -> set[str]:
    async with home.world.database.read() as tx:
        return set((await tx.exec_driver_sql("SELECT event_id FROM events")).scalars())


async def test_an_owner_chooses_fewer_days_and_what_is_older_goes(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, home_in_browser(world) as home:
        page = home.page
        now_ms = world.clock.wall_ms()
        world.clock.set_wall_ms(now_ms - 40 * DAY_MS)
        old = await world.tell(home.device, Pressed())
        world.clock.set_wall_ms(now_ms)
        new = await world.tell(home.device, Pressed())

        await page.goto(f"{OWNER_ORIGIN}/#/settings/data")
        await page.route("**/account/events", lambda route: route.abort())
        await page.click("#to-event-retention")
        await page.wait_for_selector("#retention-said [role=alert]")
        await page.unroute("**/account/events")
        home.person.faults.clear()
        await page.click("#retention-again")
        days = page.get_by_label("Keep them for")
        await expect(days).to_have_value("")
        await expect(days).to_be_focused()
        await expect(page.locator("#retention-said [role=alert]")).to_have_count(0)
        assert await days.locator("option").all_inner_texts() == [
            "30 days",
            "90 days",
            "180 days",
            "As long as this relay: 180 days",
        ]

        await days.select_option("180")  # a relay that deletes by month keeps more by itself
        await page.click("#save-retention")
        await page.click("#retention-sure button[value=no]")
        assert await chosen(home) is None
        await days.select_option("30")
        await page.click("#save-retention")
        await page.click("#retention-sure button[value=no]")
        assert await chosen(home) is None
        await page.click("#save-retention")
        await page.click("#retention-sure button[value=yes]")
        await expect(page.locator("#retention-saved")).to_be_visible()
        await expect(page.locator("#save-retention")).to_be_disabled()
        await page.reload()
        await expect(days).to_have_value("30")
        assert await chosen(home) == 30

        await Expiry(world.database, world.clock).forget()
        assert {old.id, new.id} & await stored(home) == {new.id}
        await days.select_option("")  # which deletes nothing: nobody is asked
        await page.click("#save-retention")
        await expect(page.locator("#retention-saved")).to_have_text(
            "Saved. They go after 180 days, or up to a month later."
        )
        assert await chosen(home) is None
