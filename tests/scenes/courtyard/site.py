"""The place: ground, house, steps, gate, hedge, trees, road and neighbours, laid out by a seed.

It knows shapes and materials; `buffers` casts them into arrays, `light` lights them.
"""

from dataclasses import dataclass

import numpy as np

from tests.scenes.courtyard.lens import Floats, Lens, make_lens
from tests.scenes.courtyard.solids import Capsule, Convex, Solid, box, turned_box
from tests.scenes.courtyard.texture import Textures, make_textures, pick, pick_solid

INFRARED = {
    "brick": 1.3,
    "plaster": 1.0,
    "stone": 1.2,
    "planks": 1.5,
    "metal": 0.9,
    "roof": 1.0,
    "facade": 1.1,
    "paint": 1.0,
    "bark": 1.6,
}
"""How much brighter than in visible light each material is at 850 nm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One opaque solid, its material, and the mean albedo of it."""

    solid: Solid
    material: str
    albedo: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Foliage:
    """One hedge or crown: nested shells from the outermost, each with leaves and holes.

    `sway_m` is how far its top moves in a strong gust.
    """

    shells: tuple[tuple[Solid, ...], ...]
    outline: tuple[Solid, ...]
    leaf_per_m: float
    albedo: float
    sway_m: float
    foot_z: float
    top_z: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where everything is; `gap_x` is the middle of the opening in the hedge at `hedge_y`."""

    lens: Lens
    textures: Textures
    items: tuple[Item, ...]
    hedges: tuple[Foliage, ...]
    crowns: tuple[Foliage, ...]
    gate: tuple[Solid, ...]
    canopy: tuple[Solid, ...]
    gap_x: float
    hedge_y: float
    hedge_height: float
    fence_x: float
    side: int
    drive: tuple[float, float]
    door_x: float
    street_lamp: Floats
    porch_lamp: Floats

    @property
    def pavement_y(self) -> float:
        """The middle of the pavement beyond the hedge."""
        return self.hedge_y + 1.2

    @property
    def road_y(self) -> tuple[float, float]:
        """Both kerbs of the road."""
        return self.hedge_y + 2.3, self.hedge_y + 8.0

    def floor(self, x: float, y: float) -> float:
        """How high one stands at a place: the porch, its step, or the ground."""
        if abs(x - self.door_x) < PORCH_HALF and y < PORCH_DEEP:
            return PORCH_HIGH
        if abs(x - self.door_x) < PORCH_HALF and y < PORCH_DEEP + 0.35:
            return PORCH_HIGH / 2
        return 0.0


PORCH_HALF = 1.3
PORCH_DEEP = 1.55
PORCH_HIGH = 0.30


def make_site(dice: np.random.Generator) -> Site:
    """A site: which side the drive is on, how wide the lens, what the walls are of."""
    side = 1 if dice.random() < 0.5 else -1
    hedge_y = float(dice.uniform(5.2, 7.4))
    gap_x = float(dice.uniform(-1.6, 1.6))
    door_x = 0.35 * side
    fence_x = float(dice.uniform(6.0, 7.6))
    lens = make_lens(
        position=(0.0, 0.06, PORCH_HIGH + float(dice.uniform(1.15, 1.4))),
        yaw=float(dice.uniform(-0.12, 0.12)) + 0.05 * side,
        pitch=float(dice.uniform(0.10, 0.24)),
        view=float(np.radians(dice.uniform(118, 148))),
    )
    drive = (2.6, fence_x - 0.4) if side > 0 else (-fence_x + 0.4, -2.6)
    textures = make_textures(dice)
    items = [
        *_house(dice, side, door_x),
        *_borders(dice, hedge_y, gap_x, fence_x),
        *_street(dice, hedge_y),
    ]
    height = float(dice.uniform(0.95, 1.3))
    hedges = _hedges(hedge_y, height, gap_x, fence_x, drive, side)
    crowns, trunks = _trees(dice, side, hedge_y)
    lamp_x = float(dice.uniform(3.0, 7.0)) * (1 if dice.random() < 0.5 else -1)
    pole = np.array([lamp_x, hedge_y + 2.0, 0.0], np.float32)
    head = pole + np.array([0, 0.9, 5.2], np.float32)
    items += trunks
    items += [
        Item(solid=Capsule(start=pole, end=head * [1, 0, 1] + pole * [0, 1, 0], radius=0.07),
             material="metal", albedo=0.25),
        Item(solid=Capsule(start=head, end=head + np.array([0, 0.25, 0], np.float32), radius=0.09),
             material="lamp", albedo=0.8),
    ]  # fmt: skip
    return Site(
        lens=lens,
        textures=textures,
        items=tuple(items),
        hedges=hedges,
        crowns=crowns,
        gate=_gate(dice, gap_x, hedge_y),
        canopy=(box((door_x - 1.3, 0.0, 2.65), (door_x + 1.3, 1.1, 2.8)),),
        gap_x=gap_x,
        hedge_y=hedge_y,
        hedge_height=height,
        fence_x=fence_x,
        side=side,
        drive=drive,
        door_x=door_x,
        street_lamp=head + np.array([0, 0.1, -0.2], np.float32),
        porch_lamp=np.array([door_x * 1.8, 0.25, PORCH_HIGH + 2.15], np.float32),
    )


def _house(dice: np.random.Generator, side: int, door_x: float) -> list[Item]:
    """The porch and its step, a wing of the house, and things that stand about."""
    wing = "brick" if dice.random() < 0.6 else "plaster"
    tone = float(dice.uniform(0.2, 0.42) if wing == "brick" else dice.uniform(0.45, 0.7))
    wing_x = -side * float(dice.uniform(2.3, 3.1))
    far = float(dice.uniform(1.8, 3.4))
    low_x, high_x = sorted((wing_x, wing_x - side * 3.0))
    porch_low, porch_high = door_x - PORCH_HALF, door_x + PORCH_HALF
    stone = float(dice.uniform(0.3, 0.5))
    post = np.array([door_x - side * 1.15, 1.4, PORCH_HIGH], np.float32)
    pot = np.array([door_x + side * 1.0, 1.15, PORCH_HIGH], np.float32)
    bin_x = -side * float(dice.uniform(1.7, 2.1))
    items = [
        Item(solid=box((low_x, 0, 0), (high_x, far, 3.2)), material=wing, albedo=tone),
        Item(solid=box((porch_low, 0, 0), (porch_high, PORCH_DEEP, PORCH_HIGH)),
             material="stone", albedo=stone),
        Item(solid=box((porch_low, PORCH_DEEP, 0), (porch_high, PORCH_DEEP + 0.35, PORCH_HIGH / 2)),
             material="stone", albedo=stone * 0.9),
        Item(solid=Capsule(start=pot, end=_above(pot, 0.22), radius=0.15),
             material="brick", albedo=0.25),
        Item(solid=turned_box((bin_x, far + 0.5, 0), (0.5, 0.6, 1.0), taper=-0.1),
             material="paint", albedo=float(dice.uniform(0.05, 0.3))),
    ]  # fmt: skip
    if dice.random() < 0.5:
        items.append(
            Item(
                solid=Capsule(start=post, end=_above(post, 2.5), radius=0.06),
                material="paint",
                albedo=0.6,
            )
        )
    return items


def _borders(dice: np.random.Generator, hedge_y: float, gap_x: float, fence_x: float) -> list[Item]:
    """Fences to both neighbours and the gate's posts."""
    post = float(dice.uniform(0.2, 0.5))
    fence = "planks" if dice.random() < 0.6 else "brick"
    tone = float(dice.uniform(0.18, 0.4))
    return [
        Item(solid=box((-fence_x - 0.1, 0.5, 0), (-fence_x, hedge_y + 0.4, 1.95)),
             material=fence, albedo=tone),
        Item(solid=box((fence_x, 0.5, 0), (fence_x + 0.1, hedge_y + 0.4, 1.95)),
             material=fence, albedo=tone),
        *(
            Item(solid=box((x - 0.16, hedge_y - 0.2, 0), (x + 0.16, hedge_y + 0.12, 1.35)),
                 material="brick", albedo=post)
            for x in (gap_x - 0.75, gap_x + 0.75)
        ),
    ]  # fmt: skip


