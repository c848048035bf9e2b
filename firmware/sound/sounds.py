"""Whole sounds in memory: recordings and spoken texts, as WAV in and out.

WAV (RIFF, PCM, 16 bits, mono) of any usual rate is taken; what is kept is 48 kHz, resampled by
FFmpeg. The parser is Python's own; its errors, and everything that isn't plainly right, become
ReplyRefused.
"""

import io
import math
import struct
import wave
from array import array
from dataclasses import dataclass

from av import AudioFrame, AudioResampler

from firmware.sound.errors import ReplyRefused
from firmware.sound.frames import SAMPLE_RATE

MAX_SOUND_S = 5.0
MAX_WAV_BYTES = 1_000_000
MIN_RATE = 8_000
NOTES_HZ = (523, 659, 784)
"""C, E, G: within what a small speaker can play."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A sound in memory: s16le, mono, 48 kHz."""

    samples: bytes

    def wav(self) -> bytes:
        """Return it as a WAV file."""
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(self.samples)
        return out.getvalue()


def rising_notes() -> Sound:
    """Return three rising notes of 0.3 s, at half of full scale, that fade in and out."""
    fade = SAMPLE_RATE // 100
    count = SAMPLE_RATE * 3 // 10
    samples = array("h")
    for frequency_hz in NOTES_HZ:
        turn = 2 * math.pi * frequency_hz / SAMPLE_RATE
        samples.extend(
            round(16_000 * min(1.0, n / fade, (count - n) / fade) * math.sin(turn * n))
            for n in range(count)
        )
    return Sound(samples=samples.tobytes())


def parse_wav(data: bytes, *, max_s: float = MAX_SOUND_S) -> Sound:
    """Return a WAV file's sound; ReplyRefused if the file is invalid."""
    try:
        with wave.open(io.BytesIO(data), "rb") as file:
            rate, channels, width = file.getframerate(), file.getnchannels(), file.getsampwidth()
            samples = file.readframes(int(max_s * SAMPLE_RATE) + 1)
    except (wave.Error, EOFError, ValueError, RuntimeError, struct.error) as error:
        raise ReplyRefused("not a WAV file; record it as WAV, 16 bits, mono") from error
    if channels != 1 or width != 2 or not MIN_RATE <= rate <= SAMPLE_RATE:
        raise ReplyRefused(
            f"{channels} channels of {8 * width} bits at {rate} Hz: it must be mono, 16 bits and "
            f"{MIN_RATE} to {SAMPLE_RATE} Hz"
        )
    samples = samples[: len(samples) // 2 * 2]
    if len(samples) / 2 / rate > max_s:
        raise ReplyRefused(f"a recording may be {max_s:g} s long, not more")
    kept = _at_48_khz(samples, rate) if samples else b""
    if not kept:
        raise ReplyRefused("the recording is empty")
    return Sound(samples=kept)


def _at_48_khz(samples: bytes, rate: int) -> bytes:
    if rate == SAMPLE_RATE:
        return samples
    frame = AudioFrame(format="s16", layout="mono", samples=len(samples) // 2)
    frame.planes[0].update(samples)
    frame.sample_rate = rate
    resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    made = [*resampler.resample(frame), *resampler.resample(None)]
    return b"".join(bytes(one.planes[0])[: 2 * one.samples] for one in made)
