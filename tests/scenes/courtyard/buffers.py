"""The site cast once into arrays: what each pixel sees, how far, and which way it faces.

A `Surface` is all that lighting needs of some pixels, of any shape. What doesn't move and is opaque
is one surface of the whole picture; hedges, crowns and the open gate are layers, which let things
behind them through.
"""

from dataclasses import dataclass

import numpy as np

from tests.scenes.courtyard.lens import FINE, WIDTH, Floats, Lens
from tests.scenes.courtyard.site import INFRARED, Foliage, Site, ground_albedo, item_albedo
from tests.scenes.courtyard.solids import Solid
from tests.scenes.courtyard.texture import pick, pick_cells

FAR_M = 140.0


@dataclass(slots=True, kw_only=True)
class Surface:
    """Points, outward normals, and albedos in visible light and infrared."""

    points: Floats
    normals: Floats
    distance: Floats
    visible: Floats
    infrared: Floats


@dataclass(slots=True, kw_only=True)
class Backdrop:
    """The opaque rest of the picture. `sky` is each pixel's share of it; `glow` is lit at night."""

    surface: Surface
    sky: Floats
    glow: Floats
    rays: Floats


@dataclass(slots=True, kw_only=True)
class Layer:
    """Foliage or a gate, its corner at `top` and `left`; `sway_px` is how far gusts move pixels."""

    top: int
    left: int
    surface: Surface
    alpha: Floats
    sway_px: Floats
    sort_distance: float
    flutter: Floats


def cast_backdrop(site: Site) -> Backdrop:
    """Rays at the sensor's own resolution against all that is opaque."""
    rays = site.lens.rays(FINE)
    shape = rays.shape[:2]
    ground = np.where(
        rays[..., 2] < -1e-4, -site.lens.position[2] / np.minimum(rays[..., 2], -1e-4), np.inf
    )
    distance = ground.astype(np.float32)
    normals = np.zeros((*shape, 3), np.float32)
    normals[..., 2] = 1
    owner = np.where(distance < FAR_M, -1, -2).astype(np.int16)
    for number, item in enumerate(site.items):
        window = _fine_window(site.lens, item.solid)
        hit = item.solid.hit(site.lens.position, rays[window])
        closer = hit < distance[window]
        distance[window][closer] = hit[closer]
        owner[window][closer] = number
    distance = np.minimum(distance, FAR_M)
    points = site.lens.position + rays * distance[..., None]
    visible, infrared = ground_albedo(site, points, distance)
    glow = np.zeros(shape, np.float32)
    for number, item in enumerate(site.items):
        mine = owner == number
        if not mine.any():
            continue
        normals[mine] = item.solid.normals_at(points[mine])
        albedo = item_albedo(site, item, points[mine], normals[mine], distance[mine])
        visible[mine] = albedo
        infrared[mine] = np.clip(albedo * INFRARED.get(item.material, 1.0), 0, 0.9)
        if item.material == "lamp":
            glow[mine] = 40.0
        if item.material == "facade" and number % 2:
            glow[mine] = np.where(albedo <= 0.061, 0.5, 0)
    # Where the ground ends there are trees and the haze before the sky.
    horizon = (owner == -2) & (rays[..., 2] < 0.035 + 0.012 * _treeline(site, rays))
    visible[horizon] = infrared[horizon] = 0.12
    sky = ((owner == -2) & ~horizon).astype(np.float32)
    return Backdrop(
        surface=Surface(
            points=points[::2, ::2].copy(),
            normals=normals[::2, ::2].copy(),
            distance=distance[::2, ::2].copy(),
            visible=_reduce(visible * (1 - sky)),
            infrared=_reduce(infrared * (1 - sky)),
        ),
        sky=_reduce(sky),
        glow=_reduce(glow),
        rays=site.lens.rays(),
    )


def _treeline(site: Site, rays: Floats) -> Floats:
    turn = np.arctan2(rays[..., 0], rays[..., 1])
    return pick(site.textures.cloud, turn * 90, turn * 0 + 7)


def _fine_window(lens: Lens, *solids: Solid) -> tuple[slice, slice]:
    boxes = np.array([lens.window(*solid.balls()) for solid in solids])
    boxes = boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])]
    if not len(boxes):
        return slice(0, 0), slice(0, 0)
    left, top = boxes[:, :2].min(axis=0)
    right, bottom = boxes[:, 2:].max(axis=0)
    return slice(top * FINE, bottom * FINE), slice(left * FINE, right * FINE)


def _reduce(fine: Floats) -> Floats:
    rows, columns = fine.shape[0] // FINE, fine.shape[1] // FINE
    return fine.reshape(rows, FINE, columns, FINE).mean(axis=(1, 3), dtype=np.float32)


