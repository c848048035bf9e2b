"""I420 pictures as NumPy arrays: laying one over another, cheap enough for every frame.

A picture is one uint8 array of height·3/2 rows: luma, then the quarter planes U and V, as PyAV's
yuv420p. Only NumPy; what has to do with images and letters is in planes.py.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sprite:
    """A picture with transparency, ready to blend: colours are multiplied by alpha already."""

    luma: NDArray[np.uint16]
    luma_rest: NDArray[np.uint16]
    chroma: tuple[NDArray[np.uint16], NDArray[np.uint16]]
    chroma_rest: NDArray[np.uint16]


class Planes:
    """One picture that may be drawn into."""

    def __init__(self, array: Bytes, width: int, height: int) -> None:
        self.array = array
        self.width = width
        self.height = height
        self.y = array[:height]
        quarter = width * height // 4
        flat = array[height:].reshape(-1)
        self.u = flat[:quarter].reshape(height // 2, width // 2)
        self.v = flat[quarter:].reshape(height // 2, width // 2)

    def copy(self) -> "Planes":
        """Return a picture of its own."""
        return Planes(self.array.copy(), self.width, self.height)

    def flip(self, *, is_flipped_x: bool, is_flipped_y: bool) -> None:
        """Swap left and right, and top and bottom."""
        rows = slice(None, None, -1 if is_flipped_y else 1)
        columns = slice(None, None, -1 if is_flipped_x else 1)
        for plane in (self.y, self.u, self.v):
            plane[:] = plane[rows, columns].copy()

    def turned(self, rotation: int) -> "Planes":
        """Return a picture of its own, turned clockwise by a right angle."""
        planes = [turned(plane, rotation) for plane in (self.y, self.u, self.v)]
        height, width = planes[0].shape
        flat = np.concatenate([plane.reshape(-1) for plane in planes])
        return Planes(flat.reshape(height * 3 // 2, width), width, height)

    def luma(self, scale: int) -> Bytes:
        """Return the luma with `scale`×`scale` pixels made one, their mean; the rest is cut."""
        if scale == 1:
            return self.y
        height, width = self.height // scale * scale, self.width // scale * scale
        total = np.zeros((height // scale, width // scale), dtype=np.uint16)
        for row in range(scale):
            for column in range(scale):
                total += self.y[row:height:scale, column:width:scale]
        return (total // (scale * scale)).astype(np.uint8)

    def blend(self, sprite: Sprite, x: int, y: int) -> None:
        """Lay a sprite over the picture; `x`, `y` are made even, what hangs over is cut."""
        x, y = x // 2 * 2, y // 2 * 2
        _blend(self.y, sprite.luma, sprite.luma_rest, x, y)
        for plane, colour in zip((self.u, self.v), sprite.chroma, strict=True):
            _blend(plane, colour, sprite.chroma_rest, x // 2, y // 2)

    def paste(self, other: "Planes", x: int, y: int) -> None:
        """Lay an opaque picture over this one; it must fit, `x` and `y` be even."""
        self.y[y : y + other.height, x : x + other.width] = other.y
        top, left = y // 2, x // 2
        bottom, right = top + other.height // 2, left + other.width // 2
        self.u[top:bottom, left:right] = other.u
        self.v[top:bottom, left:right] = other.v

    def write(self, text: list[Bytes], x: int, y: int) -> None:
        """Write glyphs (luma only, white on black) side by side."""
        for glyph in text:
            rows, columns = glyph.shape
            self.y[y : y + rows, x : x + columns] = glyph
            self.u[y // 2 : (y + rows) // 2, x // 2 : (x + columns) // 2] = 128
            self.v[y // 2 : (y + rows) // 2, x // 2 : (x + columns) // 2] = 128
            x += columns


def turned(plane: Bytes, rotation: int) -> Bytes:
    """Return a view of a plane, turned clockwise by 0, 90, 180 or 270 degrees."""
    return np.rot90(plane, -rotation // 90)


def _blend(
    plane: Bytes, colour: NDArray[np.uint16], rest: NDArray[np.uint16], x: int, y: int
) -> None:
    top, left = max(0, y), max(0, x)
    bottom = min(plane.shape[0], y + colour.shape[0])
    right = min(plane.shape[1], x + colour.shape[1])
    if top >= bottom or left >= right:
        return
    part = np.s_[top - y : bottom - y, left - x : right - x]
    target = plane[top:bottom, left:right]
    target[:] = ((target * rest[part] + colour[part]) >> 8).astype(np.uint8)
