"""The whole story in Debian's Chromium: an owner, an officer, and the doorbell's own page."""

import asyncio
import json
import sqlite3
import time
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from firmware.protocol.encoding import decode
from firmware.protocol.footage import MAX_MANIFEST_BYTES, SignedManifest
from tests.flows.browser import (
    Person,
    chromium,
    pictured_on_failure,
    sit_down,
    unpaired_town,
)
from tests.flows.people import (
    COLLEAGUE,
    PLAYS,
    RING_FILL_S,
    ask,
    confirm,
    find_evidence,
    give,
    join_as_officer,
    join_as_owner,
    opened_offline,
    pair,
    read_request,
    ring_and_see_it,
)
from tests.story.door import Door
from tests.story.settings import Settings

LIVE_FRAMES = 60

FRAMES_SHOWN = """async (wanted) => {
  const video = document.querySelector("video#live");
  const begun = performance.now();
  while (performance.now() - begun < 60000) {
    const shown = video.getVideoPlaybackQuality().totalVideoFrames;
    if (shown >= wanted) return { shown, width: video.videoWidth };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { shown: video.getVideoPlaybackQuality().totalVideoFrames, width: video.videoWidth };
}"""


@pytest.mark.browser
@pytest.mark.slow
async def test_the_story_holds_in_browsers(tmp_path: Path) -> None:
    async with unpaired_town(tmp_path / "town") as (settings, door, _), chromium() as browser:
        async with pictured_on_failure(browser, tmp_path):
            await play(browser, door, settings)


async def play(browser: Browser, door: Door, settings: Settings) -> None:
    started_s = time.monotonic()
    owner = await sit_down(browser)
    await join_as_owner(owner.page, settings)
    home = await sit_down(browser)
    await pair(owner.page, home.page, door, settings)
    await asyncio.sleep(max(0.0, started_s + RING_FILL_S - time.monotonic()))
    clip_id = await ring_and_see_it(owner.page, door)
    await watch_live(owner.page)
    await play_clip(owner.page, clip_id)
    officer, colleague = await sit_down(browser), await sit_down(browser)
    await join_as_officer(officer.page, settings)
    await join_as_officer(colleague.page, settings, COLLEAGUE)
    case_number = await ask(officer.page, colleague.page, settings)
    await may_ignore(owner.page, case_number)
    await give(owner.page, case_number)
    await confirm(home.page, settings, case_number)
    digests = await open_evidence(officer.page, settings)
    assert digests == gop_digests(settings, clip_id)
    for person in (owner, officer, colleague, home):
        assert_no_faults(person)


def assert_no_faults(person: Person) -> None:
    assert person.faults == []


async def watch_live(page: Page) -> None:
    await page.click("#see")
    await page.wait_for_selector("video#live")
    seen = await page.evaluate(FRAMES_SHOWN, LIVE_FRAMES)
    assert seen["shown"] >= LIVE_FRAMES, seen
    assert seen["width"] == 1280


async def play_clip(page: Page, clip_id: str) -> None:
    await page.evaluate("location.hash = '#/history'")
    await page.click(f"[data-clip='{clip_id}'] a")
    video = await page.wait_for_selector("video#clip-video")
    seen = await video.evaluate(PLAYS)
    assert seen["at"] >= 0.5, seen


async def may_ignore(page: Page, case_number: str) -> None:
    await read_request(page, case_number)
    await expect(page.get_by_test_id("may-ignore")).to_contain_text("You may ignore this.")


async def open_evidence(page: Page, settings: Settings) -> list[str]:
    await find_evidence(page, settings)
    await page.locator("main a[href^='/agency/evidence/']").first.click()
    async with opened_offline(page, settings) as desk:
        await expect(desk.locator("#status")).to_contain_text("Nothing fails")
        not_shown = desk.locator("#checks tr", has_not=desk.locator("td.ok"))
        young = desk.get_by_text("Its doorbell was there a day before it, or longer")
        await expect(not_shown.filter(has=young)).not_to_have_count(0)  # a doorbell of today
        await expect(not_shown.filter(has_not=young)).to_have_count(0)
        async with desk.expect_download() as downloading:
            await desk.click("a[download='manifest-1.json']")
        file = await (await downloading.value).path()
        return leaves_of(await asyncio.to_thread(file.read_bytes))


def gop_digests(settings: Settings, clip_id: str) -> list[str]:
    """Return what the doorbell itself wrote down about the clip."""
    with sqlite3.connect(settings.doorbell_dir / "library.sqlite3") as library:
        row = library.execute(
            "SELECT manifest_json FROM clips WHERE clip_id = ?", (clip_id,)
        ).fetchone()
    return leaves_of(row[0])


def leaves_of(manifest: bytes) -> list[str]:
    signed = decode(SignedManifest, manifest, max_bytes=2 * MAX_MANIFEST_BYTES)
    return [gop["leaf"] for gop in json.loads(signed.manifest)["gops"]]
