"""Whole sounds in memory: recordings and spoken texts, as WAV in and out.

WAV (RIFF, PCM, 16 bits, mono) of any usual rate is taken; what is kept is 48 kHz. The parser is
Python's own; its errors, and everything that isn't plainly right, become ReplyRefused.
"""

import io
import struct
import wave
from array import array
from dataclasses import dataclass

from firmware.sound.errors import ReplyRefused
from firmware.sound.frames import SAMPLE_RATE

MAX_SOUND_S = 5.0
MAX_WAV_BYTES = 1_000_000
MIN_RATE = 8_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """s16le, mono, 48 kHz."""

    samples: bytes

    @property
    def duration_s(self) -> float:
        """How long it takes to say."""
        return len(self.samples) / 2 / SAMPLE_RATE

    def wav(self) -> bytes:
        """Return it as a WAV file."""
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(self.samples)
        return out.getvalue()


def parse_wav(data: bytes, *, max_s: float = MAX_SOUND_S) -> Sound:
    """Return what a WAV file holds; ReplyRefused says what is wrong with it."""
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
    if not samples:
        raise ReplyRefused("the recording is empty")
    if len(samples) / 2 / rate > max_s:
        raise ReplyRefused(f"a recording may be {max_s:g} s long, not more")
    return Sound(samples=_at_48_khz(samples, rate))


def _at_48_khz(samples: bytes, rate: int) -> bytes:
    """Resample by straight lines: for a voice through a doorbell's speaker that will do."""
    if rate == SAMPLE_RATE:
        return samples
    values = array("h", samples)
    count = len(values) * SAMPLE_RATE // rate
    last = len(values) - 1
    out = array("h", bytes(count * 2))
    for index in range(count):
        whole, part = divmod(index * rate, SAMPLE_RATE)
        before, after = values[whole], values[min(whole + 1, last)]
        out[index] = before + (after - before) * part // SAMPLE_RATE
    return out.tobytes()
