"""A dark film whose top left corner is bright, as a sensor sees it: which way up is it shown?"""

import numpy as np

from firmware.capture.camera_output import AccessUnit
from firmware.capture.i420 import Planes
from firmware.capture.x264 import Encoder
from firmware.protocol.media.rotation import Rotation

WIDTH, HEIGHT = 128, 64
SHOWN_CORNER: dict[Rotation, tuple[int, int]] = {
    0: (0, 0),
    90: (0, -1),
    180: (-1, -1),
    270: (-1, 0),
}
"""Row and column of the upright picture where the bright corner is."""


class MarkedCamera:
    """Makes one access unit after another; each second's first is a key frame."""

    def __init__(self, fps: int = 10) -> None:
        self._encoder = Encoder(WIDTH, HEIGHT, fps, 200_000)

    def unit(self, pts_90k: int) -> AccessUnit:
        array = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
        array[:HEIGHT] = 30
        array[:16, :16] = 220
        (unit,) = self._encoder.encode(Planes(array, WIDTH, HEIGHT), pts_90k)
        return unit

    def film(self, count: int) -> list[AccessUnit]:
        return [self.unit(number * 9000) for number in range(count)]


def shown_size(rotation: Rotation) -> tuple[int, int]:
    """Return width and height of the film as it is shown."""
    return (WIDTH, HEIGHT) if rotation % 180 == 0 else (HEIGHT, WIDTH)


def bright_corner(picture: np.ndarray) -> tuple[int, int] | None:
    """Return row and column of a luma picture's one bright corner."""
    bright = [corner for corner in SHOWN_CORNER.values() if picture[corner] > 150]
    return bright[0] if len(bright) == 1 else None
