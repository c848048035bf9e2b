"""A week of one household in Chromium, step by step: what people see, and what the doorbell holds.

From pairing to moving out, over real parts of the doorbell and a real relay (week_home.py).
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from firmware.consent.facts import Decision, Grant
from firmware.enrolment.keys import load_or_make_keys
from firmware.protocol.decisions import (
    ChangeSettings,
    GiveRight,
    OwnerSettings,
)
from firmware.protocol.encoding import decode, unb64u
from firmware.protocol.events import GuestLet, ReleaseCommitted
from firmware.protocol.notes import NOTE_TAG, MovedOut, OwnerNote
from firmware.protocol.passkeys import verify_p256
from tests.fakes.waiting import eventually, in_time
from tests.flows.browser import Person, pictured_on_failure
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.flows.household import KEYS_OF_THIS_BROWSER, PICTURES_SHOWN, pair_another
from tests.flows.week_home import House, house
from tests.relay.http_people import certified_officer
from tests.relay.http_world import DAY_MS, OWNER_ORIGIN

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DAY_S = 24 * 3600
HEARS_OF_THE_TOWNS_TIME = "() => dispatchEvent(new Event('online'))"
"""Each answer of the relay says it, and this asks for one; a phone's own clock just goes on."""


async def test_a_week_of_a_household(tmp_path: Path) -> None:
    async with house(tmp_path) as home, pictured_on_failure(home.browser, tmp_path):
        ada = await home.sit_down()
        await she_joins_and_pairs(home, ada)
        await somebody_rings_and_something_moves(home, ada.page)
        await she_changes_settings(home, ada.page)
        gus = await home.sit_down()
        await a_guest_is_let_in(home, ada.page, gus.page)
        await the_guest_gets_more_time(home, ada.page, gus.page)
        await a_phone_is_lost_and_ended(home, ada)
        await the_police_ask_twice(home, ada.page)
        await the_guests_time_is_over_while_they_look(home, ada.page, gus.page)
        await two_more_doorbells_are_hung_up(home, ada.page, tmp_path)
        await she_moves_out_with_the_record(home, ada.page)
        for person in (ada, gus):
            faults = [one for one in person.faults if "404 (Not Found)" not in one]
            assert faults == []  # but for calls to a doorbell that isn't theirs any more


async def tap_all(page: Page, words: list[str]) -> None:
    """Tap these words, one after the other."""
    for place, word in enumerate(words):
        await page.click(f"[data-place='{place}'] button:text-is('{word}')")
    await expect(page.locator("#words-found")).to_be_visible()


async def she_joins_and_pairs(home: House, ada: Person) -> None:
    page = ada.page
    await page.goto(f"{OWNER_ORIGIN}/#/join?invitation={await home.world.invite_owner()}")
    await page.fill("#name", "Ada")
    await page.click("#add-passkey")
    await page.click("#start-pair")
    await page.wait_for_selector("#pair-qr svg")
    assert home.here.owners.owners == ()
    await home.hold_code(page)
    await tap_all(page, list(home.bell.view(home.ms).words))
    await home.press_service()
    await expect(page.locator("#paired")).to_be_visible()
    (owner,) = home.here.owners.owners
    (browser,) = home.here.browsers.all()
    assert owner.name == "Ada"
    assert browser.is_owners
    await home.open(page)
    await expect(page.locator("[data-testid=doorbell-state]")).to_have_text("Online")
    await expect(page.locator("[data-testid=browser-lapsed]")).to_have_count(0)


async def somebody_rings_and_something_moves(home: House, page: Page) -> None:
    clip = await home.ring()
    await expect(page.locator("[data-testid=event-pressed]").first).to_be_visible()
    await home.move()
    await expect(page.locator("[data-testid=event-motion]")).to_be_visible()
    await page.click("#see")
    await page.wait_for_function(PICTURES_SHOWN, arg=3)
    assert len(home.here.live.watchers) == 1
    await home.open(page, f"history/{{device}}/{clip.clip_id}")
    await expect(page.locator("#clip-video")).to_be_visible()
    assert home.filming.library.find(clip.clip_id) is not None


async def she_changes_settings(home: House, page: Page) -> None:
    await home.open(page, "settings/doorbell/{device}/name")
    await page.fill("#setting-name", "Front door")
    await expect(page.locator("#preference-saved")).to_be_visible()
    assert home.rig.household.preferences().name == "Front door"
    await home.open(page, "settings/police/{device}/asking")
    await page.check("#setting-is-opted-in")
    await page.click("#save-settings")
    await expect(page.locator("#confirm-at-door")).to_be_visible()
    decided = await home.confirm()
    assert isinstance(decided, Decision)
    assert decided.terms == ChangeSettings(settings=OwnerSettings(revision=1, is_opted_in=True))
    await expect(page.locator("#settings-saved")).to_be_visible()
    assert home.rig.settings == [OwnerSettings(revision=1, is_opted_in=True)]
    await home.open(page)
    await expect(page.locator(".door h2")).not_to_contain_text("Doorbell")


