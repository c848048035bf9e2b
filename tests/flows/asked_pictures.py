"""Pictures of what an owner is asked and answers, and of settings: states that a story has once.

The doorbell is one that tells what it is told to; see asked_home.py.
"""

from pathlib import Path

from playwright.async_api import Page

from firmware.protocol.decisions import OwnerSettings, Preferences
from firmware.protocol.encoding import new_id
from firmware.protocol.events import OwnerGone, Paired
from firmware.protocol.notes import (
    HeldTime,
    HoldsNow,
    OwnerRemoved,
    PreferencesNow,
    RecoveryUsed,
    RefusedNow,
    SettingsNow,
    StatementDone,
    StatementRefused,
)
from relay.request.published_requests import PublishedRequest
from tests.fakes.owner_file import file_of
from tests.flows.asked_home import Home, digest_of, home_in_browser
from tests.flows.camera import IN_ENGLISH_ONLY, Camera
from tests.flows.filmed import filmed
from tests.flows.redoing import appearing
from tests.relay.http_people import Owner
from tests.relay.http_world import DAY_MS, HOUR_MS, OWNER_ORIGIN, World, open_world

MASKS = [[[0, 0], [250, 0], [250, 600], [0, 800]], [[700, 500], [950, 520], [900, 900]]]
DANGER = "A child of four, alone since two o'clock, in a red jacket."


async def take_asked(camera: Camera, folder: Path) -> list[str]:
    """Take them all; return what the console complained about."""
    folder.mkdir()
    async with open_world(folder) as world, home_in_browser(world) as home:
        asked = await home.ask()
        urgent = await home.ask(
            case_number="LPD-2", incident_type="missing_person", danger=DANGER, reason=""
        )
        for one in (asked, urgent):
            await home.hear(one, is_example=True)
        await filmed(home)
        await home.visitor(minutes_ago=70, is_cut_short=True)
        await _requests(camera, home, asked, urgent)
        await _answers(camera, home, asked)
        await _settings(camera, home, world)
        await _goes(camera, home, world)
        return list(home.person.faults)


async def _requests(
    camera: Camera, home: Home, asked: PublishedRequest, urgent: PublishedRequest
) -> None:
    page = home.page
    await page.goto(f"{OWNER_ORIGIN}/#/requests")
    await camera.take(page, "asked-requests", redo=appearing("#my-requests"))
    await page.goto(home.address(urgent))
    await camera.take(page, "asked-emergency", redo=appearing("#next"))
    await page.goto(home.address(asked))
    await camera.take(page, "asked-release", redo=appearing("#next"))
    await camera.take(page, "asked-choice", redo=choose_part)
    await camera.take(page, "asked-consequences", redo=read_consequences)
    await page.evaluate("history.replaceState(null, '')")  # back to the first screen
    await page.reload()
    await page.wait_for_selector("#refuse")


async def choose_part(page: Page) -> None:
    """Go on to the second screen, if it isn't there, and trim the first recording."""
    await page.wait_for_selector("#next")
    if await page.locator("[data-screen='2']").count() == 0:
        await page.click("#next")
    await page.locator("[data-testid=choose-clip]").first.check()
    await page.locator("[data-testid=cut-to]").press("ArrowLeft")
    await page.wait_for_selector(".trim[data-painted]")


async def read_consequences(page: Page) -> None:
    """Go on to the third screen, and give a name with it."""
    await choose_part(page)
    await page.click("#next")
    await page.check("#give-name")


async def _answers(camera: Camera, home: Home, asked: PublishedRequest) -> None:
    """Decide later, no, never again: on their way, and done; one refused."""
    page, now_ms = home.page, home.world.clock.wall_ms()
    for kind in ("hold", "decline", "refuse"):
        await page.click(f"#{kind}")
        await page.wait_for_selector(f"[data-answer={kind}] :is(.notice, [role=status])")
        digest = digest_of(await home.sent())
        if kind == "hold":
            await camera.take(page, "asked-on-its-way", languages=IN_ENGLISH_ONLY)
            until_ms = now_ms + 14 * DAY_MS
            span = {"from_ms": asked.request.from_ms, "to_ms": asked.request.to_ms}
            held = HeldTime(hold_digest=digest, until_ms=until_ms, **span)
            await home.tell(HoldsNow(statement_digest=digest, holds=[held]))
        elif kind == "decline":
            await home.tell(StatementDone(statement_digest=digest, kind="decline"))
        else:
            await home.tell(RefusedNow(statement_digest=digest, refused=["lakeland"]))
        await page.wait_for_selector(f"#{kind}-done")
    await camera.take(page, "asked-answered", redo=appearing("#refuse-done"))


async def _settings(camera: Camera, home: Home, world: World) -> None:
    page, take = home.page, camera.take
    bo, now_ms = await _second_owner(home, world), world.clock.wall_ms()
    settings = OwnerSettings(revision=2, is_opted_in=True, masks=MASKS)
    await home.tell(SettingsNow(statement_digest="a" * 64, settings=settings, at_ms=now_ms))
    await home.tell(PreferencesNow(preferences=Preferences(), file=file_of(), at_ms=now_ms))
    await home.move_with_box((600, 300, 720, 800))
    for group in ("doorbell", "camera", "police", "data"):
        await page.goto(f"{OWNER_ORIGIN}/#/settings/{group}")
        await take(page, f"settings-{group}", redo=appearing(".back"))
    await page.goto(f"{OWNER_ORIGIN}/#/settings/camera/{home.device}/zones")
    await take(page, "settings-zones", redo=appearing("#zones-editor"))
    await page.get_by_role("button", name="Remove: Mask 1").click()
    await page.click("#save-settings")
    theirs = replace_masks(settings, revision=3)
    signed = await home.sent()
    await home.tell(SettingsNow(statement_digest="b" * 64, settings=theirs, at_ms=now_ms))
    await home.tell(
        StatementRefused(
            statement_digest=digest_of(signed), reason="settings", detail="changed meanwhile"
        )
    )
    await page.wait_for_selector("#settings-conflict")
    await take(page, "settings-conflict", languages=IN_ENGLISH_ONLY)
    await home.tell(OwnerRemoved(name=bo, by_name="Ada"))
    await home.tell(RecoveryUsed(name="Eve", at_ms=world.clock.wall_ms() - HOUR_MS))
    await page.goto(f"{OWNER_ORIGIN}/#/settings/doorbell")
    await take(page, "settings-warnings", redo=appearing("#warnings li"))


def replace_masks(settings: OwnerSettings, *, revision: int) -> OwnerSettings:
    """Return what somebody else saved meanwhile: other masks."""
    return OwnerSettings(revision=revision, is_opted_in=False, masks=(settings.masks or [])[1:])


async def _second_owner(home: Home, world: World) -> str:
    other = Owner(world, "Bo")
    await other.register()
    pairing_id = new_id()
    await other.post("/pairings", {"pairing_id": pairing_id})
    credential_id = other.passkey.key.credential_id
    paired = Paired(pairing_id=pairing_id, credential_id=credential_id)
    await world.pairings.take_paired(home.device, paired)
    return other.name


async def _goes(camera: Camera, home: Home, world: World) -> None:
    gone = OwnerGone(credential_id=home.owner.passkey.credential_id)
    await world.tell(home.device, gone)
    await world.pairings.take_gone(home.device, gone)
    await home.page.goto(f"{OWNER_ORIGIN}/#/")
    shown = appearing("[data-testid=no-longer-owner]")
    await camera.take(home.page, "owner-no-longer", redo=shown)
    home.person.faults.clear()  # a page that still asked for the door was told that there is none
