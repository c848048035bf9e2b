"""Talk between Chromium and a sound server: how fast, both ways, through the real adapters.

The browser's clicks are made where the test knows when (Web Audio), and are looked for in what
the doorbell's speaker said; a click in the street is looked for in what the browser plays. Both
sides share this machine's clock. Chromium's fake microphone beeps through the same road.
"""

import asyncio
import json
import random
import time
from array import array
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
from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE
from firmware.sound.sound_system import Sounding
from firmware.system.clock import SystemClock
from tests.fakes.peers import ListedVoice
from tests.fakes.sound import tone
from tests.fakes.waiting import eventually
from tests.flows.browser import chromium
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

    def __init__(self, page: Page, sounding: Sounding, server: SoundServer) -> None:
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
                read_voice(track, ListedVoice(partial(floor.hear, "a"), partial(floor.talks, "a")))
            )

        sdp = await self.page.evaluate(f"offer({json.dumps(is_fake_microphone)})")
        await self.peer.setRemoteDescription(
            RTCSessionDescription(sdp=without_names(sdp), type="offer")
        )
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        await self.page.evaluate("sdp => answer(sdp)", self.peer.localDescription.sdp)
        await eventually(lambda: self.peer.connectionState == "connected", within_s=10)

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
        sounding = Sounding(
            settings,
            tmp_path,
            clock=SystemClock(),
            source=random.Random(1),
        )
        running = asyncio.create_task(sounding.run())
        async with chromium(*FLAGS) as browser:
            page = await browser.new_page()
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


async def said_at(sounding: Sounding, after_s: float) -> float:
    """Return when the doorbell's speaker said something loud."""
    index = int((after_s - time.time() + time.monotonic()) * SAMPLE_RATE)
    for _ in range(200):
        said = array("h", sounding.played.take(index, SAMPLE_RATE // 2))
        loud = next((n for n, value in enumerate(said) if abs(value) > 3_000), None)
        if loud is not None:
            return wall_of_sample(index + loud)
        await asyncio.sleep(0.01)
    raise AssertionError("the click was never said at the door")


async def test_a_voice_is_heard_at_the_door_within_half_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path, monkeypatch, is_fake_microphone=False) as call:
        call.sounding.floor.ask("a", name="Anna", is_open_line=True)
        await asyncio.sleep(3)
        late_s = []
        for _ in range(5):
            at_s = await call.page.evaluate("click()") / 1000
            late_s.append(await said_at(call.sounding, at_s) - at_s)
            await asyncio.sleep(0.7)
        print(f"browser to door: median {median(late_s) * 1000:.0f} ms, {late_s}")
        assert median(late_s) < END_TO_END_S


async def test_the_street_is_heard_in_the_browser_within_half_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path, monkeypatch, is_fake_microphone=False) as call:
        frames = call.sounding.microphone.subscribe("test", max_frames=1000)
        call.track.listen(True)
        await asyncio.sleep(3)
        pause = bytes(SAMPLE_RATE * 2)
        call.server.play((pause + tone(1000, FRAME_SAMPLES * 4, level=0.8)) * 5 + pause)
        clicks_s: list[float] = []
        async with asyncio.timeout(15):
            async for frame in frames:
                loud = [n for n, v in enumerate(array("h", frame.samples)) if abs(v) > 6_000]
                at_s = wall_of_sample(frame.pts_90k * 8 // 15 + (loud[0] if loud else 0))
                if loud and (not clicks_s or at_s - clicks_s[-1] > 0.5):
                    clicks_s.append(at_s)
                if len(clicks_s) == 5:
                    break
        await asyncio.sleep(0.7)
        heard_s = [ms / 1000 for ms in await call.page.evaluate("heard")]
        late_s = [min(h for h in heard_s if h > at_s - 0.05) - at_s for at_s in clicks_s]
        print(f"street to browser: median {median(late_s) * 1000:.0f} ms, {late_s}")
        assert median(late_s) < END_TO_END_S


async def test_the_browsers_microphone_is_heard_while_its_viewer_talks_and_not_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with calling(tmp_path, monkeypatch, is_fake_microphone=True) as call:
        floor = call.sounding.floor
        with call.server.recording() as silent:
            await asyncio.sleep(2)
        floor.ask("a", name="Anna", is_open_line=False)
        with call.server.recording() as talk:
            await asyncio.sleep(4)
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
