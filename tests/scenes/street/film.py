"""Filming of a scene: lights, leaves, movers, air, lens and sensor, one picture after another."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from tests.scenes.made import Mover, Picture
from tests.scenes.street.air import Air, Lit
from tests.scenes.street.arrays import Bytes, Image
from tests.scenes.street.codec import PER_S, through_h264
from tests.scenes.street.drawing import ground_shadow, patterned, sketch
from tests.scenes.street.figures import Car
from tests.scenes.street.lens import HEIGHT, WIDTH
from tests.scenes.street.light import NONE, Level, Light, Sun
from tests.scenes.street.movement import Actor
from tests.scenes.street.place import Place, facing_point, in_infrared
from tests.scenes.street.sensor import Sensor, Settings
from tests.scenes.street.texture import fractal
from tests.scenes.street.wind import Clouds, CrownShadow, Flag, Foliage

LENGTH_S = 40
_EXPOSURE_PARTS = 3
_CROP = 1.03  # a shaken camera's picture is cut this much, so that its edges are never empty
_Facts = tuple[float, float, tuple[Mover, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shake:
    """The camera's mount moves: degrees of roll and pixels across and down at a moment."""

    at: Callable[[float], tuple[float, float, float]]


@dataclass(frozen=True, kw_only=True)
class Staging:
    """All that happens in a scene."""

    place: Place
    lights: tuple[Light, ...]
    actors: tuple[Actor, ...] = ()
    air: tuple[Air, ...] = ()
    foliage: Foliage | None = None
    crown_shadow: CrownShadow | None = None
    flag: Flag | None = None
    clouds: Clouds | None = None
    windows: Level = NONE
    shake: Shake | None = None
    settings: Settings = field(default_factory=Settings)
    bits_per_s: int = 1_200_000
    haze: float = 0.0
    infrared_from_s: float = np.inf


def pictures(staging: Staging, rng: np.random.Generator) -> Iterator[Picture]:
    """Render the scene as the camera's reader gets it, after compression."""
    film = _Film(staging, rng)
    taken = (film.take(number / PER_S) for number in range(LENGTH_S * PER_S))
    for luma, (at_s, gain, movers) in through_h264(taken, staging.bits_per_s):
        yield Picture(at_s=at_s, luma=luma, gain=gain, movers=movers)


