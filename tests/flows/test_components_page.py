"""Every component in every state: readable, reachable, and by keyboard as by thumb."""

import pytest
from playwright.async_api import expect

from tests.flows.component_pictures import SHOWCASE, components
from tests.flows.page_quality import Inspector
from tests.house.test_design_system import SOURCE

pytestmark = pytest.mark.browser

SHOWN = ("switch", "segmented", "chip", "tabs", "toast", "empty", "strip", "row", "pinned")
MORE_SHOWN = ("stat", "progress", "card", "letter", "notice", "warning", "banner", "skeleton")


async def nothing(_address: str) -> bytes:
    return b""


async def test_each_component_keeps_to_wcag_in_light_and_dark() -> None:
    async with components() as (page, faults):
        inspector = Inspector(nothing)
        for width in (360, 1280):
            await page.set_viewport_size({"width": width, "height": 800})
            for theme in ("light", "dark"):
                await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                await inspector.look(page, "components", f"{width} {theme}")
        await page.click("#show-toast")
        await page.click("#open-dialog")
        await inspector.look(page, "components, dialog", "1280 dark")
        assert inspector.found == [], "\n".join(inspector.found)
        assert faults == []


async def test_a_dialog_takes_the_focus_and_gives_it_back() -> None:
    async with components() as (page, _):
        await page.focus("#open-dialog")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("dialog", name="Remove this browser?")).to_be_visible()
        await expect(page.locator("#dialog").get_by_role("button", name="Remove")).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog")).to_have_count(0)
        await expect(page.locator("#open-dialog")).to_be_focused()


async def test_controls_work_by_keyboard() -> None:
    async with components() as (page, _):
        await page.focus("#motion")
        await page.keyboard.press("Space")
        await expect(page.get_by_role("switch", name="Motion")).to_be_checked()
        await page.focus("#chip-kept")
        await page.keyboard.press("Enter")
        await expect(page.locator("#chip-kept")).to_have_attribute("aria-pressed", "true")
        await page.get_by_role("radio", name="Balanced").focus()
        await page.keyboard.press("ArrowRight")
        await expect(page.get_by_role("radio", name="Small")).to_be_checked()


def test_the_page_shows_what_the_sheet_has() -> None:
    shown = (SHOWCASE / "components.js").read_text()
    sheet = SOURCE.read_text()
    for name in (*SHOWN, *MORE_SHOWN):
        assert name in shown, name
        assert f".{name}" in sheet or name == "banner", name
