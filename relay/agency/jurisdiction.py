"""Jurisdictions: converts an agency's area to the H3 cells that an agreement names.

A cell belongs to the area if its centre lies in it, by the same rule as the browser's h3-js
(tests/vectors/areas.json). What can't be an area is refused with a word for pages (`reason`) and
a sentence that says what to do. Work and memory are bounded before H3 is asked: an area may come
from anybody. The shapes' own geometry is geojson.py, corners as people type them corners.py.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, radians

from firmware.protocol.register.entries import MAX_CELLS
from relay.agency.agreement_size import CELL_KM2, FITTING_CELLS, too_large
from relay.agency.corners import read_corners
from relay.agency.errors import AreaRefused
from relay.agency.geojson import MAX_AREA_BYTES, Polygon, read_polygons, too_many_bytes
from relay.map.cells import NoInterior, area_km2, cells_inside, centre_of, is_cell, unroll

KM_PER_DEGREE = 111.2
_CELL = re.compile(rb"8[0-9a-f]{14}", re.IGNORECASE)
_NUMBER = re.compile(rb"[+-]?\d|\xe2\x88\x92")
_SHOWN_CHARS = 30
_MAX_BOX_CELLS = 60 * MAX_CELLS
"""H3 reserves memory for the boxes around polygons, not for the polygons."""


def cells_of_area(data: bytes) -> list[str]:
    """Return the cells of any accepted form of an area, sorted, or raise AreaRefused.

    That is GeoJSON, or corners (latitude and longitude, one a line), or cells (one a word).
    """
    if len(data) > MAX_AREA_BYTES:
        raise too_many_bytes()
    data = data.removeprefix(BOM_UTF8)
    if not data.strip():
        raise AreaRefused("nothing", "there is nothing in it: draw, type corners or choose a file")
    first = data.split(maxsplit=1)[:1]
    if first and _CELL.fullmatch(first[0]):
        return _listed(data)
    if first and _NUMBER.match(first[0]):
        return _cells_in(read_corners(data))
    return cells_of_geojson(data)


def cells_of_geojson(data: bytes) -> list[str]:
    """Return the area's cells, sorted, or raise AreaRefused."""
    return _cells_in(read_polygons(data.removeprefix(BOM_UTF8)))


def _cells_in(polygons: Sequence[Polygon]) -> list[str]:
    if sum(map(_box_cells, polygons)) > _MAX_BOX_CELLS:
        about = round(sum(map(_area_km2, polygons)) / CELL_KM2)
        raise too_large(about) if about > FITTING_CELLS else _too_long()
    found: set[str] = set()
    for polygon in polygons:
        found.update(_cells_of(polygon))
    if not found:
        raise AreaRefused(
            "no_cells",
            "the area holds the centre of no cell: it is smaller than a cell (about 0.1 km²). Draw "
            "it larger, or name the cell itself",
        )
    if len(found) > FITTING_CELLS:
        raise too_large(len(found))
    return sorted(found)


def check_cells(cells: Sequence[str], merged: Sequence[Sequence[str]]) -> None:
    """Raise AreaRefused unless these are places on the earth, each once, with groups inside."""
    wrong = [cell for cell in cells if not is_cell(cell)]
    if wrong:
        raise _not_a_cell(wrong[0])
    if len(set(cells)) != len(cells):
        raise AreaRefused("cell_twice", "a cell is named twice: each belongs there once")
    grouped = [cell for group in merged for cell in group]
    known = set(cells)
    outside = [cell for cell in grouped if cell not in known]
    if outside:
        raise AreaRefused(
            "merged_outside",
            f"the merged cell {outside[0]} isn't one of the jurisdiction's",
            cell=outside[0],
        )
    if len(set(grouped)) != len(grouped):
        raise AreaRefused("merged_twice", "a cell is in two merged groups")


def describe_area(cells: Sequence[str]) -> str:
    """Return a text with an area's location and size, for a person to check it.

    Swapped coordinates that are both possible can be seen by a person only.
    """
    at = extent_of(cells)
    across = ", across the 180th meridian" if at.is_across else ""
    return (
        f"{len(cells)} cells, about {area_km2(cells):.1f} km², latitude {at.south:.3f} to "
        f"{at.north:.3f}, longitude {at.west:.3f} to {at.east:.3f}{across}"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """The bounding box of an area's cell centres in degrees, from west to east."""

    south: float
    north: float
    west: float
    east: float

    @property
    def is_across(self) -> bool:
        """Return whether it lies on both sides of the 180th meridian (RFC 7946, 5.2)."""
        return self.west > self.east


def extent_of(cells: Sequence[str]) -> Extent:
    """Return the bounding box of cells."""
    latitudes, longitudes = zip(*map(centre_of, cells), strict=True)
    unrolled = unroll(longitudes)
    east = max(unrolled)
    return Extent(
        south=min(latitudes),
        north=max(latitudes),
        west=min(unrolled),
        east=east if east <= 180 else east - 360,
    )


def _listed(data: bytes) -> list[str]:
    """Return cells that were chosen one by one: an area like any other."""
    words = data.decode("utf-8", errors="replace").lower().split()
    wrong = [word for word in words if not is_cell(word)]
    if wrong:
        raise _not_a_cell(wrong[0][:_SHOWN_CHARS])
    check_cells(words, [])
    if len(words) > FITTING_CELLS:
        raise too_large(len(words))
    return sorted(words)


def _not_a_cell(text: str) -> AreaRefused:
    return AreaRefused("not_a_cell", f"{text} is no cell of H3: make the cells anew", cell=text)


def _cells_of(polygon: Polygon) -> list[str]:
    outer, *holes = [[(lat, lng) for lng, lat in ring] for ring in polygon]
    try:
        return cells_inside(outer, holes)
    except NoInterior as error:
        raise AreaRefused(
            "no_inside",
            "an outline can't be filled with cells, mostly because it has no width or no height: "
            "draw it around the area",
        ) from error


def _box_cells(polygon: Polygon) -> float:
    """Return about how many cells H3 reserves memory for.

    For a box that is three times as long as wide, or longer, that is a third of its diagonal's
    square, however little is in it.
    """
    longitudes = [lng for lng, _ in polygon[0]]
    latitudes = [lat for _, lat in polygon[0]]
    south, north = min(latitudes), max(latitudes)
    width = (max(longitudes) - min(longitudes)) * cos(radians((south + north) / 2))
    height = north - south
    box = max(width * height, (width**2 + height**2) / 3)
    return box * KM_PER_DEGREE**2 / CELL_KM2


def _area_km2(polygon: Polygon) -> float:
    """Return about its size in km²: the shoelace formula on a flat map at its own latitude."""
    latitudes = [lat for _, lat in polygon[0]]
    shrink = cos(radians((min(latitudes) + max(latitudes)) / 2))
    sizes = []
    for ring in polygon:
        twice = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
        sizes.append(abs(twice) / 2)
    return max(0.0, sizes[0] - sum(sizes[1:])) * shrink * KM_PER_DEGREE**2


def _too_long() -> AreaRefused:
    return AreaRefused(
        "too_long",
        "the area is small, but its outlines reach too far: cut long and thin ones into shorter "
        "pieces, each a polygon of its own",
    )
