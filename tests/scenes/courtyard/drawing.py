"""Figures drawn into the picture by rays, with a depth for each pixel, and their shadows."""

from dataclasses import dataclass

import numpy as np

from tests.scenes.courtyard.buffers import Surface
from tests.scenes.courtyard.figures import Paint, Part, Pose
from tests.scenes.courtyard.lens import HEIGHT, WIDTH, Floats, Lens
from tests.scenes.courtyard.solids import Capsule
from tests.scenes.courtyard.texture import Textures, pick, smooth


@dataclass(slots=True, kw_only=True)
class Drawn:
    """The pixels of one figure, as flat indices, and what lighting needs of them."""

    pixels: np.ndarray
    surface: Surface
    gloss: Floats
    shine: Floats


def draw_figure(
    lens: Lens, rays: Floats, textures: Textures, pose: Pose, depth: Floats
) -> Drawn | None:
    """Draw a pose in front of `depth` (the whole picture's), which becomes its own there."""
    windows = [lens.window(*part.solid.balls()) for part in pose.parts]
    seen = [w for w in windows if w[2] > w[0] and w[3] > w[1]]
    if not seen:
        return None
    left, top = min(w[0] for w in seen), min(w[1] for w in seen)
    right, bottom = max(w[2] for w in seen), max(w[3] for w in seen)
    near = depth[top:bottom, left:right].copy()
    owner = np.full(near.shape, -1, np.int16)
    for number, (part, window) in enumerate(zip(pose.parts, windows, strict=True)):
        part_rays = rays[window[1] : window[3], window[0] : window[2]]
        if part_rays.size == 0:
            continue
        inner = (
            slice(window[1] - top, window[3] - top),
            slice(window[0] - left, window[2] - left),
        )
        hit = part.solid.hit(lens.position, part_rays)
        closer = hit < near[inner]
        near[inner][closer] = hit[closer]
        owner[inner][closer] = number
    rows, columns = np.nonzero(owner >= 0)
    if not len(rows):
        return None
    depth[top:bottom, left:right] = near
    distance, owner = near[rows, columns], owner[rows, columns]
    pixels = (rows + top) * WIDTH + columns + left
    points = lens.position + rays.reshape(-1, 3)[pixels] * distance[:, None]
    normals = np.zeros((len(pixels), 3), np.float32)
    values = np.zeros((len(pixels), 4), np.float32)
    for number, part in enumerate(pose.parts):
        mine = np.flatnonzero(owner == number)
        if len(mine):
            normals[mine] = part.solid.normals_at(points[mine])
            values[mine] = _painted(textures, part, points[mine], normals[mine])
    return Drawn(
        pixels=pixels,
        surface=Surface(
            points=points,
            normals=normals,
            distance=distance,
            visible=values[:, 0],
            infrared=values[:, 1],
        ),
        gloss=values[:, 2],
        shine=values[:, 3],
    )


def _painted(textures: Textures, part: Part, points: Floats, normals: Floats) -> Floats:
    """Albedos in visible light and infrared, gloss and shine of points on a part."""
    paint: Paint = part.paint
    from_start = points - part.start
    along = (from_start @ part.axis).astype(np.float32)
    around = np.arctan2(normals @ part.side, normals @ np.cross(part.axis, part.side))
    folds = pick(textures.cloud, along * 70 + 9 * np.sin(around), 14 * np.cos(around) + along * 25)
    tone = 1 + 0.12 * folds.clip(-2, 2)
    if paint.pattern == "stripes":
        tone *= 1 - paint.contrast * (along % paint.period_m < paint.period_m / 2)
    elif paint.pattern == "checks":
        line = (along % paint.period_m < paint.period_m * 0.4).astype(np.float32)
        line += np.abs(around) % 0.7 < 0.3
        tone *= 1 - paint.contrast * 0.5 * line
    elif paint.pattern == "bands":
        tone *= 1 - paint.contrast * (np.abs(along - paint.period_m / 2) < paint.period_m * 0.12)
    values = np.empty((len(points), 4), np.float32)
    values[:, 0] = np.clip(paint.visible * tone, 0.015, 0.95)
    values[:, 1] = np.clip(paint.infrared * (1 + (tone - 1) * 0.5), 0.02, 0.95)
    values[:, 2] = paint.gloss
    values[:, 3] = paint.shine
    return values


