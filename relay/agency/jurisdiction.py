"""A jurisdiction: from the GeoJSON that an agency has to the H3 cells that an agreement names.

A cell belongs to the area if its centre lies in it, by the same rule as the browser's h3-js
(tests/vectors/areas.json). What can't be an area is refused with a word for pages (`reason`) and
a sentence that says what to do. Work and memory are bounded before H3 is asked: an area may come
from anybody. The shapes' own geometry is geojson.py.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import cos, radians

import h3

from firmware.protocol.register.entries import MAX_CELLS
from relay.agency.errors import AreaRefused
from relay.agency.fitting import CELL_KM2, FITTING_CELLS, too_large
from relay.agency.geojson import Polygon, read_polygons

RESOLUTION = 9
KM_PER_DEGREE = 111.2
_MAX_BOX_CELLS = 60 * MAX_CELLS
"""H3 reserves memory for the boxes around polygons, not for the polygons."""


def cells_of_geojson(data: bytes) -> list[str]:
    """Return the area's cells, sorted, or raise AreaRefused."""
    polygons = read_polygons(data)
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
    wrong = [cell for cell in cells if not h3.is_valid_cell(cell)]
    if wrong:
        raise AreaRefused(
            "not_a_cell", f"{wrong[0]} is no cell of H3: make the cells anew", cell=wrong[0]
        )
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


def centre_of(cell: str) -> tuple[float, float]:
    """Return a cell's centre: latitude and longitude in degrees."""
    latitude, longitude = h3.cell_to_latlng(cell)
    return latitude, longitude


def describe_area(cells: Sequence[str]) -> str:
    """Return where an area lies and how large it is, for a person to see that it is the right one.

    Swapped coordinates that are both possible can be seen by a person only.
    """
    centres = [centre_of(cell) for cell in cells]
    south, north = min(c[0] for c in centres), max(c[0] for c in centres)
    west, east = min(c[1] for c in centres), max(c[1] for c in centres)
    return (
        f"{len(cells)} cells, about {len(cells) * CELL_KM2:.1f} km², latitude {south:.3f} to "
        f"{north:.3f}, longitude {west:.3f} to {east:.3f}"
    )


def _cells_of(polygon: Polygon) -> list[str]:
    outer, *holes = [[(lat, lng) for lng, lat in ring] for ring in polygon]
    try:
        cells: list[str] = h3.polygon_to_cells(h3.LatLngPoly(outer, *holes), RESOLUTION)
    except h3.H3BaseException as error:
        raise AreaRefused(
            "no_inside",
            "an outline can't be filled with cells, mostly because it has no width or no height: "
            "draw it around the area",
        ) from error
    return cells


def _box_cells(polygon: Polygon) -> float:
    """Return for about how many cells H3 reserves memory.

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
    """Return about how large it is: the shoelace formula on a flat map at its own latitude."""
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
