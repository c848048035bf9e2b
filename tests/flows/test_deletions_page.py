"""The page of deletion requests in Chromium: many chosen, written about once, signed, sent back."""

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from relay.tools.agency.cli import main as agency_tool
from tests.flows.browser import sit_down
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.every_page import House
from tests.flows.household import PHONE
from tests.flows.page_quality import Inspector
from tests.flows.serving_pages import relay_browser
from tests.relay.http_people import certified_officer
from tests.relay.http_world import RELAY_URL, World, open_world
from tests.relay.test_deletion_answers import PAGE, wanted_back

pytestmark = pytest.mark.browser
REASON = "Shredded with the case's copies."


async def test_all_of_a_request_are_answered_by_the_keyboard_with_one_signature(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        ids = await wanted_back(world, officer, count=3)
        house = House(world, {"officer": officer.http})
        async with relay_browser(house) as browser:
            person = await sit_down(browser, viewport=PHONE)
            await person.context.add_cookies(house.cookies("officer"))
            page = person.page
            await page.goto(f"{RELAY_URL}/agency/evidence")
            await page.click(f"a.button[href='{PAGE}']")
            await look_at(page)
            await choose_all_but_one(page)
            draft = await save_draft(page, tmp_path)
            answer = sign(world, draft, tmp_path)
            await page.set_input_files("#answer-file", draft)
            await page.click("#send button")
            await expect(page.locator("#answer-refused")).to_contain_text("--out names")
            await page.set_input_files("#answer-file", answer)
            await page.click("#send button")
            await expect(page.locator("#answered tr[data-answer=deleted]")).to_have_count(1)
            await expect(page.locator("[name=package]")).to_have_count(1)
            left = await page.locator("[name=package]").get_attribute("value")
            assert left in ids
            assert all("422" in fault for fault in person.faults)  # what a page refuses


async def look_at(page: Page) -> None:
    """It fits on a phone, is big enough for a thumb, and axe finds nothing."""
    inspector = Inspector(no_weight)
    await inspector.look(page, "deletions", "en 360 light")
    assert inspector.found == []
    assert await page.evaluate(WIDER_THAN_SCREEN) == []
    assert await page.evaluate(TOO_SMALL) == []


async def no_weight(_address: str) -> bytes:
    return b""


async def choose_all_but_one(page: Page) -> None:
    """Everything by keys: the box of the whole request, then one of its own off again."""
    boxes, every = page.locator("[name=package]"), page.locator("[data-all]")
    await expect(page.locator("#chosen")).to_have_text("0 of 3 chosen")
    await every.focus()
    await page.keyboard.press("Space")
    await expect(page.locator("#chosen")).to_have_text("3 of 3 chosen")
    await boxes.nth(2).focus()
    await page.keyboard.press("Space")
    await expect(page.locator("#chosen")).to_have_text("2 of 3 chosen")
    assert await every.evaluate("(box) => box.indeterminate && !box.checked")


async def save_draft(page: Page, folder: Path) -> Path:
    """Forget the reason first: the page says so, and keeps what was chosen."""
    await page.locator("[name=answer][value=deleted]").focus()
    await page.keyboard.press("Space")
    await page.fill("#reason", " ")
    await page.click("#write button.primary")
    await expect(page.locator("#reason-problem")).to_be_visible()
    await expect(page.locator("#chosen")).to_have_text("2 of 3 chosen")
    await page.fill("#reason", REASON)
    async with page.expect_download() as saving:
        await page.keyboard.press("Enter")
    download = await saving.value
    file = folder / download.suggested_filename
    await download.save_as(file)
    assert file.name == "deletion-draft.json"
    await expect(page.locator("#problems, [data-problem]")).to_have_count(0)
    await expect(page.locator("#status")).to_contain_text("deletion-draft.json")
    return file


def sign(world: World, draft: Path, folder: Path) -> Path:
    """Sign it on the machine that has the agency's key, by the command that the page shows."""
    key, out = folder / "agency-key.json", folder / "answer.json"
    key.write_bytes(world.agency_key.encode())
    words = ["--key", str(key), "--draft", str(draft), "--out", str(out)]
    assert agency_tool(["deletion-answer", *words]) == 0
    return out
