"""A clip with sound in Chromium: it plays, and flash and beep come together there as well."""

import base64
from pathlib import Path

import pytest

from tests.firmware.test_flash_and_beep import record_flashes_into
from tests.flows.browser import chromium, window

pytestmark = pytest.mark.browser

PLAY = """async (encoded) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const video = document.createElement("video");
  video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
  document.body.append(video);
  await video.play();
  const begun = performance.now();
  const isPlayed = () =>
    video.currentTime > 0.8 && video.getVideoPlaybackQuality().totalVideoFrames > 10;
  while (!isPlayed() && performance.now() - begun < 60000)
    await new Promise((done) => setTimeout(done, 50));
  return {
    at_s: video.currentTime,
    error: video.error?.message ?? null,
    sound_bytes: video.webkitAudioDecodedByteCount,
    picture_count: video.getVideoPlaybackQuality().totalVideoFrames,
    type: video.canPlayType('video/mp4; codecs="avc1.42E01F, mp4a.40.2"'),
  };
}"""

LISTEN = """async (encoded) => {
  const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
  const context = new OfflineAudioContext(1, 48000, 48000);
  const sound = await context.decodeAudioData(bytes.buffer);
  const samples = sound.getChannelData(0);
  const begins = [];
  let quietSince = -48000;
  for (let at = 0; at < samples.length; at += 1) {
    if (Math.abs(samples[at]) <= 0.1) continue;
    if (at - quietSince > 24000) begins.push(at / 48000);
    quietSince = at;
  }
  return begins;
}"""


async def test_chromium_plays_a_clip_with_its_sound_and_hears_each_beep_with_its_flash(
    tmp_path: Path,
) -> None:
    mp4, flashes_s = await record_flashes_into(tmp_path, 8)
    encoded = base64.b64encode(mp4).decode()
    async with chromium("--autoplay-policy=no-user-gesture-required") as browser:
        page = await window(browser)
        played = await page.evaluate(PLAY, encoded)
        begins_s = await page.evaluate(LISTEN, encoded)
    print(played, flashes_s, begins_s)
    assert played["error"] is None
    assert played["type"] == "probably"
    assert played["at_s"] > 0.8
    assert played["sound_bytes"] > 1000
    assert played["picture_count"] > 10
    assert len(begins_s) == len(flashes_s) >= 4
    for begin_s, flash_s in zip(begins_s, flashes_s, strict=True):
        assert begin_s == pytest.approx(flash_s, abs=0.08)
