"""picamera2's LibavH264Encoder as far as `encoders.keyed` leans on it: real libx264, no camera.

As read in picamera2 0.3.38 (encoders/libav_h264_encoder.py): `_start` opens a stream in a null
container with frame threads, and whatever is set on it later holds, because the first picture opens
libx264. Before it, picamera2 has set width, height, framerate and bitrate.
"""

from fractions import Fraction

import av
from av.codec.context import ThreadType


class FakeLibavEncoder:
    """Encodes arrays instead of requests."""

    def __init__(self, *, width: int, height: int, framerate: int, bitrate: int) -> None:
        self.width, self.height = width, height
        self.framerate, self.bitrate = framerate, bitrate
        self.preset: str | None = None
        self.threads = 0

    def _start(self) -> None:
        self._container = av.open("/dev/null", "w", format="null")
        self._stream = self._container.add_stream("h264", rate=self.framerate)
        self._stream.codec_context.thread_count = self.threads
        self._stream.codec_context.thread_type = ThreadType.FRAME
        self._stream.width, self._stream.height = self.width, self.height
        self._stream.pix_fmt = "yuv420p"
        self._stream.profile = "Constrained Baseline"
        self._stream.codec_context.bit_rate = self.bitrate
        self._stream.codec_context.gop_size = self.framerate
        self._stream.codec_context.options["preset"] = self.preset or "ultrafast"
        self._stream.codec_context.options["deblock"] = "1"
        self._stream.codec_context.options["tune"] = "zerolatency"
        self._stream.codec_context.time_base = Fraction(1, 1_000_000)

    def encode(self, frame: av.VideoFrame, timestamp_us: int) -> list[bytes]:
        """Return what comes out at once for a picture."""
        frame.pts = timestamp_us
        return [bytes(packet) for packet in self._stream.encode(frame)]

    def stop(self) -> None:
        self._stream.encode(None)
        self._container.close()