async def a_guest_is_let_in(home: House, page: Page, guest: Page) -> None:
    await home.open(page, "people/guests")
    await page.click("#invite-guest")
    await guest.goto(await page.input_value("#guest-link"))
    await guest.fill("#name", "Gus")
    await guest.click("#add-passkey")
    await guest.click("#guest-ask")
    await expect(guest.locator("#guest-asked")).to_be_visible()
    await home.open(page, "settings/people")
    asks = page.locator("[data-testid=guest-join]")
    await asks.locator("#guest-until").select_option("1")
    await asks.locator("[data-testid=let-guest-in]").click()
    await expect(page.locator("#confirm-at-door")).to_be_visible()
    await tap_all(guest, list(home.words()))
    decided = await home.confirm()
    assert isinstance(decided.terms, GiveRight)
    await expect(page.locator("[data-testid=guest-in]")).to_contain_text("Gus is your guest until")
    (let,) = home.rig.told_of(GuestLet)
    assert let.what == ["live", "rings"]
    await guest.click("#to-door")
    await expect(guest.locator("#guest-banner")).to_contain_text("Ada shares this doorbell")
    assert await page.evaluate(WIDER_THAN_SCREEN) == []


async def the_guest_gets_more_time(home: House, page: Page, guest: Page) -> None:
    (before,) = (one for one in home.here.browsers.all() if not one.is_owners)
    await home.open(page, "people/guests")
    await page.click(f"#more-{before.keys.id}")
    await page.select_option("#more-days", "7")
    await expect(page.locator("#more-until")).to_contain_text("They may then watch until")
    assert await page.evaluate(WIDER_THAN_SCREEN) == []
    await page.click("#more-time button[value=yes]")
    await expect(page.locator("#confirm-at-door")).to_be_visible()
    assert home.words() == ()  # known from their own pairing
    await home.confirm()
    await expect(page.locator("[data-testid=guest-more]")).to_be_visible()
    (after,) = (one for one in home.here.browsers.all() if not one.is_owners)
    assert (before.right.until_ms or 0) + 7 * DAY_MS == after.right.until_ms
    assert after.right.from_ms == before.right.from_ms
    ends = await guest.locator("#guest-banner time").get_attribute("datetime")
    assert ends is not None
    await expect(guest.locator("#guest-banner time")).to_have_attribute(
        "datetime", iso(after.right.until_ms or 0)
    )


def iso(ms: int) -> str:
    """Return a time as the app writes it for machines."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"


async def a_phone_is_lost_and_ended(home: House, ada: Person) -> None:
    lost = await home.sit_down()
    await ada.bring_passkeys_to(lost)
    await lost.page.goto(f"{OWNER_ORIGIN}/")
    await lost.page.click("#sign-in")
    await expect(lost.page.locator("#see")).to_be_visible()
    await home.open(lost.page, "browsers/{device}")
    await lost.page.fill("#browser-name", "Old phone")
    await lost.page.locator("#browser-name").press("Tab")
    await lost.page.click("[data-testid=enrol]")
    await expect(lost.page.locator("#confirm-at-door")).to_be_visible()
    await tap_all(lost.page, list(home.words()))
    await home.confirm()
    await expect(lost.page.locator("[data-testid=enrolled]")).to_be_visible()
    await home.open(lost.page)
    await expect(lost.page.locator("[data-testid=doorbell-state]")).to_have_text("Online")
    theirs = (await lost.page.evaluate(KEYS_OF_THIS_BROWSER))["keys"]["browser"]["name"]
    assert theirs == "Old phone"
    (old,) = (one for one in home.here.browsers.all() if one.keys.name == "Old phone")
    await both_phones_save_at_once(home, ada.page, lost.page)

    await home.open(ada.page, "settings/people")
    await ada.page.click(f"#end-{old.keys.id}")
    await expect(ada.page.locator("#browser-ending")).to_be_visible()
    await eventually(lambda: home.here.browsers.find(old.keys.id) is None)
    await expect(ada.page.locator("[data-testid=browser]")).to_have_count(1)
    await lost.page.reload()
    why = lost.page.locator("#why-signed-out")
    await expect(why).to_contain_text("from another of your phones")
    await expect(why).to_contain_text("Sign in again")
    await lost.context.close()


async def both_phones_save_at_once(home: House, one: Page, other: Page) -> None:
    for page, days in ((one, "7"), (other, "3")):
        await home.open(page, "settings/doorbell/{device}/keep")
        await expect(page.locator("#in-force-since")).to_be_visible()
        await page.select_option("#setting-keep-days", days)
    async with sent_together(one, other):
        await asyncio.gather(one.click("#save-settings"), other.click("#save-settings"))
        await eventually(lambda: len(home.rig.settings) == 2)
    for page in (one, other):
        await page.wait_for_selector("#settings-saved, #settings-conflict")
    has_lost = await one.locator("#settings-conflict").count() == 1
    lost, won = (one, other) if has_lost else (other, one)
    await expect(won.locator("#settings-saved")).to_be_visible()
    await expect(lost.locator("#settings-conflict")).to_contain_text("Somebody was faster")
    kept = home.rig.settings[-1]
    assert (kept.revision, kept.is_opted_in) == (2, True)
    assert str(kept.keep_days) == await won.locator("#setting-keep-days").input_value()
    await lost.click("#use-mine")
    await lost.click("#save-settings")
    if kept.keep_days == 3:  # then the other wants more days, which the door confirms
        await expect(lost.locator("#confirm-at-door")).to_be_visible()
        await home.confirm()
    await expect(lost.locator("#settings-saved")).to_be_visible()
    both = home.rig.settings[-1]
    assert (both.revision, both.is_opted_in) == (3, True)
    assert {kept.keep_days, both.keep_days} == {3, 7}


@asynccontextmanager
async def sent_together(*pages: Page) -> AsyncIterator[None]:
    """Hold what each page signs until all have signed: none hears of another's before."""
    signed = asyncio.Barrier(len(pages))

    async def send(route: Route) -> None:
        await in_time(signed.wait())
        await route.continue_()

    for page in pages:
        await page.route("**/doorbells/*/statements", send)
    yield
    for page in pages:
        await page.unroute("**/doorbells/*/statements")


