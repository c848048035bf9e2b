"""Wind in leaves, in the shadow of a tree's crown, and in a flag."""

from dataclasses import dataclass

import cv2
import numpy as np

from tests.scenes.street.arrays import Bytes, Image, smoothstep
from tests.scenes.street.lens import HEIGHT, WIDTH, Lens
from tests.scenes.street.place import Place
from tests.scenes.street.texture import fractal, sample

_HERTZ = (0.55, 1.3, 2.9)
_REACH_PX = (2.2, 0.9, 0.45)


class Gusts:
    """The wind's strength over time: never quite still, with gusts of some seconds."""

    def __init__(self, rng: np.random.Generator, strength: float) -> None:
        knots = rng.beta(1.2, 1.8, 40)
        self._levels = strength * (0.2 + 0.8 * knots)

    def at(self, at_s: float) -> float:
        """Return the strength, about 0 to 1 (a storm: 2)."""
        return float(np.interp(at_s / 1.7, np.arange(40), self._levels))


class Foliage:
    """Leaves that sway: the picture is bent where leaves are, and leaves turn their sides."""

    def __init__(self, rng: np.random.Generator, place: Place, gusts: Gusts) -> None:
        rows = np.flatnonzero(place.foliage.max(axis=1) > 0.01)
        self._top, self._bottom = max(0, rows[0] - 4), min(HEIGHT, rows[-1] + 5)
        part = slice(self._top, self._bottom)
        weight = cv2.GaussianBlur(place.foliage, (0, 0), 1.5)[part]
        scale = 5.5 / np.clip(place.surface.z[part], 3, 12)
        self._gusts = gusts
        self._at_x, self._at_y = (
            array.astype(np.float32)
            for array in np.meshgrid(np.arange(WIDTH), np.arange(self._top, self._bottom))
        )
        self._waves = []
        for octave, hertz in enumerate(_HERTZ):
            phases = 2.2 * fractal(rng, coarsest=4 * 2**octave, finest=32 * 2**octave)
            map_x, map_y = self._at_x * 0.8, self._at_y * 0.8
            phase = sample(phases, map_x, map_y) + self._at_x * 0.02
            reach = weight * scale * _REACH_PX[octave]
            self._waves.append(
                (
                    hertz,
                    (reach * np.cos(phase)).astype(np.float32),
                    (reach * np.sin(phase)).astype(np.float32),
                )
            )
        self._glint = weight

    def bend(self, picture: Image, at_s: float, *, is_light: bool = True) -> Image:
        """Return the picture with its leaves where they are at `at_s`."""
        strength = self._gusts.at(at_s)
        shift = np.full_like(self._at_x, 0)
        last = shift
        for hertz, cosine, sine in self._waves:
            turn = 2 * np.pi * hertz * at_s
            last = np.sin(turn) * cosine + np.cos(turn) * sine
            shift += last
        shift = strength * (shift + 0.7 * self._glint)
        moved = cv2.remap(
            picture,
            self._at_x + shift.astype(np.float32),
            self._at_y + (0.35 * shift).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        if is_light:
            moved *= 1 + 0.35 * strength * last.astype(np.float32)
        bent = picture.copy()
        bent[self._top : self._bottom] = moved
        return bent


class CrownShadow:
    """The moving spots of sun below a tree's crown, on the path and the garden."""

    def __init__(self, rng: np.random.Generator, place: Place, gusts: Gusts) -> None:
        ground = place.surface.every_other()
        self._gusts = gusts
        self._u, self._v = ground.x * 75, ground.z * 75
        at_x, at_z = rng.uniform(-0.8, 0.8), rng.uniform(2.6, 3.6)
        reach = np.hypot((ground.x - at_x) / 2.2, (ground.z - at_z) / 1.8)
        is_ground = (ground.normal_y > 0.9) & (ground.z < 12)
        self._part = (1 - smoothstep(0.75, 1.15, reach)) * is_ground
        self._large = fractal(rng, coarsest=8, finest=64, roughness=0.6)
        self._small = fractal(rng, coarsest=16, finest=128, roughness=0.6)

    def sunlit(self, at_s: float) -> Image:
        """Return the part of the sun that comes through, 0 to 1."""
        strength = self._gusts.at(at_s)
        sway = strength * 16 * np.sin(2 * np.pi * 0.5 * at_s)
        shake = strength * 6 * np.sin(2 * np.pi * 1.4 * at_s + 1)
        crown = 0.75 * sample(self._large, self._u + sway, self._v + 0.4 * sway)
        crown += 0.65 * sample(self._small, self._u + sway + shake, self._v - shake)
        through = smoothstep(0.15, 0.75, crown)
        half = (1 - self._part * (1 - through)).astype(np.float32)
        return cv2.resize(half, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)


class Clouds:
    """Quick clouds: their shadows cross the street, and they move through the sky."""

    def __init__(self, rng: np.random.Generator, place: Place, speed_m_s: float) -> None:
        ground = place.surface.every_other()
        self._texture = fractal(rng, coarsest=8, finest=64, roughness=1.2)
        self._sky = fractal(rng, coarsest=8, finest=128, roughness=1.0)
        self._u, self._v = ground.x * 2.2, ground.z * 2.2
        self._sky_u, self._sky_v = place.sky_u, place.sky_v
        self._is_sky = place.surface.is_sky.astype(np.float32)
        self._speed = speed_m_s * 2.2

    def sunlit(self, at_s: float) -> Image:
        """Return the part of the sun that comes through, 0 to 1."""
        cover = smoothstep(
            -0.25, 0.35, sample(self._texture, self._u + self._speed * at_s, self._v)
        )
        half = (1 - 0.85 * cover).astype(np.float32)
        return cv2.resize(half, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)

    def sky(self, at_s: float, albedo: Image) -> Image:
        """Return the albedo with the clouds where they are in the sky."""
        bank = smoothstep(-0.5, 1, sample(self._sky, self._sky_u + 6 * at_s, self._sky_v))
        return albedo + self._is_sky * (0.5 + 0.42 * bank - albedo).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A flag on a pole; (x, z) is the pole's foot, `top_m` its height."""

    x: float
    z: float
    top_m: float
    gusts: Gusts
    length_m: float = 1.2
    drop_m: float = 0.8

    def draw(self, lens: Lens, tone: Bytes, cover: Bytes, at_s: float) -> None:
        """Draw the pole and the cloth's strips into whole pictures of bytes."""
        pole = lens.project(np.array([[self.x, 0, self.z], [self.x, self.top_m + 0.1, self.z]]))
        width = max(1, round(0.06 * float(lens.pixels_per_m(np.array([self.x, 1, self.z])))))
        ends = [tuple(round(16 * float(value)) for value in end) for end in pole]
        cv2.line(tone, ends[0], ends[1], 150, width, cv2.LINE_AA, 4)
        cv2.line(cover, ends[0], ends[1], 255, width, cv2.LINE_AA, 4)
        strength = self.gusts.at(at_s)
        along = np.linspace(0, 1, 15)
        turn = 2 * np.pi * (1.4 * along - (0.9 + 0.5 * min(1, strength)) * at_s)
        flutter = along * (0.08 + 0.1 * strength)
        sag = (1 - min(1, 0.35 + 0.8 * strength)) * along**1.3
        away = flutter * np.sin(turn)
        x = self.x + self.length_m * along * (1 - 0.6 * sag)
        y = self.top_m - self.length_m * 0.7 * sag + 0.5 * away
        upper = lens.project(np.stack([x, y, self.z + away], axis=-1))
        lower = lens.project(np.stack([x - 0.05 * sag, y - self.drop_m, self.z + away], axis=-1))
        slope = np.cos(turn) * flutter * 3
        for number in range(len(along) - 1):
            for band, shade in ((0, 0.75), (1, 0.25), (2, 0.6)):
                part = np.array([band / 3, (band + 1) / 3])[:, None]
                near = upper[number] + part * (lower[number] - upper[number])
                far = upper[number + 1] + part * (lower[number + 1] - upper[number + 1])
                corners = np.round(16 * np.array([near[0], far[0], far[1], near[1]]))
                light = shade * (0.75 + 0.6 * slope[number])
                value = int(np.clip(255 * light, 8, 250))
                cv2.fillPoly(tone, [corners.astype(np.int32)], value, cv2.LINE_AA, 4)
                cv2.fillPoly(cover, [corners.astype(np.int32)], 255, cv2.LINE_AA, 4)
