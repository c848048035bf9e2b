"""A speaker that is a file: the doorbell's own sound path, heard in its WAV."""

import asyncio
import random
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest

from firmware.config.settings import SoundConfig
from firmware.sound.errors import NoAudioDevice
from firmware.sound.file_device import SPEAKER_FILE, FileDevices
from firmware.sound.frames import SAMPLE_RATE
from firmware.sound.sound_system import SoundWiring
from firmware.sound.sounds import NOTES_HZ, Sound
from firmware.system.clock import SystemClock
from tests.fakes.sound import tone
from tests.fakes.waiting import eventually

Make = Callable[..., SoundWiring]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[SoundWiring] = []
    tasks: list[asyncio.Task[None]] = []

    def make(**settings: bool) -> SoundWiring:
        wiring = SoundWiring(
            SoundConfig(card="file", **settings),
            tmp_path,
            clock=SystemClock(),
            source=random.Random(1),
        )
        made.append(wiring)
        tasks.append(asyncio.create_task(wiring.run()))
        return wiring

    yield make
    for wiring in made:
        await wiring.aclose()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def heard(folder: Path) -> np.ndarray:
    """Return the samples of what was played."""
    with wave.open(str(folder / SPEAKER_FILE), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert file.getframerate() == SAMPLE_RATE
        return np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(float)


def strength_at(samples: np.ndarray, frequency_hz: int) -> float:
    """Return how strong a frequency is, as a multiple of the median."""
    spectrum = np.abs(np.fft.rfft(samples)) / max(1, len(samples))
    at = round(frequency_hz * len(samples) / SAMPLE_RATE)
    return float(spectrum[at - 3 : at + 4].max() / np.median(spectrum))


def holds_hz(samples: np.ndarray, frequency_hz: int) -> bool:
    return strength_at(samples, frequency_hz) > 20


async def test_a_press_chimes_into_the_file_if_the_settings_say_so(
    make: Make, tmp_path: Path
) -> None:
    make().chime()
    await asyncio.sleep(0.2)
    assert not (tmp_path / SPEAKER_FILE).exists()
    sounding = make(has_chime=True)
    sounding.chime()
    sounding.chime()  # rung twice at once: one chime
    await eventually(lambda: sounding._chiming is None)
    samples = heard(tmp_path)
    assert all(holds_hz(samples, note) for note in NOTES_HZ)
    assert (tmp_path / SPEAKER_FILE).stat().st_mode & 0o777 == 0o600


async def test_a_quick_reply_is_heard_in_the_file(make: Make, tmp_path: Path) -> None:
    replies = make().replies
    wav = Sound(samples=tone(440, SAMPLE_RATE // 2)).wav()
    reply = await replies.add_recording("Coming", wav)
    await replies.play(reply.id)
    samples = heard(tmp_path)
    # A block that came late, on a busy machine, clicks: all frequencies are in that, and weak.
    assert strength_at(samples, 440) > 20 * strength_at(samples, 700)


async def test_a_file_hears_nobody(make: Make, tmp_path: Path) -> None:
    assert make().microphone.state == "none"
    with pytest.raises(NoAudioDevice, match='set it to "system"'):
        FileDevices(tmp_path, SystemClock()).open_microphone("", lambda _block, _ns: None)


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoAudioDevice, match=r"gone/speaker\.wav can't be written"):
        FileDevices(tmp_path / "gone", SystemClock()).open_speaker("", lambda n, _ns: bytes(2 * n))
