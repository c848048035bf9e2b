"""An owner lets a browser watch, and ends one, in Chromium; the doorbell's verifier judges it."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Route, expect

from firmware.consent.facts import Decision
from firmware.enrolment.keys import load_or_make_keys
from firmware.enrolment.newcomers import Newcomers, Opened
from firmware.protocol.commands import SealedStatement
from firmware.protocol.decisions import EndBrowser, GiveRight
from firmware.protocol.notes import BrowserEnded, ConfirmationWanted
from firmware.protocol.pairing import PairingCode
from relay.people.callers import Caller
from relay.people.sessions import open_session
from relay.store import people, push, sessions
from tests.fakes.waiting import eventually
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.household import PICTURES_SHOWN
from tests.flows.live_session import Visit, enrol, enrolled, judged, visiting
from tests.relay.http_world import OWNER_ORIGIN
from tests.story.browser import SoftBrowser

pytestmark = pytest.mark.browser


async def asked_at_the_door(at: Visit) -> Opened:
    """Let the browser ask to be let in, and the doorbell for its owner's word; return the words."""
    at.carrier.seen.clear()
    await at.page.goto(f"{OWNER_ORIGIN}/#/browsers/{at.device}")
    await at.page.reload()
    await at.page.click("[data-testid=enrol]")
    checked = await judged(at)
    assert isinstance(checked, Decision), checked
    terms = checked.terms
    assert isinstance(terms, GiveRight)
    assert terms.browser == at.owner.browser
    assert terms.commitment is not None
    await at.note(ConfirmationWanted(statement_digest=checked.digest, door_page="http://door"))
    await expect(at.page.locator("#confirm-at-door")).to_be_visible()
    return at.carrier.opened()[terms.commitment]


async def tap(at: Visit, words: Sequence[str], place: int, *, is_right: bool = True) -> None:
    """Tap the word that the doorbell shows in this place, or another one."""
    buttons = at.page.locator(f"[data-place='{place}'] button")
    await expect(buttons).to_have_count(4)
    offered = await buttons.all_inner_texts()
    other = next(one for one in offered if one != words[place])
    await buttons.nth(offered.index(words[place] if is_right else other)).click()


async def test_a_browser_that_was_let_in_at_the_doorbell_sees_the_door(tmp_path: Path) -> None:
    async with visiting(tmp_path, is_enrolled=False) as at:
        opened = await asked_at_the_door(at)
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []
        assert await at.page.evaluate(TOO_SMALL) == []
        for place in range(4):
            await tap(at, opened.words, place)
        await expect(at.page.locator("#words-found")).to_be_visible()
        enrol(at.here, at.owner)
        await at.note(enrolled(at.owner.browser.id, at.owner.browser.name))
        await expect(at.page.locator("[data-testid=enrolled]")).to_be_visible()
        await at.page.click("[data-testid=enrolled] a")
        await at.page.wait_for_function(PICTURES_SHOWN, arg=3)
        assert at.person.faults == []


async def test_a_wrong_word_ends_the_pairing_of_a_browser_on_both_sides(tmp_path: Path) -> None:
    async with visiting(tmp_path, is_enrolled=False) as at:
        opened = await asked_at_the_door(at)
        await tap(at, opened.words, 0)
        await tap(at, opened.words, 1, is_right=False)
        await expect(at.page.locator("#words-differ")).to_be_visible()
        await eventually(lambda: not at.carrier.opened())
        await asked_at_the_door(at)
        await at.page.click("#no-such-word")
        await expect(at.page.locator("#stopped-today")).to_be_visible()
        await at.page.reload()
        await at.page.click("[data-testid=enrol]")
        await expect(at.page.locator("#stopped-today")).to_be_visible()


