"""H.264 there and back, as a camera's encoder and a reader's decoder leave the pictures."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

import av
import numpy as np

from tests.scenes.street.arrays import Bytes
from tests.scenes.street.lens import HEIGHT, WIDTH

PER_S = 10
_KEY_FRAME_S = 2

_Fact = TypeVar("_Fact")


def through_h264(
    pictures: Iterable[tuple[Bytes, _Fact]], bits_per_s: int
) -> Iterator[tuple[Bytes, _Fact]]:
    """Encode and decode luma pictures, each with a fact that goes along with it.

    x264 runs in one thread and looks at no later picture, so the result is always the same.
    """
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.framerate, encoder.bit_rate = PER_S, bits_per_s
    encoder.gop_size, encoder.max_b_frames = PER_S * _KEY_FRAME_S, 0
    encoder.thread_count = 1
    encoder.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "maxrate": str(bits_per_s),
        "bufsize": str(bits_per_s),
    }
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    waiting: deque[_Fact] = deque()
    planes = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    for number, (luma, fact) in enumerate(pictures):
        waiting.append(fact)
        planes[:HEIGHT] = luma
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts = number
        for packet in encoder.encode(frame):
            for decoded in decoder.decode(packet):
                yield _luma(decoded), waiting.popleft()
    for packet in [*encoder.encode(None), None]:
        for decoded in decoder.decode(packet):
            yield _luma(decoded), waiting.popleft()


def _luma(frame: av.VideoFrame) -> Bytes:
    return np.ascontiguousarray(frame.to_ndarray(format="yuv420p")[:HEIGHT])
