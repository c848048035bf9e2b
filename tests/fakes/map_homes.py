"""Random worlds of doorbells on 3×3 km, and what it means that somebody found one of them.

A home is at a point; its doorbell knows its cell. Who opts in changes from day to day. `twin`
moves every home to another place in its own cell: whoever sees no difference can't tell where in
the cell it is, whatever they do with what they see.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import h3

from relay.agency.jurisdiction import cells_of_geojson
from relay.map.cells import RESOLUTION, boundary_of, cell_at, cells_within

SIDE_M = 3000
SOUTH, WEST = 28.02, -81.97
LAT_M = 110_800.0
LON_M = 98_200.0
"""How long a degree is there, about."""
BOX_M2 = 100
"""Ten metres by ten: a house."""
Habit = Literal["at once", "some day", "mixed"]


@dataclass(frozen=True, slots=True)
class Rect:
    """A free-drawn rectangle, in metres from the south-western corner."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def size_m2(self) -> float:
        return (self.right - self.left) * (self.top - self.bottom)

    def holds(self, home: "Home") -> bool:
        return self.left <= home.x < self.right and self.bottom <= home.y < self.top

    def geojson(self) -> bytes:
        """Return it as an agency hands it in."""
        (west, south), (east, north) = (
            lon_lat(self.left, self.bottom),
            lon_lat(self.right, self.top),
        )
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return json.dumps({"type": "Polygon", "coordinates": [ring]}).encode()


Piece = Rect | str
"""What an area is made of: rectangles, or cells of H3."""
Area = frozenset[Piece]


@dataclass(frozen=True, slots=True)
class Home:
    """One doorbell; `number` is what an agency knows it by again that has opened its evidence."""

    number: int
    x: float
    y: float
    cell: str
    days: int
    """A bit for each day on which it is opted in."""
    answers_after: int
    """In how many batches its owner answers; less than nothing: never."""

    def is_opted_in(self, day: int) -> bool:
        return bool(self.days >> day & 1)


@dataclass(frozen=True, slots=True)
class Homes:
    """All homes of a world, and its cells, of which some are merged (R3)."""

    all: tuple[Home, ...]
    by_cell: dict[str, list[Home]]

    def never_answering(self) -> "Homes":
        """Return the same homes, whose owners give nothing."""
        return _sorted_by_cell([replace(home, answers_after=-1) for home in self.all])

    def twin(self, seed: int) -> "Homes":
        """Return the same homes, each anywhere else in its cell, and in another order."""
        chance = random.Random(seed)
        moved = []
        for home in self.all:
            x, y = point_in(home.cell, chance)
            moved.append(replace(home, x=x, y=y))
        chance.shuffle(moved)
        return _sorted_by_cell(moved)


def make_homes(seed: int, *, per_km2: float, habit: Habit) -> Homes:
    """Return a random world."""
    chance = random.Random(seed)
    count = round(per_km2 * (SIDE_M / 1000) ** 2)
    numbers = random.Random(seed + 1).sample(range(10_000_000), count)
    homes = []
    for number in numbers:
        x, y = chance.random() * SIDE_M, chance.random() * SIDE_M
        lon, lat = lon_lat(x, y)
        days = chance.getrandbits(32) | chance.getrandbits(32)
        homes.append(Home(number, x, y, cell_at(lat, lon), days, _answers_after(habit, chance)))
    return _sorted_by_cell(homes)


def _answers_after(habit: Habit, chance: random.Random) -> int:
    late = chance.randrange(-60, 60)
    if habit == "at once":
        return 0
    return late if habit == "some day" or chance.random() < 0.5 else 0


def _sorted_by_cell(homes: Iterable[Home]) -> Homes:
    by_cell: dict[str, list[Home]] = defaultdict(list)
    for home in homes:
        by_cell[home.cell].append(home)
    return Homes(tuple(home for some in by_cell.values() for home in some), dict(by_cell))


