"""A porch for echo cancellers: two spoken voices, a loudspeaker, a wall, and how well it goes.

`python -m tests.rigs.echo` prints the table of docs/decisions/0020-sound.md. The visitor speaks
English and the talker Swedish (espeak-ng); the echo is the talker's voice 45 ms later with a tail
of 180 ms; noise lies 45 dB below. All through `firmware.sound.echo.Echo`, lined up as on a
doorbell. One synthetic room without clock drift: a real porch is worse.
"""

import asyncio
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware.sound.echo import Echo, MakeCanceller, choose_canceller
from firmware.sound.echo_reference import EchoReference
from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE
from firmware.sound.sample_clock import Placed
from firmware.sound.speech import Speech

Signal = NDArray[np.float64]

VISITOR = (
    "Hello, I have a parcel for you and it needs a signature. Are you at home, or shall I leave it "
    "with one of your neighbours? The box is rather heavy, so please tell me quickly."
)
TALKER = (
    "Hej, jag kommer om en liten stund. Ställ gärna paketet innanför grinden så tar jag hand om "
    "det. Tack så mycket för att du kom ända hit i det här vädret, det var snällt."
)
AHEAD_S = 0.06
"""The card is given what it says this much before it is heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a microphone hears, and of what it is made; as long as each other."""

    visitor: Signal
    talker: Signal
    echo: Signal
    heard: Signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well a canceller did. `stoi_…` is of the visitor while both speak."""

    early_db: float
    settled_db: float
    stoi_in: float
    stoi_out: float
    stoi_alone: float
    mean_us: float


async def voices(seconds: float = 16.0) -> tuple[Signal, Signal]:
    """Return the visitor's and the talker's voice at the same level."""
    speech = Speech()
    visitor = await speech.speak(VISITOR[:170], "en")
    talker = await speech.speak(TALKER[:170], "sv")
    return _filled(visitor.samples, seconds), _filled(talker.samples, seconds)


def scene(visitor: Signal, talker: Signal, *, echo_db: float, is_clipped: bool = False) -> Scene:
    """Mix: the echo's level is `echo_db` over the visitor's."""
    source = np.random.default_rng(1)
    tail = np.arange(SAMPLE_RATE * 180 // 1000)
    room = source.standard_normal(len(tail)) * np.exp(-tail / (SAMPLE_RATE * 0.03)) * 0.1
    room[0] = 1.0
    path = np.concatenate([np.zeros(SAMPLE_RATE * 45 // 1000), room])
    said = np.clip(talker, -0.3, 0.3) if is_clipped else talker
    echo = _convolved(said, path)[: len(talker)]
    echo *= 10 ** (echo_db / 20) * _rms(visitor) / _rms(echo)
    noise = source.standard_normal(len(talker)) * _rms(visitor) * 10 ** (-45 / 20)
    return Scene(visitor=visitor, talker=talker, echo=echo, heard=visitor + echo + noise)


def through(make: MakeCanceller | None, talker: Signal, heard: Signal) -> tuple[Signal, float]:
    """Return what viewers get, and the mean time of a frame in µs."""
    played = EchoReference()
    echo = Echo(played, make)
    echo.prepare()
    far, near = _pcm(talker), _pcm(heard)
    ahead = int(AHEAD_S * SAMPLE_RATE)
    start = 10 * SAMPLE_RATE
    spent_s, out, given = 0.0, bytearray(), 0
    for at in range(0, len(heard) - FRAME_SAMPLES, FRAME_SAMPLES):
        while given < min(at + FRAME_SAMPLES + ahead, len(talker)):
            block = far[given * 2 : (given + FRAME_SAMPLES) * 2]
            played.put(Placed(index=start + given, samples=block), is_silent=not any(block))
            given += FRAME_SAMPLES
        began_s = time.perf_counter()
        out += echo.cancel(start + at, near[at * 2 : (at + FRAME_SAMPLES) * 2])
        spent_s += time.perf_counter() - began_s
    frames = len(out) // 2 // FRAME_SAMPLES
    return np.frombuffer(bytes(out), np.int16) / 32768, spent_s / frames * 1e6


def score(
    make: MakeCanceller | None,
    visitor: Signal,
    talker: Signal,
    *,
    echo_db: float,
    is_clipped: bool = False,
) -> Score:
    """Judge a canceller in one scene; a new one for each part."""
    both = scene(visitor, talker, echo_db=echo_db, is_clipped=is_clipped)
    far_only, _ = through(make, talker, both.heard - visitor)
    double, mean_us = through(make, talker, both.heard)
    alone, _ = through(make, talker * 0, visitor)
    n, two_s, skip = len(double), 2 * SAMPLE_RATE, 6 * SAMPLE_RATE
    unheard = both.heard - visitor
    return Score(
        early_db=_reduction_db(unheard[:two_s], far_only[:two_s]),
        settled_db=_reduction_db(unheard[skip:n], far_only[skip:n]),
        stoi_in=stoi(visitor[skip:n], both.heard[skip:n]),
        stoi_out=stoi(visitor[skip:n], double[skip:n]),
        stoi_alone=stoi(visitor[skip:n], alone[skip:n]),
        mean_us=mean_us,
    )


def stoi(clean: Signal, heard: Signal) -> float:
    """Short-time objective intelligibility, 0 to 1 (Taal et al., IEEE TASL 19(7), 2011).

    By the paper's frames, bands (15 third-octaves from 150 Hz) and clipping, at 48 kHz instead of
    10; the delay that a canceller adds is found and taken out.
    """
    heard = _aligned(clean, heard)
    size, hop, segment = 1229, 614, 30
    window = np.hanning(size)
    starts = range(0, len(clean) - size, hop)
    x = np.array([np.abs(np.fft.rfft(clean[at : at + size] * window)) for at in starts])
    y = np.array([np.abs(np.fft.rfft(heard[at : at + size] * window)) for at in starts])
    level = 20 * np.log10(np.linalg.norm(x, axis=1) + 1e-9)
    x, y = (part[level > level.max() - 40] for part in (x, y))
    centres = 150 * 2 ** (np.arange(15) / 3)
    hz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    bands = [(hz >= c * 2 ** (-1 / 6)) & (hz < c * 2 ** (1 / 6)) for c in centres]
    x = np.array([np.sqrt((x[:, band] ** 2).sum(axis=1)) for band in bands])
    y = np.array([np.sqrt((y[:, band] ** 2).sum(axis=1)) for band in bands])
    scores = []
    for at in range(x.shape[1] - segment):
        a, b = x[:, at : at + segment], y[:, at : at + segment]
        gain = np.linalg.norm(a, axis=1) / (np.linalg.norm(b, axis=1) + 1e-9)
        b = np.minimum(b * gain[:, None], a * (1 + 10 ** (15 / 20)))
        a = a - a.mean(axis=1, keepdims=True)
        b = b - b.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1) + 1e-9
        scores.append((a * b).sum(axis=1) / norm)
    return float(np.mean(scores))


def _aligned(clean: Signal, heard: Signal) -> Signal:
    size = 1 << (len(clean) * 2 - 1).bit_length()
    product = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(clean, size))
    reach = SAMPLE_RATE // 20
    lag = int(np.argmax(np.fft.irfft(product, size)[:reach]))
    return np.concatenate([heard[lag:], np.zeros(lag)])


def _filled(samples: bytes, seconds: float) -> Signal:
    voice = np.frombuffer(samples, np.int16) / 32768
    voice = voice[np.flatnonzero(np.abs(voice) > 0.01)[0] :]
    repeated = np.tile(voice, int(seconds * SAMPLE_RATE / len(voice)) + 1)
    return repeated[: int(seconds * SAMPLE_RATE)] * (0.06 / _rms(voice))


def _convolved(signal: Signal, path: Signal) -> Signal:
    size = 1 << (len(signal) + len(path)).bit_length()
    return np.fft.irfft(np.fft.rfft(signal, size) * np.fft.rfft(path, size), size)


def _pcm(signal: Signal) -> bytes:
    return (np.clip(signal, -1, 1) * 32767).astype(np.int16).tobytes()


def _rms(signal: Signal) -> float:
    return float(np.sqrt(np.mean(signal**2)))


def _reduction_db(before: Signal, after: Signal) -> float:
    return 20 * float(np.log10(_rms(before) / max(_rms(after), 1e-6)))


def main() -> None:
    """Print the table."""
    visitor, talker = asyncio.run(voices())
    print("canceller, scene: reduction dB 0-2 s / settled; STOI in -> out (alone); us a frame")
    for name in ("livekit", "speex"):
        make = choose_canceller(name)  # type: ignore[arg-type]
        for title, echo_db, is_clipped in (
            ("echo -10 dB", -10, False), ("echo = voice", 0, False),
            ("echo +10 dB, clipped", 10, True),
        ):  # fmt: skip
            got = score(
                make, visitor, talker,
                echo_db=echo_db, is_clipped=is_clipped,
            )  # fmt: skip
            print(
                f"{name:8} {title:21} {got.early_db:5.1f} / {got.settled_db:5.1f}  "
                f"{got.stoi_in:.2f} -> {got.stoi_out:.2f} ({got.stoi_alone:.2f})  {got.mean_us:.0f}"
            )


if __name__ == "__main__":
    main()
