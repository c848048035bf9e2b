"""Images and letters as I420 pictures.

Needs NumPy and Pillow (extra `doorward[replay]`), so only the replay camera imports it.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from firmware.capture.i420 import Bytes, Planes, Sprite


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
