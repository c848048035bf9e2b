"""The invented town's own map: streets as PMTiles, and their names as a list of places.

Nobody's data is in it: a grid of streets, bent a little, with a lake, parks, a railway and houses,
the same at every start. Tiles follow the Protomaps schema (layers earth, landuse, water, buildings,
roads, places; attributes `kind` and `name`), the list GeoNames' format, as an operator's files do.
"""

import gzip
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import write

from tests.story.vector_tile import EXTENT, Pixel, Shape, TileFeature, tile_bytes

ATTRIBUTION = "An invented town"
STREETS_NAME, PLACES_NAME = "streets.pmtiles", "places.txt"
DISTRICTS_NAME = "districts.json"
ADDRESSES_NAME = "addresses.csv"
CENTRE_LAT, CENTRE_LON = 28.0408, -81.9486
"""In the midst of the cells in which the story's agencies may ask."""
ZOOMS = range(10, 14)
BUILDINGS_FROM_ZOOM = 13
HALF_M = 1950.0
"""From the centre to the town's edge: less than a tile of the largest zoom is wide, so that no
geometry goes beyond what a tile may hold."""
BLOCK_M = 160.0
LAKE, PARK, GREEN = (900.0, -250.0, 420.0), (-750.0, 620.0, 260.0), (350.0, 1150.0, 230.0)
"""Middle and radius in metres, to the east and north of the centre."""
SEED = 20261

Metres = tuple[float, float]
"""To the east and north of the centre."""
LAYERS = ("earth", "landuse", "water", "buildings", "roads", "places")

TREES = (
    "Alder", "Almond", "Apple", "Ash", "Aspen", "Beech", "Birch", "Cedar", "Cherry", "Chestnut",
    "Cypress", "Elder", "Elm", "Fir", "Hawthorn", "Hazel", "Hickory", "Holly", "Juniper", "Larch",
    "Laurel", "Linden", "Maple", "Mulberry", "Oak",
)  # fmt: skip
TRADES = (
    "Baker", "Barber", "Bellfounder", "Carter", "Chandler", "Clockmaker", "Cooper", "Draper",
    "Ferry", "Fisher", "Gardener", "Glazier", "Harbour", "Kiln", "Lantern", "Mason", "Miller",
    "Orchard", "Printer", "Quarry", "Ropewalk", "Saddler", "Shepherd", "Tanner", "Weaver",
)  # fmt: skip
QUARTERS: dict[str, Metres] = {
    "Old Quay": (150, 120), "Northgate": (-200, 1400), "Southfield": (0, -1400),
    "Eastbank": (1500, 300), "Westmoor": (-1500, -100), "Millbrook": (-1250, 1250),
    "Lakeside": (1300, -1000), "Brickyard": (-1100, -1150), "Fairview": (1250, 1350),
}  # fmt: skip
LANDMARKS: dict[str, Metres] = {
    "Central Station": (-420, -380), "Heron Lake": LAKE[:2], "Founders' Park": PARK[:2],
    "Cricket Green": GREEN[:2], "Town Hall": (120, 60), "Market Square": (220, -120),
    "Public Library": (-130, 260), "Hospital": (640, 780), "Water Tower": (-1480, 700),
    "Bus Depot": (-700, -900),
}  # fmt: skip
TOWN = "Lakeland"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One thing on the map."""

    layer: str
    shape: Shape
    points: Sequence[Metres]
    kind: str
    name: str = ""
    from_zoom: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPlace:
    """One line of the list of places."""

    name: str
    at: Metres
    code: str
    """GeoNames' feature class and code."""
    population: int = 0


def write_town_map(folder: Path) -> None:
    """Write both files into a folder; takes about a second."""
    folder.mkdir(exist_ok=True)
    streets = list(_streets(random.Random(SEED)))
    _write_tiles(folder / STREETS_NAME, [*_ground(), *streets, *_buildings(streets), *_names()])
    lines = [_line(number, place) for number, place in enumerate(_places(streets), 1)]
    (folder / PLACES_NAME).write_text("".join(lines), encoding="utf-8")


def map_settings(folder: Path) -> str:
    """Return the table [map] of relay.toml for these files."""
    keys = {
        "pmtiles": str(folder / STREETS_NAME),
        "places": str(folder / PLACES_NAME),
        "districts": str(folder / DISTRICTS_NAME),
        "addresses": str(folder / ADDRESSES_NAME),
        "attribution": ATTRIBUTION,
    }
    return "\n[map]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())


