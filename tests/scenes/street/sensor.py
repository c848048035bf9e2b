"""The camera behind the lens: automatic exposure, shot and read noise, tone curve, denoising."""

from dataclasses import dataclass

import cv2
import numpy as np

from tests.scenes.street.arrays import Bytes, Floats, Image
from tests.scenes.street.lens import HEIGHT, WIDTH

DAY_EXPOSURE_S = 1 / 500  # a clear day's, at gain 1
_FULL_WELL = 5500.0  # electrons at gain 1
_READ_NOISE = 3.5  # electrons
_LEVELS = 4096
_TARGET = 0.21  # of the mean of what the sensor sees, before the tone curve
_POOL = (2 * HEIGHT, 2 * WIDTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """`step_ev` holds the exposure until it is that far off, then moves it by so much."""

    longest_exposure_s: float = 1 / 30
    most_gain: float = 16.0
    pace: float = 0.2
    step_ev: float = 0.0
    denoise: float = 0.0


class Sensor:
    """Turns radiance into luma; its exposure follows what it saw in the pictures before."""

    def __init__(self, rng: np.random.Generator, settings: Settings) -> None:
        self._rng = rng
        self._settings = settings
        self._sensitivity = 0.0
        noise = rng.standard_normal(_POOL).astype(np.float32)
        # Demosaicing makes neighbours alike.
        self._pool = cv2.GaussianBlur(noise, (0, 0), 0.55)
        self._pool /= self._pool.std()
        light = np.linspace(0, 1.25, _LEVELS)
        gamma = np.clip(light, 0, 1) ** (1 / 2.2)
        contrast = 0.45 * gamma + 0.55 * gamma * gamma * (3 - 2 * gamma)
        self._curve = np.round(4 + 247 * contrast).astype(np.uint8)
        y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
        radius = np.hypot((x - WIDTH / 2) / WIDTH, (y - HEIGHT / 2) / WIDTH)
        self._vignette = (1 - 0.85 * radius**2).astype(np.float32)
        self._before: Image | None = None

    def meter(self, radiance: Image) -> None:
        """Set the exposure to what suits the radiance, at once."""
        self._sensitivity = self._wanted(radiance)

    @property
    def exposure_s(self) -> float:
        """The next picture's exposure."""
        wanted = self._sensitivity * DAY_EXPOSURE_S
        return float(np.clip(wanted, 1 / 4000, self._settings.longest_exposure_s))

    @property
    def gain(self) -> float:
        """The next picture's gain."""
        rest = self._sensitivity * DAY_EXPOSURE_S / self.exposure_s
        return float(np.clip(rest, 1.0, self._settings.most_gain))

    def take(self, radiance: Image) -> Bytes:
        """Return the luma, and set the exposure for the picture after."""
        gain = self.gain
        sensitivity = self.exposure_s / DAY_EXPOSURE_S * gain
        seen = radiance * (self._vignette * sensitivity)
        np.clip(seen, 0, 1.2, out=seen)
        noise = np.sqrt(seen * (gain / _FULL_WELL) + (_READ_NOISE * gain / _FULL_WELL) ** 2)
        seen += noise * self._noise()
        luma = self._curve[np.clip(seen * (_LEVELS / 1.25), 0, _LEVELS - 1).astype(np.int16)]
        if self._settings.denoise:
            luma = self._denoised(luma)
        self._adapt(radiance)
        return luma

    def _noise(self) -> Image:
        top, left = self._rng.integers(0, HEIGHT), self._rng.integers(0, WIDTH)
        window = self._pool[top : top + HEIGHT, left : left + WIDTH]
        flips = self._rng.integers(0, 2, 3)
        return window[:: 1 - 2 * flips[0], :: 1 - 2 * flips[1]] * (1 - 2 * flips[2])

    def _denoised(self, luma: Bytes) -> Bytes:
        """Smooth blocks of 8 × 8 that look flat, and mix what changes little with the past."""
        now = luma.astype(np.float32)
        smooth = cv2.blur(now, (5, 5))
        rough = cv2.resize(
            np.abs(now - smooth), (WIDTH // 8, HEIGHT // 8), interpolation=cv2.INTER_AREA
        )
        flat = (rough < 3 + 7 * self._settings.denoise).astype(np.float32)
        flat = cv2.resize(flat, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        now += flat * self._settings.denoise * (smooth - now)
        if self._before is not None:
            change = self._before - now
            share = self._settings.denoise * 0.6 * (np.abs(cv2.blur(change, (3, 3))) < 7)
            now += share.astype(np.float32) * change
        self._before = now
        return now.clip(0, 255).astype(np.uint8)

    def _wanted(self, radiance: Image) -> float:
        small = cv2.resize(radiance, (32, 18), interpolation=cv2.INTER_AREA)
        mean = float(_centred(small))
        most = self._settings.longest_exposure_s / DAY_EXPOSURE_S * self._settings.most_gain
        return float(np.clip(_TARGET / max(mean, 1e-7), 0.3, most))

    def _adapt(self, radiance: Image) -> None:
        off = np.log2(self._wanted(radiance) / self._sensitivity)
        step = self._settings.step_ev
        if step:
            if abs(off) > 0.75 * step:
                self._sensitivity *= 2 ** (step * np.sign(off))
        elif abs(off) > 0.12:
            self._sensitivity *= 2 ** (self._settings.pace * off)


def _centred(small: Floats) -> float:
    """Weigh the middle of the picture more; spots that are too bright count little."""
    weight = np.outer(np.hanning(20)[1:-1], np.hanning(34)[1:-1]) + 0.3
    shown = np.minimum(small, 6 * np.median(small) + 1e-6)
    return float((shown * weight).sum() / weight.sum())
