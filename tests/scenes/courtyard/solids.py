"""Solids and where rays meet them: convex polyhedra, and capsules that may be flattened.

A hit is the distance along the ray (unit directions), infinite where it misses. Normals point
outward, and are asked for where a hit was found.
"""

from dataclasses import dataclass

import numpy as np

from tests.scenes.courtyard.lens import Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Convex:
    """All points where `normals` · p ≤ `offsets`; `corners` bound it in a picture."""

    normals: Floats
    offsets: Floats
    corners: Floats

    def hit(self, origins: Floats, rays: Floats) -> Floats:
        """Distances."""
        near = np.zeros(rays.shape[:-1], np.float32)
        far = np.full(rays.shape[:-1], np.inf, np.float32)
        for normal, offset in zip(self.normals, self.offsets, strict=True):
            slope = rays @ normal
            slope[slope == 0] = 1e-9
            meets = (offset - origins @ normal) / slope
            np.copyto(near, meets, where=(slope < 0) & (meets > near))
            np.copyto(far, meets, where=(slope > 0) & (meets < far))
        near[(near >= far) | (near <= 1e-3)] = np.inf
        return near

    def normals_at(self, points: Floats) -> Floats:
        """The normals of the faces that points lie in."""
        faces = np.argmax(points @ self.normals.T - self.offsets, axis=-1)
        return self.normals[faces]

    def balls(self) -> tuple[Floats, Floats]:
        """Centres and radii of balls that hold its outline, for `Lens.window`."""
        middle = self.corners.mean(axis=0)
        along = np.linspace(0, 1, 7, dtype=np.float32)[:, None, None]
        ends = np.concatenate([self.corners, (self.corners + middle) / 2])
        paths = ends[None] * (1 - along) + np.roll(ends, 1, axis=0)[None] * along
        points = paths.reshape(-1, 3)
        return points, np.full(len(points), 0.02, np.float32)


def turned_box(
    middle: tuple[float, float, float],
    size: tuple[float, float, float],
    *,
    heading: float = 0.0,
    taper: float = 0.0,
) -> Convex:
    """A box on the middle of its floor, turned about z; `taper` is what its top lacks in length."""
    half_x, half_y, high = size[0] / 2, size[1] / 2, size[2]
    lean = half_x * taper / high
    local = [
        ([1, 0, lean], half_x),
        ([-1, 0, lean], half_x),
        ([0, 1, 0], half_y),
        ([0, -1, 0], half_y),
        ([0, 0, 1], high),
        ([0, 0, -1], 0.0),
    ]
    turn = _turn(heading)
    lengths = [np.linalg.norm(normal) for normal, _ in local]
    normals = np.array([turn @ (np.array(n) / k) for (n, _), k in zip(local, lengths, strict=True)])
    place = np.array(middle)
    offsets = np.array([d / k for (_, d), k in zip(local, lengths, strict=True)]) + normals @ place
    top = half_x * (1 - taper)
    corners = [
        (x, y, z)
        for z, wide in ((0.0, half_x), (high, top))
        for x, y in ((-wide, -half_y), (wide, -half_y), (wide, half_y), (-wide, half_y))
    ]
    return Convex(
        normals=normals.astype(np.float32),
        offsets=offsets.astype(np.float32),
        corners=(np.array(corners) @ turn.T + place).astype(np.float32),
    )


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> Convex:
    """A box along the axes from its lowest to its highest corner."""
    middle = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2])
    return turned_box(middle, (high[0] - low[0], high[1] - low[1], high[2] - low[2]))


