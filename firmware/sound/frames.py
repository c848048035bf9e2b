"""Audio frames of 20 ms, and the interface to subscribe to them.

Pure data and two small protocols. `pts_90k` is the time at which the first sample was in the air
before the microphone, on the monotonic clock, in the same ticks as an access unit's. Frames follow
each other without a gap, exactly FRAME_90K apart, for as long as the card gives sound; where it
gave none the next frame's time lies further on. It never goes back.
"""

from dataclasses import dataclass
from typing import Protocol, Self

SAMPLE_RATE = 48_000
FRAME_SAMPLES = 960
"""20 ms: what Opus takes and WebRTC sends."""
FRAME_BYTES = FRAME_SAMPLES * 2
FRAME_90K = 1_800
FRAMES_PER_S = SAMPLE_RATE // FRAME_SAMPLES
SILENCE = bytes(FRAME_BYTES)


def pts_90k_of_sample(index: int) -> int:
    """Return the pts of a sample, counted at 48 kHz from the monotonic clock's zero."""
    return index * 15 // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFrame:
    """20 ms of sound: FRAME_SAMPLES samples, s16le, mono, 48 kHz."""

    pts_90k: int
    samples: bytes


class SoundStream(Protocol):
    """One reader's bounded queue of frames; a reader that is too slow loses the oldest."""

    def __aiter__(self) -> Self:
        """Return itself."""
        ...

    async def __anext__(self) -> SoundFrame:
        """Return the next frame; raise StopAsyncIteration after `close`."""
        ...

    def close(self) -> None:
        """End it; may be called twice."""
        ...


class SoundFeed(Protocol):
    """The microphone's feed, for its listeners."""

    @property
    def is_on(self) -> bool:
        """Whether the owner has the microphone on; while it is off no frame comes."""
        ...

    def subscribe(self, name: str, *, max_frames: int) -> SoundStream:
        """Return the frames from now on."""
        ...