def leaves_hit(
    site: Site, foliage: Foliage, origins: Floats, rays: Floats
) -> tuple[Floats, Floats, Floats]:
    """Distances, normals and albedos of the first leaf on each ray."""
    distance = np.full(rays.shape[:-1], np.inf, np.float32)
    normals = np.zeros(rays.shape, np.float32)
    albedo = np.zeros(rays.shape[:-1], np.float32)
    holes = (0.9, 0.45, 0.1, -9.0 if foliage.sway_m < 0.1 else -0.6)
    for depth, (solids, hole) in enumerate(zip(foliage.shells, holes, strict=True)):
        for solid in solids:
            hit = solid.hit(origins, rays)
            rows = np.nonzero(hit < distance)
            if not len(rows[0]):
                continue
            at = origins[rows] if origins.ndim > 1 else origins
            points = at + rays[rows] * hit[rows][:, None]
            noise = pick_cells(site.textures, points, foliage.leaf_per_m)
            leaf = noise > hole
            rows = tuple(index[leaf] for index in rows)
            distance[rows] = hit[rows]
            tilt = pick_cells(site.textures, points[leaf] + 3.7, foliage.leaf_per_m)
            leaned = solid.normals_at(points[leaf]) + 0.45 * np.stack(
                [tilt, np.roll(tilt, 3), -tilt], axis=-1
            )
            normals[rows] = leaned / np.linalg.norm(leaned, axis=-1, keepdims=True)
            albedo[rows] = foliage.albedo * (1.15 - 0.24 * depth) * (1 + 0.22 * noise[leaf])
    return distance, normals, np.clip(albedo, 0.015, 0.5)


def cast_foliage(site: Site, foliage: Foliage) -> Layer | None:
    """One hedge or crown as a layer, None if it is out of the picture."""
    rows, columns = _fine_window(site.lens, *foliage.outline)
    # Room for leaves that the wind carries aside.
    columns = slice(max(0, columns.start - 40), min(WIDTH * FINE, columns.stop + 40))
    window = rows, columns
    rays = site.lens.rays(FINE)[window]
    if rays.size == 0:
        return None
    distance, normals, albedo = leaves_hit(site, foliage, site.lens.position, rays)
    layer = _layer(site, window, distance, normals, albedo, infrared_gain=4.2)
    if layer is None:
        return None
    points = layer.surface.points
    rise = np.clip((points[..., 2] - foliage.foot_z) / (foliage.top_z - foliage.foot_z), 0.05, 1.2)
    layer.sway_px = (
        foliage.sway_m * rise * site.lens.focal_px / np.maximum(layer.surface.distance, 0.5)
    ).astype(np.float32)
    layer.flutter = pick_cells(site.textures, points, foliage.leaf_per_m * 0.7)
    return layer


def cast_gate(site: Site) -> Layer | None:
    """The gate's leaf as a layer."""
    window = _fine_window(site.lens, *site.gate)
    rays = site.lens.rays(FINE)[window]
    if rays.size == 0:
        return None
    distance = np.full(rays.shape[:-1], np.inf, np.float32)
    normals = np.zeros(rays.shape, np.float32)
    for solid in site.gate:
        hit = solid.hit(site.lens.position, rays)
        closer = hit < distance
        distance[closer] = hit[closer]
        points = site.lens.position + rays[closer] * hit[closer][:, None]
        normals[closer] = solid.normals_at(points)
    return _layer(site, window, distance, normals, np.full_like(distance, 0.16), infrared_gain=0.9)


def _layer(
    site: Site,
    window: tuple[slice, slice],
    distance: Floats,
    normals: Floats,
    albedo: Floats,
    *,
    infrared_gain: float,
) -> Layer | None:
    hit = np.isfinite(distance).astype(np.float32)
    if not hit.any():
        return None
    alpha = _reduce(hit)
    share = np.maximum(alpha, 1e-3)
    # Pixels without a leaf get the nearest part's mean, for a swaying leaf may come to lie there.
    usual = float(np.median(distance[hit > 0]))
    near = np.where(alpha > 0, _reduce(np.where(hit > 0, distance, 0)) / share, usual)
    facing = np.stack([_reduce(normals[..., axis] * hit) for axis in range(3)], axis=-1)
    facing[alpha == 0] = (0, -0.6, 0.8)
    facing /= np.maximum(np.linalg.norm(facing, axis=-1, keepdims=True), 1e-3)
    mean = float(albedo[hit > 0].mean())
    visible = np.where(alpha > 0, _reduce(albedo * hit) / share, mean).astype(np.float32)
    top, left = window[0].start // FINE, window[1].start // FINE
    rows, columns = alpha.shape
    rays = site.lens.rays()[top : top + rows, left : left + columns]
    return Layer(
        top=top,
        left=left,
        surface=Surface(
            points=(site.lens.position + rays * near[..., None]).astype(np.float32),
            normals=facing.astype(np.float32),
            distance=near.astype(np.float32),
            visible=visible,
            infrared=np.clip(visible * infrared_gain, 0, 0.8),
        ),
        alpha=alpha,
        sway_px=np.zeros_like(alpha),
        sort_distance=usual,
        flutter=np.zeros_like(alpha),
    )