class _Film:
    def __init__(self, staging: Staging, rng: np.random.Generator) -> None:
        self._staging = staging
        self._place = staging.place
        self._sensor = Sensor(rng, staging.settings)
        self._pattern = fractal(rng, coarsest=32, finest=128, roughness=0.3)
        self._still_maps = {
            id(light): light.on(self._place.surface, 0.0).astype(np.float32)
            for light in staging.lights
            if not light.moves
        }
        self._infrared_albedo = in_infrared(staging.place).albedo
        self._half = self._place.surface.every_other()
        self._is_metered = False

    def take(self, at_s: float) -> tuple[Bytes, _Facts]:
        radiance = self._background(at_s)
        if not self._is_metered:
            self._sensor.meter(radiance)
            self._is_metered = True
        exposure_s, gain = self._sensor.exposure_s, self._sensor.gain
        movers = self._act(radiance, at_s, exposure_s)
        lit = Lit(self._staging.lights, self._place.lens.height_m, at_s)
        for air in self._staging.air:
            air.draw(radiance, at_s, exposure_s, lit)
        if self._staging.shake:
            radiance = cv2.warpAffine(
                radiance, self._shaken(at_s), (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR
            )
        return self._sensor.take(radiance), (at_s, gain, movers)

    def _background(self, at_s: float) -> Image:
        staging = self._staging
        self._sun = np.zeros((HEIGHT, WIDTH), np.float32)
        light_map = np.zeros((HEIGHT, WIDTH), np.float32)
        for light in staging.lights:
            level = np.float32(light.level(at_s))
            if level <= 0:
                continue
            if isinstance(light, Sun):
                self._sun = self._still_maps[id(light)] * level
            elif light.moves:
                half = light.on(self._half, at_s).astype(np.float32)
                if half.any():
                    light_map += level * cv2.resize(half, (WIDTH, HEIGHT))
            else:
                light_map += level * self._still_maps[id(light)]
        if staging.clouds:
            self._sun *= staging.clouds.sunlit(at_s)
        if staging.crown_shadow:
            self._sun *= staging.crown_shadow.sunlit(at_s)
        is_infrared = at_s >= staging.infrared_from_s
        self._albedo = self._infrared_albedo if is_infrared else self._place.albedo
        if staging.clouds:
            self._albedo = staging.clouds.sky(at_s, self._albedo)
        if staging.foliage:
            self._albedo = staging.foliage.bend(self._albedo, at_s)
        self._light = light_map
        self._darken_below_movers(at_s)
        radiance: Image = self._albedo * (self._light + self._sun)
        glow = staging.windows(at_s)
        if glow:
            radiance += np.float32(glow) * self._place.windows
        if staging.haze:
            far = np.clip(self._place.surface.z / 19, 0, 1) * (1 - self._place.surface.is_sky)
            share = (staging.haze * far).astype(np.float32)
            radiance += share * (0.8 * self._light - radiance)
        return radiance

    def _darken_below_movers(self, at_s: float) -> None:
        suns = [light for light in self._staging.lights if isinstance(light, Sun)]
        on_ground = self._place.surface.normal_y
        for actor in self._staging.actors:
            if not actor.way.is_present(at_s):
                continue
            shapes = actor.body.shapes(actor.pose(at_s))
            size = float(self._place.lens.pixels_per_m(np.array([0, 0, actor.pose(at_s).z])))
            parts = [((0.0, 1.0, 0.0), max(1.0, 0.09 * min(size, 300)), self._light, 0.4)]
            parts += [(sun.direction, max(0.8, 0.012 * size), self._sun, 1.0) for sun in suns]
            for direction, soft, light_map, strength in parts:
                shadow = ground_shadow(self._place.lens, shapes, direction, soft)
                if shadow:
                    (left, top, right, bottom), shade = shadow
                    part = (slice(top, bottom), slice(left, right))
                    flat = np.clip(on_ground[part], 0, 1).astype(np.float32)
                    light_map[part] *= 1 - strength * shade * flat

    def _act(self, radiance: Image, at_s: float, exposure_s: float) -> tuple[Mover, ...]:
        staging, lens = self._staging, self._place.lens
        if staging.flag:
            self._wave(radiance, staging.flag, at_s)
        parts = 1 if exposure_s < 0.004 else _EXPOSURE_PARTS
        moments = [at_s + exposure_s * (number + 0.5) / parts for number in range(parts)]
        present = [actor for actor in staging.actors if actor.way.is_present(at_s)]
        present.sort(key=lambda actor: -actor.pose(at_s).z)
        owners = np.zeros((HEIGHT, WIDTH), np.uint8)
        for order, actor in enumerate(present, start=1):
            pose = actor.pose(at_s)
            shapes = [actor.body.shapes(actor.pose(moment)) for moment in moments]
            bright, side = self._lighting(pose.x, pose.z, at_s, isinstance(actor.body, Car))
            figure = sketch(lens, shapes, side)
            if figure is None:
                continue
            left, top, right, bottom = figure.box
            part = (slice(top, bottom), slice(left, right))
            size = float(lens.pixels_per_m(np.array([pose.x, 0.5, max(0.3, pose.z)])))
            tone = patterned(
                figure, self._pattern, size / actor.body.texture_scale, actor.body.texture
            )
            visible = self._visible(part, pose.z, at_s)
            radiance[part] += visible * (tone * bright - figure.cover * radiance[part])
            owners[part][figure.mask & (visible > 0.5)] = order if actor.is_mover else 0
        if staging.shake:
            owners = cv2.warpAffine(
                owners, self._shaken(at_s), (WIDTH, HEIGHT), flags=cv2.INTER_NEAREST
            )
        return tuple(
            mover
            for order, actor in enumerate(present, start=1)
            if actor.is_mover and (mover := _mover(actor, owners == order, at_s))
        )

    def _lighting(self, x: float, z: float, at_s: float, is_car: bool) -> tuple[float, float]:
        """Return the irradiance at a mover, and from which side (-1 left, 1 right) most comes."""
        point = facing_point(x, 0.7 if is_car else 1.0, z)
        total, side = 0.0, 0.0
        for light in self._staging.lights:
            value = float(light.on(point, at_s)[0]) * light.level(at_s)
            if isinstance(light, Sun):
                column = int(
                    np.clip(self._place.lens.project(np.array([x, 0, z]))[0], 0, WIDTH - 1)
                )
                row = int(np.clip(self._place.lens.project(np.array([x, 0, z]))[1], 0, HEIGHT - 1))
                if self._staging.clouds:
                    value *= float(self._staging.clouds.sunlit(at_s)[row, column])
                value = max(value, 0.35 * light.level(at_s) * (value > 0))
                side = float(np.clip(2 * light.direction[0], -1, 1))
            total += value
        return total, side

    def _visible(self, part: tuple[slice, slice], z: float, at_s: float) -> Image:
        shape = (part[0].stop - part[0].start, part[1].stop - part[1].start)
        visible = np.ones(shape, np.float32)
        for screen in self._place.screens:
            if screen.z < z - 0.05:
                coverage = screen.coverage
                if not coverage[part].any():
                    continue
                if self._staging.foliage:
                    coverage = self._staging.foliage.bend(coverage, at_s, is_light=False)
                visible *= 1 - coverage[part]
        return visible

    def _wave(self, radiance: Image, flag: Flag, at_s: float) -> None:
        tone = np.zeros((HEIGHT, WIDTH), np.uint8)
        cover = np.zeros((HEIGHT, WIDTH), np.uint8)
        flag.draw(self._place.lens, tone, cover, at_s)
        bright, _ = self._lighting(flag.x, flag.z, at_s, False)
        share = np.float32(1 / 255)
        radiance += share * (tone * np.float32(bright) - cover * radiance)

    def _shaken(self, at_s: float) -> Image:
        assert self._staging.shake
        roll, across, down = self._staging.shake.at(at_s)
        matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), roll, _CROP)
        matrix[:, 2] += across, down
        return matrix


def _mover(actor: Actor, mask: Image, at_s: float) -> Mover | None:
    if not mask.any():
        return None
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return Mover(
        number=actor.number,
        box=(left, top, left + width, top + height),
        area=float(np.count_nonzero(mask)) / mask.size,
        is_still=actor.way.is_still(at_s),
    )