def shadow(pose: Pose, across: Floats, flatten, *, edge: float) -> Floats | None:  # type: ignore[no-untyped-def]
    """What a figure leaves of a light on each pixel, 0 to 1; None without a shadow in view.

    `across` has the pixels' coordinates across the light's rays, `flatten` gives those of points.
    """
    starts, ends, radii = _casters(pose)
    flat_starts, flat_ends = flatten(starts), flatten(ends)
    is_slope = bool(flat_starts[0, 2] < 0 and edge < 0.02)
    depths = (flat_starts[:, 2] + flat_ends[:, 2]) / 2
    reach = radii / np.abs(depths) if is_slope else radii
    both = np.concatenate([flat_starts, flat_ends])
    low = both[:, :2].min(axis=0) - reach.max() - edge
    high = both[:, :2].max(axis=0) + reach.max() + edge
    u, v, toward = across[0], across[1], across[2]
    inside = (u > low[0]) & (u < high[0]) & (v > low[1]) & (v < high[1])
    inside &= toward < both[:, 2].max()
    pixels = np.flatnonzero(inside)
    if not len(pixels):
        return None
    u, v, toward = u[pixels], v[pixels], toward[pixels]
    left = np.ones(len(pixels), np.float32)
    for start, end, size, depth in zip(flat_starts, flat_ends, reach, depths, strict=True):
        way = end[:2] - start[:2]
        along = ((u - start[0]) * way[0] + (v - start[1]) * way[1]) / (way @ way + 1e-12)
        np.clip(along, 0, 1, out=along)
        aside = np.hypot(u - start[0] - along * way[0], v - start[1] - along * way[1])
        behind = toward < depth
        np.minimum(left, np.where(behind, smooth(size - edge, size + edge, aside), 1), out=left)
    lit = np.ones(HEIGHT * WIDTH, np.float32)
    lit[pixels] = left
    return lit.reshape(HEIGHT, WIDTH)


def _casters(pose: Pose) -> tuple[Floats, Floats, Floats]:
    starts, ends, radii = [], [], []
    for part in pose.parts:
        solid = part.solid
        if isinstance(solid, Capsule):
            starts.append(solid.start)
            ends.append(solid.end)
            radii.append(solid.radius)
        else:
            corners = solid.corners
            half = float(np.linalg.norm(corners[0] - corners[3])) / 2
            back, front = corners[[0, 3, 4, 7]].mean(axis=0), corners[[1, 2, 5, 6]].mean(axis=0)
            way = front - back
            length = float(np.linalg.norm(way))
            inset = way / length * min(half * 0.8, length / 2.2)
            starts.append(back + inset)
            ends.append(front - inset)
            radii.append(half * 0.8)
    return np.array(starts, np.float32), np.array(ends, np.float32), np.array(radii, np.float32)


def contact_shade(pose: Pose, points: Floats) -> tuple[np.ndarray, Floats]:
    """Flat indices of ground pixels close below a figure, and what is left of the sky there."""
    x, y, z = points[..., 0].ravel(), points[..., 1].ravel(), points[..., 2].ravel()
    size = pose.contact_radius
    low = pose.contacts.min(axis=0) - 3 * size
    high = pose.contacts.max(axis=0) + 3 * size
    near = (x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1])
    near &= (z < pose.foot[2] + 0.05) & (z > pose.foot[2] - 0.3)
    pixels = np.flatnonzero(near)
    covered = np.zeros(len(pixels), np.float32)
    for contact in pose.contacts:
        distance2 = (x[pixels] - contact[0]) ** 2 + (y[pixels] - contact[1]) ** 2
        np.maximum(covered, np.exp(-distance2 / (size * size)), out=covered)
    return pixels, 1 - 0.55 * covered
