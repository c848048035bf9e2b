"""The page of quick replies, and the door's microphone turned off, in Chromium."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from firmware.sound.frames import SAMPLE_RATE
from firmware.sound.quick_replies import MAX_REPLIES
from firmware.sound.sounds import parse_wav
from tests.fakes.loudspeaker import Sounding, short_wav
from tests.fakes.waiting import eventually
from tests.flows.browser import IN_ONE_BROWSER
from tests.flows.camera import TOO_SMALL, WIDER_THAN_SCREEN
from tests.flows.live_session import DENIED_MICROPHONE, FAKE_MICROPHONE, Visit, visiting
from tests.relay.http_world import OWNER_ORIGIN

pytestmark = list(IN_ONE_BROWSER)

STOPS_ONCE_LOUD = """() => {
  const looking = setInterval(() => {
    if (!(document.querySelector("#record-reply meter")?.value > 0.05)) return;
    clearInterval(looking);
    window.levelSeen = true;
    const stop = () => document.querySelector("#record-stop")?.click();
    setTimeout(stop, 300); // so that the beep is in it
  }, 10);
}"""
"""Chromium's fake microphone beeps once a second. A recording ends by itself after five seconds, so
the page itself presses the button: on a busy machine a test might come too late."""


@asynccontextmanager
async def at_the_page(
    folder: Path, *, flags: tuple[str, ...] = FAKE_MICROPHONE, kept: int = 0
) -> AsyncIterator[tuple[Visit, Sounding, Page]]:
    """An owner on the page, whose browser has a microphone that beeps."""
    sound = Sounding(folder / "replies")
    for number in range(kept):
        await sound.replies.add_recording(f"Reply {number + 1}", short_wav())
    async with visiting(folder, flags=flags, sound=sound.live) as at:
        await at.page.goto(f"{OWNER_ORIGIN}/#/replies/{at.device}")
        await at.page.reload()  # it was opened before the doorbell was paired
        await expect(at.page.locator("#kept-replies h2")).to_be_visible()
        yield at, sound, at.page


async def record(page: Page) -> None:
    await page.evaluate(STOPS_ONCE_LOUD)
    await page.click("#record")
    await expect(page.locator("#listen-again")).to_be_visible()
    assert await page.evaluate("window.levelSeen")


async def test_an_owner_records_one_and_it_is_kept_and_chosen(tmp_path: Path) -> None:
    async with at_the_page(tmp_path) as (at, sound, page):
        await record(page)
        await page.fill("#reply-name", "I'm coming")
        await page.click("#keep-recording")
        await expect(page.get_by_test_id("kept")).to_have_count(1)
        await expect(page.locator("#replies-said")).to_contain_text("I'm coming")

        (reply,) = sound.replies.replies
        heard = parse_wav((tmp_path / "replies" / f"{reply.id}.wav").read_bytes())
        assert reply.name == "I'm coming"
        assert 0.2 < len(heard.samples) / 2 / SAMPLE_RATE <= 5
        assert max(abs(v) for v in memoryview(heard.samples).cast("h")) > 1000
        assert sound.replies.default == reply
        assert at.person.faults == []


async def test_the_microphone_is_given_back_after_five_seconds_at_the_latest(
    tmp_path: Path,
) -> None:
    async with at_the_page(tmp_path) as (_, _sound, page):
        await page.click("#record")
        await expect(page.locator("#listen-again")).to_be_visible()
        length = await page.evaluate(
            """async () => {
              const audio = document.querySelector("#listen-again");
              while (!(audio.duration > 0)) await new Promise((done) => setTimeout(done, 50));
              return audio.duration;
            }"""
        )

        assert 4 < length <= 5


async def test_a_browser_without_a_microphone_is_told_what_to_do(tmp_path: Path) -> None:
    async with at_the_page(tmp_path, flags=DENIED_MICROPHONE) as (_, _sound, page):
        await page.click("#record")

        await expect(page.locator("#record-reply [role=alert]")).to_contain_text("Allow it")
        await expect(page.locator("#record")).to_be_enabled()


async def test_a_doorbell_that_speaks_no_texts_says_what_to_install(tmp_path: Path) -> None:
    async with at_the_page(tmp_path) as (_, _sound, page):
        await page.fill("#reply-text", "Please leave it at the door")
        await page.click("#keep-text")

        await expect(page.locator("[data-reason=no_speech]")).to_contain_text("espeak-ng")
        assert await page.input_value("#reply-text") == "Please leave it at the door"


async def test_the_default_is_chosen_and_one_is_deleted_by_keyboard(tmp_path: Path) -> None:
    async with at_the_page(tmp_path, kept=2) as (_, sound, page):
        first, second = sound.replies.replies
        await page.locator(f"input[value='{first.id}']").focus()
        await page.keyboard.press("ArrowDown")
        await expect(page.locator(f"input[value='{second.id}']")).to_be_checked()
        await eventually(lambda: sound.replies.default == second)
        await expect(page.locator("#replies-said")).to_contain_text("Chosen.")
        await expect(page.locator(f"input[value='{second.id}']")).to_be_focused()
        await page.locator(f"[data-id='{first.id}'] button").focus()
        await page.keyboard.press("Enter")
        await expect(page.get_by_test_id("delete-yes")).to_be_focused()
        await page.keyboard.press("Enter")

        await expect(page.get_by_test_id("kept")).to_have_count(1)
        assert sound.replies.replies == (second,)
        await expect(page.locator("#kept-replies h2")).to_be_focused()


async def test_who_is_quicker_than_the_doorbell_loses_nothing(tmp_path: Path) -> None:
    async with at_the_page(tmp_path, kept=3) as (_, sound, page):
        first, second, third = sound.replies.replies
        asked = asyncio.Event()
        set_default = sound.replies.set_default

        async def slowly(reply_id: str | None) -> None:
            await asked.wait()
            await set_default(reply_id)

        sound.replies.set_default = slowly
        await page.locator(f"input[value='{first.id}']").focus()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await page.locator(f"[data-id='{first.id}'] button").click()
        asked.set()
        await expect(page.locator("#replies-said")).to_contain_text("Chosen.")

        await expect(page.locator(f"input[value='{third.id}']")).to_be_checked()
        await page.get_by_test_id("delete-yes").click()
        await expect(page.get_by_test_id("kept")).to_have_count(2)
        assert sound.replies.replies == (second, third)
        assert sound.replies.default == third


async def test_a_full_list_offers_nothing_more(tmp_path: Path) -> None:
    async with at_the_page(tmp_path, kept=MAX_REPLIES) as (_, _sound, page):
        await expect(page.locator("#record-reply")).to_have_count(0)
        await expect(page.get_by_text("which is the most")).to_be_visible()


async def test_a_doorbell_that_goes_away_is_said_and_can_be_asked_again(tmp_path: Path) -> None:
    async with at_the_page(tmp_path, kept=1) as (at, _sound, page):
        await at.here.live.aclose()
        await expect(page.locator("#replies-again")).to_be_visible()
        await page.click("#replies-again")

        await expect(page.get_by_test_id("kept")).to_have_count(1)


async def test_leaving_the_page_ends_the_session(tmp_path: Path) -> None:
    async with at_the_page(tmp_path) as (at, _sound, page):
        assert at.here.live.sessions == 1
        await page.goto(f"{OWNER_ORIGIN}/#/settings/people")

        await eventually(lambda: at.here.live.sessions == 0)
        assert at.here.live.watchers == ()


@pytest.mark.parametrize("language", ["en", "sv"])
async def test_fits_a_phone_with_targets_for_a_thumb(tmp_path: Path, language: str) -> None:
    async with at_the_page(tmp_path, kept=3) as (_, _sound, page):
        await page.evaluate(f"localStorage.setItem('doorward.language', '{language}')")
        await page.reload()
        await expect(page.get_by_test_id("kept")).to_have_count(3)
        await record(page)

        assert await page.evaluate(WIDER_THAN_SCREEN) == []
        assert await page.evaluate(TOO_SMALL) == []
        assert "sayings." not in await page.inner_text("main")


async def test_whoever_watches_turns_the_doors_microphone_off_and_never_on(tmp_path: Path) -> None:
    sound = Sounding(tmp_path / "replies")
    async with visiting(tmp_path, flags=FAKE_MICROPHONE, sound=sound.live) as at:
        await at.see()
        await at.page.click("#live-more")
        await at.page.click("#microphone-off")
        await expect(at.page.locator("#door-microphone")).to_contain_text("own page")
        await at.page.click("#microphone-off-yes")
        await eventually(lambda: not sound.microphone.is_on)
        at.here.live.send_states()

        await expect(at.page.locator("#microphone-off")).to_have_count(0)
        await expect(at.page.locator("#door-microphone")).to_have_text(re.compile("off now"))
