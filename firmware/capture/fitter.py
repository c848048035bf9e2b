"""Decoded pictures of any size and format, fitted into I420 pictures of one size.

Needs NumPy.
"""

import av
import numpy as np

from firmware.capture.i420 import Planes

BLACK_LUMA, NO_CHROMA = 16, 128


class Fitter:
    """Scales to fit between black bars, so that nothing is cut off or distorted."""

    def __init__(self, width: int, height: int) -> None:
        self._width = width
        self._height = height
        array = np.full((height * 3 // 2, width), NO_CHROMA, dtype=np.uint8)
        array[:height] = BLACK_LUMA
        self._black = Planes(array, width, height)

    def fit(self, frame: av.VideoFrame) -> Planes:
        """Return a picture of its own, which may be drawn into."""
        scale = min(self._width / frame.width, self._height / frame.height)
        width = max(2, round(frame.width * scale) // 2 * 2)
        height = max(2, round(frame.height * scale) // 2 * 2)
        array = frame.reformat(width=width, height=height, format="yuv420p").to_ndarray()
        inner = Planes(np.ascontiguousarray(array, dtype=np.uint8), width, height)
        if (width, height) == (self._width, self._height):
            return inner
        picture = self._black.copy()
        picture.paste(inner, (self._width - width) // 4 * 2, (self._height - height) // 4 * 2)
        return picture