def _street(dice: np.random.Generator, hedge_y: float) -> list[Item]:
    """The houses across the road, their garden walls, and a car that stands there for good."""
    far_kerb = hedge_y + 8.0
    items = []
    x = -34.0 + float(dice.uniform(0, 6))
    while x < 34:
        wide, deep = float(dice.uniform(7, 11)), float(dice.uniform(7, 9))
        eaves = float(dice.uniform(3.0, 5.6))
        front = far_kerb + float(dice.uniform(5, 9))
        tone = float(dice.uniform(0.2, 0.65))
        items += [
            Item(solid=box((x, front, 0), (x + wide, front + deep, eaves)),
                 material="facade", albedo=tone),
            Item(solid=_roof((x - 0.3, front - 0.3), (x + wide + 0.3, front + deep + 0.3), eaves),
                 material="roof", albedo=float(dice.uniform(0.08, 0.22))),
            Item(solid=box((x - 0.5, far_kerb + 2, 0), (x + wide * 0.6, far_kerb + 2.25, 0.9)),
                 material="brick", albedo=tone * 0.7),
        ]  # fmt: skip
        x += wide + float(dice.uniform(1.5, 4))
    car_x = float(dice.uniform(-9, 9))
    items += [
        Item(solid=box((car_x - 2.1, far_kerb - 2.0, 0.25), (car_x + 2.1, far_kerb - 0.3, 0.9)),
             material="paint", albedo=float(dice.uniform(0.05, 0.6))),
        Item(solid=turned_box((car_x - 0.2, far_kerb - 1.15, 0.9), (2.6, 1.5, 0.6), taper=0.35),
             material="paint", albedo=0.06),
    ]  # fmt: skip
    return items