def _streets(dice: random.Random) -> Iterator[Feature]:
    """Yield streets from west to east, avenues from south to north, a ring road and a railway.

    Each line of the grid changes its name in its midst, and ends at water and at parks.
    """
    lines = [(number - 12) * BLOCK_M for number in range(25)]
    for along, names, words in (
        (True, TREES, ("Street", "Lane")),
        (False, TRADES, ("Avenue", "Road")),
    ):
        for name, offset in zip(names, lines, strict=True):
            middle = dice.uniform(-500, 500)
            for word, (begin, end) in zip(
                words, ((-HALF_M, middle), (middle, HALF_M)), strict=True
            ):
                kind = "major_road" if offset % (4 * BLOCK_M) == 0 else "minor_road"
                steps = _steps(begin, end, BLOCK_M / 4)
                points = [_bent((step, offset) if along else (offset, step)) for step in steps]
                for part in _outside_of_green(points):
                    yield Feature(
                        layer="roads", shape=Shape.LINE, points=part, kind=kind,
                        name=f"{name} {word}", from_zoom=0 if kind == "major_road" else 12,
                    )  # fmt: skip
    ring = [_on_circle((0, 0), HALF_M * 0.9, step / 48) for step in range(49)]
    yield Feature(layer="roads", shape=Shape.LINE, points=ring, kind="highway", name="Ring Road")
    rail = [(step, -380 + 0.12 * step) for step in _steps(-HALF_M, HALF_M, 200)]
    yield Feature(layer="roads", shape=Shape.LINE, points=rail, kind="rail")
    shore = [_on_circle(LAKE[:2], LAKE[2] + 40, step / 24) for step in range(25)]
    yield Feature(
        layer="roads", shape=Shape.LINE, points=shore, kind="path", name="Lake Walk", from_zoom=13
    )


def _ground() -> Iterator[Feature]:
    """Yield the town's ground, the lake, the stream into it, and the parks."""
    edge = [_on_circle((0, 0), HALF_M, -step / 60) for step in range(60)]
    yield Feature(layer="earth", shape=Shape.POLYGON, points=edge, kind="earth")
    for east, north, radius in (PARK, GREEN):
        park = [_on_circle((east, north), radius, -step / 20) for step in range(20)]
        yield Feature(layer="landuse", shape=Shape.POLYGON, points=park, kind="park")
    lake = [
        _on_circle(LAKE[:2], LAKE[2] * (1 + 0.12 * math.sin(5 * step / 36 * math.tau)), -step / 36)
        for step in range(36)
    ]
    yield Feature(layer="water", shape=Shape.POLYGON, points=lake, kind="lake", name="Heron Lake")
    stream = [
        (LAKE[0] + 160 * math.sin(north / 300), north)
        for north in _steps(LAKE[1] + LAKE[2] * 0.9, 1650, 60)
    ]
    yield Feature(layer="water", shape=Shape.LINE, points=stream, kind="stream")


def _buildings(streets: Sequence[Feature]) -> Iterator[Feature]:
    """Yield houses on both sides of the small streets."""
    dice = random.Random(SEED + 1)
    for street in streets:
        if street.kind != "minor_road" or not street.name.endswith(("Street", "Lane")):
            continue
        for (east, north), _ in pairwise(street.points):
            for side in (-1, 1):
                middle = (east + 18, north + side * 32)
                if dice.random() < 0.25 or _is_in_green(middle, more=20):
                    continue
                wide, deep = dice.uniform(6, 11), dice.uniform(6, 10)
                yield Feature(
                    layer="buildings",
                    shape=Shape.POLYGON,
                    points=[
                        (middle[0] - wide, middle[1] + deep), (middle[0] + wide, middle[1] + deep),
                        (middle[0] + wide, middle[1] - deep), (middle[0] - wide, middle[1] - deep),
                    ],
                    kind="building",
                    from_zoom=BUILDINGS_FROM_ZOOM,
                )  # fmt: skip


def _names() -> Iterator[Feature]:
    """Yield the names of the town and its quarters."""
    yield Feature(layer="places", shape=Shape.POINT, points=[(0, 0)], kind="locality", name=TOWN)
    for name, at in QUARTERS.items():
        yield Feature(
            layer="places",
            shape=Shape.POINT,
            points=[at],
            kind="neighbourhood",
            name=name,
            from_zoom=12,
        )


def _places(streets: Sequence[Feature]) -> Iterator[NamedPlace]:
    """Yield the town, its quarters and landmarks, and each street where its longest part is."""
    yield NamedPlace(name=TOWN, at=(0, 0), code="P\tPPL", population=24_000)
    for name, at in QUARTERS.items():
        yield NamedPlace(name=name, at=at, code="P\tPPLX", population=2500)
    for name, at in LANDMARKS.items():
        yield NamedPlace(name=name, at=at, code="S\tBLDG", population=1)
    dice, longest = random.Random(SEED + 2), dict[str, Feature]()
    for street in streets:
        before = longest.get(street.name)
        if street.name and (before is None or len(before.points) < len(street.points)):
            longest[street.name] = street
    for name, street in longest.items():
        yield NamedPlace(name=name, at=dice.choice(street.points), code="R\tST")


def _line(number: int, place: NamedPlace) -> str:
    lat, lon = _on_earth(place.at)
    columns = [
        str(number), place.name, place.name, "", f"{lat:.5f}", f"{lon:.5f}", place.code, "XX", "",
        "", "", "", "", str(place.population), "", "", "Etc/UTC", "2026-01-01",
    ]  # fmt: skip
    return "\t".join(columns) + "\n"


