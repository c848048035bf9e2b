"""A recording's page in Chromium: played at once over the track, fetched, checked, and kept."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from firmware.live.data_channel import ChannelEnd
from firmware.protocol.commands import Offer
from firmware.protocol.events import ClipReady, Pressed
from tests.fakes.porch import CLIP_ID
from tests.fakes.signed_clip import SignedClip, SignedShelf
from tests.fakes.waiting import eventually
from tests.flows.browser import IN_ONE_BROWSER
from tests.flows.live_session import Visit, visiting
from tests.relay.http_world import OWNER_ORIGIN

pytestmark = list(IN_ONE_BROWSER)

SECONDS = 20.0
PLAYS_AT_ONCE = """() => {
  const video = document.querySelector("video#clip-live");
  return video && video.getVideoPlaybackQuality().totalVideoFrames >= 3;
}"""
STEP = """async (id) => {
  const video = document.querySelector("video#clip-video");
  const done = new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
  document.querySelector(id).click();
  await done;
  return video.currentTime;
}"""


NO_H264 = """() => {
  const all = RTCRtpReceiver.getCapabilities.bind(RTCRtpReceiver);
  RTCRtpReceiver.getCapabilities = (kind) => {
    const { codecs, ...rest } = all(kind);
    return { ...rest, codecs: codecs.filter(({ mimeType }) => mimeType !== "video/H264") };
  };
}"""
"""As in a Firefox without OpenH264: it plays MP4, and can't decode H.264 over WebRTC."""
NOTE_PROGRESS = """() => {
  const bar = document.querySelector("#clip-stage progress");
  window.shares = [bar.value];
  new MutationObserver(() => window.shares.push(bar.value)).observe(bar, { attributes: true });
}"""


