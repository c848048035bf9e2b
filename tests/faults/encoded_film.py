"""A film that was encoded before anybody looks at it: real H.264 at the cost of handing it on.

Pictures come at day's, heat's and night's rate in turns, each a little early or late, as from a
sensor; a key frame comes each second. Each access unit carries its number.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit
from firmware.capture.i420 import Planes
from firmware.capture.x264 import Encoder
from tests.fakes.footage import HEIGHT, WIDTH
from tests.faults.named_units import named

RATES_FPS = (30, 15, 10)
LOOP_S = 4
JITTER = 0.1
"""Of a frame duration, to either side."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One access unit, and how long a picture lasts at the rate that it was filmed with."""

    unit: AccessUnit
    frame_90k: int


class EncodedFilm:
    """Encodes one loop for each rate; `play` hands them on."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._loops = {fps: self._encode(fps) for fps in RATES_FPS}

    def loop(self, fps: int) -> list[AccessUnit]:
        """Return a few seconds that may be shown again and again; their times mean nothing."""
        return [picture.unit for picture in self._loops[fps]]

    def play(self, from_90k: int, seconds: float) -> Iterator[Picture]:
        """Yield pictures for so long, with times from here on; each knows its number as a name."""
        at_90k, number = from_90k, 0
        while at_90k < from_90k + seconds * TICKS_PER_S:
            for picture in self._loops[self._dice.choice(RATES_FPS)]:
                early = round(picture.frame_90k * self._dice.uniform(-JITTER, JITTER))
                unit = replace(picture.unit, pts_90k=at_90k + early)
                yield Picture(named(unit, f"film-{number}"), picture.frame_90k)
                at_90k += picture.frame_90k
                number += 1

    def _encode(self, fps: int) -> list[Picture]:
        encoder = Encoder(WIDTH, HEIGHT, fps, 200_000)
        frame_90k = TICKS_PER_S // fps
        pictures = []
        for number in range(LOOP_S * fps):
            array = np.full((HEIGHT * 3 // 2, WIDTH), self._dice.randrange(40, 200), np.uint8)
            units = encoder.encode(Planes(array, WIDTH, HEIGHT), number * frame_90k)
            pictures += [Picture(unit, frame_90k) for unit in units]
        return pictures
