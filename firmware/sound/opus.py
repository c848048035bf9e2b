"""Opus for viewers: each of the microphone's frames is encoded once, however many listen.

FFmpeg's libopus by PyAV, mono, for voices. It runs on the loop: measured in
docs/decisions/0020-sound.md. It runs only while somebody listens.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from av import AudioFrame, CodecContext

from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE, SoundFeed
from firmware.sound.sample_clock import sample_index_of
from firmware.sound.sound_hub import FrameQueue
from firmware.system.clock import Clock

log = logging.getLogger(__name__)

BITRATE_BPS = 32_000
LOOKAHEAD_SAMPLES = 312
"""By so much a decoder's sound is later than what went in (libopus, 6.5 ms at 48 kHz)."""
MAX_FRAMES = 10
"""200 ms: an encoder that is further behind leaves sound out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpusPacket:
    """20 ms; `pts_48k` is the time of its first sample on the monotonic clock, in samples."""

    pts_48k: int
    data: bytes


class OpusEncoder:
    """One encoder; frames in order."""

    def __init__(self, bitrate_bps: int = BITRATE_BPS) -> None:
        codec = CodecContext.create("libopus", "w")
        codec.bit_rate = bitrate_bps
        codec.format = "s16"
        codec.layout = "mono"
        codec.sample_rate = SAMPLE_RATE
        codec.options = {"application": "voip", "fec": "1", "packet_loss": "5"}
        self._codec = codec
        self._pts = 0

    def encode(self, pts_90k: int, samples: bytes) -> OpusPacket | None:
        """Encode 20 ms; None if the encoder keeps it for later, which libopus doesn't."""
        frame = AudioFrame(format="s16", layout="mono", samples=FRAME_SAMPLES)
        frame.planes[0].update(samples)
        frame.sample_rate = SAMPLE_RATE
        frame.pts = self._pts
        self._pts += FRAME_SAMPLES
        data = b"".join(bytes(packet) for packet in self._codec.encode(frame))
        if not data:
            return None
        return OpusPacket(pts_48k=pts_90k * 8 // 15 - LOOKAHEAD_SAMPLES, data=data)


class OpusFeed:
    """The microphone's sound as Opus. Build it inside the running loop; all on the loop."""

    def __init__(
        self,
        sound: SoundFeed,
        *,
        clock: Clock,
        make_encoder: Callable[[], OpusEncoder] = OpusEncoder,
    ) -> None:
        self._sound = sound
        self._clock = clock
        self._make_encoder = make_encoder
        self._queues: list[FrameQueue[OpusPacket]] = []
        self._encoding: asyncio.Task[None] | None = None
        self._is_allowed = True

    @property
    def is_on(self) -> bool:
        """Whether the owner has the microphone on."""
        return self._sound.is_on

    @property
    def is_allowed(self) -> bool:
        """Whether those who watch can listen, by the owners' settings."""
        return self._is_allowed

    def allow(self, is_allowed: bool) -> None:
        """Let those who watch listen, or give them nothing more from now on."""
        self._is_allowed = is_allowed
        if not is_allowed:
            for queue in self._queues:
                queue.discard()

    def age_48k(self, packet: OpusPacket) -> int:
        """Return the age of a packet's first sample, in samples at 48 kHz."""
        return sample_index_of(self._clock.monotonic_ns()) - packet.pts_48k

    def subscribe(self, name: str, *, max_packets: int) -> FrameQueue[OpusPacket]:
        """Return the packets from now on; the microphone opens with the first listener."""
        queue = FrameQueue[OpusPacket](name, max_packets, self)
        self._queues.append(queue)
        if self._encoding is None:
            self._encoding = asyncio.create_task(self._encode(), name="opus")
        return queue

    def leave(self, queue: FrameQueue[OpusPacket]) -> None:
        """Remove a closed queue; without any, nothing is encoded."""
        self._queues.remove(queue)
        if not self._queues and self._encoding is not None:
            self._encoding.cancel()
            self._encoding = None

    async def _encode(self) -> None:
        frames = self._sound.subscribe("live sound", max_frames=MAX_FRAMES)
        try:
            encoder = self._make_encoder()
            async for frame in frames:
                if not self._is_allowed:
                    continue
                packet = encoder.encode(frame.pts_90k, frame.samples)
                if packet is not None:
                    for queue in self._queues:
                        queue.offer(packet)
        except Exception:  # the supervisor: pictures go on; the next first listener tries again
            log.exception("the microphone's sound can't be encoded: viewers get no sound")
        finally:
            frames.close()
