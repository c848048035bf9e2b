"""The check page of a real doorbell process, before it is paired and after.

All programs are real: relay, broker, doorbell, its own page. The digits come from its log.
"""

import asyncio
import re
import time
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.fakes.waiting import PATIENCE_S, eventually
from tests.flows.browser import chromium, pictured_on_failure, sit_down, unpaired_town
from tests.flows.people import join_as_owner, pair
from tests.story.door import Door
from tests.story.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DIGITS = re.compile(r"type these four digits within five minutes: ([0-9]{4})")


async def shows(door: Door, light: str) -> None:
    """Return once the light shows this: it is looked at five times a second."""
    end_s = time.monotonic() + PATIENCE_S
    while (shown := await door.light()) != light:
        assert time.monotonic() < end_s, f"the light shows {shown}"
        await asyncio.sleep(0.05)


def kept(settings: Settings) -> list[Path]:
    """Return the clips and half clips of the doorbell."""
    return [
        one for one in settings.doorbell_dir.rglob("*") if "clips" in one.parts and one.is_file()
    ]


async def open_check(page: Page, settings: Settings) -> None:
    await page.click("form[action='/check/begin'] button")
    log = settings.data_dir / "logs" / "doorbell.log"
    await eventually(lambda: DIGITS.search(log.read_text("utf-8")))
    await page.fill("[name=digits]", DIGITS.findall(log.read_text("utf-8"))[-1])
    await page.click("form[action='/check/digits'] button")


async def test_a_doorbell_is_checked_before_it_is_paired_and_keeps_nothing_of_it(
    tmp_path: Path,
) -> None:
    async with unpaired_town(tmp_path / "town") as (settings, door, _), chromium() as browser:
        async with pictured_on_failure(browser, tmp_path):
            installer, owner = [await sit_down(browser) for _ in range(2)]
            page = installer.page
            await shows(door, "unpaired")
            await page.goto(settings.door_url)
            await expect(page.locator("dd code").first).to_have_text(settings.relay_url)
            await page.click("a[href='/check']")
            before = kept(settings)
            await open_check(page, settings)
            await expect(page.locator("#check-picture")).to_have_attribute("data-mark", "pass")
            await expect(page.locator("#check-focus")).to_contain_text("at best")
            await shows(door, "watched")
            await door.ring()
            await expect(page.locator("#check-button")).to_have_attribute("data-mark", "pass")
            await page.click("form[action='/check/card'] button")
            await expect(page.locator("#check-card")).to_contain_text("MB a second")
            await page.click("form[action='/check/end'] button")
            await shows(door, "unpaired")
            assert kept(settings) == before
            assert not list(settings.doorbell_dir.rglob("storage-speed.tmp"))
            await join_as_owner(owner.page, settings)
            await pair(owner.page, page, door, settings)
            await installer.context.clear_cookies()
            reply = await page.goto(f"{settings.door_url}/check")
            assert reply is not None
            assert reply.status == 403
