"""H.264 as a camera's encoder makes it: no B pictures, a short rate, and back to luma at once."""

from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from tests.scenes.courtyard.lens import HEIGHT, WIDTH


class Compression:
    """One picture in, the same picture with its losses out."""

    def __init__(self, *, per_s: int, bits_per_s: int, key_every: int) -> None:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height = WIDTH, HEIGHT
        encoder.pix_fmt = "yuv420p"
        encoder.time_base = Fraction(1, per_s)
        encoder.framerate = Fraction(per_s)
        encoder.bit_rate = bits_per_s
        encoder.gop_size = key_every
        encoder.max_b_frames = 0
        encoder.thread_count = 1
        encoder.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "profile": "main",
            "maxrate": str(bits_per_s),
            "bufsize": str(bits_per_s),
        }
        decoder = av.CodecContext.create("h264", "r")
        decoder.thread_count = 1
        decoder.flags |= av.codec.context.Flags.low_delay
        self._encoder, self._decoder = encoder, decoder
        self._number = 0

    def through(self, luma: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Code and decode one picture."""
        planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        planes[:HEIGHT] = luma
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = self._number
        self._number += 1
        decoded = [
            out for packet in self._encoder.encode(frame) for out in self._decoder.decode(packet)
        ]
        (picture,) = decoded
        return picture.to_ndarray()[:HEIGHT].copy()
