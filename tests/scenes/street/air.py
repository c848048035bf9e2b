"""What is in the air before the lens: rain, snow, insects, and a spider's web on the lens itself.

Everything here adds to the picture's radiance or covers it; nothing here is part of the truth.
"""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.scenes.street.arrays import Bytes, Image
from tests.scenes.street.lens import HEIGHT, WIDTH, Lens
from tests.scenes.street.light import Light
from tests.scenes.street.place import facing_point
from tests.scenes.street.wind import Gusts

_LOW = np.array([-7.0, -0.2, 0.22])
_HIGH = np.array([7.0, 4.5, 9.0])
_THICKNESSES_PX = (0.6, 1.5, 2.5, 4.5, 8.0, 40.0)


class Air(Protocol):
    """Something in the air."""

    def draw(self, picture: Image, at_s: float, exposure_s: float, lights: "Lit", /) -> None:
        """Draw it into the picture's radiance."""


class Lit:
    """How bright something white is at a distance in the middle of the picture."""

    def __init__(self, lights: tuple[Light, ...], height_m: float, at_s: float) -> None:
        self._lights = lights
        self._height_m = height_m
        self._at_s = at_s

    def at(self, z: float) -> float:
        """Return the irradiance at `z` metres from the lens."""
        point = facing_point(0, self._height_m, z)
        return sum(
            float(light.on(point, self._at_s)[0]) * light.level(self._at_s)
            for light in self._lights
        )


@dataclass(frozen=True, kw_only=True)
class Fall:
    """How drops or flakes fall: metres a second, metres across, and how they drift."""

    count: int
    speed_m_s: tuple[float, float]
    radius_m: tuple[float, float]
    drift_m_s: float
    swirl_m_s: float
    cover: float
    shine: float = 0.9


RAIN = Fall(
    count=2600,
    speed_m_s=(5.5, 8.5),
    radius_m=(0.0008, 0.0016),
    drift_m_s=0.6,
    swirl_m_s=0.1,
    cover=0.3,
    shine=1.3,
)
SNOW = Fall(
    count=3200,
    speed_m_s=(0.8, 1.6),
    radius_m=(0.002, 0.006),
    drift_m_s=0.4,
    swirl_m_s=0.5,
    cover=0.9,
)


class Precipitation:
    """Rain or snow in a block of air before the lens; what falls out of it comes in above."""

    def __init__(self, rng: np.random.Generator, lens: Lens, fall: Fall, gusts: Gusts) -> None:
        self._lens = lens
        self._fall = fall
        self._gusts = gusts
        self._start = rng.uniform(_LOW, _HIGH, (fall.count, 3))
        size = rng.random(fall.count) ** 2
        self._radius = fall.radius_m[0] + size * (fall.radius_m[1] - fall.radius_m[0])
        self._speed = rng.uniform(*fall.speed_m_s, fall.count)
        self._phase = rng.uniform(0, 2 * np.pi, (fall.count, 2))
        self._pace = rng.uniform(2.0, 5.0, fall.count)
        self._sign = 1.0 if rng.random() < 0.5 else -1.0

    def draw(self, picture: Image, at_s: float, exposure_s: float, lights: Lit) -> None:
        starts, ends = self._at(at_s), self._at(at_s + exposure_s)
        fell = np.abs(starts - ends).max(axis=1) < 2
        depth = self._lens.depth(starts)
        fell &= depth > 0.2
        from_px, to_px = self._lens.project(starts), self._lens.project(ends)
        low, high = np.minimum(from_px, to_px), np.maximum(from_px, to_px)
        seen = fell & (high > -20).all(axis=1) & (low < [WIDTH + 20, HEIGHT + 20]).all(axis=1)
        thick = 2 * self._radius * self._lens.focal_px / np.maximum(depth, 0.2)
        # Out of focus, a near drop is a disc of the aperture's size and so much paler.
        spread = thick + self._lens.focal_px * 0.0015 * np.maximum(
            0, 1 / np.maximum(depth, 0.2) - 0.5
        )
        streak = np.hypot(*(to_px - from_px).T)
        paler = np.minimum(1, (thick / spread) ** 2) if exposure_s < 0.004 else thick / spread
        stay = np.minimum(1, 1.6 * (thick + 1.2) / (streak + thick + 1.2)) ** 0.6
        least = 0.0
        for number, most in enumerate(_THICKNESSES_PX):
            chosen = seen & (spread > least) & (spread <= most)
            least = most
            if not chosen.any():
                continue
            width = max(1, round(float(spread[chosen].mean())))
            opacity = self._fall.cover * float((paler * stay)[chosen].mean())
            if number == 0:
                opacity *= float(spread[chosen].mean())
            layer = _streaks(from_px[chosen], to_px[chosen], width)
            shining = self._fall.shine * lights.at(float(depth[chosen].mean()))
            blur = 0.0 if number == 0 else 0.25 * width + 0.3
            _lay_over(picture, layer, opacity, shining, blur)

    def _at(self, at_s: float) -> NDArray[np.float64]:
        gust = self._fall.drift_m_s * (1 + self._gusts.at(at_s))
        fallen = self._start.copy()
        turn = self._pace * at_s
        swirl = self._fall.swirl_m_s / self._pace
        fallen[:, 0] += self._sign * gust * at_s * 0 + swirl * np.sin(turn + self._phase[:, 0])
        fallen[:, 0] += self._sign * self._fall.drift_m_s * at_s
        fallen[:, 2] += swirl * np.sin(0.8 * turn + self._phase[:, 1])
        fallen[:, 1] -= self._speed * at_s
        return _LOW + np.mod(fallen - _LOW, _HIGH - _LOW)


