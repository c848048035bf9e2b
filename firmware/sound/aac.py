"""AAC-LC for clips: frames of 20 ms in, units of 1,024 samples out. Uses PyAV.

`ClipEncoder` gives one clip its sound, laid on the clip's own time: the first sample that it
encodes is that of the clip's first picture, and from there on sound follows without a gap. What
the microphone didn't give is silence of the same length, never a shift. Why AAC and what it
costs: docs/decisions/0021-sound-in-clips.md. Not for more than one thread at once.
"""

from fractions import Fraction
from typing import Protocol

import av
import av.error
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame

from firmware.protocol.footage import SOUND_UNIT_90K
from firmware.sound.errors import AacFailed
from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE, SoundFrame

UNIT_SAMPLES = 1024
UNIT_BYTES = 2 * UNIT_SAMPLES
BITRATE_BPS = 64_000
OPTIONS = {"aac_coder": "fast", "aac_tns": "0"}
SILENT_UNIT = bytes.fromhex("01182007")
"""1,024 samples of silence, mono, as the encoder writes it."""
OFF_SAMPLES = FRAME_SAMPLES
"""Frames may be so far from where the sound before them ended; beyond, the sound is mended."""
MAX_SAMPLES = 1000 * UNIT_SAMPLES * 48
"""Longer than any clip: a manifest takes 1,000 spans of 48 units."""


class SoundEncoder(Protocol):
    """The encoder of one clip's sound; AacFailed if it can't go on."""

    @property
    def lost_90k(self) -> int:
        """The duration of silence that replaces missing sound."""
        ...

    def add(self, frame: SoundFrame) -> list[bytes]:
        """Take the next frame; return the units that are ready, each of SOUND_UNIT_90K."""
        ...

    def finish(self) -> list[bytes]:
        """Return the last units; the very last ends in silence."""
        ...


class AacEncoder:
    """1,024 samples in, one unit out, a unit late: the first only primes the decoder."""

    def __init__(self) -> None:
        try:
            self._context = _opened()
        except (av.error.FFmpegError, ValueError) as error:
            raise AacFailed(f"FFmpeg has no AAC encoder that can be used: {error}") from error
        self._next = 0

    def encode(self, samples: bytes) -> list[bytes]:
        """Take UNIT_BYTES of samples; return the units that are ready."""
        frame = AudioFrame(format="s16", layout="mono", samples=UNIT_SAMPLES)
        frame.planes[0].update(samples)
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = self._next
        self._next += UNIT_SAMPLES
        return self._units(frame)

    def flush(self) -> list[bytes]:
        """End the sound; return the units that were still to come."""
        return self._units(None)

    def _units(self, frame: AudioFrame | None) -> list[bytes]:
        try:
            return [bytes(packet) for packet in self._context.encode(frame)]
        except av.error.FFmpegError as error:
            raise AacFailed(f"sound can't be encoded: {error}") from error


class ClipEncoder:
    """Encodes the sound of one clip that begins at this pts."""

    def __init__(self, first_pts_90k: int) -> None:
        self._first_pts_90k = first_pts_90k
        self._encoder = AacEncoder()
        self._samples = bytearray()
        self._taken = 0
        self._lost = 0

    @property
    def lost_90k(self) -> int:
        """The duration of silence that replaces missing sound."""
        return self._lost * SOUND_UNIT_90K // UNIT_SAMPLES

    def add(self, frame: SoundFrame) -> list[bytes]:
        """Take the next frame; return the units that are ready, each of SOUND_UNIT_90K."""
        begin = (frame.pts_90k - self._first_pts_90k) * UNIT_SAMPLES // SOUND_UNIT_90K
        ahead = begin - self._taken
        samples = frame.samples
        if begin > MAX_SAMPLES:
            return []
        if ahead > OFF_SAMPLES or (ahead > 0 and self._taken == 0):
            return [*self._say_nothing(ahead), *self._take(samples)]
        if ahead < -OFF_SAMPLES or (ahead < 0 and self._taken == 0):
            samples = samples[-2 * ahead :]
        return self._take(samples)

    def finish(self) -> list[bytes]:
        """Return the last units; the very last ends in silence."""
        rest = -len(self._samples) % UNIT_BYTES
        return [*self._take(bytes(rest)), *self._encoder.flush()]

    def _take(self, samples: bytes) -> list[bytes]:
        self._samples += samples
        self._taken += len(samples) // 2
        units: list[bytes] = []
        while len(self._samples) >= UNIT_BYTES:
            units += self._encoder.encode(bytes(self._samples[:UNIT_BYTES]))
            del self._samples[:UNIT_BYTES]
        return units

    def _say_nothing(self, count: int) -> list[bytes]:
        """Fill a gap with silence. Long gaps aren't encoded: a unit of silence is always the same.

        Two units before and one behind are, so that neither end of the gap is heard as a click.
        """
        self._lost += count
        filled = -(len(self._samples) // 2) % UNIT_SAMPLES + 2 * UNIT_SAMPLES
        ready_made = max(0, count - filled - UNIT_SAMPLES) // UNIT_SAMPLES
        if ready_made == 0:
            return self._take(bytes(2 * count))
        units = self._take(bytes(2 * filled))
        units += [SILENT_UNIT] * ready_made
        self._taken += ready_made * UNIT_SAMPLES
        rest = count - filled - ready_made * UNIT_SAMPLES
        return units + self._take(bytes(2 * rest))


def _opened() -> AudioCodecContext:
    context = av.CodecContext.create("aac", "w")
    if not isinstance(context, AudioCodecContext):
        raise TypeError("PyAV gave no sound encoder for aac")
    context.sample_rate = SAMPLE_RATE
    context.layout = "mono"
    context.format = "fltp"
    context.bit_rate = BITRATE_BPS
    context.time_base = Fraction(1, SAMPLE_RATE)
    context.options = dict(OPTIONS)
    context.open()
    return context
