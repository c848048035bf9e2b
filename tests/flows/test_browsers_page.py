"""An owner lets a browser watch, and ends one, in Chromium; the doorbell's verifier judges it."""

import time
from pathlib import Path

import pytest
from playwright.async_api import expect

from firmware.consent.facts import BrowserEnding, BrowserEnrolment, BrowserFact, Facts
from firmware.consent.verifier import judge
from firmware.protocol.browsers import SESSION_KEY_LIFE_MS
from firmware.protocol.commands import SealedStatement
from firmware.protocol.encoding import unb64u
from firmware.protocol.grants import SEAL_INFO
from firmware.protocol.notes import BrowserEnded, BrowserEnrolled, ConfirmationWanted
from firmware.protocol.pairing import browser_words
from firmware.protocol.sealing import open_sealed
from tests.fakes.porch import eventually
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.live_visit import Visit, enrol, visiting
from tests.flows.test_live_page import PICTURES_SHOWN
from tests.relay.http_world import CELLS, OWNER_ORIGIN
from tests.story.browser import SoftBrowser

pytestmark = pytest.mark.browser


async def judged(at: Visit) -> object:
    """Return what the doorbell makes of the newest statement that the relay carried."""

    def statements() -> list[SealedStatement]:
        return [body for body in at.carrier.seen if isinstance(body, SealedStatement)]

    await eventually(lambda: bool(statements()))
    data = open_sealed(at.here.keys.sealing_private_key, unb64u(statements()[-1].sealed), SEAL_INFO)
    facts = Facts(
        device=at.device,
        cell=CELLS[0],
        now_ms=at.world.clock.wall_ms(),
        is_clock_trusted=True,
        owners=(at.owner,),
        agencies=(),
        requests={},
        clips={},
        spent=frozenset(),
        browsers={
            known.keys.id: BrowserFact(credential_id=known.credential_id, keys=known.keys)
            for known in at.here.browsers.all()
        },
    )
    return judge(data, facts)


async def test_a_browser_that_was_let_in_at_the_doorbell_sees_the_door(tmp_path: Path) -> None:
    async with visiting(tmp_path, is_enrolled=False) as at:
        await at.page.goto(f"{OWNER_ORIGIN}/#/browsers/{at.device}")
        await at.page.reload()
        await at.page.click("[data-testid=enrol]")
        checked = await judged(at)
        assert isinstance(checked, BrowserEnrolment), checked
        assert checked.terms.browser == at.owner.browser
        words = at.page.locator("[data-testid=browser-words] li")
        assert tuple(await words.all_inner_texts()) == browser_words(at.device, at.owner.browser)
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
        assert isinstance(checked, BrowserEnding), checked
        await at.note(BrowserEnded(browser=old.id, name=old.name))
        await expect(rows).to_have_count(1)
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []


def enrolled(browser: str, name: str) -> BrowserEnrolled:
    until_ms = time.time_ns() // 1_000_000 + SESSION_KEY_LIFE_MS
    return BrowserEnrolled(browser=browser, name=name, until_ms=until_ms)
