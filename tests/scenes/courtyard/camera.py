"""A small camera: exposure, sensor, and the picture processor behind it.

The sensor has 1280 × 720 pixels. Each of its pixels is read with its own shot and read noise, ten
bits and a black level; four of them make one of the reduced picture. Light is measured in full
wells: 1 saturates.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.scenes.courtyard.lens import HEIGHT, WIDTH, Floats
from tests.scenes.courtyard.texture import enlarge

_FULL_WELL = 6500
_READ_ELECTRONS = 3.2
_BLACK = 64
_STEPS = 1023 - _BLACK
_SHUTTER_S = 1 / 2500
"""The exposure at which a white surface in the sun nearly saturates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Make:
    """What differs between cameras.

    `speed` is the share of its error that exposure corrects with each picture, `lag` how many
    pictures late it measures, `smoothing` the denoiser's strength.
    """

    target: float = 0.11
    speed: float = 0.15
    lag: int = 2
    max_gain: float = 16.0
    longest_s: float = 1 / 30
    smoothing: float = 0.5
    sharpening: float = 0.6
    tells_gain: bool = True


class Camera:
    """Turns radiance into luma, picture by picture."""

    def __init__(self, dice: np.random.Generator, make: Make, *, start: float) -> None:
        self._dice = dice
        self._make = make
        self._total = start
        self._measured = [make.target] * (make.lag + 1)
        self._noise = dice.standard_normal(1 << 21, dtype=np.float32)
        rows = (np.arange(HEIGHT) - HEIGHT / 2)[:, None] / (WIDTH / 2)
        columns = (np.arange(WIDTH) - WIDTH / 2)[None] / (WIDTH / 2)
        self._shading = (1 / (1 + 0.32 * (rows**2 + columns**2)) ** 2).astype(np.float32)
        self._uneven = (1 + 0.004 * dice.standard_normal((HEIGHT, WIDTH))).astype(np.float32)
        self._shading *= self._uneven
        self._weights = np.exp(-(rows**2 * 2 + columns**2) * 1.2).astype(np.float32)
        self._weights /= self._weights.sum()
        hot = dice.integers(0, HEIGHT * WIDTH, 12)
        self._hot = hot, dice.uniform(0.0005, 0.004, 12).astype(np.float32)
        self._before: Floats | None = None
        self._glare = [
            (share * _gaussian(HEIGHT // 8, reach), _gaussian(WIDTH // 8, reach))
            for reach, share in ((1.3, 0.16), (3.5, 0.06), (10.0, 0.025))
        ]
        light = np.arange(4096) / 4095
        curve = ((1 - np.exp(-2.4 * light)) / (1 - np.exp(-2.4))) ** (1 / 1.85)
        # Darker shadows and brighter lights, as picture processors like it.
        curve -= 0.055 * np.sin(2 * np.pi * curve)
        self._curve = curve.astype(np.float32)

    @property
    def gain(self) -> float:
        """The sensor's gain of the next picture."""
        return float(
            np.clip(self._total * _SHUTTER_S / self._make.longest_s, 1, self._make.max_gain)
        )

    @property
    def exposure_s(self) -> float:
        """The exposure time of the next picture."""
        return float(min(self._total * _SHUTTER_S / self.gain, self._make.longest_s))

    def develop(self, radiance: Floats, shift: tuple[float, float]) -> NDArray[np.uint8]:
        """One picture; `shift` is how far the camera has been shaken, in pixels."""
        gain, exposure_s = self.gain, self.exposure_s
        light = radiance * np.float32(0.9 * exposure_s / _SHUTTER_S * gain)
        light = _spread(self._with_glare(light) * self._shading)
        if shift != (0.0, 0.0):
            light = _shifted(light, shift)
        read = self._read(light, gain)
        self._measure(read)
        return self._process(read, gain)

    def _with_glare(self, light: Floats) -> Floats:
        """Stray light about lamps that are far brighter than the rest."""
        coarse = np.minimum(light, 12).reshape(HEIGHT // 8, 8, WIDTH // 8, 8).mean(axis=(1, 3))
        if coarse.max() < 1.1:
            return light
        over = np.maximum(coarse - 0.7, 0)
        stray = sum(rows @ over @ columns for rows, columns in self._glare)
        return light + enlarge(stray.astype(np.float32), 8)

    def _read(self, light: Floats, gain: float) -> Floats:
        np.clip(light, 0, 1.4, out=light)
        light.ravel()[self._hot[0]] += self._hot[1] * gain
        deviation = np.sqrt(
            light * np.float32(gain / _FULL_WELL)
            + np.float32((_READ_ELECTRONS * gain / _FULL_WELL) ** 2)
        ) * np.float32(_STEPS)
        level = light * np.float32(_STEPS) + np.float32(_BLACK)
        level += self._dice.normal(0, 0.12 * gain, (HEIGHT, 1)).astype(np.float32)
        total = np.zeros((HEIGHT, WIDTH), np.float32)
        for _ in range(4):
            start = int(self._dice.integers(0, len(self._noise) - HEIGHT * WIDTH))
            noise = self._noise[start : start + HEIGHT * WIDTH].reshape(HEIGHT, WIDTH)
            read = np.rint(level + deviation * noise)
            total += np.clip(read, 0, 1023, out=read)
        return (total / 4 - _BLACK) / np.float32(_STEPS)

    def _measure(self, read: Floats) -> None:
        make = self._make
        self._measured.append(float((read * self._weights).sum()))
        seen = max(self._measured.pop(0), 0.004)
        error = np.log2(make.target / seen)
        if abs(error) > 0.12:
            self._total *= 2 ** (make.speed * float(np.clip(error, -3, 3)))
        longest = make.longest_s / _SHUTTER_S * make.max_gain
        self._total = float(np.clip(self._total, 0.05, longest))

    def _process(self, read: Floats, gain: float) -> NDArray[np.uint8]:
        index = np.clip(read * 4095, 0, 4095).astype(np.int16)
        toned = self._curve[index]
        amount = self._make.smoothing * min(1.0, 0.25 + gain / 8)
        blurred = _box3(toned)
        detail = toned - blurred
        noise = 0.012 + 0.006 * gain
        keep = np.clip(np.abs(detail) / np.float32(3 * noise), 1 - amount, 1)
        clean = blurred + detail * keep
        if self._before is not None:
            change = clean - self._before
            trust = np.clip(np.abs(change) / np.float32(3 * noise), 1 - 0.8 * amount, 1)
            clean = self._before + change * trust
        self._before = clean
        sharp = clean + np.float32(self._make.sharpening) * (clean - _box3(clean))
        return np.clip(np.rint(16 + 219 * sharp), 16, 235).astype(np.uint8)


def _spread(light: Floats) -> Floats:
    """The lens's own blur."""
    light = light * np.float32(0.72) + np.float32(0.14) * (_near(light, 1, 0) + _near(light, -1, 0))
    return light * np.float32(0.72) + np.float32(0.14) * (_near(light, 1, 1) + _near(light, -1, 1))


def _near(light: Floats, step: int, axis: int) -> Floats:
    moved = np.empty_like(light)
    if axis == 0:
        if step > 0:
            moved[1:], moved[0] = light[:-1], light[0]
        else:
            moved[:-1], moved[-1] = light[1:], light[-1]
    elif step > 0:
        moved[:, 1:], moved[:, 0] = light[:, :-1], light[:, 0]
    else:
        moved[:, :-1], moved[:, -1] = light[:, 1:], light[:, -1]
    return moved


def _box3(light: Floats) -> Floats:
    rows = light + _near(light, 1, 0) + _near(light, -1, 0)
    return (rows + _near(rows, 1, 1) + _near(rows, -1, 1)) * np.float32(1 / 9)


def _shifted(light: Floats, shift: tuple[float, float]) -> Floats:
    for axis, way in enumerate(shift):
        whole = int(np.floor(way))
        part = np.float32(way - whole)
        edge = abs(whole) + 1
        pad = [(0, 0), (0, 0)]
        pad[axis] = (edge, edge)
        padded = np.pad(light, pad, mode="edge")
        size = light.shape[axis]
        first = np.take(padded, np.arange(size) + edge - whole, axis=axis)
        second = np.take(padded, np.arange(size) + edge - whole - 1, axis=axis)
        light = first * (1 - part) + second * part
    return light.astype(np.float32)


def _gaussian(size: int, reach: float) -> Floats:
    """The matrix that blurs along one axis."""
    away = np.arange(size)[:, None] - np.arange(size)[None]
    near = np.exp(-((away / reach) ** 2)) / (reach * np.sqrt(np.pi))
    return near.astype(np.float32)
