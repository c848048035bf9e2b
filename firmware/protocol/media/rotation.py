"""The rotation of a film by its track's matrix (ISO/IEC 14496-12 8.3.2): right angles, no more.

A Pi can't turn its pictures by a quarter, so they are coded as the sensor gives them, and a player
turns them. Any other matrix would stretch, mirror, shift or slant the film, and is refused.
"""

import struct
from typing import Literal

from firmware.protocol.encoding import WireError
from firmware.protocol.media.boxes import full_box

Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise by which a coded picture is turned to be shown."""
ROTATIONS: tuple[Rotation, ...] = (0, 90, 180, 270)
MATRIX_BYTES = 36
_ONE, _LAST = 1 << 16, 1 << 30


def matrix_of(rotation: Rotation, *, width: int, height: int) -> bytes:
    """Return the matrix that turns a track of this coded size, and moves it back to the origin."""
    a, b, c, d, x, y = {
        0: (1, 0, 0, 1, 0, 0),
        90: (0, 1, -1, 0, height, 0),
        180: (-1, 0, 0, -1, width, height),
        270: (0, -1, 1, 0, 0, width),
    }[rotation]
    numbers = (a * _ONE, b * _ONE, 0, c * _ONE, d * _ONE, 0, x * _ONE, y * _ONE, _LAST)
    return struct.pack(">9i", *numbers)


def rotation_of(tkhd: memoryview) -> Rotation:
    """Return by how much a track header turns its track; WireError if it does anything else."""
    begin = matrix_begin(tkhd)
    matrix = bytes(tkhd[begin : begin + MATRIX_BYTES])
    size = struct.unpack_from(">II", tkhd, begin + MATRIX_BYTES)
    if any(number & 0xFFFF or number >> 16 > 0x7FFF for number in size):
        raise WireError("the clip is turned or stretched")
    width, height = (number >> 16 for number in size)
    for rotation in ROTATIONS:
        if matrix == matrix_of(rotation, width=width, height=height):
            return rotation
    raise WireError("the clip is turned or stretched")


def matrix_begin(tkhd: memoryview) -> int:
    """Return where the matrix begins in a track header."""
    return 52 if full_box(tkhd, "tkhd", newest=1)[0] == 1 else 40
