"""Takes pictures of every page while the story is played: `make screenshots`.

docs/images/owner-app.png is made from three of them; asking, evidence and public-record there are
the pages' own, scaled.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.flows import people
from tests.flows.asked_pictures import take_asked
from tests.flows.browser import Person, chromium, sit_down, unpaired_town
from tests.flows.camera import IN_ENGLISH_ONLY, Camera
from tests.flows.component_pictures import take_components
from tests.flows.door_pictures import take_doors
from tests.flows.hard_days import HardDays
from tests.flows.page_pictures import take_pages
from tests.flows.portrait import Portrait
from tests.flows.redoing import (
    appearing,
    ask_for_keys,
    choose_clips,
    play,
    see_clip,
    see_details,
    see_live,
    unfold_all,
)
from tests.flows.saved_pictures import take_saved
from tests.story.children import Children
from tests.story.door import Door
from tests.story.settings import REPOSITORY, Settings

PICTURES = REPOSITORY / "build" / "screenshots"
PARTS = ("components", "doors", "asked", "saved", "pages", "story")
PORTRAIT = REPOSITORY / "docs" / "images" / "owner-app.png"
CODE_RECORDED_S = 10.0
"""That the code is taken away is motion, and a recording of its own."""
VISIT_TIMEOUT_MS = 40_000
VISITOR_IS_SEEN = """() => {
  const video = document.querySelector("video#live");
  if (!video?.videoWidth) return false;
  const canvas = new OffscreenCanvas(1, 1);
  const paint = canvas.getContext("2d");
  const [x, y] = [0.46 * video.videoWidth, 0.53 * video.videoHeight];
  paint.drawImage(video, x, y, 8, 8, 0, 0, 1, 1);
  const [red, green, blue] = paint.getImageData(0, 0, 1, 1).data;
  return red > 150 && green > 70 && green < 160 && blue < 80;
}"""
"""The demo's visitor stands before the door: their jacket is where the path was."""


