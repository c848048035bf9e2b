"""Pictures of events in the owner's lists, in Chromium: sealed by the doorbell, opened there."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from firmware.protocol.encoding import new_id
from firmware.protocol.thumbnails import SealedThumbnail
from tests.flows.pushed_home import PICTURE_WIDTH, at_home, jpeg, now_ms
from tests.story.browser import SoftBrowser

pytestmark = pytest.mark.browser


async def test_the_picture_of_a_ring_comes_into_the_list_without_a_shift(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        await home.ready()
        page = home.at.page
        event = await home.ring()
        row = page.locator(f"[data-event='{event.id}']")
        await expect(row).to_be_visible()
        box = await row.bounding_box()
        await home.keep(event.id, home.seal(event.id, jpeg(), age_ms=12_000))
        picture = row.locator("img")
        await expect(picture).to_have_js_property("naturalWidth", PICTURE_WIDTH)
        alt = await picture.get_attribute("alt") or ""
        assert alt.startswith("Picture: Somebody")
        assert "12\xa0s before" in alt
        after = await row.bounding_box()
        assert box is not None
        assert after is not None
        assert after["height"] == box["height"]
        assert home.at.person.faults == []


async def test_pictures_that_arent_for_this_browser_or_not_the_doorbells_say_so(
    tmp_path: Path,
) -> None:
    async with at_home(tmp_path) as home:
        other = SoftBrowser.create("Tablet")
        foreign, swapped = await home.ring(), await home.ring()
        mine = home.at.owner.browser.id
        home.at.here.browsers.enrol(other.keys, home.at.owner.passkey.credential_id, now_ms())
        sealed = home.seal(foreign.id, jpeg())
        keys = [key for key in sealed.keys if key.browser != mine]
        await home.keep(foreign.id, SealedThumbnail(picture=sealed.picture, keys=keys))
        await home.keep(swapped.id, home.seal(new_id(), jpeg("red")))
        await home.ready()
        page = home.at.page
        await expect(page.locator(f"[data-event='{foreign.id}'] .thumb")).to_have_text(
            "No picture for this browser"
        )
        await expect(page.locator(f"[data-event='{swapped.id}'] .thumb")).to_have_text(
            "Altered on the way: not shown"
        )
