"""Settings in Chromium: each change is one that the doorbell takes, and none is lost unseen."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from firmware.consent.facts import Decision, HouseholdFacts, Refusal
from firmware.protocol.decisions import (
    AddApprover,
    ChangeSettings,
    OwnerSettings,
    RecoveryKeys,
    RefuseAgency,
    RemoveOwner,
    SetRecovery,
    Unhold,
)
from firmware.protocol.encoding import b64u, canonical
from firmware.protocol.events import Paired
from firmware.protocol.notes import (
    HeldTime,
    HoldsNow,
    OwnerRemoved,
    RecoveryUsed,
    SettingsNow,
    StatementDone,
    StatementRefused,
)
from firmware.protocol.pairing import approver_words, recovery_key_words
from firmware.protocol.passkeys import PasskeyKey
from tests.flows.asked_home import Home, digest_of, home_in_browser, terms_of
from tests.flows.camera import WIDER_THAN_SCREEN
from tests.relay.http_people import Owner
from tests.relay.http_world import DAY_MS, OWNER_ORIGIN, World, open_world

pytestmark = pytest.mark.browser

MASK = [[0, 0], [250, 0], [250, 600], [0, 800]]
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "decisions.json").read_text("utf-8"))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def open_settings(page: Page) -> None:
    """Open the page as one who comes back."""
    await page.goto(f"{OWNER_ORIGIN}/#/settings")
    await page.reload()
    await page.wait_for_selector("#settings-form")


async def counts(
    home: Home, settings: OwnerSettings, *refused: str, digest: str = "a" * 64
) -> None:
    """Let these settings count at the doorbell, which tells so."""
    home.household = replace(home.household, settings=settings, refused_agencies=frozenset(refused))
    await home.tell(
        SettingsNow(statement_digest=digest, settings=settings, refused=sorted(refused))
    )


async def saved(home: Home) -> OwnerSettings:
    """Save, and return what the doorbell would make of it."""
    await home.page.click("#save-settings")
    signed = await home.sent()
    decision = await home.judged(signed)
    assert isinstance(decision, Decision), decision
    assert isinstance(decision.terms, ChangeSettings)
    return decision.terms.settings


async def test_requests_are_off_until_an_owner_switches_them_on(world: World) -> None:
    async with home_in_browser(world) as home:
        await open_settings(home.page)
        await expect(home.page.locator("#never-set")).to_be_visible()
        await expect(home.page.locator("#opted-in")).not_to_be_checked()
        await expect(home.page.locator("#reminder")).not_to_be_checked()
        await home.page.check("#opted-in")
        await home.page.click("#save-settings")
        signed = await home.sent()
        settings = terms_of(signed).settings
        assert settings == OwnerSettings(revision=1, is_opted_in=True)
        await counts(home, settings, digest=digest_of(signed))
        await expect(home.page.locator("#settings-saved")).to_be_visible()
        await expect(home.page.locator("#opted-in")).to_be_checked()
        assert await home.page.evaluate(WIDER_THAN_SCREEN) == []


async def test_what_was_told_once_is_known_at_the_next_visit_however_much_happened_since(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        await home.page.goto(f"{OWNER_ORIGIN}/#/clips")
        await home.tell_in_slot(
            SettingsNow(
                statement_digest="a" * 64,
                settings=OwnerSettings(revision=7, is_opted_in=True, masks=[MASK]),
                refused=[],
            )
        )
        await open_settings(home.page)
        await expect(home.page.locator("[data-testid=mask]")).to_have_count(1)
        home.household = replace(home.household, settings=OwnerSettings(revision=7, masks=[MASK]))
        await home.page.uncheck("#opted-in")
        assert await saved(home) == OwnerSettings(revision=8, masks=[MASK])


async def test_a_mask_is_drawn_by_keyboard_and_its_removal_is_said_to_wait_for_the_door(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        await counts(home, OwnerSettings(revision=1))
        await open_settings(home.page)
        await home.page.click("#add-mask")
        for key in ("ArrowLeft", "Shift+ArrowUp"):
            await home.page.keyboard.press(key)
        await home.page.get_by_role("button", name="Add a corner").click()
        await home.page.keyboard.press("ArrowDown")
        drawn = await saved(home)
        (mask,) = drawn.masks
        assert len(mask) == 5
        assert (mask[0], mask[4]) == ([340, 300], [345, 485])
        await home.page.reload()
        await counts(home, drawn)
        await home.page.get_by_role("button", name="Remove mask 1").click()
        await expect(home.page.locator("#settings")).to_contain_text("waits for your word")
        await home.page.click("#save-settings")
        decision = await home.judged(await home.sent())
        assert isinstance(decision, Decision)
        assert decision.is_widening


async def test_a_mask_is_drawn_by_a_finger_too(world: World) -> None:
    async with home_in_browser(world) as home:
        await open_settings(home.page)
        await home.page.click("#add-mask")
        corner = home.page.locator("[data-corner='0-0']")
        await corner.scroll_into_view_if_needed()
        stage = await home.page.locator(".mask-stage svg").bounding_box()
        assert stage is not None
        at = (stage["x"] + stage["width"] * 0.35, stage["y"] + stage["height"] * 0.35)
        await home.page.mouse.move(*at)
        await home.page.mouse.down()
        await home.page.mouse.move(stage["x"] - 40, stage["y"] + stage["height"] * 0.1)
        await home.page.mouse.up()
        await home.page.mouse.move(0, 0)
        x, y = (await saved(home)).masks[0][0]
        assert x == 0
        assert abs(y - 100) <= 10


async def test_who_was_slower_sees_both_and_decides(world: World) -> None:
    async with home_in_browser(world) as home:
        await counts(home, OwnerSettings(revision=3))
        await open_settings(home.page)
        await home.page.check("#reminder")
        theirs = OwnerSettings(revision=4, is_opted_in=True, masks=[MASK])
        await counts(home, theirs)
        await expect(home.page.locator("#changed-meanwhile")).to_be_visible()
        await expect(home.page.locator("#reminder")).to_be_checked()  # nothing is taken away
        await home.page.click("#save-settings")
        signed = await home.sent()
        refusal = await home.judged(signed)
        assert isinstance(refusal, Refusal)
        refused = StatementRefused(
            statement_digest=digest_of(signed), reason=refusal.reason, detail=refusal.detail
        )
        await home.tell(refused)
        conflict = home.page.locator("#settings-conflict")
        for words in ("Yours", "What counts now"):
            await expect(conflict).to_contain_text(words)
        await home.page.click("#use-mine")
        await expect(home.page.locator("#settings")).to_contain_text("waits for your word")
        assert await saved(home) == OwnerSettings(revision=5, has_reminder=True)


async def test_a_conflict_with_what_this_browser_never_heard_of_can_not_be_overwritten(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        home.household = HouseholdFacts(
            approvers={}, waiting={}, settings=OwnerSettings(revision=9)
        )
        await open_settings(home.page)
        await home.page.click("#save-settings")
        signed = await home.sent()
        refusal = await home.judged(signed)
        assert isinstance(refusal, Refusal)
        await home.tell(
            StatementRefused(
                statement_digest=digest_of(signed), reason=refusal.reason, detail=refusal.detail
            )
        )
        await home.page.wait_for_selector("#settings-conflict")
        assert await home.page.locator("#use-mine").count() == 0


async def test_a_hold_is_let_go_and_a_refused_agency_waits_for_the_door(world: World) -> None:
    async with home_in_browser(world) as home:
        now_ms = world.clock.wall_ms()
        hold = HeldTime(
            hold_digest="b" * 64, from_ms=now_ms - DAY_MS, to_ms=now_ms, until_ms=now_ms + DAY_MS
        )
        await home.tell(HoldsNow(statement_digest="c" * 64, holds=[hold]))
        await counts(home, OwnerSettings(revision=1), "lakeland")
        home.household = replace(home.household, holds=frozenset({"b" * 64}))
        await open_settings(home.page)
        await home.page.locator("#holds button").click()
        released = await home.sent()
        assert terms_of(released) == Unhold(hold_digest="b" * 64)
        assert isinstance(await home.judged(released), Decision)
        await home.tell(HoldsNow(statement_digest=digest_of(released), holds=[]))
        await expect(home.page.locator("#holds")).to_have_count(0)
        await home.page.locator("#refused button").click()
        allowed = await home.sent()
        assert terms_of(allowed) == RefuseAgency(agency="lakeland", is_refused=False)
        decision = await home.judged(allowed)
        assert isinstance(decision, Decision)
        assert decision.is_widening
        await home.wants_confirmation(allowed)
        await expect(home.page.locator("#confirm-at-door")).to_be_visible()


async def test_keys_that_are_pasted_show_the_words_that_their_own_programs_show(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        await open_settings(home.page)
        key = PasskeyKey(**VECTORS["approver"]["key"])
        document = {"name": "My desk", "key": VECTORS["approver"]["key"]}
        await home.page.fill("#approver-code", "DWA1:" + b64u(canonical(document)))
        await home.page.click("#add-approver")
        added = await home.sent()
        assert terms_of(added) == AddApprover(name="My desk", key=key)
        words = home.page.locator("[data-testid=approver-words] li")
        await expect(words).to_have_count(6)
        assert await words.all_inner_texts() == list(approver_words(key))
        await home.tell(StatementDone(statement_digest=digest_of(added), kind="approver"))
        await expect(home.page.locator("#approvers")).to_contain_text("My desk")
        keys = RecoveryKeys(**VECTORS["recovery"]["keys"])
        await home.page.fill("#recovery-code", "DWR1:" + b64u(keys.encode()))
        await home.page.click("#add-recovery")
        assert terms_of(await home.sent()) == SetRecovery(keys=keys)
        words = home.page.locator("[data-testid=recovery-words] li")
        await expect(words).to_have_count(6)
        assert await words.all_inner_texts() == list(recovery_key_words(keys))
        await home.page.fill("#recovery-code", "DWR1:nonsense")
        await home.page.click("#add-recovery")
        await expect(home.page.locator("main [role=alert]")).to_contain_text(
            "isn't what it should be"
        )
        assert await world.told(home.device) == []


async def test_an_owner_is_sent_away_at_the_door_and_goes_by_themselves_at_once(
    world: World,
) -> None:
    async with home_in_browser(world) as home:
        other = Owner(world, "Bo")
        await other.register()
        pairing_id = "p" * 26
        await other.post("/pairings", {"pairing_id": pairing_id})
        credential_id = other.passkey.key.credential_id
        paired = Paired(pairing_id=pairing_id, credential_id=credential_id)
        await world.pairings.take_paired(home.device, paired)
        await open_settings(home.page)
        await home.page.get_by_role("button", name="Send Bo away").click()
        removed = await home.sent()
        assert terms_of(removed) == RemoveOwner(credential_id=credential_id)
        await home.wants_confirmation(removed)
        await expect(home.page.locator("#confirm-at-door")).to_be_visible()
        world.clock.advance(1)
        await home.tell(OwnerRemoved(name="Bo", by_name="Ada"))
        await expect(home.page.locator("[data-testid=owner-gone]")).to_be_visible()
        await home.page.click("#leave")
        await home.page.click("#leave-now")
        mine = home.owner.passkey.credential_id
        assert terms_of(await home.sent()) == RemoveOwner(credential_id=mine)
        await home.page.click("#forget-door")
        await expect(home.page.locator("main")).to_contain_text("You have no doorbell here yet")


async def test_that_the_recovery_code_was_used_is_not_to_be_missed(world: World) -> None:
    async with home_in_browser(world) as home:
        await home.tell(RecoveryUsed(name="Eve", at_ms=world.clock.wall_ms()))
        await open_settings(home.page)
        await expect(home.page.locator("#warnings")).to_contain_text("Eve paired a new passkey")
