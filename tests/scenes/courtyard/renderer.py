"""A scene rendered picture by picture: site, lights, figures, air, camera, compression, truth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from tests.scenes.courtyard.air import Air, Airborne
from tests.scenes.courtyard.buffers import Backdrop, Layer, cast_backdrop, cast_foliage, cast_gate
from tests.scenes.courtyard.camera import Camera, Make
from tests.scenes.courtyard.cloth import Cloth
from tests.scenes.courtyard.compression import Compression
from tests.scenes.courtyard.drawing import Drawn, contact_shade, draw_figure, shadow
from tests.scenes.courtyard.figures import Figure, Pose
from tests.scenes.courtyard.lens import HEIGHT, WIDTH, Floats
from tests.scenes.courtyard.light import Beam, Clouds, Levels, Lighting, sky_radiance
from tests.scenes.courtyard.site import Site
from tests.scenes.courtyard.truth import movers_seen
from tests.scenes.made import Mover, Picture


@dataclass(slots=True, kw_only=True)
class Plan:
    """All that happens in one scene. Times are in seconds from its beginning."""

    site: Site
    per_s: int
    length_s: float
    levels: Callable[[float], Levels]
    is_night: bool = False
    sun_to: Floats | None = None
    clouds: Clouds | None = None
    has_canopy: bool = False
    gust: Callable[[float], float] = lambda _at_s: 0.0
    figures: list[Figure] = field(default_factory=list)
    beams: Callable[[float], list[Beam]] = lambda _at_s: []
    air: list[Airborne] = field(default_factory=list)
    cloths: list[Cloth] = field(default_factory=list)
    mist_per_m: float = 0.0
    wetness: float = 0.0
    snow: float = 0.0
    shake: Callable[[float], tuple[float, float]] = lambda _at_s: (0.0, 0.0)
    make: Make = field(default_factory=Make)
    start: float = 1.0
    bits_per_s: int = 300_000
    key_every: int = 45


class Renderer:
    """One run through a plan; `dice` is for noise and what falls."""

    def __init__(self, plan: Plan, dice: np.random.Generator) -> None:
        self._plan = plan
        self._dice = dice
        site = plan.site
        self._backdrop = cast_backdrop(site)
        layers = [cast_foliage(site, foliage) for foliage in (*site.hedges, *site.crowns)]
        layers.append(cast_gate(site))
        self._layers = [layer for layer in layers if layer is not None]
        self._layers.sort(key=lambda layer: -layer.sort_distance)
        self._cover(self._backdrop)
        self._lighting = Lighting(
            site,
            self._backdrop,
            sun_to=plan.sun_to,
            clouds=plan.clouds,
            has_canopy=plan.has_canopy,
            is_night=plan.is_night,
        )
        self._received = [
            self._lighting.receive(layer.surface, is_foliage=True) for layer in self._layers
        ]
        self._across = None
        if plan.sun_to is not None or plan.is_night:
            self._across = self._flat_backdrop(None)

    def pictures(self) -> Iterator[Picture]:
        """All pictures, in order."""
        plan = self._plan
        camera = Camera(self._dice, plan.make, start=plan.start)
        compression = Compression(
            per_s=plan.per_s, bits_per_s=plan.bits_per_s, key_every=plan.key_every
        )
        for number in range(round(plan.length_s * plan.per_s)):
            at_s = number / plan.per_s
            gain = camera.gain
            radiance, movers = self._compose(at_s, camera.exposure_s)
            luma = compression.through(camera.develop(radiance, plan.shake(at_s)))
            yield Picture(
                at_s=at_s,
                luma=luma,
                gain=gain if plan.make.tells_gain else None,
                movers=movers,
            )

    def _cover(self, backdrop: Backdrop) -> None:
        """Snow that lies, or rain that wets, on what faces up."""
        plan = self._plan
        for surface in (backdrop.surface, *(layer.surface for layer in self._layers)):
            up = np.clip(surface.normals[..., 2] * 1.6 - 0.5, 0, 1)
            rough = np.clip(
                0.8 + 0.5 * np.sin(surface.points[..., 0] * 5 + surface.visible * 40), 0, 1
            )
            lying = (plan.snow * up * rough).astype(np.float32)
            for albedo in (surface.visible, surface.infrared):
                albedo *= 1 - np.float32(0.35 * plan.wetness) * up
                albedo += (0.72 - albedo) * lying
        backdrop.surface.visible *= 1 - backdrop.sky
        backdrop.surface.infrared *= 1 - backdrop.sky

    def _flat_backdrop(self, beam: Beam | None) -> Floats:
        points = self._backdrop.surface.points.reshape(-1, 3)
        by_sun = beam is None and self._plan.sun_to is not None
        return np.ascontiguousarray(self._lighting.flatten(points, beam, by_sun=by_sun).T)

    def _compose(self, at_s: float, exposure_s: float) -> tuple[Floats, tuple[Mover, ...]]:
        plan, backdrop, lighting = self._plan, self._backdrop, self._lighting
        levels, gust = plan.levels(at_s), plan.gust(at_s)
        posed = [(n, figure.pose(at_s)) for n, figure in enumerate(plan.figures)]
        poses = [pose for _, pose in posed if pose is not None]
        numbers = [n for n, pose in posed if pose is not None]
        beams = plan.beams(at_s) + [pose.beam for pose in poses if pose.beam is not None]

        depth = backdrop.surface.distance.copy()
        drawn = [
            draw_figure(plan.site.lens, backdrop.rays, plan.site.textures, pose, depth)
            for pose in poses
        ]
        owner = np.full(HEIGHT * WIDTH, -1, np.int16)
        for number, figure in enumerate(drawn):
            if figure is not None:
                nearest = figure.surface.distance <= depth.ravel()[figure.pixels] + 1e-4
                owner[figure.pixels[nearest]] = number

        ground, clear = lighting.cloud_shares(at_s)
        picture = self._backdrop_radiance(at_s, levels, gust, ground, clear, poses, beams)
        sky = levels.sky * 1.5 + levels.sun * 0.25 + levels.glow * 0.003
        if plan.mist_per_m:
            picture = self._in_mist(picture, backdrop.surface.distance, sky)
        for number, (pose, figure) in enumerate(zip(poses, drawn, strict=True)):
            if figure is not None:
                colour = self._figure_radiance(at_s, levels, pose, figure, beams, sky)
                mine = owner[figure.pixels] == number
                picture.ravel()[figure.pixels[mine]] = colour[mine]
        through = np.ones((HEIGHT, WIDTH), np.float32)
        for number, layer in enumerate(self._layers):
            self._lay(picture, depth, through, number, layer, at_s, levels, gust, beams, sky)
        for cloth in plan.cloths:
            share = lighting.cloud_share_at(np.array(cloth.top), at_s)
            light = levels.sky * 0.9 + 0.75 * levels.sun * share + 0.02 * levels.infrared
            before = depth.copy()
            cloth.draw(
                picture,
                depth,
                lens=plan.site.lens,
                rays=backdrop.rays,
                light=light,
                wind=gust,
                at_s=at_s,
            )
            through[depth < before] = 0
        air = Air(
            depth=depth,
            lens=plan.site.lens,
            at_s=at_s,
            exposure_s=max(exposure_s, 1 / 250),
            gust=gust,
            tone=sky,
            infrared=levels.infrared,
            dice=self._dice,
        )
        for airborne in plan.air:
            airborne.draw(picture, air)
        return picture, movers_seen(poses, numbers, owner, through)

    def _backdrop_radiance(
        self,
        at_s: float,
        levels: Levels,
        gust: float,
        ground: Floats | float,
        clear: Floats | float,
        poses: list[Pose],
        beams: list[Beam],
    ) -> Floats:
        backdrop, lighting = self._backdrop, self._lighting
        surface = backdrop.surface
        share = np.ones((HEIGHT, WIDTH), np.float32)
        if levels.sun > 0:
            share *= ground
            lighting.shade_leaves(share, gust, at_s)
        by_sun = self._plan.sun_to is not None
        if self._across is not None and (levels.sun > 0 or levels.porch > 0):
            for pose in poses:
                left = shadow(
                    pose,
                    self._across,
                    lambda points: lighting.flatten(points, None, by_sun=by_sun),
                    edge=0.03 if by_sun else 0.015,
                )
                if left is not None:
                    share *= left
        light = lighting.fall(lighting.received, levels, share, 1.0 if by_sun else share)
        for pose in poses:
            pixels, left = contact_shade(pose, surface.points)
            light.ravel()[pixels] *= left
        for beam in beams:
            shone = lighting.beam(surface, beam)
            across = self._flat_backdrop(beam) if poses else None
            for pose in poses:
                if across is None or pose.beam is beam:
                    continue
                left = shadow(
                    pose,
                    across,
                    lambda points, beam=beam: lighting.flatten(points, beam, by_sun=False),
                    edge=0.01,
                )
                if left is not None:
                    shone *= left
            light += shone
        light *= surface.infrared if levels.is_infrared else surface.visible
        light += backdrop.sky * sky_radiance(self._plan.site, backdrop, levels, clear)
        light += backdrop.glow * np.float32(levels.glow)
        return light

    def _in_mist(self, radiance: Floats, distance: Floats, sky: float) -> Floats:
        passes = np.exp(-self._plan.mist_per_m * distance)
        return (radiance * passes + np.float32(sky * 0.75) * (1 - passes)).astype(np.float32)

    def _figure_radiance(
        self,
        at_s: float,
        levels: Levels,
        pose: Pose,
        figure: Drawn,
        beams: list[Beam],
        sky: float,
    ) -> Floats:
        lighting, surface = self._lighting, figure.surface
        received = lighting.receive_moving(surface, pose.foot, pose.height)
        light = lighting.fall(received, levels, lighting.cloud_share_at(pose.foot, at_s))
        for beam in beams:
            if beam is not pose.beam:
                light += lighting.beam(surface, beam)
        colour = light * (surface.infrared if levels.is_infrared else surface.visible)
        up = np.clip(0.45 + 0.55 * surface.normals[:, 2], 0, 1)
        colour += figure.gloss * (sky * up)
        shine = figure.shine
        if shine.max() > 0:
            # A cat's eyes send infrared back to where it came from; lamps shine by themselves.
            back = levels.infrared / np.maximum(surface.distance, 0.5) ** 2
            ahead = np.clip(-(surface.normals * self._view(surface.points)).sum(axis=1), 0, 1)
            colour += np.where(shine > 20, 0.02 * shine * ahead, shine * back)
        if self._plan.mist_per_m:
            colour = self._in_mist(colour, surface.distance, sky)
        return colour.astype(np.float32)

    def _view(self, points: Floats) -> Floats:
        away = points - self._plan.site.lens.position
        return away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-3)

    def _lay(
        self,
        picture: Floats,
        depth: Floats,
        through: Floats,
        number: int,
        layer: Layer,
        at_s: float,
        levels: Levels,
        gust: float,
        beams: list[Beam],
        sky: float,
    ) -> None:
        """One layer of leaves or bars over the picture, swaying in the wind."""
        lighting = self._lighting
        rows, columns = layer.alpha.shape
        window = slice(layer.top, layer.top + rows), slice(layer.left, layer.left + columns)
        surface = layer.surface
        middle = surface.points[rows // 2, columns // 2]
        share = lighting.cloud_share_at(middle, at_s)
        light = lighting.fall(self._received[number], levels, share)
        for beam in beams:
            light += lighting.beam(surface, beam)
        alpha = layer.alpha
        colour = surface.infrared if levels.is_infrared else surface.visible
        if gust > 0.01 and layer.sway_px.max() > 0:
            alpha, colour = _swayed(layer, colour, gust, at_s, number)
            flutter = np.sin(np.float32(7.3 * at_s) + 4 * layer.flutter)
            colour = colour * (
                1 + np.float32(min(0.3, 0.22 * gust)) * flutter * layer.flutter.clip(-1, 1)
            )
        colour = colour * light
        if self._plan.mist_per_m:
            colour = self._in_mist(colour, surface.distance, sky)
        before = surface.distance < depth[window]
        alpha = alpha * before
        part = picture[window]
        part += alpha * (colour - part)
        through[window] *= 1 - alpha


def _swayed(
    layer: Layer, colour: Floats, gust: float, at_s: float, number: int
) -> tuple[Floats, Floats]:
    """Alpha and colour moved along the picture: the bough's swing, and each twig's own."""
    rows, columns = layer.alpha.shape
    place = layer.surface.points
    bough = 0.55 + 0.45 * np.sin(1.9 * at_s + number)
    twig = np.sin(place[..., 0] * 4.1 + place[..., 2] * 2.3 + np.float32(4.7 * at_s))
    way = layer.sway_px * (np.float32(gust) * (np.float32(bough) + np.float32(0.4) * twig))
    at = np.arange(columns, dtype=np.float32)[None] - way
    rise = (
        layer.sway_px
        * np.float32(0.25 * gust)
        * np.sin(place[..., 2] * 3.3 + np.float32(5.9 * at_s))
    )
    row = np.clip(np.rint(np.arange(rows)[:, None] - rise), 0, rows - 1).astype(np.int32) * columns
    np.clip(at, 0, columns - 1.001, out=at)
    left = at.astype(np.int32)
    share = at - left
    left += row
    moved = []
    for values in (layer.alpha.ravel(), colour.ravel()):
        first = values[left]
        moved.append(first + (values[left + 1] - first) * share)
    return moved[0], moved[1]
