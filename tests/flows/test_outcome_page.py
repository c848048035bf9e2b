"""The outcome's page in Chromium: a request is closed as resolved, by two signatures.

The relay's HTTP side is the real one; the officer's authenticator is the browser's virtual one.
"""

from pathlib import Path

import pytest
from playwright.async_api import expect

from firmware.protocol.custody import OutcomeLeaf
from firmware.protocol.outcomes import parse_outcome
from tests.fakes.record import recorded
from tests.flows.browser import loading
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.test_request_pages import join, relay_and_browser, state_of, write
from tests.relay.http_world import RELAY_URL

pytestmark = pytest.mark.browser
PRIVATE = "Found by other means."


async def test_an_officer_closes_a_request_as_resolved(tmp_path: Path) -> None:
    async with relay_and_browser(tmp_path) as (world, browser):
        berg = await join(world, browser, "Officer Berg")
        dahl = await join(world, browser, "Officer Dahl")
        await write(berg.page)
        await berg.page.click("#publish")
        await berg.page.wait_for_url(lambda url: not url.endswith("/new"))
        request_url = berg.page.url.split("?", maxsplit=1)[0]
        await dahl.page.goto(request_url)
        await dahl.page.click("#cosign")
        await state_of(dahl.page, "moderation")
        (row,) = await world.moderation.list()
        await world.moderation.pass_on(row.id)
        await world.publishing.publish_due()

        page = berg.page
        page.on("dialog", lambda dialog: dialog.accept())
        await page.goto(request_url)
        async with loading(page):
            await page.click("#to-outcome")
        await state_of(page, "open")
        assert not await page.evaluate(WIDER_THAN_SCREEN)
        await page.check('[value="not_used"]')
        await page.fill("#private_text", PRIVATE)
        await page.click("#file")
        await state_of(page, "filed")
        await expect(page.locator("#private")).to_have_text(PRIVATE)

        (leaf,) = [one for one in await recorded(world.database) if isinstance(one, OutcomeLeaf)]
        told = parse_outcome(leaf.signed)
        assert (told.outcome, told.is_resolved) == ("not_used", True)
        await page.goto(f"{RELAY_URL}/agency/requests/{row.id}")
        await state_of(page, "withdrawn")
        assert berg.faults == dahl.faults == []