class Story:
    """The story's people, one after another before the camera."""

    def __init__(
        self,
        *,
        settings: Settings,
        door: Door,
        children: Children,
        camera: Camera,
        portrait: Portrait,
    ) -> None:
        self._settings = settings
        self._children = children
        self._door = door
        self._camera = camera
        self._portrait = portrait
        self._app = settings.app_url
        self._relay = settings.relay_url
        self._home = settings.door_url

    async def play(self, browser: Browser) -> list[str]:
        """Play all of it; return what the consoles complained about."""
        owner, home, officer, colleague, guest = [await sit_down(browser) for _ in range(5)]
        await self._owner_joins(owner.page)
        await self._owner_pairs(owner.page, home.page)
        await self._somebody_rings(owner.page)
        await self._officer_joins(officer.page)
        case_number = await self._officers_ask(officer.page, colleague.page)
        await self._everybody_reads(guest.page)
        await self._owner_decides(owner.page, case_number)
        await self._owner_confirms(home.page, owner.page)
        await self._officer_opens(officer.page)
        await self._owner_takes_back(owner.page)
        await self._guest_asks(guest.page, owner.page)
        await self._masks_are_set(owner.page)
        await self._days_are_hard(owner.page)
        faults = faults_of(
            owner=owner, home=home, officer=officer, colleague=colleague, guest=guest
        )
        await self._second_browser_asks(owner, await sit_down(browser))
        stranger = await sit_down(browser)
        await self._things_go_wrong(stranger.page, owner)
        return faults

    async def _owner_joins(self, page: Page) -> None:
        take = self._camera.take
        await page.goto(f"{self._app}/#/welcome")
        await take(page, "owner-welcome")
        await people.open_invitation(page, self._settings, "Mary")
        await take(page, "owner-join", redo=lambda page: page.fill("#name", "Mary"))
        await people.add_owner_passkey(page)
        await take(page, "owner-start")
        await page.goto(f"{self._app}/#/")
        await take(page, "owner-no-door")
        for name in ("clips", "requests"):  # later there is something: also a code is motion
            await page.goto(f"{self._app}/#/{name}")
            await take(page, f"owner-no-{name}", redo=appearing(".empty"))

    async def _owner_pairs(self, page: Page, home: Page) -> None:
        take = self._camera.take
        await home.goto(f"{self._home}/")
        await take(home, "door-unpaired")
        await home.goto(f"{self._home}/pair")
        await take(home, "door-pair-closed")
        await self._door.hold_service_button()
        await home.goto(f"{self._home}/pair")
        await take(home, "door-pair-open")
        await page.goto(f"{self._app}/#/pair")
        await take(page, "owner-pair-code", redo=appearing("#pair-qr svg"))
        await people.show_code(page, self._door)
        code_gone_s = time.monotonic() + people.CODE_SHOWN_S
        await take(page, "owner-pair-words", languages=IN_ENGLISH_ONLY)
        await home.goto(f"{self._home}/pair")
        await take(home, "door-pair-words")
        await people.tap_words(page, home)
        await page.wait_for_selector("#words-found")
        await take(page, "owner-pair-found", languages=IN_ENGLISH_ONLY)
        await self._door.press_service_button()
        await home.wait_for_selector("[name=door_number]")
        await take(home, "door-pair-pressed")
        await people.set_door_number(home)
        await page.wait_for_selector("#paired")
        await take(page, "owner-paired", languages=IN_ENGLISH_ONLY)
        await take(home, "door-paired")
        await home.goto(f"{self._home}/")
        await take(home, "door-status")
        await home.goto(f"{self._home}/microphone")
        await take(home, "door-microphone")
        await page.goto(f"{self._app}/#/")
        await page.wait_for_selector("#see")
        await take(page, "owner-quiet", redo=appearing("#see"))
        rung_s = code_gone_s + CODE_RECORDED_S + people.RING_FILL_S
        await asyncio.sleep(max(0.0, rung_s - time.monotonic()))

    async def _somebody_rings(self, page: Page) -> None:
        take = self._camera.take
        await page.goto(f"{self._app}/#/")
        await page.wait_for_selector("#see")
        await self._door.ring()
        await page.wait_for_selector("[data-testid=event-pressed]")
        await take(page, "owner-ringing", languages=IN_ENGLISH_ONLY)
        pressed = "[data-testid=event-pressed] a"
        await page.wait_for_selector(pressed, timeout=20_000)
        await self._portrait.sit(page, "door")
        await take(page, "owner-rang", redo=appearing(pressed))
        await page.click("#see")
        await page.wait_for_function(VISITOR_IS_SEEN, timeout=VISIT_TIMEOUT_MS)
        await self._portrait.sit(page, "live")
        await take(page, "owner-live", redo=see_live)
        await take(page, "owner-live-details", redo=see_details)
        await page.goto(f"{self._app}/#/browsers")
        await take(page, "owner-browsers", redo=appearing("[data-testid=enrol]"))
        for name, shown in {
            "players": "#player-code",
            "notifications": "#push-form, #push-blocked",
            "replies": "#replies-said :not(:empty), #default-reply",
            "sessions": "#sessions",
        }.items():
            await page.goto(f"{self._app}/#/{name}")
            await take(page, f"owner-{name}", redo=appearing(shown))
        await page.goto(f"{self._app}/#/settings/data")
        await page.click("#to-advanced")
        await take(page, "owner-settings", redo=ask_for_keys)
        await page.goto(f"{self._app}/#/history")
        await take(page, "owner-clips", redo=appearing(".day .row"))
        await page.click(".day a")
        await take(page, "owner-clip", redo=see_clip)

    async def _officer_joins(self, page: Page) -> None:
        take = self._camera.take
        await page.goto(f"{self._relay}/agency")
        await take(page, "agency-sign-in")
        await people.open_officer_invitation(page, self._settings)
        await take(page, "agency-join", redo=lambda page: page.fill("#name", "Officer J. Alvarez"))
        officer = await people.add_officer_passkey(page)
        await take(page, "agency-joined", languages=IN_ENGLISH_ONLY)
        await page.goto(f"{self._relay}/agency")
        await take(page, "agency-uncertified")
        await people.get_certified(page, self._settings, officer)
        for name, path in {
            "dashboard": "",
            "no-requests": "/requests",
            "no-evidence": "/evidence",
            "drafts": "/drafts",
        }.items():
            await page.goto(f"{self._relay}/agency{path}")
            await take(page, f"agency-{name}")

    async def _officers_ask(self, page: Page, colleague: Page) -> str:
        take = self._camera.take

        async def write(page: Page) -> None:
            written.append(await people.write_request(page, self._settings))

        written: list[str] = []
        await people.join_as_officer(colleague, self._settings, people.COLLEAGUE)
        await page.goto(f"{self._relay}/agency/requests/new")
        await take(page, "agency-request-new", redo=write)
        await people.publish(page)
        await take(page, "agency-request-waiting")
        await colleague.goto(f"{self._relay}/agency")
        await take(colleague, "agency-to-cosign")
        await colleague.goto(page.url)
        await take(colleague, "agency-request-cosign")
        await people.cosign(colleague, self._settings, page.url)
        await take(colleague, "agency-request-moderation")
        await people.get_published(page, self._settings)
        await take(page, "agency-request")
        await page.goto(f"{self._relay}/agency/requests/{people.id_in(page.url)}/renew")
        await take(page, "agency-request-renew")
        await page.goto(f"{self._relay}/agency/requests")
        await take(page, "agency-requests")
        return written[-1]

    async def _everybody_reads(self, page: Page) -> None:
        take = self._camera.take
        await page.goto(f"{self._relay}/")
        await take(page, "public-index")
        await page.goto(f"{self._relay}/requests")
        await take(page, "public-requests")
        await page.locator('#requests a[href^="/requests/"]').first.click()
        await take(page, "public-request")
        for path, name in {
            "/agencies": "public-agencies",
            "/transparency": "public-transparency",
            "/entries": "public-entries",
            "/passing-by": "public-passing-by",
            "/doorbell": "public-doorbell-invitation",
        }.items():
            await page.goto(f"{self._relay}{path}")
            await take(page, name)
        await page.goto(f"{self._relay}/agencies")
        await page.locator("#agencies a").first.click()
        await take(page, "public-agency")
        await page.locator('a[href*="/report/"]').first.click()
        await take(page, "public-report")

    async def _owner_decides(self, page: Page, case_number: str) -> None:
        take = self._camera.take
        await page.goto(f"{self._app}/#/requests")
        await page.wait_for_selector("#my-requests a")
        await take(page, "owner-requests", redo=appearing("#my-requests"))
        await people.read_request(page, case_number)
        await self._portrait.sit(page, "release")
        await take(page, "owner-release", redo=choose_clips)
        await people.sign(page)
        await take(page, "owner-given", redo=appearing("#confirm-at-door"))

    async def _owner_confirms(self, home: Page, owner: Page) -> None:
        take = self._camera.take
        await home.goto(f"{self._home}/")
        await take(home, "door-waiting")
        await home.goto(f"{self._home}/confirm")
        await take(home, "door-unlock")
        await people.unlock(home)
        await take(home, "door-confirm", redo=play)
        await people.release(home)
        await take(home, "door-released")
        await home.goto(f"{self._home}/confirm")
        await take(home, "door-nothing")
        await take(owner, "owner-released", redo=appearing("#released"))

    async def _owner_takes_back(self, owner: Page) -> None:
        await owner.click("#take-back")
        await owner.wait_for_selector("#taken-back")
        await self._camera.take(owner, "owner-taken-back", redo=appearing("#taken-back"))

    async def _officer_opens(self, page: Page) -> None:
        take = self._camera.take
        await people.find_evidence(page, self._settings)
        await take(page, "agency-evidence")
        await page.locator("main a[href^='/agency/evidence/']").first.click()
        await take(page, "agency-evidence-sealed")
        async with people.opened_offline(page, self._settings):
            await take(page, "agency-evidence-saved")
        await page.goto(f"{self._relay}/agency")
        await take(page, "agency-dashboard-later")

    async def _guest_asks(self, guest: Page, owner: Page) -> None:
        take = self._camera.take
        await people.join_as_owner(guest, self._settings, "Nora")
        await guest.goto(f"{self._app}/#/ask")
        await guest.click("#ask")
        await guest.wait_for_selector("#has-asked")
        await take(guest, "owner-asked", languages=IN_ENGLISH_ONLY)
        await owner.goto(f"{self._app}/#/settings/people")
        await take(
            owner, "owner-people", redo=lambda page: page.get_by_text("Nora").first.wait_for()
        )

    async def _second_browser_asks(self, owner: Person, second: Person) -> None:
        take, page = self._camera.take, second.page
        await owner.bring_passkeys_to(second)
        await page.goto(f"{self._app}/#/welcome")
        await page.click("#sign-in")
        await page.click("#see")
        await take(page, "owner-not-enrolled", redo=appearing("#enrol"))
        await page.click("#enrol")
        await page.click("[data-testid=enrol]")
        await page.wait_for_selector("#confirm-at-door")
        await take(page, "owner-enrolling", languages=IN_ENGLISH_ONLY)

    async def _masks_are_set(self, page: Page) -> None:
        """A press after a mask was set: its recording says so."""
        hide_left_third(self._settings, self._children)
        await page.goto(f"{self._app}/#/")
        rows = page.locator("[data-testid=event-pressed]")
        before = await rows.count()
        await asyncio.sleep(people.RING_FILL_S)
        await self._door.ring()
        await expect(rows).to_have_count(before + 1)
        await rows.first.locator("a").click(timeout=30_000)
        await self._camera.take(page, "owner-clip-masked", redo=see_clip)

    async def _days_are_hard(self, page: Page) -> None:
        take = self._camera.take
        await page.goto(f"{self._app}/#/")
        async with page.expect_response("**/api/v1/events?*") as loading:
            await page.reload()
        days = HardDays((await (await loading.value).json())["events"])
        await days.come_over(page)
        await take(page, "owner-hard-day", redo=appearing("[data-testid=wrong-now]"))
        await take(page, "owner-hard-day-open", redo=unfold_all)
        await page.goto(f"{self._app}/#/history")
        await take(page, "owner-hard-clips", redo=appearing(".day .row"))
        await page.goto(f"{self._app}/{days.address}")
        await take(page, "owner-hard-clip", redo=see_clip)
        await days.end(page)
        await page.reload()

    async def _things_go_wrong(self, stranger: Page, owner: Person) -> None:
        take = self._camera.take
        await stranger.goto(f"{self._relay}/no-such-page")
        await take(stranger, "public-not-found")
        await stranger.goto(f"{self._relay}/agency/join?invitation=used")
        await stranger.fill("#name", "A")
        await stranger.click("#add-passkey")
        await stranger.wait_for_selector("#status.warn-text")
        await take(stranger, "agency-join-refused", languages=IN_ENGLISH_ONLY)
        await stranger.goto(f"{self._app}/#/join?invitation=used")
        await stranger.fill("#name", "A")
        await stranger.click("#add-passkey")
        await stranger.wait_for_selector(".warning")
        await take(stranger, "owner-join-refused", languages=IN_ENGLISH_ONLY)
        await stranger.goto(f"{self._home}/confirm")
        await stranger.fill("[name=door_number]", "000000")
        await stranger.click("form button")
        await take(stranger, "door-unlock-wrong", languages=IN_ENGLISH_ONLY)
        await owner.page.goto(f"{self._app}/#/")
        await owner.page.wait_for_selector("#see")
        await owner.context.set_offline(True)
        await owner.page.wait_for_selector(".banner")
        await take(owner.page, "owner-offline", languages=IN_ENGLISH_ONLY)


