"""Talk between Chromium and a sound server: how fast, both ways, through the real adapters.

The browser's clicks are made where the test knows when (Web Audio), and are looked for in what
the doorbell's speaker said; a click in the street is looked for in what the browser plays. Both
sides share this machine's clock. Chromium's fake microphone beeps through the same road. A busy
machine delays more than that road: what is too long there isn't counted.
"""

import asyncio
import json
import os
import random
import time
from array import array
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from playwright.async_api import Page

from firmware.config.settings import SoundConfig
from firmware.live.audio_tracks import MicrophoneTrack, read_voice
from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE, SoundStream
from firmware.sound.sound_system import SoundWiring
from firmware.system.clock import SystemClock
from tests.fakes.peers import ListedVoice
from tests.fakes.sound import tone
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.flows.browser import chromium, window
from tests.rigs.pulse import MISSING, SoundServer, sound_server

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"missing: {MISSING}"),
]

FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
END_TO_END_S = 0.5
CLICKS = 5
MEASURED_FOR_S = 30.0
"""On a busy machine; on an idle one the first five clicks count."""
BUSY_TRIES = 5
LATE_S = 0.05
"""A page's timer that is so late shows a machine that has no time for sound."""
PAGE = """<!doctype html><audio id="door" autoplay></audio><script>
const door = document.getElementById("door");
let context, clicks;
async function offer(isFake) {
  context = new AudioContext({sampleRate: 48000});
  clicks = context.createMediaStreamDestination();
  const hum = context.createOscillator();  // without it the context stands still
  const quiet = new GainNode(context, {gain: 0.001});
  hum.connect(quiet).connect(clicks);
  quiet.connect(context.destination);
  hum.start();
  const voice = isFake
    ? await navigator.mediaDevices.getUserMedia(
        {audio: {echoCancellation: false, noiseSuppression: false, autoGainControl: false}})
    : clicks.stream;
  window.peer = new RTCPeerConnection();
  peer.ontrack = ({streams}) => { door.srcObject = streams[0]; listen(streams[0]); };
  peer.addTrack(voice.getAudioTracks()[0], voice);
  await peer.setLocalDescription(await peer.createOffer());
  await new Promise(done => {
    if (peer.iceGatheringState === "complete") done();
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
  });
  return peer.localDescription.sdp;
}
async function answer(sdp) { await peer.setRemoteDescription({type: "answer", sdp}); }
async function click() {
  const tone = context.createOscillator();
  tone.frequency.value = 1000;
  tone.connect(clicks);
  const at = context.currentTime + 0.02;
  tone.start(at);
  tone.stop(at + 0.06);
  return Date.now() + 20;
}
window.heard = [];
window.longestGap = 0;
let lastTick = Date.now();
setInterval(() => {
  const now = Date.now();
  longestGap = Math.max(longestGap, now - lastTick);
  lastTick = now;
}, 5);
function listen(stream) {
  const analyser = context.createAnalyser();
  analyser.fftSize = 512;
  context.createMediaStreamSource(stream).connect(analyser);
  const wave = new Float32Array(512);
  setInterval(() => {
    analyser.getFloatTimeDomainData(wave);
    const now = Date.now();
    if (wave.some(v => Math.abs(v) > 0.1)) heard.push(now);
  }, 5);
}
</script>"""


def without_names(sdp: str) -> str:
    """Return the offer without `.local` candidates, which would be resolved before the answer."""
    lines = sdp.splitlines(keepends=True)
    return "".join(line for line in lines if "a=candidate:" not in line or ".local" not in line)


class Call:
    """A page and a doorbell's sound, connected."""

    def __init__(self, page: Page, sounding: SoundWiring, server: SoundServer) -> None:
        self.page, self.sounding, self.server = page, sounding, server
        self.peer = RTCPeerConnection()
        assert sounding.opus is not None
        self.track = MicrophoneTrack(sounding.opus)
        self.voice: asyncio.Task[None] | None = None

    async def connect(self, *, is_fake_microphone: bool) -> None:
        floor = self.sounding.floor
        transceiver = self.peer.addTransceiver(self.track, direction="sendrecv")
        assert transceiver is not None

        @self.peer.on("track")
        def on_track(track) -> None:
            self.voice = asyncio.create_task(
                read_voice(track, ListedVoice(partial(floor.play, "a"), partial(floor.talks, "a")))
            )

        sdp = await self.page.evaluate(f"offer({json.dumps(is_fake_microphone)})")
        await self.peer.setRemoteDescription(
            RTCSessionDescription(sdp=without_names(sdp), type="offer")
        )
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        await self.page.evaluate("sdp => answer(sdp)", self.peer.localDescription.sdp)
        await eventually(lambda: self.peer.connectionState == "connected")

    async def close(self) -> None:
        self.track.stop()
        await self.peer.close()
        if self.voice is not None:
            await self.voice


