"""H3 map cells (https://h3geo.org), mostly of resolution 9: conversions from and to coordinates.

Districts, the neighbours' feed and the theft map have larger ones, of resolution 8 (about 0.7 km²):
`coarse` in the names here.

Latitude comes first everywhere here, in degrees. H3 is asked here and nowhere else. What an area
has to be before it may become a jurisdiction is relay/agency/jurisdiction.py.
"""

from collections.abc import Sequence

import h3

RESOLUTION = 9
COARSE_RESOLUTION = 8


class NoInterior(Exception):
    """An outline can't be filled with cells: mostly it has no width or no height."""


def is_cell(text: str) -> bool:
    """Return whether a text is a cell of this resolution, as the register writes it."""
    return _is_cell_of(RESOLUTION, text)


def is_coarse_cell(text: str) -> bool:
    """Return whether a text is a cell of the larger resolution."""
    return _is_cell_of(COARSE_RESOLUTION, text)


def cell_at(lat: float, lon: float) -> str:
    """Return the cell that contains a point."""
    return str(h3.latlng_to_cell(lat, lon, RESOLUTION))


def coarse_cell_at(lat: float, lon: float) -> str:
    """Return the larger cell that contains a point."""
    return str(h3.latlng_to_cell(lat, lon, COARSE_RESOLUTION))


def centre_of(cell: str) -> tuple[float, float]:
    """Return latitude and longitude of a cell's centre."""
    lat, lon = h3.cell_to_latlng(cell)
    return lat, lon


def parent_of(cell: str) -> str:
    """Return the larger cell around a cell, which H3 calls its parent."""
    return str(h3.cell_to_parent(cell, COARSE_RESOLUTION))


def cells_within(cell: str, steps: int) -> list[str]:
    """Return a cell and all within so many steps of it, in no order."""
    return [str(one) for one in h3.grid_disk(cell, steps)]


def boundary_of(cell: str) -> list[tuple[float, float]]:
    """Return the corners of a cell, in order."""
    return [(lat, lon) for lat, lon in h3.cell_to_boundary(cell)]


def cells_inside(
    outer: Sequence[tuple[float, float]], holes: Sequence[Sequence[tuple[float, float]]]
) -> list[str]:
    """Return the cells whose centre lies in an outline and in none of its holes, or NoInterior.

    The browser's h3-js finds the same (tests/vectors/areas.json). H3 reserves memory for the box
    around the outline, which the caller has to bound.
    """
    try:
        return [str(one) for one in h3.polygon_to_cells(h3.LatLngPoly(outer, *holes), RESOLUTION)]
    except h3.H3BaseException as error:
        raise NoInterior(str(error)) from error


def area_km2(cells: Sequence[str]) -> float:
    """Return the area of cells together in km²: a cell's size depends on its location."""
    return sum(float(h3.cell_area(cell, unit="km^2")) for cell in cells)


def unroll(longitudes: Sequence[float]) -> list[float]:
    """Return longitudes so that neighbours across the 180th meridian are near: west of it -180…180,
    east of it beyond 180. What spans less than half of the earth stays as it is.
    """
    if max(longitudes) - min(longitudes) <= 180:
        return list(longitudes)
    return [longitude % 360 for longitude in longitudes]


def outlines_of(cells: Sequence[str]) -> list[list[tuple[float, float]]]:
    """Return the boundary rings of the union of cells, holes included."""
    shape = h3.cells_to_h3shape(list(dict.fromkeys(cells)), tight=False)
    return [
        [(lat, lon) for lat, lon in ring]
        for polygon in shape
        for ring in (polygon.outer, *polygon.holes)
    ]


def _is_cell_of(resolution: int, text: str) -> bool:
    is_written_so = len(text) == 15 and text == text.lower()
    return is_written_so and h3.is_valid_cell(text) and h3.get_resolution(text) == resolution
