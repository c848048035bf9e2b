"""The installer's check page in Chromium, from "Begin" to the printed page."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, Page, expect

from firmware.local_page.texts import LANGUAGES
from tests.flows.browser import chromium, sit_down
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.checked_doors import FilmingDoorbell, filming_door, open_check
from tests.flows.page_quality import RUN_AXE, SETTLED, STANDARDS, axe_source

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
PICTURES_CHANGE = """() => new Promise((done) => {
  const first = document.querySelector("#picture");
  const timer = setInterval(() => {
    const now = document.querySelector("#picture");
    if (now !== first && now.naturalWidth > 0) { clearInterval(timer); done(now.naturalWidth); }
  }, 50);
})"""
ALL_DONE = ("level", "focus", "chime", "light", "speaker")


@dataclass
class AtTheDoor:
    """An installer with a telephone before the doorbell."""

    bell: FilmingDoorbell
    browser: Browser
    page: Page
    address: str
    faults: list[str]

    def mark(self, check: str):
        return self.page.locator(f"#check-{check}")

    async def is_marked(self, check: str, mark: str) -> None:
        await expect(self.mark(check)).to_have_attribute("data-mark", mark)


@pytest.fixture
async def door() -> AsyncIterator[AtTheDoor]:
    async with filming_door() as (bell, address), chromium() as browser:
        person = await sit_down(browser, viewport=PHONE)
        yield AtTheDoor(bell, browser, person.page, address, person.faults)


async def test_an_installer_goes_through_all_of_it_and_prints_one_page(door: AtTheDoor) -> None:
    page, bell = door.page, door.bell
    await page.goto(door.address)
    await expect(page.locator("main")).to_contain_text("Hold the service button")
    await page.click("a[href='/check']")
    await open_check(bell, page, door.address)
    assert await page.evaluate(PICTURES_CHANGE) == 640
    await door.is_marked("button", "todo")
    bell.checked.press()
    await door.is_marked("button", "pass")
    await door.is_marked("microphone", "todo")
    bell.level = 0.5
    await door.is_marked("microphone", "pass")
    for action in ("chime", "play", "card"):
        await page.click(f"form[action='/check/{action}'] button")
    await door.is_marked("card", "pass")
    for check in ALL_DONE:
        await page.click(f"#check-{check} [value=yes]")
        await door.is_marked(check, "pass")
    assert bell.checked.panel.chimed == 1
    paper = await page.pdf(format="A4", print_background=False)
    assert paper.count(b"/Type /Page\n") == 1
    await page.click("form[action='/check/end'] button")
    await expect(page.locator("h1")).to_have_text("This doorbell has no owner yet")
    assert door.faults == []


async def test_it_is_gone_through_by_keyboard(door: AtTheDoor) -> None:
    await open_check(door.bell, door.page, door.address)
    await door.page.wait_for_load_state()  # with its program
    await door.page.locator("#check-level [value=yes]").focus()
    await door.page.keyboard.press("Enter")
    await door.is_marked("level", "pass")

    await expect(door.page.locator("#check-level [value=yes]")).to_be_focused()


async def test_a_second_browser_is_told_that_the_first_has_it(door: AtTheDoor) -> None:
    await open_check(door.bell, door.page, door.address)
    other = await sit_down(door.browser, viewport=PHONE)
    reply = await other.page.goto(f"{door.address}/check")

    assert reply is not None
    assert reply.status == 409
    await expect(other.page.locator("main")).to_contain_text("Another browser has the check")
    await expect(other.page.locator("#picture")).to_have_count(0)


async def test_the_page_closes_by_itself_once_the_time_is_over(door: AtTheDoor) -> None:
    await open_check(door.bell, door.page, door.address)
    door.bell.clock.advance(600)

    await expect(door.page.locator("form[action='/check/begin']")).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
async def test_it_fits_a_telephone_and_passes_axe(door: AtTheDoor, language: str) -> None:
    await door.page.goto(f"{door.address}/check?lang={language}")
    await open_check(door.bell, door.page, door.address)
    await door.page.evaluate(axe_source())
    faults = []
    for scheme in ("light", "dark"):
        await door.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await door.page.evaluate(SETTLED)
        faults += await door.page.evaluate(RUN_AXE, {"type": "tag", "values": STANDARDS})
        for measure in (WIDER_THAN_SCREEN, TOO_SMALL):
            faults += await door.page.evaluate(measure)

    assert faults == []
    assert door.faults == []