@asynccontextmanager
async def calling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_fake_microphone: bool):
    with sound_server() as server:
        for key, value in server.env.items():
            monkeypatch.setenv(key, value)
        settings = SoundConfig(
            card="system",
            microphone="pulse",
            speaker="pulse",
            is_microphone_on=True,
            echo="livekit",
        )
        sounding = SoundWiring(
            settings,
            tmp_path,
            clock=SystemClock(),
            source=random.Random(1),
        )
        running = asyncio.create_task(sounding.run())
        async with chromium(*FLAGS) as browser:
            page = await window(browser)
            await page.route(
                "http://localhost/",
                lambda route: route.fulfill(body=PAGE, content_type="text/html"),
            )
            await page.goto("http://localhost/")
            call = Call(page, sounding, server)
            await call.connect(is_fake_microphone=is_fake_microphone)
            yield call
            await call.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await sounding.aclose()


def wall_of_sample(index: int) -> float:
    """Return the wall time, in s, of a sample of the doorbell's line."""
    return index / SAMPLE_RATE + time.time() - time.monotonic()


async def said_at(sounding: SoundWiring, after_s: float) -> float:
    """Return when the doorbell's speaker said something loud; a second later if it never did."""
    index = int((after_s - time.time() + time.monotonic()) * SAMPLE_RATE)
    while time.time() < after_s + 1:
        said = np.frombuffer(sounding.played.take(index, SAMPLE_RATE), np.int16)
        loud = np.flatnonzero(np.abs(said.astype(int)) > 3_000)
        if len(loud):
            return wall_of_sample(index + int(loud[0]))
        await asyncio.sleep(0.01)
    return after_s + 1


Span = tuple[float, float]
"""Two wall times, in s."""


async def median_delay(call: Call, click: Callable[[], Awaitable[Span]]) -> float:
    """Return the median delay of five clicks, each from its begin to when it was heard.

    One that is too long on a busy machine is measured again, and in the end skipped.
    """
    end_s = time.monotonic() + MEASURED_FOR_S
    while True:
        spans = [await click() for _ in range(CLICKS)]
        delay_s = median(heard_s - at_s for at_s, heard_s in spans)
        print(f"median {delay_s * 1000:.0f} ms, {spans}")
        late_s = await call.page.evaluate("longestGap") / 1000
        is_busy = late_s > LATE_S or os.getloadavg()[0] > 2 * (os.cpu_count() or 1)
        if delay_s < END_TO_END_S or not is_busy:
            return delay_s
        if time.monotonic() > end_s:
            pytest.skip(f"the machine is too busy for sound: a timer was {late_s:.2f} s late")


async def test_a_voice_is_heard_at_the_door_within_half_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path, monkeypatch, is_fake_microphone=False) as call:
        call.sounding.floor.ask("a", name="Anna", is_open_line=True)
        await asyncio.sleep(3)

        async def click() -> Span:
            at_s = await call.page.evaluate("click()") / 1000
            heard_s = await said_at(call.sounding, at_s)
            await asyncio.sleep(0.7)
            return at_s, heard_s

        assert await median_delay(call, click) < END_TO_END_S


async def test_the_street_is_heard_in_the_browser_within_half_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path, monkeypatch, is_fake_microphone=False) as call:
        frames = call.sounding.microphone.subscribe("test", max_frames=1000)
        call.track.listen(True)
        await asyncio.sleep(3)
        pause = bytes(SAMPLE_RATE * 2)

        async def click() -> Span:
            played_s = time.time()
            call.server.play(tone(1000, FRAME_SAMPLES * 4, level=0.8) + pause)
            at_s = await taken_at(frames, played_s)
            await asyncio.sleep(1)
            heard_s = [ms / 1000 for ms in await call.page.evaluate("heard")]
            return at_s, min([h for h in heard_s if h > at_s - 0.05], default=at_s + 1)

        assert await median_delay(call, click) < END_TO_END_S


async def taken_at(frames: SoundStream, after_s: float) -> float:
    """Return when the doorbell's microphone took the first click after a moment."""
    async with asyncio.timeout(PATIENCE_S):
        async for frame in frames:
            loud = [n for n, v in enumerate(array("h", frame.samples)) if abs(v) > 6_000]
            at_s = wall_of_sample(frame.pts_90k * 8 // 15 + (loud[0] if loud else 0))
            if loud and at_s > after_s:
                return at_s
    raise AssertionError("the microphone gives nothing more")


async def test_the_browsers_microphone_is_heard_while_its_viewer_talks_and_not_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path, monkeypatch, is_fake_microphone=True) as call:
        floor = call.sounding.floor
        with call.server.recording() as silent:
            await asyncio.sleep(2)
        floor.ask("a", name="Anna", is_open_line=False)
        for _ in range(BUSY_TRIES):
            with call.server.recording() as talk:
                await asyncio.sleep(4)
            if beeps(talk.samples) >= 3:
                break
        floor.leave("a")
        await asyncio.sleep(0.5)
        with call.server.recording() as after:
            await asyncio.sleep(2)
        assert beeps(silent.samples) == 0
        assert beeps(talk.samples) >= 3  # one a second
        assert beeps(after.samples) == 0


def beeps(samples: bytes) -> int:
    values = np.abs(np.frombuffer(samples, np.int16).astype(int))
    loud = np.flatnonzero(values > 1_000)
    return int(np.sum(np.diff(loud) > SAMPLE_RATE * 0.2)) + 1 if len(loud) else 0
