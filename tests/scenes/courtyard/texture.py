"""Tileable noise: the grain of grass, asphalt, leaves, cloth and clouds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.scenes.courtyard.lens import Floats

SIZE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Textures:
    """Noise of mean 0 and deviation 1, SIZE × SIZE, periodic: smooth, rough, and leaf by leaf."""

    cloud: Floats
    grain: Floats
    leaf: Floats


def make_textures(dice: np.random.Generator) -> Textures:
    """The textures of one site."""
    return Textures(
        cloud=_filtered(dice, lambda wave: np.where(wave > 0, np.maximum(wave, 1.0) ** -1.7, 0)),
        grain=_filtered(dice, lambda wave: np.where(wave > 0, np.maximum(wave, 4.0) ** -0.6, 0)),
        leaf=_filtered(dice, lambda wave: np.exp(-(((wave - 60) / 22) ** 2))),
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
    upper = texture[lines[0], rows[0]] * (1 - right_share) + texture[lines[0], rows[1]] * right_share
    lower = texture[lines[1], rows[0]] * (1 - right_share) + texture[lines[1], rows[1]] * right_share
    return (upper * (1 - lower_share) + lower * lower_share).astype(np.float32)


def pick_solid(texture: Floats, points: Floats, per_m: float) -> Floats:
    """Noise in space, `per_m` texels a metre: two skewed cuts, so no direction is without grain."""
    x, y, z = points[..., 0] * per_m, points[..., 1] * per_m, points[..., 2] * per_m
    first = pick(texture, x + 0.73 * z, y + 0.57 * z - 0.31 * x)
    second = pick(texture, z + 0.41 * y, 0.62 * x - 0.78 * y + 0.2 * z)
    return (first + second) * np.float32(0.7071)


def smooth(low: float, high: float, value: NDArray[np.floating]) -> Floats:
    """0 below `low`, 1 above `high`, smooth between (the usual cubic)."""
    share = np.clip((value - low) / (high - low), 0, 1)
    return (share * share * (3 - 2 * share)).astype(np.float32)
