"""I420 pictures as NumPy arrays: blending, text and pasting, cheap enough for every frame.

A picture is one uint8 array of height·3/2 rows: luma, then the quarter planes U and V, as PyAV's
yuv420p. Needs NumPy and Pillow (extra `doorward[replay]`), so only the replay camera imports it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

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


def planes_of(image: Image.Image) -> Planes:
    """Return an RGB picture of even size as I420 (BT.601, limited range)."""
    width, height = image.width // 2 * 2, image.height // 2 * 2
    rgb = np.asarray(image.convert("RGB").crop((0, 0, width, height)), dtype=np.float32)
    y, u, v = _yuv(rgb)
    array = np.empty((height * 3 // 2, width), dtype=np.uint8)
    planes = Planes(array, width, height)
    planes.y[:] = y.round().astype(np.uint8)
    planes.u[:] = _quarter(u).round().astype(np.uint8)
    planes.v[:] = _quarter(v).round().astype(np.uint8)
    return planes


def sprite_of(image: Image.Image) -> Sprite:
    """Return an RGBA picture of even size as a sprite."""
    width, height = image.width // 2 * 2, image.height // 2 * 2
    rgba = np.asarray(image.convert("RGBA").crop((0, 0, width, height)), dtype=np.float32)
    alpha = (rgba[:, :, 3] / 255 * 256).astype(np.float32)
    y, u, v = _yuv(rgba[:, :, :3])
    return Sprite(
        luma=(y * alpha).astype(np.uint16),
        luma_rest=(256 - alpha).astype(np.uint16),
        chroma=(_tinted(u, alpha), _tinted(v, alpha)),
        chroma_rest=(256 - _quarter(alpha)).astype(np.uint16),
    )


def glyphs(characters: str, height: int) -> dict[str, Bytes]:
    """Return each character as white on black, all of one even size."""
    font = ImageFont.load_default(size=height * 0.72)
    width = int(max(font.getlength(character) for character in characters) + 2) // 2 * 2
    drawn = {}
    for character in characters:
        image = Image.new("L", (width, height), 20)
        ImageDraw.Draw(image).text((width / 2, height / 2), character, 235, font, "mm")
        drawn[character] = np.asarray(image, dtype=np.uint8).copy()
    return drawn


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


def _yuv(
    rgb: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Rec. ITU-R BT.601, 8 bit, limited range."""
    r, g, b = rgb[:, :, 0], rgb[:, :, 1], rgb[:, :, 2]
    y = 16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256
    u = 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256
    v = 128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256
    return y.astype(np.float32), u.astype(np.float32), v.astype(np.float32)


def _tinted(plane: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.uint16]:
    return _quarter((plane * alpha).astype(np.float32)).astype(np.uint16)


def _quarter(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of each 2×2 block."""
    height, width = plane.shape
    blocks: NDArray[np.float32] = plane.reshape(height // 2, 2, width // 2, 2).mean(
        axis=(1, 3), dtype=np.float32
    )
    return blocks
