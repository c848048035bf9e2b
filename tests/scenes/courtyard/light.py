"""What falls on surfaces: sky, sun through clouds and leaves, lamps, headlights, infrared.

Radiance is albedo times what falls on a surface; a white surface that faces a clear sun has 1.
"""

from dataclasses import dataclass, field

import numpy as np

from tests.scenes.courtyard.buffers import Backdrop, Surface, leaves_hit
from tests.scenes.courtyard.lens import Floats
from tests.scenes.courtyard.site import Foliage, Site
from tests.scenes.courtyard.solids import Blockers, Convex, Solid, box
from tests.scenes.courtyard.texture import blend, enlarge, smooth

COARSE = 4
_SHADE_TEXEL_M = 0.025
_SKY_TEXELS = 110
_SKY_PACE = 0.08


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """How strong each light is at one moment; `glow` is that of lit windows and lamp heads."""

    sky: float = 0.0
    sun: float = 0.0
    street: float = 0.0
    porch: float = 0.0
    infrared: float = 0.0
    glow: float = 0.0
    is_infrared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Clouds:
    """A sky of clouds that the wind moves: those above `threshold` keep `depth` of the sun away."""

    threshold: float
    depth: float
    softness: float
    texel_m: float
    wind: tuple[float, float]

    def sun_share(self, texture: Floats, x: Floats, y: Floats, at_s: float) -> Floats:
        """How much of the sun reaches places, 0 to 1."""
        across = (x - self.wind[0] * at_s) / self.texel_m
        along = (y - self.wind[1] * at_s) / self.texel_m
        cover = blend(texture, across, along)
        low, high = self.threshold - self.softness, self.threshold + self.softness
        return 1 - self.depth * smooth(low, high, cover)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """A pair of headlights: where, to where, how strong."""

    place: Floats
    direction: Floats
    strength: float


@dataclass(slots=True, kw_only=True)
class Received:
    """What of each unit light falls on a surface that doesn't move, before what changes."""

    sky: Floats
    sun: Floats
    street: Floats
    porch: Floats
    infrared: Floats


@dataclass(slots=True, kw_only=True)
class LeafShade:
    """A crown's shade: how much sun passes at (v, u) across the sun's direction, below `above`."""

    passes: Floats
    corner: tuple[float, float]
    above: float
    sway_m: float
    pixels: Floats = field(default_factory=lambda: np.empty(0, np.int64))
    places: tuple[Floats, Floats] = field(
        default_factory=lambda: (np.empty(0, np.float32), np.empty(0, np.float32))
    )

    def lookup(self, u: Floats, v: Floats) -> Floats:
        """The share of sun at places across its direction."""
        column = ((u - self.corner[0]) / _SHADE_TEXEL_M).astype(np.int32)
        row = ((v - self.corner[1]) / _SHADE_TEXEL_M).astype(np.int32)
        rows, columns = self.passes.shape
        np.clip(column, 0, columns - 1, out=column)
        np.clip(row, 0, rows - 1, out=row)
        return self.passes.ravel()[row * columns + column]


