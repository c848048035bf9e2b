"""The whole story in Debian's Chromium: an owner, an officer, and the doorbell's own page."""

import asyncio
import json
import sqlite3
import time
from datetime import UTC, datetime, timedelta
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
from tests.story.door import Door
from tests.story.officer import Agency
from tests.story.settings import Settings
from tests.story.town import DOORBELL_CELL, invite, invite_officer

DOOR_NUMBER = "314159"
LIVE_FRAMES = 60
RING_FILL_S = 7.5

FRAMES_SHOWN = """async (wanted) => {
  const video = document.querySelector("video#live");
  const begun = performance.now();
  while (performance.now() - begun < 15000) {
    const shown = video.getVideoPlaybackQuality().totalVideoFrames;
    if (shown >= wanted) return { shown, width: video.videoWidth };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return { shown: video.getVideoPlaybackQuality().totalVideoFrames, width: video.videoWidth };
}"""
PLAYS = """async (video) => {
  video.muted = true;
  await video.play();
  const begun = performance.now();
  while (video.currentTime < 0.5 && performance.now() - begun < 10000)
    await new Promise((resolve) => setTimeout(resolve, 50));
  return { at: video.currentTime, width: video.videoWidth };
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
    officer = await sit_down(browser)
    await join_as_officer(officer.page, settings)
    case_number = await ask(officer.page, settings)
    await give(owner.page, case_number)
    await confirm(home.page, settings, case_number)
    digests = await open_evidence(officer.page, settings)
    assert digests == gop_digests(settings, clip_id)
    for person in (owner, officer, home):
        assert_no_faults(person)


def assert_no_faults(person: Person) -> None:
    assert person.faults == []


async def join_as_owner(page: Page, settings: Settings) -> None:
    invitation = await invite(settings, "owner")
    await page.goto(invitation["url"])
    await page.fill("#name", "Mary")
    await page.click("#add-passkey")
    await page.wait_for_url(lambda url: "#/join" not in url)


async def pair(page: Page, home: Page, door: Door, settings: Settings) -> None:
    await door.hold_service_button()
    await page.goto(f"{settings.app_url}/#/pair")
    await page.wait_for_selector("#pair-qr svg, #pair-qr canvas, #pair-qr img")
    picture = await page.locator("#pair-qr").screenshot()
    await door.show(picture, seconds=20)
    words = page.locator("#words li")
    await expect(words).to_have_count(6, timeout=20_000)
    await home.goto(f"{settings.door_url}/pair")
    shown_at_home = await home.locator("main").inner_text()
    for word in await words.all_inner_texts():
        assert word in shown_at_home
    await home.fill("[name=door_number]", DOOR_NUMBER)
    await home.fill("[name=door_number_again]", DOOR_NUMBER)
    await home.click("form button")
    await page.wait_for_selector("#paired", timeout=10_000)


async def ring_and_see_it(page: Page, door: Door) -> str:
    """Ring; the press and then the clip show in the open app without a reload."""
    await page.click("#to-door")
    await page.evaluate("window.notReloaded = true")
    await door.ring()
    await page.wait_for_selector("[data-testid=event-pressed]", timeout=5_000)
    await page.wait_for_selector("[data-testid=event-pressed] a", timeout=20_000)
    assert await page.evaluate("window.notReloaded")
    link = page.locator("[data-testid=event-pressed] a").first
    clip_id = (await link.get_attribute("href") or "").rpartition("/")[2]
    assert clip_id
    return clip_id


async def watch_live(page: Page) -> None:
    await page.click("#see")
    await page.wait_for_selector("video#live")
    seen = await page.evaluate(FRAMES_SHOWN, LIVE_FRAMES)
    assert seen["shown"] >= LIVE_FRAMES, seen
    assert seen["width"] == 1280


async def play_clip(page: Page, clip_id: str) -> None:
    await page.evaluate("location.hash = '#/clips'")
    await page.click(f"[data-clip='{clip_id}'] a")
    video = await page.wait_for_selector("video#clip-video", timeout=20_000)
    seen = await video.evaluate(PLAYS)
    assert seen["at"] >= 0.5, seen


async def join_as_officer(page: Page, settings: Settings) -> None:
    invitation = await invite_officer(settings)
    await page.goto(invitation["url"])
    await page.fill("#name", "Officer J. Alvarez")
    await page.click("#add-passkey")
    async with page.expect_download() as downloading:
        await page.click("#officer-file")
    file = await (await downloading.value).path()
    officer = json.loads(await asyncio.to_thread(file.read_text))
    certificate = await Agency(settings.agency_key).certify(officer, settings.people_dir)
    sent = await page.request.post(
        f"{settings.relay_url}/agency/officers/{officer['officer_id']}/certificate",
        data=certificate.encode(),
        headers={"Origin": settings.relay_url, "Content-Type": "application/json"},
    )
    assert sent.ok, await sent.text()


async def ask(page: Page, settings: Settings) -> str:
    case_number = f"LPD-{time.time_ns() // 1_000_000 % 10**6}"
    now = datetime.now(UTC)
    await page.goto(f"{settings.relay_url}/agency/requests/new")
    await page.fill("#case_number", case_number)
    await page.select_option("#incident_type", "theft")
    await page.fill("#text", "A parcel was taken from a porch.")
    await page.check(f"[name=cell][value='{DOORBELL_CELL}']")
    local = "%Y-%m-%dT%H:%M:%S"
    offset = timedelta(minutes=-await page.evaluate("new Date().getTimezoneOffset()"))
    await page.fill("#from", (now - timedelta(minutes=20) + offset).strftime(local))
    await page.fill("#to", (now + offset).strftime(local))
    await page.fill("#contact", "desk@lakeland.example")
    await page.click("#publish")
    await page.wait_for_url(lambda url: not url.endswith("/new"))
    await expect(page.locator("main")).to_contain_text(case_number)
    return case_number


async def give(page: Page, case_number: str) -> None:
    await page.evaluate("location.hash = '#/requests'")
    await page.locator("#my-requests a").first.click()
    await expect(page.locator("#release")).to_contain_text(case_number)
    await expect(page.get_by_test_id("may-ignore")).to_contain_text("You may ignore this.")
    boxes = page.locator("[data-testid=choose-clip]")
    for index in range(await boxes.count()):
        await boxes.nth(index).check()
    await page.click("#give")
    await page.get_by_text("own page").first.wait_for()


async def confirm(home: Page, settings: Settings, case_number: str) -> None:
    await home.goto(f"{settings.door_url}/confirm")
    await home.fill("[name=door_number]", DOOR_NUMBER)
    await home.click("form button")
    await expect(home.locator("main")).to_contain_text(case_number)
    video = await home.wait_for_selector("video")
    assert (await video.evaluate(PLAYS))["at"] >= 0.5
    await home.click("form[action^='/confirm/'] button")
    await expect(home.locator("main")).not_to_contain_text(case_number, timeout=15_000)


async def open_evidence(page: Page, settings: Settings) -> list[str]:
    link = page.locator("main a[href^='/agency/evidence/']").first
    for _ in range(40):
        await page.goto(f"{settings.relay_url}/agency/evidence")
        if await link.count():
            break
        await asyncio.sleep(0.25)
    await link.click()
    await page.set_input_files("#key-file", settings.agency_key)
    await page.click("#open")
    video = await page.wait_for_selector("[data-testid=evidence-video]", timeout=20_000)
    assert (await video.evaluate(PLAYS))["at"] >= 0.5
    assert await page.locator("[data-testid=verify-bad]").count() == 0
    assert await page.locator("[data-testid=verify-ok]").count() >= 3
    async with page.expect_download() as downloading:
        await page.click("a[download='manifest-1.json']")
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
