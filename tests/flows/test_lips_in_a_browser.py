"""Live view with sound in Chromium: a flash and a beep of one instant come together.

The picture comes to live view 60 ms after its instant, and the sound 90 ms, as from a camera with
an encoder and a sound card with its buffer. When each is shown and heard is the browser's word.
"""

import asyncio
import math
import random
import time
from contextlib import suppress
from statistics import median

import pytest
from playwright.async_api import Page

from firmware.capture.camera_output import AccessUnit, pts_90k_of
from firmware.capture.unit_hub import UnitHub
from firmware.live.peer import Peer
from firmware.live.sdp_offer import parse_offer
from firmware.live.stream_source import StreamSource
from firmware.sound.frames import SoundFrame
from firmware.sound.opus import OpusFeed
from firmware.system.clock import SystemClock
from tests.fakes.heard import FlashDoor, HandFeed
from tests.fakes.peers import SilentViewer, UnwatchedVisit
from tests.fakes.sink import PictureList
from tests.flows.browser import chromium, window

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LIVE_OFFSET_MS = 100
PICTURE_LATE_S = 0.06
SOUND_LATE_S = 0.09
SECONDS = 20
TRIES = 3
SETTLED_MS = 10_000
"""A browser brings two streams together little by little."""
PAGE = """<!doctype html><video id="door" autoplay playsinline></video><script>
const door = document.getElementById("door");
window.flashes = [];
window.beeps = [];
async function offer() {
  window.peer = new RTCPeerConnection();
  peer.addTransceiver("video", {direction: "recvonly"});
  peer.addTransceiver("audio", {direction: "recvonly"});
  peer.ontrack = ({streams, track}) => {
    door.srcObject = streams[0];
    if (track.kind === "audio") listen(streams[0]);
    else look();
  };
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise(done => {
    if (peer.iceGatheringState === "complete") done();
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
  });
  return peer.localDescription.sdp;
}
async function answer(sdp) { await peer.setRemoteDescription({type: "answer", sdp}); }
function began(list, at, isOn) {
  if (isOn && !list.on) list.push(at);
  list.on = isOn;
}
function look() {
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const seen = (now, facts) => {
    pixel.drawImage(door, 0, 0, 1, 1);
    began(flashes, facts.expectedDisplayTime, pixel.getImageData(0, 0, 1, 1).data[0] > 128);
    door.requestVideoFrameCallback(seen);
  };
  door.requestVideoFrameCallback(seen);
}
function listen(stream) {
  const context = new AudioContext({sampleRate: 48000});
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(stream).connect(analyser);
  const wave = new Float32Array(512);
  setInterval(() => {
    analyser.getFloatTimeDomainData(wave);
    const first = wave.findIndex(v => Math.abs(v) > 0.1);
    began(beeps, performance.now() - (512 - Math.max(first, 0)) / 48, first >= 0);
  }, 4);
}
</script>"""


class Rehearsal:
    """Plays a `FlashDoor` in real time, each side as late as it really would be."""

    def __init__(self) -> None:
        self.hub = UnitHub(PictureList(), asyncio.get_running_loop())
        self.sound = HandFeed()
        self._units: list[AccessUnit] = []
        self._frames: list[SoundFrame] = []

    async def run(self) -> None:
        began_s = time.monotonic()
        door = FlashDoor(pts_90k_of(time.monotonic_ns()))
        filmed_s = 0.0
        while True:
            now_s = time.monotonic()
            if now_s - began_s > filmed_s:
                self._units += door.film(0.1)
                self._frames += door.listen(0.1)
                filmed_s += 0.1
            now_90k = pts_90k_of(time.monotonic_ns())
            while self._units and self._units[0].pts_90k + PICTURE_LATE_S * 90_000 <= now_90k:
                self.hub.put(self._units.pop(0))
            while self._frames and self._frames[0].pts_90k + SOUND_LATE_S * 90_000 <= now_90k:
                self.sound.put([self._frames.pop(0)])
            await asyncio.sleep(0.004)


async def watch(page: Page, rehearsal: Rehearsal) -> Peer:
    clock = SystemClock()
    peer = Peer(
        (),
        StreamSource("main", rehearsal.hub),
        UnwatchedVisit(),
        sound=SilentViewer(OpusFeed(rehearsal.sound, clock=clock)),
        clock=clock,
        random_source=random.Random(1),
    )
    sdp = await page.evaluate("offer()")
    await page.evaluate("sdp => answer(sdp)", await peer.answer(parse_offer(sdp)))
    peer.listen(True)
    return peer


async def play() -> list[float]:
    """Return by how much each beep came after its flash, in ms, once the browser has settled."""
    rehearsal = Rehearsal()
    running = asyncio.create_task(rehearsal.run())
    async with chromium("--autoplay-policy=no-user-gesture-required") as browser:
        page = await window(browser)
        await page.set_content(PAGE)
        peer = await watch(page, rehearsal)
        await asyncio.sleep(SECONDS)
        flashes = await page.evaluate("[...flashes]")
        beeps = await page.evaluate("[...beeps]")
        now = await page.evaluate("performance.now()")
        await peer.close()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    settled = [at for at in flashes if at > now - SECONDS * 1000 + SETTLED_MS]
    offsets = [min((beep - at for beep in beeps), key=abs) for at in settled if beeps]
    print(f"beep after flash, ms: {[round(offset) for offset in offsets]}; beeps {len(beeps)}")
    return offsets


async def test_a_flash_and_its_beep_come_together() -> None:
    """The best of three tries: a busy machine may hold one of the two up, but not always."""
    tries: list[float] = []
    while len(tries) < TRIES and not (tries and tries[-1] <= LIVE_OFFSET_MS):
        offsets = await play()
        tries.append(abs(median(offsets)) if len(offsets) >= 3 else math.inf)
    assert tries[-1] <= LIVE_OFFSET_MS, tries
