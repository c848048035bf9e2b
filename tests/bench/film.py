"""The film that benchmarks work on: the rendered porch, encoded before anything is timed."""

import functools
import threading
from dataclasses import replace

from firmware.capture.packets import TICKS_PER_S, AccessUnit
from firmware.capture.replay import Encoder
from firmware.capture.scene import PorchScene

WIDTH, HEIGHT, FPS, BITRATE_BPS = 1280, 720, 30, 2_000_000


@functools.cache
def film(seconds: int) -> tuple[AccessUnit, ...]:
    """Return 720p at 30 pictures and about 2 Mbit a second, a key frame each second."""
    scene = PorchScene(WIDTH, HEIGHT)
    encoder = Encoder(WIDTH, HEIGHT, FPS, BITRATE_BPS)
    units: list[AccessUnit] = []
    for number in range(seconds * FPS):
        picture = scene.draw(number / FPS)
        pts_90k = number * TICKS_PER_S // FPS
        units += encoder.encode(picture, pts_90k, is_key_wanted=threading.Event())
    return tuple(units)


def repeated(units: tuple[AccessUnit, ...], times: int) -> list[AccessUnit]:
    """Return the film again and again, with pts that go on."""
    length_90k = units[-1].pts_90k + TICKS_PER_S // FPS
    return [
        replace(unit, pts_90k=unit.pts_90k + turn * length_90k)
        for turn in range(times)
        for unit in units
    ]