def _roof(low: tuple[float, float], high: tuple[float, float], eaves: float) -> Convex:
    """A gabled roof whose ridge runs along x."""
    middle, half = (low[1] + high[1]) / 2, (high[1] - low[1]) / 2
    rise = half * 0.75
    steep = 1 / np.hypot(rise, half)
    normals = np.array(
        [
            [0, -rise * steep, half * steep],
            [0, rise * steep, half * steep],
            [0, 0, -1],
            [-1, 0, 0],
            [1, 0, 0],
        ]
    )
    points = np.array(
        [[0, low[1], eaves], [0, high[1], eaves], [0, 0, eaves], [low[0], 0, 0], [high[0], 0, 0]]
    )
    corners = [(x, y, eaves) for x in (low[0], high[0]) for y in (low[1], high[1])]
    corners += [(x, middle, eaves + rise) for x in (low[0], high[0])]
    return Convex(
        normals=normals.astype(np.float32),
        offsets=(normals * points).sum(axis=1).astype(np.float32),
        corners=np.array(corners, np.float32),
    )


def _hedges(
    hedge_y: float,
    height: float,
    gap_x: float,
    fence_x: float,
    drive: tuple[float, float],
    side: int,
) -> tuple[Foliage, ...]:
    """The hedge from fence to fence, open at the gate and at the drive."""
    spans = [(-fence_x, gap_x - 0.95), (gap_x + 0.95, fence_x)]
    if side > 0:
        spans[1] = (spans[1][0], drive[0] + 0.2)
    else:
        spans[0] = (drive[1] - 0.2, spans[0][1])
    hedges = []
    for low, high in spans:
        if high - low < 0.4:
            continue
        shells = tuple(
            (
                box(
                    (low - out, hedge_y - 0.3 - out, 0),
                    (high + out, hedge_y + 0.3 + out, height + out),
                ),
            )
            for out in (0.12, 0.07, 0.03, -0.02)
        )
        hedges.append(
            Foliage(
                shells=shells,
                outline=shells[0],
                leaf_per_m=34,
                albedo=0.11,
                sway_m=0.05,
                foot_z=0.2,
                top_z=height,
            )
        )
    return tuple(hedges)