async def test_another_doorbells_answer_is_not_taken(tmp_path: Path) -> None:
    """A relay answers a browser with keys of its own. Seen to fail without `checkAnswered`."""
    eve = load_or_make_keys(tmp_path / "eve")

    async def forge(route: Route) -> None:
        if route.request.method != "POST":
            await route.continue_()
            return
        pairing_id = route.request.url.split("/")[-2]
        commitment = route.request.post_data_json["commitment"]
        signed = Newcomers(keys=eve, has_owner=lambda: True).commit(
            PairingCode(pairing_id=pairing_id, commitment=commitment), 0
        )
        told = {"state": "answered", "answers": [msgspec.to_builtins(signed)]}
        await route.fulfill(json=told, headers={"Access-Control-Allow-Origin": OWNER_ORIGIN})

    async with visiting(tmp_path, is_enrolled=False) as at:
        await at.page.route("**/commitment", forge)
        await at.page.goto(f"{OWNER_ORIGIN}/#/browsers/{at.device}")
        await at.page.reload()
        await at.page.click("[data-testid=enrol]")
        await expect(at.page.locator("main .warning")).to_contain_text("other keys")
        assert not any(isinstance(body, SealedStatement) for body in at.carrier.seen)
        assert not at.carrier.opened()


async def sign_in_on(at: Visit, browser: str) -> str:
    """Sign the owner in on another phone, which gets pushes; return the account's id."""
    async with at.world.database.begin() as tx:
        credential = await people.find_credential(tx, at.owner.passkey.credential_id)
        assert credential is not None
        account = await people.find_account(tx, credential.account_id)
        assert account is not None
        now_ms = at.world.clock.wall_ms()
        await open_session(tx, account, now_ms, Caller(address="", browser="Lost phone"))
        (lost,) = [
            one
            for one in await sessions.list_of(tx, account.id, now_ms)
            if one.browser == "Lost phone"
        ]
        await sessions.set_browser(tx, lost.id, browser)
        await push.subscribe(
            tx,
            account_id=account.id,
            browser=browser,
            endpoint="https://push.test/lost",
            now_ms=now_ms,
            expires_ms=None,
        )
    return account.id


async def left_of(at: Visit, account_id: str, browser: str) -> list[str]:
    """Return what the relay still has of a phone."""
    async with at.world.database.read() as tx:
        now_ms = at.world.clock.wall_ms()
        found = [one.browser for one in await sessions.list_of(tx, account_id, now_ms)]
        pushes = await tx.exec_driver_sql("SELECT browser FROM push_subscriptions")
    return [one for one in found if one == "Lost phone"] + [
        one for (one,) in pushes if one == browser
    ]


async def test_a_lost_phone_is_ended_in_three_touches_everywhere(tmp_path: Path) -> None:
    """Its keys at the doorbell, its session and its pushes at the relay; then the passkey once."""
    async with visiting(tmp_path) as at:
        old = SoftBrowser.create("Lost phone").keys
        at.here.browsers.enrol(old, at.owner.passkey.credential_id, at.world.clock.wall_ms())
        await at.note(enrolled(at.owner.browser.id, at.owner.browser.name))
        await at.note(enrolled(old.id, old.name))
        account_id = await sign_in_on(at, old.id)
        assert len(await left_of(at, account_id, old.id)) == 2
        await at.page.goto(f"{OWNER_ORIGIN}/#/")
        await at.page.reload()
        await at.page.click("nav.places a[href='#/settings']")
        await at.page.click("#settings-people")
        rows = at.page.locator("[data-testid=browser]")
        await expect(rows).to_have_count(2)
        await expect(rows.filter(has_text="this one")).to_have_count(1)
        await at.page.click(f"#end-{old.id}")
        checked = await judged(at)
        assert isinstance(checked, Decision), checked
        assert checked.terms == EndBrowser(browser=old.id)
        await expect(at.page.locator("#browser-ending")).to_be_visible()
        assert await left_of(at, account_id, old.id) == []
        await at.note(BrowserEnded(browser=old.id, name=old.name))
        await expect(rows).to_have_count(1)
        assert await at.page.evaluate(WIDER_THAN_SCREEN) == []
