"""A microphone that a test speaks into, and a door where flash and beep come at one instant."""

import asyncio
import random
from collections.abc import Iterator, Sequence

import numpy as np

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit
from firmware.capture.i420 import Planes
from firmware.capture.x264 import Encoder
from firmware.sound.frames import FRAME_90K, FRAME_SAMPLES, SAMPLE_RATE, SoundFrame
from firmware.sound.sample_clock import SampleClock
from firmware.sound.sound_hub import SoundHub

TONE_HZ = 1000
LOUD = 0.1
"""A part of full scale: what counts as the beep's begin."""


class HandFeed:
    """Implements `firmware.sound.frames.SoundFeed`, and `firmware.live.voice.DoorMicrophone`."""

    def __init__(self) -> None:
        self._hub = SoundHub(asyncio.get_running_loop())
        self.is_on = True

    @property
    def state(self) -> str:
        return "on" if self.is_on else "off"

    async def switch(self, is_on: bool) -> None:
        self.is_on = is_on

    @property
    def has_readers(self) -> bool:
        return self._hub.has_readers

    def subscribe(self, name: str, *, max_frames: int):
        return self._hub.subscribe(name, max_frames=max_frames)

    def put(self, frames: Sequence[SoundFrame]) -> None:
        for frame in frames:
            self._hub.put(frame)


def tone(first_pts_90k: int, seconds: float, *, volume: float = 0.5) -> list[SoundFrame]:
    """Frames of a tone whose phase is that of the clock, so that frames of any calls fit."""
    count = round(seconds * SAMPLE_RATE / FRAME_SAMPLES)
    return [_tone_frame(first_pts_90k + n * FRAME_90K, volume) for n in range(count)]


def _tone_frame(pts_90k: int, volume: float) -> SoundFrame:
    at = pts_90k * 8 // 15 + np.arange(FRAME_SAMPLES)
    wave = np.sin(2 * np.pi * TONE_HZ * (at % SAMPLE_RATE) / SAMPLE_RATE)
    return SoundFrame(pts_90k=pts_90k, samples=(wave * volume * 32767).astype("<i2").tobytes())


class FlashDoor:
    """A camera and a sound card before which, every so often, a light flashes and a beep sounds.

    Both begin at the very moment of a picture. The card's crystal is off by `drift_ppm`, and what
    it says of a block's time is noisy, as real ones are; `SampleClock` has to cope with it.
    """

    WIDTH, HEIGHT, FPS = 96, 64, 30
    BLOCK_SAMPLES = 480
    LASTS_S = 0.1

    def __init__(self, begin_90k: int, *, drift_ppm: float = 0.0, every_s: float = 2.0) -> None:
        self._begin_90k = begin_90k
        self._every_90k = round(every_s * TICKS_PER_S)
        self._rate = SAMPLE_RATE * (1 + drift_ppm / 1e6)
        self._encoder = Encoder(self.WIDTH, self.HEIGHT, self.FPS, 300_000)
        self._dice = random.Random(3)
        self._clock = SampleClock()
        self._pictures = 0
        self._blocks = 0
        self._listened_s = 0.0
        self._frames = self._framed()
        next(self._frames)

    def film(self, seconds: float) -> list[AccessUnit]:
        units = []
        for _ in range(round(seconds * self.FPS)):
            pts_90k = self._begin_90k + self._pictures * TICKS_PER_S // self.FPS
            level = 235 if self._is_flash(pts_90k) else 40
            array = np.full((self.HEIGHT * 3 // 2, self.WIDTH), level, np.uint8)
            array[self.HEIGHT :] = 128
            units += self._encoder.encode(Planes(array, self.WIDTH, self.HEIGHT), pts_90k)
            self._pictures += 1
        return units

    def listen(self, seconds: float) -> list[SoundFrame]:
        frames: list[SoundFrame] = []
        self._listened_s += seconds
        while (self._blocks + 1) * self.BLOCK_SAMPLES / self._rate <= self._listened_s:
            frames += self._frames.send(self._block())
        return frames

    def _is_flash(self, pts_90k: float) -> bool:
        since_90k = (pts_90k - self._begin_90k) % self._every_90k
        return since_90k < self.LASTS_S * TICKS_PER_S

    def _block(self) -> tuple[bytes, int]:
        first = self._blocks * self.BLOCK_SAMPLES
        seconds = (first + np.arange(self.BLOCK_SAMPLES)) / self._rate
        is_on = (seconds * TICKS_PER_S) % self._every_90k < self.LASTS_S * TICKS_PER_S
        wave = np.cos(2 * np.pi * TONE_HZ * seconds) * is_on
        at_ns = self._begin_90k * 100_000 // 9 + round(first / self._rate * 1e9)
        self._blocks += 1
        noise_ns = round(abs(self._dice.gauss(0, 1.5e6)))  # late, never early
        return (wave * 16000).astype("<i2").tobytes(), at_ns + noise_ns

    def _framed(self) -> Iterator[list[SoundFrame]]:
        kept, ready = b"", []
        while True:
            samples, at_ns = yield ready
            ready = []
            placed = self._clock.place(samples, at_ns)
            if placed is None:
                continue
            begin = placed.index - len(kept) // 2
            kept += placed.samples
            while len(kept) >= 2 * FRAME_SAMPLES:
                ready.append(SoundFrame(pts_90k=begin * 15 // 8, samples=kept[: 2 * FRAME_SAMPLES]))
                kept, begin = kept[2 * FRAME_SAMPLES :], begin + FRAME_SAMPLES