def _trees(
    dice: np.random.Generator, side: int, hedge_y: float
) -> tuple[tuple[Foliage, ...], list[Item]]:
    """A tree in the garden, one in the street, and a shrub at the wall."""
    places = [
        (-side * float(dice.uniform(2.6, 4.4)), float(dice.uniform(3.8, hedge_y - 1)), 1.0, 2.1),
        (side * float(dice.uniform(5, 9)), hedge_y + 1.9, 1.25, 3.4),
        (-side * float(dice.uniform(1.9, 2.4)), float(dice.uniform(2.6, 3.6)), 0.42, 0.45),
    ]
    crowns, trunks = [], []
    for x, y, size, trunk in places:
        foot = np.array([x, y, 0], np.float32)
        trunks.append(
            Item(
                solid=Capsule(start=foot, end=_above(foot, trunk + size * 0.6), radius=0.09 * size),
                material="bark",
                albedo=0.13,
            )
        )
        blobs = [
            (
                foot
                + np.array(
                    [*dice.uniform(-0.75, 0.75, 2) * size, trunk + dice.uniform(0, 1.4) * size]
                ),
                dice.uniform(0.5, 0.85) * size,
            )
            for _ in range(11)
        ]
        shells = tuple(
            tuple(_ball(middle, radius * share) for middle, radius in blobs)
            for share in (1.0, 0.86, 0.7, 0.5)
        )
        crowns.append(
            Foliage(
                shells=shells,
                outline=shells[0],
                leaf_per_m=17 if size > 0.5 else 30,
                albedo=float(dice.uniform(0.08, 0.16)),
                sway_m=0.22 * size,
                foot_z=trunk * 0.5,
                top_z=trunk + 2.2 * size,
            )
        )
    return tuple(crowns), trunks


def _above(place: Floats, rise: float) -> Floats:
    return (place + np.array([0, 0, rise])).astype(np.float32)


def _ball(middle: Floats, radius: float) -> Capsule:
    place = np.asarray(middle, np.float32)
    return Capsule(
        start=place, end=place + np.array([0, 0, 0.02], np.float32), radius=float(radius)
    )


def _gate(dice: np.random.Generator, gap_x: float, hedge_y: float) -> tuple[Solid, ...]:
    """The gate's leaf, which stands open towards the house: rails and bars."""
    hinge = np.array([gap_x + 0.55 * (1 if dice.random() < 0.5 else -1), hedge_y - 0.15, 0])
    outward = np.sign(hinge[0] - gap_x)
    angle = float(dice.uniform(0.9, 1.5))
    along = np.array([-outward * np.cos(angle), -np.sin(angle), 0.0])
    rails: list[Solid] = [
        Capsule(
            start=_above(hinge, z),
            end=_above(hinge + along, z),
            radius=0.025,
        )
        for z in (0.2, 1.0)
    ]
    rails += [
        Capsule(
            start=_above(hinge + along * at, 0.12),
            end=_above(hinge + along * at, 1.1),
            radius=0.018,
        )
        for at in np.linspace(0.05, 1.0, 8)
    ]
    return tuple(rails)