async def the_police_ask_twice(home: House, page: Page) -> None:
    clip = await home.ring()
    officer = await certified_officer(home.world)
    declined = await home.ask(officer)
    await home.open(page, f"requests/{declined.id}")
    await page.click("#decline")
    await expect(page.locator("[data-answer=decline]")).to_be_visible()
    given = await home.ask(officer, case_number="K-2026/18")
    await home.open(page, f"requests/{given.id}")
    await expect(page.locator("#release")).to_contain_text("K-2026/18")
    await page.click("#next")
    await page.check(f"[data-testid=choose-clip][value='{clip.clip_id}']")
    await page.click("#next")
    await page.click("#give")
    await expect(page.locator("#confirm-at-door")).to_be_visible()
    grant = await home.confirm()
    assert isinstance(grant, Grant)
    assert [one.clip_id for one in grant.terms.clips] == [clip.clip_id]
    await home.desk.commit_what_is_due()
    assert len(home.rig.told_of(ReleaseCommitted)) == 1
    assert home.rig.kept() == {}  # nothing leaves before the log has it


async def the_guests_time_is_over_while_they_look(home: House, page: Page, guest: Page) -> None:
    await home.open(guest)
    await guest.click("#see")
    await guest.wait_for_function(PICTURES_SHOWN, arg=3)
    await home.open(page, "people/looked")
    await expect(page.locator("[data-testid=look]").first).to_contain_text("Gus")
    home.world.clock.advance(9 * DAY_S)
    await guest.evaluate(HEARS_OF_THE_TOWNS_TIME)
    # The doorbell ends live view, and the relay the page that has it; either may be first.
    said = guest.locator("#live-state, [data-testid=no-longer-guest]").first
    await expect(said).to_contain_text(re.compile("Your time (here is|as a guest of Ada was) over"))
    await eventually(lambda: home.here.live.watchers == ())
    await home.open(guest)
    over = guest.locator("[data-testid=no-longer-guest]")
    await expect(over).to_contain_text("Your time as a guest of Ada was over")
    await expect(guest.locator("#see")).to_have_count(0)


async def two_more_doorbells_are_hung_up(home: House, page: Page, folder: Path) -> None:
    for name in ("back", "garage"):
        await pair_another(home.world, page, load_or_make_keys(folder / name))
    await home.open(page)
    await expect(page.locator(".door")).to_have_count(3)


async def she_moves_out_with_the_record(home: House, page: Page) -> None:
    home.here.add_owner("Mary")  # stays
    await home.open(page, "people/leave")
    part = page.locator(f"[data-device='{home.device}']")
    await part.locator("#leave").click()
    await page.click("dialog button[value=yes]")
    async with page.expect_download() as saving:
        await part.locator("#save-record").click()
    file = await (await saving.value).path()
    record = json.loads(await asyncio.to_thread(file.read_text))
    assert record["identity_key"] == home.keys.identity_key
    note = record["note"].encode()
    key = unb64u(home.keys.identity_key)
    assert verify_p256(key, unb64u(record["signature"]), NOTE_TAG + note)
    told = decode(OwnerNote, note).body
    assert isinstance(told, MovedOut)
    assert (told.name, told.browsers, told.guests) == ("Ada", 1, 1)
    assert [one.name for one in home.here.owners.owners] == ["Mary"]
    assert home.here.browsers.all() == ()
    await home.open(page)
    await expect(page.locator(f".door[data-device='{home.device}']")).to_have_count(0)
    await expect(page.locator("[data-testid=no-longer-owner]")).to_be_visible()