# --- places ---


def lon_lat(x: float, y: float) -> tuple[float, float]:
    """Return where metres from the corner lead to."""
    return WEST + x / LON_M, SOUTH + y / LAT_M


def metres(lat: float, lon: float) -> tuple[float, float]:
    """Return how far from the corner a point is."""
    return (lon - WEST) * LON_M, (lat - SOUTH) * LAT_M


@cache
def jurisdiction() -> tuple[str, ...]:
    """Return the cells of the whole square, as an agency's own GeoJSON gives them."""
    return tuple(cells_of_geojson(Rect(0, 0, SIDE_M, SIDE_M).geojson()))


@cache
def merged() -> tuple[frozenset[str], ...]:
    """Return the groups of cells with few addresses: pairs, and threes."""
    chance, groups, used = random.Random(6), [], set[str]()
    cells = list(jurisdiction())
    chance.shuffle(cells)
    for cell in cells:
        near = sorted(set(cells_within(cell, 1)) & set(cells) - used - {cell})
        if cell not in used and near and len(groups) < 12:
            groups.append(frozenset([cell, *near[: 1 + len(groups) % 2]]))
            used |= groups[-1]
    return tuple(groups)


@cache
def unit_of(cell: str) -> frozenset[str]:
    """Return what can be asked about at the least around there: its group, or the cell alone."""
    return next((group for group in merged() if cell in group), frozenset([cell]))


def completed(cells: Iterable[Piece]) -> Area:
    """Return cells with all that they are merged with."""
    return frozenset(one for cell in cells for one in unit_of(str(cell)))


@cache
def corners_of(cell: str) -> tuple[tuple[float, float], ...]:
    return tuple(metres(lat, lon) for lat, lon in boundary_of(cell))


def point_in(cell: str, chance: random.Random) -> tuple[float, float]:
    """Return a random point in a cell."""
    xs, ys = zip(*corners_of(cell), strict=True)
    while True:
        x, y = chance.uniform(min(xs), max(xs)), chance.uniform(min(ys), max(ys))
        lon, lat = lon_lat(x, y)
        if cell_at(lat, lon) == cell:
            return x, y


# --- what was found ---


def holds(piece: Piece, home: Home) -> bool:
    """Tell whether a home is there."""
    if isinstance(piece, Rect):
        return piece.holds(home)
    if piece == home.cell:
        return True
    if not h3.is_valid_cell(piece) or h3.get_resolution(piece) <= RESOLUTION:
        return False  # a cell of this size or larger says no more than a cell
    lon, lat = lon_lat(home.x, home.y)
    return bool(h3.latlng_to_cell(lat, lon, h3.get_resolution(piece)) == piece)


def meets(claim: Area, homes: Homes) -> bool:
    """Tell whether a home is there where a claim says so."""
    return any(holds(piece, home) for piece in claim for home in _near(claim, homes))


def finds(claim: Area, homes: Homes) -> bool:
    """Tell whether a claim says of a home that is there more than its cell, or its cells if merged.

    It names a part of these and not the whole.
    """
    return any(
        not unit_of(home.cell) <= claim
        for home in _near(claim, homes)
        if any(holds(piece, home) for piece in claim)
    )


def finds_the_house(claim: Area, homes: Homes) -> bool:
    """Tell whether a claim is a box of ten metres, with a home in it."""
    boxes = [piece for piece in claim if isinstance(piece, Rect)]
    is_small = len(boxes) == len(claim) and sum(box.size_m2 for box in boxes) <= BOX_M2
    return is_small and any(box.holds(home) for box in boxes for home in homes.all)


def _near(claim: Area, homes: Homes) -> Sequence[Home]:
    if all(isinstance(piece, str) and h3.get_resolution(piece) == RESOLUTION for piece in claim):
        return [home for cell in claim for home in homes.by_cell.get(str(cell), ())]
    return homes.all
