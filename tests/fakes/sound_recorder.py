"""A recorder that hears, and what is heard and seen in the clips that it makes."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from firmware.clips.record import ClipRecord
from firmware.protocol.footage import SoundTrack, check_manifest
from firmware.sound.frames import SAMPLE_RATE
from tests.fakes.heard import LOUD, HandFeed, tone
from tests.fakes.recorder import RecordingRig, running
from tests.fakes.waiting import eventually

WHITE = 150


@asynccontextmanager
async def listening_rig(folder: Path, **settings) -> AsyncIterator[tuple[RecordingRig, HandFeed]]:
    feed = HandFeed()
    async with running(RecordingRig(folder, feed=feed, **settings)) as rig:
        await eventually(lambda: feed.has_readers)
        yield rig, feed


async def live(rig: RecordingRig, feed: HandFeed, seconds: float, *, is_heard: bool = True) -> None:
    """Let time pass, a tenth of a second at a time, with pictures and sound."""
    for _ in range(round(seconds * 10)):
        if is_heard:
            feed.put(tone(rig.now_90k, 0.1))
        await rig.film(0.1)


def track_of(rig: RecordingRig, clip: ClipRecord) -> SoundTrack | None:
    return check_manifest(clip.signed_manifest, rig.signer.spki).sound_track


def heard(mp4: bytes) -> np.ndarray:
    """The sound as a player has it, from the clip's first moment on, in parts of full scale."""
    with av.open(io.BytesIO(mp4)) as container:
        frames = list(container.decode(audio=0))
        total = max(frame.pts + frame.samples for frame in frames)
        samples = np.zeros(total, np.float32)
        for frame in frames:
            samples[frame.pts : frame.pts + frame.samples] = frame.to_ndarray()[0]
        return samples


def levels(samples: np.ndarray) -> list[float]:
    """The loudest of each 20 ms."""
    count = samples.size // 960
    return list(np.abs(samples[: count * 960].reshape(count, 960)).max(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash:
    """When the picture before it was taken, the first white one, and when the beep is heard."""

    before_s: float
    white_s: float
    beep_s: float

    @property
    def off_ms(self) -> float:
        """How much later than the first white picture the beep is."""
        return (self.beep_s - self.white_s) * 1000

    @property
    def off_at_least_ms(self) -> float:
        """The same, if the flash came at the best moment since the picture before."""
        return max(0.0, self.beep_s - self.white_s, self.before_s - self.beep_s) * 1000


def flashes_of(mp4: bytes) -> list[Flash]:
    """Every flash of a clip with the beep that is nearest."""
    samples = heard(mp4)
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    begins = loud[np.flatnonzero(np.diff(loud, prepend=-SAMPLE_RATE) > SAMPLE_RATE // 2)]
    begins_s = begins / SAMPLE_RATE
    found, was_white, before_s = [], False, 0.0
    with av.open(io.BytesIO(mp4)) as container:
        for frame in container.decode(video=0):
            is_white = frame.to_ndarray(format="gray").mean() > WHITE
            if is_white and not was_white:
                beep_s = float(begins_s[np.abs(begins_s - frame.time).argmin()])
                found.append(Flash(before_s=before_s, white_s=frame.time, beep_s=beep_s))
            was_white, before_s = is_white, frame.time
    return found