def _write_tiles(path: Path, features: Sequence[Feature]) -> None:
    with write(str(path)) as file:
        for zoom in ZOOMS:
            for x, y in _tiles(zoom):
                content = _tile(features, zoom, x, y)
                if content:
                    file.write_tile(zxy_to_tileid(zoom, x, y), gzip.compress(content, mtime=0))
        (south, west), (north, east) = _on_earth((-HALF_M, -HALF_M)), _on_earth((HALF_M, HALF_M))
        header = {
            "tile_type": TileType.MVT,
            "tile_compression": Compression.GZIP,
            "min_zoom": ZOOMS[0],
            "max_zoom": ZOOMS[-1],
            "min_lon_e7": round(west * 1e7),
            "min_lat_e7": round(south * 1e7),
            "max_lon_e7": round(east * 1e7),
            "max_lat_e7": round(north * 1e7),
            "center_zoom": ZOOMS[-1],
            "center_lon_e7": round(CENTRE_LON * 1e7),
            "center_lat_e7": round(CENTRE_LAT * 1e7),
        }
        layers = [{"id": layer, "fields": {"kind": "String", "name": "String"}} for layer in LAYERS]
        file.finalize(header, {"attribution": ATTRIBUTION, "vector_layers": layers})


def _tiles(zoom: int) -> Iterator[tuple[int, int]]:
    """Yield the tiles that the town lies in."""
    west, north = _in_world((-HALF_M, HALF_M), zoom)
    east, south = _in_world((HALF_M, -HALF_M), zoom)
    for x in range(math.floor(west), math.floor(east) + 1):
        for y in range(math.floor(north), math.floor(south) + 1):
            yield x, y


def _tile(features: Sequence[Feature], zoom: int, x: int, y: int) -> bytes:
    layers: dict[str, list[TileFeature]] = {layer: [] for layer in LAYERS}
    for one in features:
        if zoom < one.from_zoom:
            continue
        pixels = [_pixel(point, zoom, x, y) for point in one.points]
        if not _is_near(pixels):
            continue
        attributes = {"kind": one.kind, **({"name": one.name} if one.name else {})}
        layers[one.layer].append(TileFeature(shape=one.shape, points=pixels, attributes=attributes))
    return tile_bytes(layers)


def _is_near(pixels: Sequence[Pixel]) -> bool:
    """Return whether points' box touches the tile."""
    return all(
        min(one[axis] for one in pixels) <= EXTENT and max(one[axis] for one in pixels) >= 0
        for axis in (0, 1)
    )


def _pixel(point: Metres, zoom: int, x: int, y: int) -> Pixel:
    right, down = _in_world(point, zoom)
    return round((right - x) * EXTENT), round((down - y) * EXTENT)


def _in_world(point: Metres, zoom: int) -> tuple[float, float]:
    """Return a point in tiles from the world's north-western corner (Web Mercator)."""
    lat, lon = _on_earth(point)
    sine = math.sin(math.radians(lat))
    down = 0.5 - math.log((1 + sine) / (1 - sine)) / (4 * math.pi)
    return (lon / 360 + 0.5) * 2**zoom, down * 2**zoom


def _on_earth(point: Metres) -> tuple[float, float]:
    """Return latitude and longitude in degrees."""
    east, north = point
    lat = CENTRE_LAT + north / 111_200
    return lat, CENTRE_LON + east / (111_200 * math.cos(math.radians(CENTRE_LAT)))


def _steps(begin: float, end: float, step: float) -> list[float]:
    count = max(1, math.ceil((end - begin) / step))
    return [begin + (end - begin) * number / count for number in range(count + 1)]


def _bent(point: Metres) -> Metres:
    """Bend the grid a little, so that no street is a ruler's."""
    east, north = point
    return (
        east + 45 * math.sin(north / 620) + 18 * math.sin(east / 270),
        north + 55 * math.sin(east / 740 + 1) + 15 * math.sin(north / 310),
    )


def _on_circle(middle: Metres, radius: float, turn: float) -> Metres:
    angle = turn * math.tau
    return middle[0] + radius * math.cos(angle), middle[1] + radius * math.sin(angle)


def _is_in_green(point: Metres, *, more: float = 0) -> bool:
    """Return whether a point lies in the lake, a park, or outside of the town."""
    for east, north, radius in (LAKE, PARK, GREEN):
        if math.hypot(point[0] - east, point[1] - north) < radius + more + 10:
            return True
    return math.hypot(*point) > HALF_M * 0.97


def _outside_of_green(points: Sequence[Metres]) -> Iterator[list[Metres]]:
    """Yield the parts of a line that lie on plain ground, each of two points or more."""
    part: list[Metres] = []
    for point in points:
        if not _is_in_green(point):
            part.append(point)
            continue
        if len(part) > 1:
            yield part
        part = []
    if len(part) > 1:
        yield part
