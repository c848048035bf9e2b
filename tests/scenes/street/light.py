"""What lights the street: sky, sun, lamps, infrared lamps at the camera, headlights.

Each light gives the irradiance of surfaces, in units of a clear day's. Shadows that movers cast
are drawn in `film`; shadows of what stands there are here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tests.scenes.street.arrays import Floats, smoothstep
from tests.scenes.street.place import Board, Surface, shadowed

Level = Callable[[float], float]


def steady(value: float) -> Level:
    """Return a level that never changes."""
    return lambda _: value


def ramp(*points: tuple[float, float]) -> Level:
    """Return a level that goes evenly through (second, value) points."""
    seconds, values = zip(*points, strict=True)
    return lambda at_s: float(np.interp(at_s, seconds, values))


FULL = steady(1.0)
NONE = steady(0.0)


class Light(Protocol):
    """A light; `level` scales it over time, `moves` tells that its map changes otherwise too."""

    level: Level
    moves: bool

    def on(self, surface: Surface, at_s: float, /) -> Floats:
        """Return the irradiance of the surface before `level` is applied."""


@dataclass(frozen=True, kw_only=True)
class Sky:
    """Light from the whole sky, less beside the porch's wall; the sky itself shines with it."""

    level: Level
    moves: bool = False

    def on(self, surface: Surface, _at_s: float) -> Floats:
        open_sky = 0.62 + 0.38 * surface.normal_y
        porch = 0.55 + 0.45 * smoothstep(0.3, 2.6, surface.z)
        low = 0.8 + 0.2 * smoothstep(0, 0.5, surface.y + (surface.normal_y > 0.9))
        return np.where(surface.is_sky > 0.5, 1.0, open_sky * porch * low)


@dataclass(frozen=True, kw_only=True)
class Sun:
    """Light from one direction; (x, y, z) points to the sun."""

    level: Level
    direction: tuple[float, float, float]
    boards: tuple[Board, ...] = ()
    moves: bool = False

    def on(self, surface: Surface, _at_s: float) -> Floats:
        x, y, z = np.array(self.direction) / np.linalg.norm(self.direction)
        facing = np.maximum(0, surface.normal_x * x + surface.normal_y * y + surface.normal_z * z)
        far = np.ones_like(surface.x) * 60
        lit = shadowed(surface, self.boards, (x * far, y * far, z * far))
        return facing * lit * (1 - surface.is_sky)


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """A lamp at one point that shines all round, e.g. a street lamp."""

    level: Level
    at: tuple[float, float, float]
    reach_m: float = 1.0
    moves: bool = False

    def on(self, surface: Surface, _at_s: float) -> Floats:
        x, y, z = self.at[0] - surface.x, self.at[1] - surface.y, self.at[2] - surface.z
        squared = x * x + y * y + z * z + 0.05
        facing = (surface.normal_x * x + surface.normal_y * y + surface.normal_z * z) / np.sqrt(
            squared
        )
        return (0.08 + np.maximum(0, facing)) * self.reach_m**2 / squared * (1 - surface.is_sky)


@dataclass(frozen=True, kw_only=True)
class Infrared:
    """The camera's own lamps: a beam around its axis that falls with the distance's square."""

    level: Level
    height_m: float
    moves: bool = False

    def on(self, surface: Surface, _at_s: float) -> Floats:
        y = self.height_m - surface.y
        squared = surface.x**2 + y * y + surface.z**2 + 0.03
        distance = np.sqrt(squared)
        facing = -(surface.normal_x * surface.x - surface.normal_y * y) - (
            surface.normal_z * surface.z
        )
        beam = np.clip(surface.z / distance, 0, 1) ** 2
        lambert = 0.25 + 0.75 * np.maximum(0, facing / distance)
        return lambert * beam / squared * (1 - surface.is_sky)


@dataclass(frozen=True, kw_only=True)
class Headlights:
    """A car's two beams; `pose` gives x, z and the heading (0: away from the house, in radians).

    What stands between them and a surface casts a shadow whose edge moves as the car does.
    """

    pose: Callable[[float], tuple[float, float, float] | None]
    boards: tuple[Board, ...]
    level: Level = FULL
    height_m: float = 0.65
    moves: bool = True

    def on(self, surface: Surface, at_s: float) -> Floats:
        pose = self.pose(at_s)
        if pose is None:
            return np.zeros_like(surface.x)
        at_x, at_z, heading = pose
        x, y, z = at_x - surface.x, self.height_m - surface.y, at_z - surface.z
        squared = x * x + y * y + z * z + 0.3
        distance = np.sqrt(squared)
        along = -(x * np.sin(heading) + z * np.cos(heading)) / distance
        flat = 0.35 + 0.65 * smoothstep(-0.12, 0.05, y / distance + 0.03)
        beam = (smoothstep(0.8, 0.985, along) + 0.05 * smoothstep(0.2, 0.8, along)) * flat
        facing = surface.normal_x * x + surface.normal_y * y + surface.normal_z * z
        lambert = 0.06 + 0.94 * np.maximum(0, facing / distance)
        lit = shadowed(surface, self.boards, (x, y, z))
        return beam * lambert * lit / squared * (1 - surface.is_sky)
