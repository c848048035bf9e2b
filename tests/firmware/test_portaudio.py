"""firmware.sound.portaudio on a real sound server (PulseAudio's null sinks), by PortAudio."""

import asyncio
import random
import sys
from array import array
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from firmware.config.settings import SoundConfig
from firmware.sound.errors import NoAudioDevice, SoundMissing
from firmware.sound.frames import FRAME_90K, FRAME_SAMPLES, SAMPLE_RATE
from firmware.sound.portaudio import PortAudioDevices
from firmware.sound.sound_system import SoundWiring
from firmware.system.clock import SystemClock
from tests.fakes.sound import tone
from tests.fakes.waiting import PATIENCE_S, eventually
from tests.rigs.pulse import MISSING, SoundServer, sound_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch):
    if MISSING:
        pytest.skip(f"missing: {MISSING}")
    with sound_server() as running:
        for key, value in running.env.items():
            monkeypatch.setenv(key, value)
        yield running


@pytest.fixture
async def sounding(server: SoundServer, tmp_path: Path):
    settings = SoundConfig(
        card="system",
        microphone="pulse",
        speaker="pulse",
        is_microphone_on=True,
        echo="none",  # or it takes out what the tests listen for
    )
    made = SoundWiring(
        settings,
        tmp_path,
        clock=SystemClock(),
        source=random.Random(1),
    )
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await made.aclose()


def peak_hz(samples: bytes) -> float:
    values = np.frombuffer(samples, np.int16).astype(float)
    spectrum = np.abs(np.fft.rfft(values * np.hanning(len(values))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(values))


async def test_the_microphone_hears_the_street(server: SoundServer, sounding: SoundWiring) -> None:
    server.play(tone(440, SAMPLE_RATE * 4))
    frames = sounding.microphone.subscribe("test", max_frames=500)
    heard = [await asyncio.wait_for(anext(frames), PATIENCE_S) for _ in range(100)]
    # Another sample rate would be 35 Hz off; sound that a busy machine loses, a few.
    assert peak_hz(b"".join(frame.samples for frame in heard[50:])) == pytest.approx(440, abs=10)
    pts = [frame.pts_90k for frame in heard]
    steps = [b - a for a, b in pairwise(pts)]
    assert min(steps) == FRAME_90K
    assert steps.count(FRAME_90K) > 0.9 * len(steps)  # a busy machine may lose some sound


async def test_its_device_is_open_only_while_it_is_on_and_somebody_listens(
    server: SoundServer, sounding: SoundWiring
) -> None:
    await asyncio.sleep(0.3)
    assert server.users_of("source-outputs") == 0
    frames = sounding.microphone.subscribe("test", max_frames=10)
    await eventually(lambda: server.users_of("source-outputs") == 1)
    await sounding.microphone.switch(False)
    await eventually(lambda: server.users_of("source-outputs") == 0)
    frames.close()


async def test_the_speaker_says_a_reply_and_is_then_given_back(
    server: SoundServer, sounding: SoundWiring
) -> None:
    with server.recording() as recording:
        await asyncio.sleep(0.3)
        assert server.users_of("sink-inputs") == 0
        await sounding.speaker.say(tone(880, SAMPLE_RATE))
        assert server.users_of("sink-inputs") == 1
    said = np.frombuffer(recording.samples, np.int16)
    loud = said[np.abs(said) > 300]
    assert len(loud) > SAMPLE_RATE * 0.8
    assert peak_hz(said[np.argmax(np.abs(said) > 300) :][:40_000].tobytes()) == pytest.approx(
        880, abs=5
    )


async def test_the_time_of_a_sound_is_right_to_some_milliseconds(
    server: SoundServer, sounding: SoundWiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The speaker's own sink is the microphone: when is a click heard that was said then?"""
    monkeypatch.setenv("PULSE_SOURCE", "speaker.monitor")
    frames = sounding.microphone.subscribe("test", max_frames=500)
    await asyncio.wait_for(anext(frames), PATIENCE_S)
    click = bytes(FRAME_SAMPLES * 2 * 10) + tone(1000, FRAME_SAMPLES, level=0.9)
    await sounding.speaker.say(bytes(SAMPLE_RATE * 2 * 4))  # the sound server finds its times
    late: list[int] = []
    for _ in range(4):  # a sound card that a busy machine leaves without samples begins anew
        saying = asyncio.create_task(sounding.speaker.say(click + bytes(SAMPLE_RATE)))
        heard_at = None
        async with asyncio.timeout(PATIENCE_S):
            async for frame in frames:
                loud = loud_places(frame.samples)
                if loud:
                    heard_at = frame.pts_90k * 8 // 15 + loud[0]
                    break
        await saying
        assert heard_at is not None
        said = loud_places(sounding.played.take(heard_at - 12_000, 24_000))
        late += [12_000 - place for place in said[:1]]
        if late and abs(late[-1]) < 48 * 30:
            break
    assert late
    print(f"heard {late[-1] / 48:.1f} ms after it was said")
    assert min(map(abs, late)) < 48 * 30


def loud_places(samples: bytes) -> list[int]:
    return [n for n, value in enumerate(array("h", samples)) if value > 10_000]


async def test_a_card_that_comes_back_is_used_again(
    server: SoundServer, sounding: SoundWiring
) -> None:
    frames = sounding.microphone.subscribe("test", max_frames=2000)
    first = await asyncio.wait_for(anext(frames), PATIENCE_S)
    server.stop()
    await eventually(lambda: sounding.microphone.state == "none")
    assert sounding.microphone.trouble
    server.start()
    await eventually(lambda: sounding.microphone.state == "on")
    server.play(tone(440, SAMPLE_RATE * 4))
    async with asyncio.timeout(PATIENCE_S):
        async for frame in frames:
            if any(frame.samples) and frame.pts_90k > first.pts_90k + 90_000:
                break


async def test_a_device_that_is_not_there_is_told_with_those_that_are(server: SoundServer) -> None:
    card = PortAudioDevices(SystemClock())
    with pytest.raises(NoAudioDevice, match=r'sound\.microphone = "Elgato".*pulse'):
        card.open_microphone("Elgato", lambda _samples, _at_ns: None)
    with pytest.raises(NoAudioDevice, match=r'sound\.speaker = "Elgato".*pulse'):
        card.open_speaker("Elgato", lambda count, _at_ns: bytes(count * 2))


async def test_without_its_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    card = PortAudioDevices(SystemClock())
    with pytest.raises(SoundMissing, match=r"pip install 'doorward\[firmware,sound\]'"):
        card.open_speaker("", lambda count, _at_ns: bytes(count * 2))