def _turn(heading: float) -> Floats:
    cos, sin = np.cos(heading), np.sin(heading)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Capsule:
    """All points within `radius` of a segment, after `stretch` (3 × 3) of the space around it."""

    start: Floats
    end: Floats
    radius: float
    stretch: Floats | None = None

    def hit(self, origins: Floats, rays: Floats) -> Floats:
        """Distances."""
        start, end = self.start, self.end
        if self.stretch is not None:
            origins, rays = origins @ self.stretch.T, rays @ self.stretch.T
            start, end = self.stretch @ start, self.stretch @ end
        axis = (end - start).astype(np.float32)
        length2 = float(axis @ axis) + 1e-9
        away = (origins - start).astype(np.float32)
        speed2 = (rays * rays).sum(axis=-1)
        ray_on_axis, away_on_axis = rays @ axis, away @ axis
        ray_on_away = (rays * away).sum(axis=-1)
        away2 = (away * away).sum(axis=-1)
        a = np.maximum(length2 * speed2 - ray_on_axis**2, 1e-12)
        b = length2 * ray_on_away - away_on_axis * ray_on_axis
        c = length2 * away2 - away_on_axis**2 - self.radius**2 * length2
        root = b * b - a * c
        meets = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
        height = away_on_axis + np.where(root > 0, meets, 0) * ray_on_axis
        beyond = height > length2
        capped = (height < 0) | beyond | (root <= 0)
        cap_b = ray_on_away - np.where(beyond, ray_on_axis, 0)
        cap_c = away2 - np.where(beyond, 2 * away_on_axis - length2, 0) - self.radius**2
        cap_root = cap_b**2 - speed2 * cap_c
        cap = np.where(cap_root > 0, (-cap_b - np.sqrt(np.maximum(cap_root, 0))) / speed2, np.inf)
        meets = np.where(capped, cap, meets)
        meets[meets <= 1e-3] = np.inf
        return meets.astype(np.float32)

    def normals_at(self, points: Floats) -> Floats:
        """The normals at points of its surface."""
        start, end = self.start, self.end
        if self.stretch is not None:
            points = points @ self.stretch.T
            start, end = self.stretch @ start, self.stretch @ end
        axis = (end - start).astype(np.float32)
        away = points - start
        share = np.clip(away @ axis / (float(axis @ axis) + 1e-9), 0, 1)
        normals = (away - share[..., None] * axis) / self.radius
        if self.stretch is not None:
            normals = normals @ self.stretch
        return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)

    def balls(self) -> tuple[Floats, Floats]:
        """Centres and radii of balls that hold its outline, for `Lens.window`."""
        along = np.linspace(0, 1, 4, dtype=np.float32)[:, None]
        points = self.start * (1 - along) + self.end * along
        return points.astype(np.float32), np.full(4, self.radius, np.float32)


Solid = Convex | Capsule


class Blockers:
    """Solids that stand in the way of light."""

    def __init__(self, solids: list[Solid]) -> None:
        self._solids = solids
        balls = [solid.balls() for solid in solids]
        self._middles = np.array([centres.mean(axis=0) for centres, _ in balls], np.float32)
        self._reaches = [
            float((np.linalg.norm(centres - middle, axis=-1) + radii).max())
            for (centres, radii), middle in zip(balls, self._middles, strict=True)
        ]

    def hide(self, points: Floats, target: Floats, *, is_sun: bool) -> Floats:
        """Whether anything stands between each point (n × 3) and a light, 0 or 1.

        `target` is the unit direction to a sun, or the place of a lamp.
        """
        if is_sun:
            rays = np.broadcast_to(target, points.shape).astype(np.float32)
            limit = np.full(len(points), np.inf, np.float32)
        else:
            rays = target - points
            limit = np.linalg.norm(rays, axis=-1)
            rays = (rays / limit[:, None]).astype(np.float32)
        hidden = np.zeros(len(points), bool)
        for solid, middle, reach in zip(self._solids, self._middles, self._reaches, strict=True):
            to_middle = middle - points
            along = (to_middle * rays).sum(axis=-1)
            aside2 = (to_middle * to_middle).sum(axis=-1) - along**2
            left = np.flatnonzero((aside2 < reach**2) & (along > -reach) & ~hidden)
            if len(left):
                distance = solid.hit(points[left], rays[left])
                hidden[left] = (distance > 0.02) & (distance < limit[left])
        return hidden.astype(np.float32)