class Lighting:
    """All lights of one scene; `sun_to` is the unit direction to the sun, None without one."""

    def __init__(
        self,
        site: Site,
        backdrop: Backdrop,
        *,
        sun_to: Floats | None,
        clouds: Clouds | None,
        has_canopy: bool,
        is_night: bool,
    ) -> None:
        self._site = site
        self._sun_to = sun_to
        self._clouds = clouds
        self._is_night = is_night
        solids: list[Solid] = [item.solid for item in site.items if item.material != "lamp"]
        solids += [_core(hedge) for hedge in site.hedges]
        solids.append(box((-9.0, -6.0, 0.0), (9.0, -0.02, 6.5)))
        if has_canopy:
            solids += site.canopy
        self._blockers = Blockers(solids)
        self._shades: list[LeafShade] = []
        self._across = _basis(sun_to) if sun_to is not None else np.eye(3, dtype=np.float32)
        self._backdrop = backdrop
        small = backdrop.surface.points[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]
        self._coarse_x, self._coarse_y = small[..., 0].copy(), small[..., 1].copy()
        rays = backdrop.rays[COARSE // 2 :: COARSE, COARSE // 2 :: COARSE]
        high = np.maximum(rays[..., 2], 0.06)
        self._sky_x, self._sky_y = rays[..., 0] / high, rays[..., 1] / high
        if sun_to is not None:
            self._shades = [self._leaf_shade(crown, sun_to) for crown in site.crowns]
            self._find_shaded(backdrop.surface)
        self.received = self.receive(backdrop.surface, is_foliage=False)

    def receive(self, surface: Surface, *, is_foliage: bool) -> Received:
        """What falls on a surface from each unit light, shadows of what stands still included."""
        flat = surface.points.reshape(-1, 3)
        shape = surface.distance.shape
        sun = np.zeros(shape, np.float32)
        if self._sun_to is not None:
            facing = self._facing(surface.normals, self._sun_to, is_foliage=is_foliage)
            hidden = self._blockers.hide(flat, self._sun_to, is_sun=True).reshape(shape)
            sun = facing * (1 - hidden)
        nothing = np.zeros(shape, np.float32)
        return Received(
            sky=self._sky_share(surface),
            sun=sun,
            street=self._lamp(surface, self._site.street_lamp, is_foliage)
            if self._is_night
            else nothing,
            porch=self._lamp(surface, self._site.porch_lamp, is_foliage)
            if self._is_night
            else nothing,
            infrared=self._from_lens(surface, is_foliage),
        )

    def receive_moving(self, surface: Surface, foot: Floats, height: float) -> Received:
        """The same for a mover's pixels; what shades it is sampled at three heights of it."""
        count = len(surface.points)
        sun, street, porch = (np.zeros(count, np.float32) for _ in range(3))
        probes = foot + np.array([[0, 0, share * height] for share in (0.12, 0.5, 0.9)], np.float32)
        shares = np.clip((surface.points[:, 2] - foot[2]) / height, 0.12, 0.9)

        def open_to(target: Floats, *, is_sun: bool) -> Floats:
            hidden = self._blockers.hide(probes.astype(np.float32), target, is_sun=is_sun)
            return np.interp(shares, (0.12, 0.5, 0.9), 1 - hidden).astype(np.float32)

        if self._sun_to is not None:
            sun = self._facing(surface.normals, self._sun_to, is_foliage=False)
            sun *= open_to(self._sun_to, is_sun=True) * self.leaf_share(surface.points)
        if self._is_night:
            street = self._lamp(surface, self._site.street_lamp, False, shadows=False)
            street *= open_to(self._site.street_lamp, is_sun=False)
            porch = self._lamp(surface, self._site.porch_lamp, False, shadows=False)
        return Received(
            sky=self._sky_share(surface),
            sun=sun,
            street=street,
            porch=porch,
            infrared=self._from_lens(surface, False),
        )

    def fall(
        self,
        received: Received,
        levels: Levels,
        sun_share: Floats | float,
        lit: Floats | float = 1.0,
    ) -> Floats:
        """All light that falls on a surface; `lit` is what movers' shadows leave of the lamp."""
        light = received.sky * np.float32(levels.sky)
        if levels.sun > 0:
            light += received.sun * (levels.sun * sun_share * lit)
        if levels.street > 0:
            light += received.street * np.float32(levels.street)
        if levels.porch > 0:
            light += received.porch * (np.float32(levels.porch) * lit)
        if levels.infrared > 0:
            light += received.infrared * np.float32(levels.infrared)
        return light

    def cloud_shares(self, at_s: float) -> tuple[Floats | float, Floats | float]:
        """What clouds leave of the sun on each pixel's place, and how clear each pixel's sky is."""
        if self._clouds is None:
            return 1.0, 1.0
        texture = self._site.textures.cloud
        ground = self._clouds.sun_share(texture, self._coarse_x, self._coarse_y, at_s)
        # High up, the same pattern is larger and passes more slowly across the view.
        scale = _SKY_TEXELS * self._clouds.texel_m
        sky = self._clouds.sun_share(
            texture, self._sky_x * scale, self._sky_y * scale, at_s * _SKY_PACE
        )
        return enlarge(ground, COARSE), enlarge(sky, COARSE)

    def cloud_share_at(self, place: Floats, at_s: float) -> float:
        """What clouds leave of the sun at one place."""
        if self._clouds is None:
            return 1.0
        x, y = np.array([place[0]]), np.array([place[1]])
        return float(self._clouds.sun_share(self._site.textures.cloud, x, y, at_s)[0])

    def shade_leaves(self, sun_share: Floats, gust: float, at_s: float) -> None:
        """Multiply the backdrop's share of the sun by what the crowns let through, in place."""
        flat = sun_share.reshape(-1)
        for number, shade in enumerate(self._shades):
            u, v = shade.places
            moved_u, moved_v = _sway(u, v, gust * shade.sway_m, at_s, number)
            flat[shade.pixels] *= shade.lookup(u + moved_u, v + moved_v)

    def leaf_share(self, points: Floats) -> Floats:
        """What the crowns let through to any points, without wind."""
        u, v, toward = (points @ axis for axis in self._across)
        share = np.ones(len(points), np.float32)
        for shade in self._shades:
            below = toward < shade.above
            share = np.where(below, share * shade.lookup(u, v), share)
        return share

    def beam(self, surface: Surface, beam: Beam) -> Floats:
        """What a pair of headlights throws on a surface, past the hedge and the gate's posts."""
        away = surface.points - beam.place
        distance2 = np.maximum((away * away).sum(axis=-1), 0.3)
        along = away @ beam.direction
        side = np.array([-beam.direction[1], beam.direction[0], 0], np.float32)
        aside = (away @ side) / np.maximum(along, 0.05)
        rise = away[..., 2] / np.maximum(along, 0.05)
        cone = np.exp(-((aside / 0.42) ** 2)) * (1 - smooth(-0.01, 0.06, rise) * 0.9)
        facing = -(away * surface.normals).sum(axis=-1) / np.sqrt(distance2)
        light = beam.strength * cone * np.maximum(facing, 0) * (along > 0.05) / distance2
        return (light * (1 - self._behind_hedge(surface.points, beam.place))).astype(np.float32)

    def _behind_hedge(self, points: Floats, lamp: Floats) -> Floats:
        site = self._site
        gap = lamp[1] - points[..., 1]
        share = (site.hedge_y - points[..., 1]) / np.where(np.abs(gap) < 1e-3, 1e-3, gap)
        x = points[..., 0] + share * (lamp[0] - points[..., 0])
        z = points[..., 2] + share * (lamp[2] - points[..., 2])
        crosses = (share > 0) & (share < 1)
        open_drive = (x > site.drive[0]) & (x < site.drive[1])
        hedge = (np.abs(x - site.gap_x) > 0.95) & ~open_drive & (z < site.hedge_height)
        hedge &= np.abs(x) < site.fence_x
        post = (np.abs(np.abs(x - site.gap_x) - 0.75) < 0.16) & (z < 1.35)
        fence = np.zeros(crosses.shape, bool)
        if abs(lamp[0]) > site.fence_x:
            plane = np.sign(lamp[0]) * site.fence_x
            way = (plane - points[..., 0]) / (lamp[0] - points[..., 0] + 1e-6)
            y = points[..., 1] + way * (lamp[1] - points[..., 1])
            z = points[..., 2] + way * (lamp[2] - points[..., 2])
            fence = (way > 0.01) & (way < 0.99) & (y < site.hedge_y + 0.4) & (y > 0.5) & (z < 1.95)
        return ((crosses & (hedge | post)) | fence).astype(np.float32)

    def flatten(self, points: Floats, beam: Beam | None, *, by_sun: bool) -> Floats:
        """Coordinates across a light's rays, in which a shadow is its caster's outline.

        The last is how near to the light a point is. For a sun they are metres, for a lamp slopes.
        """
        if by_sun:
            return points @ self._across.T
        if beam is None:
            away = points - self._site.porch_lamp
            depth = np.maximum(-away[..., 2], 0.05)
            return np.stack([away[..., 0] / depth, away[..., 1] / depth, -depth], axis=-1)
        away = points - beam.place
        depth = np.maximum(away @ beam.direction, 0.05)
        side = np.array([-beam.direction[1], beam.direction[0], 0], np.float32)
        return np.stack([(away @ side) / depth, away[..., 2] / depth, -depth], axis=-1)

    def _facing(self, normals: Floats, target: Floats, *, is_foliage: bool) -> Floats:
        facing = np.maximum(normals @ target, 0).astype(np.float32)
        return 0.3 + 0.7 * facing if is_foliage else facing

    def _sky_share(self, surface: Surface) -> Floats:
        open_sky = 0.55 + 0.45 * surface.normals[..., 2]
        by_house = 1 - 0.5 * np.exp(-np.maximum(surface.points[..., 1], 0) / 0.9)
        return (open_sky * by_house).astype(np.float32)

    def _lamp(
        self, surface: Surface, lamp: Floats, is_foliage: bool, *, shadows: bool = True
    ) -> Floats:
        away = lamp - surface.points
        distance = np.maximum(np.linalg.norm(away, axis=-1), 0.15)
        facing = (away * surface.normals).sum(axis=-1) / distance
        facing = 0.3 + 0.7 * np.maximum(facing, 0) if is_foliage else np.maximum(facing, 0)
        light = (facing / distance**2).astype(np.float32)
        if shadows:
            near = distance < 30
            hidden = np.zeros(distance.shape, np.float32)
            hidden[near] = self._blockers.hide(surface.points[near], lamp, is_sun=False)
            light *= 1 - hidden
        return light

    def _from_lens(self, surface: Surface, is_foliage: bool) -> Floats:
        """Unit light from beside the lens: it falls with the square of the distance."""
        away = self._site.lens.position - surface.points
        distance = np.maximum(np.linalg.norm(away, axis=-1), 0.12)
        facing = (away * surface.normals).sum(axis=-1) / distance
        facing = 0.35 + 0.65 * np.maximum(facing, 0) if is_foliage else np.maximum(facing, 0)
        ahead = -(away @ self._site.lens.axes[2]) / distance
        return (facing / distance**2 * (0.12 + 0.88 * smooth(0.35, 0.95, ahead))).astype(np.float32)

    def _leaf_shade(self, crown: Foliage, sun_to: Floats) -> LeafShade:
        """The crown seen from the sun: parallel rays, blurred as the sun's disc does it."""
        balls = [solid.balls() for solid in crown.outline]
        places = np.concatenate([centres @ self._across.T for centres, _ in balls])
        reach = max(float(radii.max()) for _, radii in balls) + 0.1
        low, high = places.min(axis=0) - reach, places.max(axis=0) + reach
        u, v = np.meshgrid(
            np.arange(low[0], high[0], _SHADE_TEXEL_M), np.arange(low[1], high[1], _SHADE_TEXEL_M)
        )
        plane = np.stack([u, v, np.full_like(u, high[2] + 1)], axis=-1).astype(np.float32)
        origins = (plane @ self._across).astype(np.float32)
        rays = np.broadcast_to(-sun_to, origins.shape).astype(np.float32)
        distance, _, _ = leaves_hit(self._site, crown, origins, rays)
        passes = np.isinf(distance).astype(np.float32)
        for axis in (0, 1):
            passes = sum(np.roll(passes, step, axis=axis) for step in (-1, 0, 1)) / np.float32(3)
        passes[[0, -1], :] = passes[:, [0, -1]] = 1
        return LeafShade(
            passes=passes,
            corner=(float(low[0]), float(low[1])),
            above=float(places[:, 2].mean()),
            sway_m=crown.sway_m,
        )

    def _find_shaded(self, surface: Surface) -> None:
        u, v, toward = (surface.points.reshape(-1, 3) @ axis for axis in self._across)
        for shade in self._shades:
            rows, columns = shade.passes.shape
            inside = (u > shade.corner[0] - 0.3) & (v > shade.corner[1] - 0.3)
            inside &= u < shade.corner[0] + columns * _SHADE_TEXEL_M + 0.3
            inside &= v < shade.corner[1] + rows * _SHADE_TEXEL_M + 0.3
            inside &= toward < shade.above
            inside &= surface.distance.ravel() < 60
            shade.pixels = np.flatnonzero(inside)
            shade.places = u[shade.pixels], v[shade.pixels]


def _core(hedge: Foliage) -> Convex:
    core = hedge.shells[1][0]
    assert isinstance(core, Convex)
    return core


def _basis(sun_to: Floats) -> Floats:
    """Two directions across the sun's, and its own, one a row."""
    aside = np.cross(sun_to, [0.0, 0.0, 1.0])
    aside /= np.linalg.norm(aside)
    return np.stack([aside, np.cross(aside, sun_to), sun_to]).astype(np.float32)


def _sway(u: Floats, v: Floats, way: float, at_s: float, number: int) -> tuple[Floats, Floats]:
    """How far leaves' shadows lie from their usual place: the bough's swing and the twigs' own."""
    if way == 0:
        return np.float32(0), np.float32(0)
    bough = 0.55 + 0.45 * np.sin(1.9 * at_s + number)
    twigs_u = np.sin(u * np.float32(4.1) + np.float32(4.7 * at_s)) * np.float32(0.4 * way)
    twigs_v = np.sin(v * np.float32(3.3) + np.float32(5.9 * at_s + 1)) * np.float32(0.3 * way)
    return twigs_u + np.float32(bough * way), twigs_v


def sky_radiance(site: Site, backdrop: Backdrop, levels: Levels, clear: Floats | float) -> Floats:
    """What the sky itself sends: brighter near the horizon and where clouds are lit."""
    up = np.clip(backdrop.rays[..., 2], 0, 1)
    blue = 0.95 - 0.45 * up
    white = 1.25 - 0.2 * up
    tone = blue * clear + white * (1 - clear)
    return (tone * (levels.sky * 1.6 + levels.sun * 0.12) + levels.glow * 0.002).astype(np.float32)
