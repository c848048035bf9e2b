"""The still street before the door: surfaces with textures, and what stands in front of what.

It is ray-cast once a scene: sky, houses opposite, road, pavements, a garden with a path, a hedge
with a gate, a tree, and the porch's wall and post. What lights it is in `light`, what moves the
leaves in `wind`.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from tests.scenes.street.arrays import Floats, Image, smoothstep
from tests.scenes.street.lens import HEIGHT, WIDTH, Lens
from tests.scenes.street.texture import fractal, sample

_SAMPLES = 2  # rays along each side of a pixel
ROAD_M = (8.1, 14.0)
FRONT_WALK_M = 6.9  # the middle of the pavement on the house's side
HEDGE_M = 5.6
HOUSES_M = 19.0
PATH_HALF_M = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """Points (any shape) with their normals; `is_sky` is 1 where the ray meets nothing."""

    x: Floats
    y: Floats
    z: Floats
    normal_x: Floats
    normal_y: Floats
    normal_z: Floats
    is_sky: Floats

    def every_other(self) -> "Surface":
        """Return every second row and column."""
        return Surface(**{name: getattr(self, name)[::2, ::2] for name in self.__slots__})


def facing_point(x: float, y: float, z: float) -> Surface:
    """Return one point that faces the house."""
    one = np.ones(1, np.float32)
    return Surface(
        x=x * one,
        y=y * one,
        z=z * one,
        normal_x=0 * one,
        normal_y=0.35 * one,
        normal_z=-0.94 * one,
        is_sky=0 * one,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """An upright rectangle at one distance, which casts shadows."""

    left: float
    right: float
    top: float
    z: float
    bottom: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What hides movers farther away than `z`: how much of each pixel it covers, 0 to 1."""

    z: float
    coverage: Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The street as the lens sees it: `albedo`, and `foliage` (1 on leaves that wind can move).

    `windows` is 1 on panes behind which a lamp can burn; (`sky_u`, `sky_v`) are the clouds' own
    coordinates.
    """

    lens: Lens
    surface: Surface
    albedo: Image
    foliage: Image
    windows: Image
    sky_u: Image
    sky_v: Image
    screens: tuple[Screen, ...]
    boards: tuple[Board, ...]


def build(rng: np.random.Generator, lens: Lens, hedge_m: float) -> Place:
    """Return a street whose measures, colours and textures follow from `rng`."""
    canvas = _Canvas(rng, lens)
    canvas.paint_sky()
    canvas.paint_houses()
    canvas.paint_ground()
    canvas.paint_tree()
    canvas.paint_hedge(hedge_m)
    canvas.paint_porch()
    return canvas.place()


def snowed(rng: np.random.Generator, place: Place) -> Place:
    """Return the place with snow on what faces the sky, trodden on the path."""
    ground = place.surface
    patches = sample(fractal(rng), ground.x * 40, ground.z * 40)
    lying = smoothstep(0.3, 0.8, ground.normal_y) * (1 - ground.is_sky)
    trodden = (np.abs(ground.x) < PATH_HALF_M) & (ground.z < HEDGE_M) | (ground.z > ROAD_M[0])
    share = lying * np.clip(0.9 - trodden * (0.45 + 0.3 * patches), 0, 1)
    share = np.maximum(share, 0.35 * place.foliage)
    albedo = place.albedo + share * (0.78 + 0.04 * patches - place.albedo)
    return replace(place, albedo=albedo.astype(np.float32))


def in_infrared(place: Place) -> Place:
    """Return the place as a camera without its infrared filter sees it: leaves and grass shine."""
    is_garden = (place.surface.normal_y > 0.9) & (place.surface.z < HEDGE_M)
    grows = np.maximum(place.foliage, is_garden & (np.abs(place.surface.x) > PATH_HALF_M))
    albedo = np.minimum(0.9, place.albedo * (1 + 1.6 * grows))
    return replace(place, albedo=albedo.astype(np.float32))


class _Canvas:
    """Paints from far to near; every painter covers what is behind it."""

    def __init__(self, rng: np.random.Generator, lens: Lens) -> None:
        self._rng = rng
        self._lens = lens
        rays = lens.rays(_SAMPLES)
        self._dx, self._dy, self._dz = (np.ascontiguousarray(rays[..., i]) for i in range(3))
        shape = self._dx.shape
        self._albedo = np.zeros(shape, np.float32)
        self._foliage = np.zeros(shape, np.float32)
        self._windows = np.zeros(shape, np.float32)
        self._points = np.full((*shape, 3), 900, np.float32)
        self._normal = np.zeros((*shape, 3), np.float32)
        self._sky = np.ones(shape, np.float32)
        self._screens: list[tuple[float, Image]] = []
        self._boards: list[Board] = []
        self._side = 1.0 if rng.random() < 0.5 else -1.0
        self._fine = fractal(rng, coarsest=16, finest=256, roughness=0.5)
        self._rough = fractal(rng, coarsest=4, finest=256, roughness=0.9)
        self._leaf = fractal(rng, coarsest=16, finest=256, roughness=0.3)

    def place(self) -> Place:
        coarse = self._points[::_SAMPLES, ::_SAMPLES]
        normal = self._normal[::_SAMPLES, ::_SAMPLES]
        return Place(
            lens=self._lens,
            surface=Surface(
                x=np.ascontiguousarray(coarse[..., 0]),
                y=np.ascontiguousarray(coarse[..., 1]),
                z=np.ascontiguousarray(coarse[..., 2]),
                normal_x=np.ascontiguousarray(normal[..., 0]),
                normal_y=np.ascontiguousarray(normal[..., 1]),
                normal_z=np.ascontiguousarray(normal[..., 2]),
                is_sky=np.ascontiguousarray(self._sky[::_SAMPLES, ::_SAMPLES]),
            ),
            albedo=np.clip(_shrunk(self._albedo), 0.015, 0.95),
            foliage=_shrunk(self._foliage),
            windows=_shrunk(self._windows),
            sky_u=np.ascontiguousarray(self._sky_u[::_SAMPLES, ::_SAMPLES]),
            sky_v=np.ascontiguousarray(self._sky_v[::_SAMPLES, ::_SAMPLES]),
            screens=tuple(Screen(z=z, coverage=_shrunk(mask)) for z, mask in self._screens),
            boards=tuple(self._boards),
        )

    def paint_sky(self) -> None:
        up = self._dy / np.hypot(self._dx, self._dz)
        self._sky_u = (self._dx / np.maximum(0.05, self._dy + 0.15) * 60).astype(np.float32)
        self._sky_v = (60 / np.maximum(0.05, self._dy + 0.15)).astype(np.float32)
        clouds = smoothstep(-0.6, 1.2, sample(self._rough, self._sky_u, self._sky_v))
        self._albedo[:] = 0.62 - 0.25 * np.clip(up, 0, 1) + 0.3 * clouds

    def paint_houses(self) -> None:
        x, y = self._hit_z(HOUSES_M)
        width = self._rng.uniform(6.0, 8.5)
        number = np.floor(x / width + 0.37)
        inside = x / width + 0.37 - number
        tone = self._rng.uniform(0.2, 0.55, 64)[number.astype(int) % 64]
        eaves = self._rng.uniform(4.6, 5.4)
        rows = np.floor(y / 0.26)
        bricks = 0.06 * ((np.floor(x / 0.5 + 0.5 * (rows % 2)) * 7 + rows * 3) % 5 - 2) / 2
        wall = tone * (1 + bricks + 0.1 * sample(self._rough, x * 40, y * 40))
        across, upward = (inside * 3) % 1, ((y - 0.4) / 2.3) % 1
        frame = (np.abs(across - 0.5) < 0.27) & (np.abs(upward - 0.55) < 0.31)
        pane = (np.abs(across - 0.5) < 0.23) & (np.abs(upward - 0.55) < 0.27)
        wall = np.where(frame, 0.7, wall)
        wall = np.where(pane, 0.07 + 0.05 * sample(self._rough, x * 20, y * 30), wall)
        door = (np.abs(inside - 0.82) < 0.065) & (y < 2.1)
        wall = np.where(door, tone * 0.45, wall)
        self._cover(y < eaves, wall, (0, 0, -1), HOUSES_M, x, y)
        self._windows[pane & (y < eaves)] = (
            self._rng.random(64)[(number * 6 + np.floor(inside * 3)).astype(int) % 64] < 0.35
        )[pane & (y < eaves)]
        ridge = eaves + self._rng.uniform(1.4, 2.4) * np.clip(3.2 - 5 * np.abs(inside - 0.5), 0, 1)
        tiles = 0.16 * (1 + 0.25 * ((y * 7) % 1 > 0.8) + 0.15 * sample(self._fine, x * 60, y * 60))
        self._cover((y >= eaves) & (y < ridge), tiles, (0, 0.6, -0.8), HOUSES_M, x, y)

    def paint_ground(self) -> None:
        away = np.where(self._dy < -1e-3, -self._lens.height_m / self._dy, 1e4)
        x, z = self._dx * away, self._dz * away
        fade = np.clip(1.2 - z / 12, 0, 1)
        grit = sample(self._fine, x * 260, z * 260) * fade
        patch = sample(self._rough, x * 35 + 91, z * 35)
        blades = sample(self._fine, x * 420, z * 170 + 3 * grit)
        lawn = 0.14 * np.clip(1 + 0.3 * grit + 0.4 * blades * fade + 0.13 * patch, 0.25, 2)
        walk = self._slabs(x, z, 0.6, 0.36) * (1 + 0.06 * grit + 0.08 * patch)
        path = self._slabs(x, z, 0.4, self._rng.uniform(0.25, 0.42)) * (
            1 + 0.09 * grit + 0.1 * patch
        )
        road = self._rng.uniform(0.09, 0.16) * (1 + 0.16 * grit + 0.15 * patch)
        dashes = (np.abs(z - 11) < 0.07) & ((x / 4) % 1 < 0.5)
        road = np.where(dashes, 0.55, road)
        near, far = ROAD_M
        value = np.where(np.abs(x) < PATH_HALF_M, path, lawn)
        value = np.where(z > 6.0, walk, value)
        value = np.where(np.abs(z - near) < 0.12, 0.5, value)
        value = np.where(z > near + 0.12, road, value)
        value = np.where(z > far, 0.42, value)
        value = np.where(z > far + 0.2, walk, value)
        value = np.where(z > 16.4, lawn * 1.1, value)
        on_ground = (self._dy < -1e-3) & (z < HOUSES_M)
        self._cover(on_ground, value, (0, 1, 0), z, x, 0 * x)

    def paint_tree(self) -> None:
        z = 7.7
        x, y = self._hit_z(z)
        at = self._side * self._rng.uniform(2.6, 4.0)
        bark = 0.12 * (1 + 0.3 * sample(self._rough, x * 500, y * 60))
        trunk = (np.abs(x - at - 0.06 * np.sin(y * 2)) < 0.15 - 0.02 * y) & (y > 0)
        self._cover(trunk & (y < 3.2), bark, (0, 0, -1), z, x, y)
        reach = np.hypot((x - at) / 2.3, (y - 4.4) / 1.9)
        edge = 0.95 + 0.22 * sample(self._rough, x * 45, y * 45)
        crown = reach + 0.12 * sample(self._leaf, x * 90, y * 90) < edge
        self._cover(crown, self._leaves(x, y, 0.11), (0, 0.4, -0.7), z, x, y)
        self._foliage[crown] = 1
        self._screen(z, trunk & (y < 3.2) | crown)
        self._boards.append(Board(left=at - 0.14, right=at + 0.14, top=3, z=z))

    def paint_hedge(self, height: float) -> None:
        x, y = self._hit_z(HEDGE_M)
        gap = self._rng.uniform(0.95, 1.3)
        top = (
            height
            + 0.06 * sample(self._rough, x * 30, 0 * x)
            + 0.03 * sample(self._leaf, x * 150, y * 150)
        )
        hedge = (np.abs(x) > gap) & (y < top) & (y >= 0)
        light = 0.1 * (0.75 + 0.5 * np.clip(y / height, 0, 1) ** 2)
        self._cover(hedge, self._leaves(x, y, 1.0) * light, (0, 0.35, -0.8), HEDGE_M, x, y)
        self._foliage[hedge] = np.clip((y - 0.15) / 0.3, 0, 1)[hedge]
        self._screen(HEDGE_M, hedge)
        x, y = self._hit_z(HEDGE_M - 0.15)
        pillar = (np.abs(np.abs(x) - gap) < 0.17) & (y < height + 0.3) & (y >= 0)
        stone = 0.34 * (1 + 0.12 * sample(self._rough, x * 120, y * 120))
        stone = np.where(y > height + 0.2, 0.5, stone)
        self._cover(pillar, stone, (0, 0, -1), HEDGE_M - 0.15, x, y)
        self._screen(HEDGE_M - 0.15, pillar)
        for side in (-1, 1):
            inner, outer = sorted((side * (gap - 0.17), side * (gap + 0.17)))
            self._boards.append(Board(left=inner, right=outer, top=height + 0.3, z=HEDGE_M - 0.15))
            inner, outer = sorted((side * gap, side * 30))
            self._boards.append(Board(left=inner, right=outer, top=height, z=HEDGE_M))

    def paint_porch(self) -> None:
        wall_x = -self._side * self._rng.uniform(1.25, 1.5)
        forward = np.where(self._dx * wall_x > 1e-4, wall_x / np.where(self._dx, self._dx, 1), 1e4)
        y = self._lens.height_m + self._dy * forward
        z = self._dz * forward
        rows = np.floor(y / 0.075)
        along = z / 0.24 + 0.5 * (rows % 2)
        joint = ((y / 0.075) % 1 < 0.16) | (along % 1 < 0.05)
        tone = (np.floor(along) * 13 + rows * 7) % 11 / 11
        brick = self._rng.uniform(0.2, 0.34) * (0.8 + 0.4 * tone)
        brick = np.where(joint, 0.42, brick) * (1 + 0.12 * sample(self._fine, z * 300, y * 300))
        inside = (z > 0) & (z < 2.1) & (y > 0) & (y < 2.9)
        self._cover(inside, brick, (-float(np.sign(wall_x)), 0, 0), z, forward * self._dx, y)
        self._screen(1.0, inside)
        x, y = self._hit_z(2.1)
        at = self._side * self._rng.uniform(1.3, 1.6)
        post = np.abs(x - at) < 0.07
        paint = 0.6 * (1 - 0.5 * np.abs(x - at) / 0.07) + 0.03 * sample(self._rough, x * 90, y * 90)
        self._cover(post & (y > 0), paint, (0, 0, -1), 2.1, x, y)
        self._screen(2.1, post & (y > 0))
        self._boards.append(Board(left=at - 0.07, right=at + 0.07, top=2.9, z=2.1))

    def _hit_z(self, z: float) -> tuple[Image, Image]:
        forward = z / np.maximum(self._dz, 1e-3)
        return self._dx * forward, self._lens.height_m + self._dy * forward

    def _slabs(self, x: Image, z: Image, side: float, tone: float) -> Image:
        rows = np.floor(z / side)
        along = x / side + 0.5 * (rows % 2)
        joint = ((z / side) % 1 < 0.045) | (along % 1 < 0.045)
        each = self._rng.uniform(0.88, 1.12, 97)
        value = tone * each[(np.floor(along) * 17 + rows * 5).astype(int) % 97]
        fade = np.clip(1.3 - z / 9, 0, 1)
        return np.where(joint, value * (1 - 0.45 * fade), value).astype(np.float32)

    def _leaves(self, x: Image, y: Image, tone: float) -> Image:
        fine = sample(self._fine, x * 210, y * 210)
        small = sample(self._leaf, x * 120 + 5 * fine, y * 120 - 5 * fine)
        large = sample(self._rough, x * 60, y * 60)
        lush = 1 + 0.5 * small + 0.3 * fine + 0.25 * large
        return (tone * np.clip(lush, 0.12, 2.8)).astype(np.float32)

    def _cover(
        self,
        mask: Image,
        albedo: Image,
        normal: tuple[float, float, float],
        z: Image | float,
        x: Image,
        y: Image,
    ) -> None:
        where = np.nonzero(mask)
        for channel, value in enumerate((x, y, z)):
            self._points[(*where, channel)] = value[where] if np.ndim(value) else value
        self._normal[where] = normal
        self._albedo[where] = albedo[where]
        for image in (self._sky, self._windows, self._foliage):
            image[where] = 0

    def _screen(self, z: float, mask: Image) -> None:
        self._screens.append((z, mask.astype(np.float32)))


def _shrunk(image: Image) -> Image:
    return cv2.resize(image.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def shadowed(
    surface: Surface, boards: tuple[Board, ...], to_light: tuple[Floats, Floats, Floats]
) -> Floats:
    """Return 0 to 1: how much of a light each point gets past the boards.

    `to_light` is the vector from each point to the light (x, y, z), whole and not normalised;
    for a far light, a long one.
    """
    across, up, away = to_light
    lit = np.ones_like(surface.x)
    away = np.where(np.abs(away) < 1e-4, 1e-4, away)
    for board in boards:
        part = (board.z - surface.z) / away
        at_x = surface.x + part * across
        at_y = surface.y + part * up
        soft = 0.03 + 0.04 * np.abs(board.z - surface.z)
        inside = (
            np.clip((at_x - board.left) / soft + 0.5, 0, 1)
            * np.clip((board.right - at_x) / soft + 0.5, 0, 1)
            * np.clip((board.top - at_y) / soft + 0.5, 0, 1)
        )
        is_between = (part > 0.01) & (part < 0.995)
        lit = lit * np.where(is_between, 1 - inside, 1)
    return lit
