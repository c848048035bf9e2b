"""An owner lets a browser watch, and ends one, in Chromium; the doorbell's verifier judges it."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from firmware.consent.facts import Decision
from firmware.protocol.decisions import EndBrowser, EnrolBrowser
from firmware.protocol.notes import BrowserEnded, ConfirmationWanted
from firmware.protocol.pairing import browser_words
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.household import PICTURES_SHOWN
from tests.flows.live_session import enrol, enrolled, judged, visiting
from tests.relay.http_world import OWNER_ORIGIN
from tests.story.browser import SoftBrowser

pytestmark = pytest.mark.browser


async def test_a_browser_that_was_let_in_at_the_doorbell_sees_the_door(tmp_path: Path) -> None:
    async with visiting(tmp_path, is_enrolled=False) as at:
        await at.page.goto(f"{OWNER_ORIGIN}/#/browsers/{at.device}")
        await at.page.reload()
        await at.page.click("[data-testid=enrol]")
        checked = await judged(at)
        assert isinstance(checked, Decision), checked
        assert checked.terms == EnrolBrowser(browser=at.owner.browser)
        words = at.page.locator("[data-testid=browser-words] li")
        await expect(words).to_have_text(browser_words(at.device, at.owner.browser))
        await at.note(ConfirmationWanted(statement_digest=checked.digest, door_page="http://door"))
        await expect(at.page.locator("#confirm-at-door")).to_be_visible()
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []
        enrol(at.here, at.owner)
        await at.note(enrolled(at.owner.browser.id, at.owner.browser.name))
        await expect(at.page.locator("[data-testid=enrolled]")).to_be_visible()
        await at.page.click("[data-testid=enrolled] a")
        await at.page.wait_for_function(PICTURES_SHOWN, arg=3)
        assert at.person.faults == []


async def test_a_browser_is_ended_from_the_list(tmp_path: Path) -> None:
    async with visiting(tmp_path) as at:
        old = SoftBrowser.create("Lost phone").keys
        at.here.browsers.enrol(old, at.owner.passkey.credential_id, at.world.clock.wall_ms())
        await at.note(enrolled(at.owner.browser.id, at.owner.browser.name))
        await at.note(enrolled(old.id, old.name))
        await at.page.goto(f"{OWNER_ORIGIN}/#/people")
        await at.page.reload()
        rows = at.page.locator("[data-testid=browser]")
        await expect(rows).to_have_count(2)
        await expect(rows.filter(has_text="this one")).to_have_count(1)
        await at.page.click(f"#end-{old.id}")
        checked = await judged(at)
        assert isinstance(checked, Decision), checked
        assert checked.terms == EndBrowser(browser=old.id)
        await at.note(BrowserEnded(browser=old.id, name=old.name))
        await expect(rows).to_have_count(1)
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []
