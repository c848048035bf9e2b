"""Pictures of the doorbell's own page in states that no story has: sick, asked, recovering."""

from collections.abc import Mapping
from dataclasses import replace

from playwright.async_api import Page

from firmware.local_page.ports import PairingView
from tests.fakes.local_page import FOUR_WORDS, NUMBER
from tests.flows.asking_doors import KNOCKS, RELEASES, WAITING, AskingDoorbell, asking_door
from tests.flows.browser import chromium, sit_down
from tests.flows.camera import IN_ENGLISH_ONLY, Camera
from tests.flows.checked_doors import filming_door, open_check
from tests.flows.sick_doors import SICK_DOORS, sick_doors

OPEN = PairingView(state="open", is_recovery=True)
RECOVERING: Mapping[str, PairingView] = {
    "may": PairingView(state="paired", may_recover=True),
    "open": OPEN,
    "closed": PairingView(state="paired", may_recover=True, problem="another_code"),
    "answered": replace(OPEN, state="answered"),
    "words": replace(OPEN, state="words", words=FOUR_WORDS, owner_name="Maria"),
    "pressed": replace(OPEN, state="pressed", words=FOUR_WORDS, owner_name="Maria"),
}
PAIRED = PairingView(state="paired")


async def take_doors(camera: Camera) -> list[str]:
    """Take them all; return what the console complained about."""
    async with chromium() as browser:
        person = await sit_down(browser)
        await _sick(camera, person.page)
        async with asking_door() as (bell, address):
            await _asks(camera, person.page, bell, address)
            for name, view in RECOVERING.items():
                bell.view = view
                await person.page.goto(f"{address}/pair")
                await camera.take(person.page, f"door-recovery-{name}")
        await _checked(camera, person.page)
        return [fault for fault in person.faults if "404" not in fault]  # releases that are over


async def _sick(camera: Camera, home: Page) -> None:
    async with sick_doors() as (bell, address):
        for name, status in SICK_DOORS.items():
            bell.shown = status
            await home.goto(address)
            await camera.take(home, f"door-{name}")


async def _checked(camera: Camera, home: Page) -> None:
    """An unpaired doorbell, and its check page at each step."""
    async with filming_door() as (bell, address):
        await home.goto(address)
        await camera.take(home, "door-unpaired")
        await home.goto(f"{address}/check")
        await camera.take(home, "door-check-begin")
        await home.click("form[action='/check/begin'] button")
        await camera.take(home, "door-check-digits")
        await open_check(bell, home, address)
        await camera.take(home, "door-check")


async def _asks(camera: Camera, home: Page, bell: AskingDoorbell, address: str) -> None:
    """Every kind of statement, every step of a release, and the knock."""
    take = camera.take
    await home.goto(f"{address}/knock")
    await take(home, "door-knock-locked", languages=IN_ENGLISH_ONLY)
    await home.goto(f"{address}/confirm")
    await take(home, "door-number")
    await home.fill("[name=door_number]", NUMBER)
    await home.click("form button")
    await home.wait_for_selector("form[action='/lock']")
    for name, waits in WAITING.items():
        bell.waits = waits
        await home.goto(f"{address}/confirm")
        await take(home, f"door-ask-{name}")
    for name, release in RELEASES.items():
        bell.releases = [release]
        await home.goto(f"{address}/releases/{release.digest}")
        await take(home, f"door-release-{name}")
    for name, knock in KNOCKS.items():
        bell.hand = knock
        await home.goto(f"{address}/knock")
        await take(home, f"door-knock-{name}")
