"""A camera on its side, in Chromium: clips and live view are shown upright."""

import asyncio
import base64
import random
from contextlib import suppress

import pytest
from playwright.async_api import Page

from firmware.capture.camera_output import pts_90k_of
from firmware.capture.unit_hub import UnitHub
from firmware.clips.mp4 import plain_mp4
from firmware.live.peer import Peer
from firmware.live.sdp_offer import parse_offer
from firmware.live.stream_source import StreamSource
from firmware.protocol.media.rotation import ROTATIONS, Rotation
from firmware.system.clock import SystemClock
from tests.fakes.footage import clip_units
from tests.fakes.marked_film import HEIGHT, SHOWN_CORNER, WIDTH, MarkedCamera, shown_size
from tests.fakes.peers import UnwatchedVisit
from tests.fakes.sink import PictureList
from tests.flows.browser import chromium, window

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><video id="door" autoplay playsinline muted></video><script>
const door = document.getElementById("door");
async function play(encoded) {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  door.srcObject = null;
  door.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  return look();
}
async function offer() {
  window.peer = new RTCPeerConnection();
  peer.addTransceiver("video", { direction: "recvonly" });
  peer.ontrack = ({ streams }) => { door.srcObject = streams[0]; };
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise((done) => {
    if (peer.iceGatheringState === "complete") done();
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
  });
  return peer.localDescription.sdp;
}
async function answer(sdp) { await peer.setRemoteDescription({ type: "answer", sdp }); }
async function look() {
  for (let number = 0; number < 2; number += 1) { // the first may not be drawn yet
    await new Promise((done) => door.requestVideoFrameCallback(done));
  }
  const [width, height] = [door.videoWidth, door.videoHeight];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(door, 0, 0);
  const corners = [[0, 0], [0, -1], [-1, -1], [-1, 0]].filter(([row, column]) => {
    const [x, y] = [column ? width - 4 : 4, row ? height - 4 : 4];
    return context.getImageData(x, y, 1, 1).data[0] > 150;
  });
  return { width, height, corners };
}
</script>"""


def upright(rotation: Rotation) -> dict[str, object]:
    width, height = shown_size(rotation)
    return {"width": width, "height": height, "corners": [list(SHOWN_CORNER[rotation])]}


async def watched(page: Page, rotation: Rotation) -> object:
    """Return what a browser shows of a live view that is turned by so much."""
    hub, camera = UnitHub(PictureList(), asyncio.get_running_loop()), MarkedCamera(fps=15)

    async def film() -> None:
        while True:
            hub.put(camera.unit(pts_90k_of(clock.monotonic_ns())))
            await asyncio.sleep(1 / 15)

    clock = SystemClock()
    source = StreamSource("main", hub, rotation=rotation)
    peer = Peer(
        (), source, UnwatchedVisit(), sound=None, clock=clock, random_source=random.Random(1)
    )
    filming = asyncio.create_task(film())
    sdp = await page.evaluate("offer()")
    answered = await peer.answer(parse_offer(sdp))
    await page.evaluate("sdp => answer(sdp)", answered)
    assert "urn:3gpp:video-orientation" in answered
    seen = await page.evaluate("look()")
    filming.cancel()
    with suppress(asyncio.CancelledError):
        await filming
    await peer.close()
    return seen


async def test_chromium_shows_a_clip_and_live_view_upright() -> None:
    units = clip_units(MarkedCamera().film(20))
    async with chromium("--autoplay-policy=no-user-gesture-required") as browser:
        page = await window(browser)
        await page.set_content(PAGE)
        for rotation in ROTATIONS:
            mp4 = plain_mp4(units, width=WIDTH, height=HEIGHT, rotation=rotation)
            shown = await page.evaluate("play", base64.b64encode(mp4).decode())
            assert shown == upright(rotation)
        for rotation in ROTATIONS:
            assert await watched(page, rotation) == upright(rotation)