def ground_albedo(site: Site, points: Floats, distance: Floats) -> tuple[Floats, Floats]:
    """Albedo of the ground in visible light and in infrared: lawn, path, drive, pavement, road."""
    x, y = points[..., 0], points[..., 1]
    grain = pick(site.textures.grain, x * 60, y * 60)
    coarse = pick(site.textures.cloud, x * 9, y * 9)
    near = np.clip(1.2 - distance / 11, 0, 1)
    lawn = 0.12 * (1 + 0.3 * grain * near + 0.16 * coarse)
    path_x = site.door_x + (site.gap_x - site.door_x) * np.clip(
        (y - 1.9) / (site.hedge_y - 2.4), 0, 1
    )
    slab = 0.34 * (1 + 0.06 * grain + 0.12 * coarse) * _joints(x - path_x, y, 0.45, near)
    gravel = 0.27 * (1 + 0.3 * grain * (0.3 + near) + 0.1 * coarse)
    flags = 0.36 * (1 + 0.06 * grain + 0.1 * coarse) * _joints(x, y, 0.6, near)
    low, high = site.road_y
    asphalt = 0.13 * (1 + 0.14 * grain * (0.3 + near) + 0.1 * coarse)
    middle = (low + high) / 2
    asphalt = np.where((np.abs(y - middle) < 0.07) & (x % 4 < 2), 0.55, asphalt)
    albedo, infrared = lawn, lawn * 3.6
    in_garden = y < site.hedge_y + 0.3
    for mask, paved in (
        (in_garden & (np.abs(x - path_x) < 0.62), slab),
        (in_garden & (x > site.drive[0]) & (x < site.drive[1]), gravel),
        ((y > site.hedge_y + 0.3) & (y < low - 0.2), flags),
        ((y >= low - 0.2) & (y < low), np.full_like(flags, 0.45)),
        ((y >= low) & (y < high), asphalt),
        ((y >= high) & (y < high + 1.9), flags),
    ):
        albedo = np.where(mask, paved, albedo)
        infrared = np.where(mask, paved * 1.25, infrared)
    return np.clip(albedo, 0.02, 0.9), np.clip(infrared, 0.03, 0.9)


def _joints(x: Floats, y: Floats, size: float, near: Floats) -> Floats:
    """Darker lines between slabs, fading where the picture can't resolve them."""
    line = (np.abs(x % size) < 0.025) | (np.abs(y % size) < 0.025)
    return 1 - 0.45 * line * near


def item_albedo(
    site: Site, item: Item, points: Floats, normals: Floats, distance: Floats
) -> Floats:
    """Albedo in visible light of points on one item."""
    textures = site.textures
    if item.material in {"lamp", "metal"}:
        return np.full(distance.shape, item.albedo, np.float32)
    noise = pick_solid(textures.cloud, points, 11)
    near = np.clip(1.3 - distance / 9, 0, 1)
    albedo = item.albedo * (1 + 0.12 * noise)
    across = np.where(np.abs(normals[..., 0]) > 0.7, points[..., 1], points[..., 0])
    up = points[..., 2]
    if item.material == "brick":
        course = np.floor(up / 0.085)
        brick = np.floor((across + 0.11 * (course % 2)) / 0.23)
        albedo *= 1 + 0.2 * pick(textures.grain, brick * 7, course * 13)
        mortar = ((up % 0.085) < 0.014) | (((across + 0.11 * (course % 2)) % 0.23) < 0.014)
        albedo = np.where(mortar, albedo + (0.5 - item.albedo) * 0.7 * near, albedo)
    elif item.material == "planks":
        plank = np.floor(across / 0.14)
        albedo *= 1 + 0.16 * pick(textures.grain, plank * 5, plank * 0)
        albedo *= 1 - 0.6 * ((across % 0.14) < 0.012) * near
        albedo *= 1 + 0.1 * pick(textures.grain, across * 90, up * 9) * near
    elif item.material == "facade":
        low_x, high_x = item.solid.corners[:, 0].min(), item.solid.corners[:, 0].max()
        pane = (np.abs((across - low_x) % 2.3 - 1.15) < 0.5) & (np.abs(up % 2.6 - 1.6) < 0.55)
        pane &= (across > low_x + 0.3) & (across < high_x - 0.3) & (np.abs(normals[..., 1]) > 0.7)
        albedo = np.where(pane, 0.06, albedo)
    elif item.material in {"roof", "stone", "bark"}:
        albedo *= 1 + 0.14 * pick_solid(textures.grain, points, 55) * near
    return np.clip(albedo, 0.02, 0.9).astype(np.float32)
