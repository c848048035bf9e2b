"""Tileable noise: the grain of grass, asphalt, leaves, cloth and clouds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.scenes.courtyard.lens import Floats

SIZE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Textures:
    """Periodic noise of mean 0 and deviation 1, SIZE × SIZE: smooth, rough and white."""

    cloud: Floats
    grain: Floats
    white: Floats


def make_textures(dice: np.random.Generator) -> Textures:
    """The textures of one site."""
    return Textures(
        cloud=_filtered(dice, lambda wave: np.where(wave > 0, np.maximum(wave, 1.0) ** -1.7, 0)),
        grain=_filtered(dice, lambda wave: np.where(wave > 0, np.maximum(wave, 4.0) ** -0.6, 0)),
        white=dice.standard_normal((SIZE, SIZE)).astype(np.float32),
    )


def _filtered(dice: np.random.Generator, gain) -> Floats:  # type: ignore[no-untyped-def]
    white = np.fft.rfft2(dice.standard_normal((SIZE, SIZE)))
    wave = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None]) * SIZE
    made = np.fft.irfft2(white * gain(wave), (SIZE, SIZE))
    return ((made - made.mean()) / made.std()).astype(np.float32)


def pick(texture: Floats, across: Floats, along: Floats) -> Floats:
    """The texel at each point, coordinates in texels, repeated without end."""
    column = np.floor(across).astype(np.int32) & (SIZE - 1)
    row = np.floor(along).astype(np.int32) & (SIZE - 1)
    return texture.ravel()[row * SIZE + column]


def blend(texture: Floats, across: NDArray[np.floating], along: NDArray[np.floating]) -> Floats:
    """The same between texels, bilinear."""
    left, top = np.floor(across), np.floor(along)
    right_share, lower_share = across - left, along - top
    rows = left.astype(np.int32) & (SIZE - 1), (left.astype(np.int32) + 1) & (SIZE - 1)
    lines = top.astype(np.int32) & (SIZE - 1), (top.astype(np.int32) + 1) & (SIZE - 1)
    upper = (
        texture[lines[0], rows[0]] * (1 - right_share) + texture[lines[0], rows[1]] * right_share
    )
    lower = (
        texture[lines[1], rows[0]] * (1 - right_share) + texture[lines[1], rows[1]] * right_share
    )
    return (upper * (1 - lower_share) + lower * lower_share).astype(np.float32)


def pick_solid(texture: Floats, points: Floats, per_m: float) -> Floats:
    """Noise in space, `per_m` texels a metre: two skewed cuts, so no direction is without grain."""
    x, y, z = points[..., 0] * per_m, points[..., 1] * per_m, points[..., 2] * per_m
    first = pick(texture, x + 0.73 * z, y + 0.57 * z - 0.31 * x)
    second = pick(texture, z + 0.41 * y, 0.62 * x - 0.78 * y + 0.2 * z)
    return (first + second) * np.float32(0.7071)


def pick_cells(textures: Textures, points: Floats, per_m: float) -> Floats:
    """Noise in space that is the same within a cell, as a leaf is; `per_m` cells a metre."""
    x, y, z = (
        np.floor(points[..., axis] * np.float32(per_m)).astype(np.int64) for axis in range(3)
    )
    mixed = (x * 73856093) ^ (y * 19349663) ^ (z * 83492791)
    return textures.white.ravel()[(mixed ^ (mixed >> 13)) & (SIZE * SIZE - 1)]


def smooth(low: float, high: float, value: NDArray[np.floating]) -> Floats:
    """0 below `low`, 1 above `high`, smooth between (the usual cubic)."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)


def enlarge(coarse: Floats, times: int) -> Floats:
    """A picture so many times as large, linear between its pixels."""
    for axis in (0, 1):
        count = coarse.shape[axis]
        at = np.clip((np.arange(count * times) + 0.5) / times - 0.5, 0, count - 1.001)
        low = at.astype(np.int64)
        share = (at - low).astype(np.float32)
        first, second = np.take(coarse, low, axis=axis), np.take(coarse, low + 1, axis=axis)
        second -= first
        second *= share[:, None] if axis == 0 else share[None]
        coarse = first + second
    return coarse