@dataclass(frozen=True, kw_only=True)
class _Flight:
    starts_s: float
    lasts_s: float
    origin: tuple[float, float]
    speed: tuple[float, float]
    curl_px: tuple[float, float]
    hertz: float
    phase: float
    size_px: float
    shine: float


class Insects:
    """Moths and gnats close to the infrared lamps: blurred bright curls of a second or less."""

    def __init__(self, rng: np.random.Generator, per_s: float, seconds: float) -> None:
        self._flights = []
        for _ in range(int(per_s * seconds)):
            near = rng.random() ** 2
            angle = rng.uniform(0, 2 * np.pi)
            speed = rng.uniform(120, 500) * (0.4 + near)
            lasts = float(rng.uniform(0.3, 2.0) / (0.4 + near))
            middle = rng.uniform(40, 600), rng.uniform(20, 340)
            velocity = speed * np.cos(angle), speed * np.sin(angle)
            self._flights.append(
                _Flight(
                    starts_s=float(rng.uniform(-1, seconds)),
                    lasts_s=lasts,
                    origin=(
                        middle[0] - velocity[0] * lasts / 2,
                        middle[1] - velocity[1] * lasts / 2,
                    ),
                    speed=velocity,
                    curl_px=(float(rng.uniform(8, 60)), float(rng.uniform(8, 60))),
                    hertz=float(rng.uniform(0.8, 4)),
                    phase=float(rng.uniform(0, 2 * np.pi)),
                    size_px=2.0 + 16 * near * float(rng.uniform(0.5, 1)),
                    shine=float(rng.uniform(0.25, 1.6)),
                )
            )

    def draw(self, picture: Image, at_s: float, exposure_s: float, lights: Lit) -> None:
        for flight in self._flights:
            part = (at_s - flight.starts_s) / flight.lasts_s
            if not 0 <= part <= 1:
                continue
            times = np.linspace(at_s, at_s + exposure_s, 6) - flight.starts_s
            turn = 2 * np.pi * flight.hertz * times + flight.phase
            wobble = 2.3 * turn + flight.phase
            x = flight.origin[0] + flight.speed[0] * times + flight.curl_px[0] * np.sin(turn)
            y = (
                flight.origin[1]
                + flight.speed[1] * times
                + flight.curl_px[1] * np.cos(turn + 0.4 * np.sin(wobble))
            )
            path = np.stack([x, y], axis=-1)
            layer = np.zeros((HEIGHT, WIDTH), np.uint8)
            width = max(1, round(flight.size_px))
            corners = np.round(16 * np.clip(path, -900, 1800)).astype(np.int32)
            cv2.polylines(layer, [corners], False, 255, width, cv2.LINE_AA, 4)
            flutter = 0.7 + 0.3 * np.sin(40 * at_s + flight.phase)
            fades = min(1.0, 6 * part, 6 * (1 - part))
            shining = flight.shine * flutter * lights.at(0.9)
            _lay_over(picture, layer, 0.8 * fades, shining, 0.3 * width + 0.6)


class Web:
    """A spider's web a hand's breadth before the lens: pale blurred threads that sway."""

    def __init__(self, rng: np.random.Generator, gusts: Gusts) -> None:
        self._gusts = gusts
        corner = rng.integers(0, 4)
        self._hub = np.array([(120, 60), (520, 70), (500, 290), (130, 280)][corner], float)
        self._hub += rng.uniform(-30, 30, 2)
        angles = np.sort(rng.uniform(0, 2 * np.pi, 13))
        lengths = rng.uniform(140, 420, 13)
        spokes = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * lengths[:, None]
        self._lines = [np.linspace([0, 0], spoke, 8) for spoke in spokes]
        for ring in np.linspace(0.2, 0.85, 8):
            turns = ring + rng.uniform(-0.02, 0.02, 13)
            self._lines.append(np.concatenate([spokes * turns[:, None], spokes[:1] * turns[0]]))
        self._shine = rng.uniform(0.4, 1.0, len(self._lines))

    def draw(self, picture: Image, at_s: float, _exposure_s: float, lights: Lit) -> None:
        strength = self._gusts.at(at_s)
        layer = np.zeros((HEIGHT, WIDTH), np.uint8)
        for shine, line in zip(self._shine, self._lines, strict=True):
            far = np.hypot(*line.T)[:, None] / 300
            turn = 2 * np.pi * 0.8 * at_s + 3 * far
            sway = strength * np.concatenate([9 * np.sin(turn), 6 * np.sin(1.7 * turn)], axis=1)
            sway *= 0.4 + 0.6 * np.sin(np.pi * np.clip(far, 0, 1))
            corners = np.round(16 * (self._hub + line + sway)).astype(np.int32)
            cv2.polylines(layer, [corners], False, int(255 * shine), 2, cv2.LINE_AA, 4)
        _lay_over(picture, layer, 0.5, 0.9 * lights.at(0.8), 2.0)


def _streaks(starts: NDArray[np.float64], ends: NDArray[np.float64], width: int) -> Bytes:
    layer = np.zeros((HEIGHT, WIDTH), np.uint8)
    lines = np.round(16 * np.stack([starts, ends], axis=1)).astype(np.int32)
    cv2.polylines(layer, list(lines), False, 255, width, cv2.LINE_AA, 4)
    return layer


def _lay_over(picture: Image, layer: Bytes, opacity: float, shining: float, blur: float) -> None:
    if blur:
        layer = cv2.GaussianBlur(layer, (0, 0), blur)
    cover = layer.astype(np.float32) * (opacity / 255)
    picture += cover * (shining - picture)