class SlowShelf(SignedShelf):
    """Gives its file only when it is let: what is seen before was played over the track."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = asyncio.Event()

    async def plain_mp4(self, clip_id: str):
        await self.is_open.wait()
        return await super().plain_mp4(clip_id)


CHUNK_EACH_S = 0.1


@pytest.fixture
def line_is_quick(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """A line that takes minutes for a large recording, until this is set."""
    quick, wait_for_room = asyncio.Event(), ChannelEnd.wait_for_room

    async def slowly(channel: ChannelEnd) -> None:
        await wait_for_room(channel)
        with suppress(TimeoutError):
            await asyncio.wait_for(quick.wait(), CHUNK_EACH_S)

    monkeypatch.setattr(ChannelEnd, "wait_for_room", slowly)
    return quick


@asynccontextmanager
async def recorded(folder: Path, shelf: SignedShelf) -> AsyncIterator[tuple[Visit, SignedClip]]:
    """An owner whose doorbell has told of one recording."""
    async with visiting(folder, shelf=shelf) as at:
        started_ms = time.time_ns() // 1_000_000 - 60_000
        clip = shelf.record(at.here.keys, seconds=SECONDS, started_ms=started_ms)
        ring = await at.world.tell(at.device, Pressed())
        ready = ClipReady(
            clip_id=CLIP_ID,
            manifest_digest=clip.digest,
            trigger_event_id=ring.id,
            started_ms=started_ms,
            duration_ms=clip.duration_ms,
            pre_roll_ms=6000,
            is_cut_short=False,
        )
        await at.world.tell(at.device, ready)
        yield at, clip


async def open_clip(at: Visit) -> Page:
    await at.page.goto(f"{OWNER_ORIGIN}/#/history/{at.device}/{CLIP_ID}")
    await at.page.reload()
    return at.page


async def test_plays_at_once_and_then_from_the_checked_file(tmp_path: Path) -> None:
    shelf = SlowShelf()
    async with recorded(tmp_path, shelf) as (at, clip):
        page = await open_clip(at)
        await page.wait_for_function(PLAYS_AT_ONCE)
        await expect(page.locator("#clip-state")).to_contain_text("Playing from your doorbell")
        assert await page.locator("#clip-video").count() == 0
        shelf.is_open.set()
        await expect(page.locator("[data-testid=verify-ok]")).to_contain_text(
            f"all {clip.picture_count} pictures"
        )
        assert await page.eval_on_selector("#clip-video", "(v) => v.currentTime") > 0.2
        await eventually(lambda: at.here.live.sessions == 0)
        assert at.person.faults == []


async def test_a_browser_without_h264_over_webrtc_shows_the_checked_file(tmp_path: Path) -> None:
    async with recorded(tmp_path, SignedShelf()) as (at, clip):
        await at.page.add_init_script(f"({NO_H264})()")
        page = await open_clip(at)
        await expect(page.locator("[data-testid=verify-ok]")).to_contain_text(
            f"all {clip.picture_count} pictures"
        )
        await page.wait_for_function("() => document.querySelector('#clip-video').readyState >= 2")
        await at.see()
        await expect(page.locator("[data-reason=no_h264]")).to_contain_text("Recordings play")
        assert at.person.faults == []


SEEK = """(ms) => {
  const bar = document.querySelector("#clip-bar");
  bar.value = ms;
  for (const type of ["input", "change"]) bar.dispatchEvent(new Event(type));
}"""


async def test_goes_to_any_moment_before_all_of_it_is_fetched(
    tmp_path: Path, line_is_quick: asyncio.Event
) -> None:
    """While it is on its way: the doorbell is asked for that moment, and the fetching goes on."""
    shelf = SignedShelf(padding_bytes=30_000_000)
    async with recorded(tmp_path, shelf) as (at, clip):
        page = await open_clip(at)
        await page.wait_for_function(PLAYS_AT_ONCE)
        assert await page.get_attribute("#clip-bar", "max") == str(clip.duration_ms)
        await page.evaluate(SEEK, 12_000)
        await page.wait_for_function(
            "() => document.querySelector('#clip-state') === null"
            " || Number(document.querySelector('#clip-bar').value) > 12_100"
        )
        assert await page.locator("#clip-video").count() == 0, (
            "it was fetched before it could be seen"
        )
        line_is_quick.set()
        await expect(page.locator("[data-testid=verify-ok]")).to_be_visible()
        assert await page.eval_on_selector("#clip-video", "(v) => v.currentTime") > 11
        assert await page.eval_on_selector("#clip-video", "(v) => v.duration") == pytest.approx(
            SECONDS, abs=0.2
        )
        assert at.person.faults == []


async def test_goes_from_picture_to_picture_and_keeps_the_very_file(tmp_path: Path) -> None:
    async with recorded(tmp_path, SignedShelf()) as (at, clip):
        page = await open_clip(at)
        await page.wait_for_selector("#clip-video")
        await page.wait_for_function("() => document.querySelector('#clip-video').readyState >= 2")
        await page.evaluate("document.querySelector('#clip-video').pause()")
        await page.evaluate("document.querySelector('#clip-video').currentTime = 5.05")
        at_s = await page.evaluate(STEP, "#step-on")
        next_s = await page.evaluate(STEP, "#step-on")
        back_s = await page.evaluate(STEP, "#step-back")
        assert next_s - at_s == pytest.approx(0.1, abs=0.01)
        assert back_s == pytest.approx(at_s, abs=0.01)
        async with page.expect_download() as downloading:
            await page.click("#save-clip")
        file = await (await downloading.value).path()
        assert await asyncio.to_thread(file.read_bytes) == clip.file.mp4


async def test_goes_on_where_it_was_after_a_break(
    tmp_path: Path, line_is_quick: asyncio.Event
) -> None:
    async with recorded(tmp_path, SignedShelf(padding_bytes=8_000_000)) as (at, _):
        page = await open_clip(at)
        await page.wait_for_selector("#clip-stage progress")
        await page.evaluate(NOTE_PROGRESS)
        await page.wait_for_function("() => window.shares.some((share) => share > 0.02)")
        for visit_id in [body.session_id for body in at.carrier.seen if isinstance(body, Offer)]:
            await at.here.live.close(visit_id)
        line_is_quick.set()
        await expect(page.locator("[data-testid=verify-ok]")).to_be_visible()
        assert len([body for body in at.carrier.seen if isinstance(body, Offer)]) == 2
        shares = await page.evaluate("window.shares")
        assert shares == sorted(shares)  # nothing was fetched a second time
        assert shares[-1] == 1


async def test_shows_nothing_as_checked_that_is_not_what_the_doorbell_signed(
    tmp_path: Path,
) -> None:
    shelf = SignedShelf()
    async with recorded(tmp_path, shelf) as (at, _):
        shelf.record(at.here.keys, seconds=SECONDS + 1, started_ms=1)
        page = await open_clip(at)
        await expect(page.locator("#clip-stage [role=alert]")).to_contain_text(
            "isn't the recording that your doorbell signed"
        )
        assert await page.locator("#clip-video").count() == 0


async def test_a_browser_that_is_not_let_in_is_told_so_and_led_to_where_it_can_be(
    tmp_path: Path,
) -> None:
    async with recorded(tmp_path, SignedShelf()) as (at, _):
        at.here.browsers.end(at.owner.browser.id)
        page = await open_clip(at)
        await expect(page.locator("#clip-stage #enrol")).to_be_visible()


UNKNOWN = {
    "#/nowhere": ("#nowhere", "The app has no page at this address."),
    "#/history/nonexistent": ("#no-such-doorbell", "None of your doorbells has this address."),
    "#/history/nonexistent/" + "b" * 26: ("#no-such-doorbell", "None of your doorbells has this"),
    "#/history/{device}/" + "b" * 26: ("#no-such-clip", "has announced no such recording"),
}


async def test_an_unknown_address_or_recording_says_so(tmp_path: Path) -> None:
    # Seen to fail: the app showed its start, and "Nothing has been recorded yet".
    async with recorded(tmp_path, SignedShelf()) as (at, _):
        for fragment, (selector, words) in UNKNOWN.items():
            await at.page.goto(f"{OWNER_ORIGIN}/{fragment.format(device=at.device)}")
            await at.page.reload()
            await expect(at.page.locator(selector)).to_contain_text(words)
            assert await at.page.locator(".day").count() == 0
