"""The films that benchmarks work on: the rendered porch, encoded before anything is timed."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from firmware.capture.camera_output import TICKS_PER_S, AccessUnit, LumaFrame
from firmware.capture.replay.scene import PorchScene
from firmware.capture.video_source import LUMA_PER_S, LUMA_WIDTH
from firmware.capture.x264 import Encoder

WIDTH, HEIGHT, FPS, BITRATE_BPS = 1280, 720, 30, 2_000_000
FRAME_90K = TICKS_PER_S // FPS
GRAIN_LEVELS = 6
"""A sensor's noise: without it the drawn porch never needs the bits that it is given."""
GRAINS = 7
"""So many noises take turns: more would only take longer to make."""
LOOP_S = 3
VISITOR_FROM_S = 5.0
"""The visitor comes up the path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A few seconds to be shown again and again: access units, and the luma frames beside them."""

    width: int
    height: int
    units: tuple[AccessUnit, ...]
    luma: tuple[LumaFrame, ...]

    @property
    def bitrate_bps(self) -> float:
        """Bits a second."""
        return sum(len(unit.data) for unit in self.units) * 8 * FPS / len(self.units)

    def on(self, from_90k: int = 0) -> Iterator[AccessUnit]:
        """Yield the film for ever, with pts that go on from here."""
        while True:
            for unit in self.units:
                yield replace(unit, pts_90k=from_90k)
                from_90k += FRAME_90K


@functools.cache
def film(seconds: int) -> tuple[AccessUnit, ...]:
    """Return 720p at 30 pictures and about 2 Mbit a second, a key frame each second."""
    scene = PorchScene(WIDTH, HEIGHT)
    encoder = Encoder(WIDTH, HEIGHT, FPS, BITRATE_BPS)
    units: list[AccessUnit] = []
    for number in range(seconds * FPS):
        units += encoder.encode(scene.draw(number / FPS), number * FRAME_90K)
    return tuple(units)


@functools.cache
def grainy_film(width: int, height: int, bitrate_bps: int, begin_s: float = VISITOR_FROM_S) -> Film:
    """Return a loop that has the bitrate: a visitor on the porch, seen by a noisy sensor.

    `begin_s` is where the scene begins: at 0 the porch is empty.
    """
    scene, encoder = PorchScene(width, height), Encoder(width, height, FPS, bitrate_bps)
    dice = np.random.default_rng(7)
    shape = (height * 3 // 2, width)
    grains = [
        dice.integers(-GRAIN_LEVELS, GRAIN_LEVELS + 1, shape, dtype=np.int16) for _ in range(GRAINS)
    ]
    units: list[AccessUnit] = []
    luma: list[LumaFrame] = []
    for number in range(LOOP_S * FPS):
        picture = scene.draw(begin_s + number / FPS)
        picture.array[:] = np.clip(picture.array + grains[number % GRAINS], 0, 255)
        if number % (FPS // LUMA_PER_S) == 0:
            small = picture.luma(max(1, width // LUMA_WIDTH))
            rows, columns = small.shape
            luma.append(
                LumaFrame(
                    pts_90k=0, width=columns, height=rows, stride=columns, data=small.tobytes()
                )
            )
        units += encoder.encode(picture, number * FRAME_90K)
    return Film(width=width, height=height, units=tuple(units), luma=tuple(luma))


def repeated(units: tuple[AccessUnit, ...], times: int) -> list[AccessUnit]:
    """Return the film again and again, with pts that go on."""
    length_90k = units[-1].pts_90k + FRAME_90K
    return [
        replace(unit, pts_90k=unit.pts_90k + turn * length_90k)
        for turn in range(times)
        for unit in units
    ]
