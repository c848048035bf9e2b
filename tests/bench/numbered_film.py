"""A film whose pictures carry their number, so that who sees one can say which it was.

Eight squares in the upper left corner: seven bits, the highest first, and one that makes the
number of white ones even. The page of `tests.rigs.viewing` reads them.
"""

import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from firmware.capture.camera_output import AccessUnit
from firmware.capture.i420 import Bytes
from firmware.capture.replay.scene import PorchScene
from firmware.capture.x264 import Encoder
from tests.bench.feed import write_unit
from tests.bench.film import FPS, FRAME_90K, VISITOR_FROM_S

WIDTH, HEIGHT = 1920, 1080
LOOP_S = 3
PICTURES = LOOP_S * FPS
"""Numbers go from 0 up to this, and then begin again."""
BITS = 7
CELL_SHARE = 60
"""A square is the 60th part of the picture's width."""
BLACK, WHITE = 16, 235
GRAIN_LEVELS = 3
GRAINS = 7
LEAF_LEVELS = 12
LEAF_PIXELS = 8
LEAVES_SHARE = 0.2
"""Of the picture's height, from above: leaves in the wind. Without them a key frame would take
half of all bits, since nothing else of a drawn porch changes."""


@functools.cache
def numbered_film(
    bitrate_bps: int, width: int = WIDTH, height: int = HEIGHT
) -> tuple[AccessUnit, ...]:
    """Return three seconds with a key frame each second, from when the rate has settled."""
    scene, encoder = PorchScene(width, height), Encoder(width, height, FPS, bitrate_bps)
    dice = np.random.default_rng(7)
    shape = (height * 3 // 2, width)
    grains = [
        dice.integers(-GRAIN_LEVELS, GRAIN_LEVELS + 1, shape, dtype=np.int16) for _ in range(GRAINS)
    ]
    units: list[AccessUnit] = []
    for count in range(2 * PICTURES):
        number = count % PICTURES
        picture = scene.draw(VISITOR_FROM_S + number / FPS)
        picture.array[:] = np.clip(picture.array + grains[number % GRAINS], 0, 255)
        _move_leaves(picture.y, dice)
        _draw_number(picture.y, number)
        units += encoder.encode(picture, count * FRAME_90K)
    return tuple(units[PICTURES:])


def write_film(units: Iterable[AccessUnit], path: Path) -> Path:
    """Write it down for a process that sends it."""
    with path.open("wb") as file:
        for unit in units:
            write_unit(file, unit)
    return path


def _move_leaves(luma: Bytes, dice: np.random.Generator) -> None:
    rows, columns = (int(luma.shape[0] * LEAVES_SHARE) // LEAF_PIXELS, luma.shape[1] // LEAF_PIXELS)
    leaves = dice.integers(-LEAF_LEVELS, LEAF_LEVELS + 1, (rows, columns), dtype=np.int16)
    leaves = leaves.repeat(LEAF_PIXELS, axis=0).repeat(LEAF_PIXELS, axis=1)
    crown = luma[: leaves.shape[0], : leaves.shape[1]]
    crown[:] = np.clip(crown + leaves, 0, 255)


def _draw_number(luma: Bytes, number: int) -> None:
    bits = [number >> shift & 1 for shift in reversed(range(BITS))]
    cell = luma.shape[1] // CELL_SHARE
    for place, bit in enumerate([*bits, sum(bits) % 2]):
        luma[:cell, place * cell : (place + 1) * cell] = WHITE if bit else BLACK