def hide_left_third(settings: Settings, children: Children) -> None:
    """Mask the left third of the picture, as an owner does: settings, then `systemctl reload`."""
    file = settings.doorbell_dir / "doorbell.toml"
    masks = "[[[0, 0], [0.33, 0], [0.33, 1], [0, 1]]]"
    file.write_text(f"{file.read_text()}\n[privacy]\nmasks = {masks}\n")
    os.kill(children.pid("doorbell"), signal.SIGHUP)


def faults_of(**persons: Person) -> list[str]:
    """Return what each person's console complained about."""
    return [f"{name}'s console: {fault}" for name, who in persons.items() for fault in who.faults]


async def take_story(camera: Camera, folder: Path, portrait_file: Path) -> list[str]:
    """Play the story before the camera; return what the consoles complained about."""
    portrait = Portrait()
    async with unpaired_town(folder) as (settings, door, children), chromium() as browser:
        story = Story(
            settings=settings, door=door, children=children, camera=camera, portrait=portrait
        )
        faults = await story.play(browser)
        await portrait.paint(browser, portrait_file)
    return faults


async def take_parts(parts: Collection[str], out: Path, portrait_file: Path) -> int:
    """Take every picture; return 1 if a page scrolls sideways or a console complained."""
    started_s = time.monotonic()
    camera, faults = Camera(out), []
    with tempfile.TemporaryDirectory(prefix="doorward-") as made:
        folder = Path(made)
        if "components" in parts:
            faults += await take_components(camera)
        if "doors" in parts:
            faults += await take_doors(camera)
        if "asked" in parts:
            faults += await take_asked(camera, folder / "asked")
        if "saved" in parts:
            await take_saved(camera, folder / "saved")
        if "pages" in parts:
            faults += await take_pages(camera, folder / "pages")
        if "story" in parts:
            faults += await take_story(camera, folder / "town", portrait_file)
    noticed = sorted({*camera.noticed, *faults})
    print("\n".join(noticed), file=sys.stderr)
    took_s = time.monotonic() - started_s
    print(f"{camera.count} pictures in {took_s:.0f} s: {out}; the README's: {portrait_file}")
    return 1 if noticed else 0


def main() -> int:
    """Read the arguments and go."""
    parser = argparse.ArgumentParser(description="Take pictures of every page.")
    parser.add_argument("--out", type=Path, default=PICTURES, help="where all pictures go")
    parser.add_argument("--portrait", type=Path, default=PORTRAIT, help="where the README's goes")
    parser.add_argument("--only", choices=PARTS, help="one part; the story alone takes minutes")
    asked = parser.parse_args()
    parts = PARTS if asked.only is None else (asked.only,)
    return asyncio.run(take_parts(parts, asked.out, asked.portrait))


if __name__ == "__main__":
    sys.exit(main())
