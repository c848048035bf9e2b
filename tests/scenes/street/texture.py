"""Procedural textures: fractal noise of several octaves that tiles, and its lookup."""

import cv2
import numpy as np

from tests.scenes.street.arrays import Image

SIZE = 512


def fractal(
    rng: np.random.Generator, *, coarsest: int = 4, finest: int = 256, roughness: float = 0.9
) -> Image:
    """Return SIZE × SIZE of noise with mean 0 and deviation 1, the same at opposite edges.

    Octaves have from `coarsest` to `finest` cells a side; each is cells ** -roughness strong.
    """
    total = np.zeros((SIZE, SIZE), np.float32)
    cells = coarsest
    while cells <= finest:
        pad = 2
        grid = np.pad(rng.standard_normal((cells, cells)).astype(np.float32), pad, mode="wrap")
        scale = SIZE // cells
        big = cv2.resize(grid, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        total += big[pad * scale : pad * scale + SIZE, pad * scale : pad * scale + SIZE] * (
            cells**-roughness
        )
        cells *= 2
    total -= total.mean()
    return (total / total.std()).astype(np.float32)


def sample(texture: Image, u: Image, v: Image) -> Image:
    """Return the texture's values at columns `u` and rows `v`, which go round at its edges."""
    at_u = (u - SIZE * np.floor(u / SIZE)).astype(np.float32)
    at_v = (v - SIZE * np.floor(v / SIZE)).astype(np.float32)
    return cv2.remap(texture, at_u, at_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
