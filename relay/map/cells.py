"""Map cells (H3, https://h3geo.org) of resolution 9: where one is, and which one is somewhere.

Latitude comes first everywhere here, in degrees. What makes a jurisdiction's cells from an area is
relay/agency/jurisdiction.py.
"""

from collections.abc import Sequence

import h3

RESOLUTION = 9


def is_cell(text: str) -> bool:
    """Tell whether a text is a cell of this resolution, as the register writes it."""
    is_written_so = len(text) == 15 and text == text.lower()
    return is_written_so and h3.is_valid_cell(text) and h3.get_resolution(text) == RESOLUTION


def cell_at(lat: float, lon: float) -> str:
    """Return the cell that a point lies in."""
    return str(h3.latlng_to_cell(lat, lon, RESOLUTION))


def centre_of(cell: str) -> tuple[float, float]:
    """Return latitude and longitude of a cell's centre."""
    lat, lon = h3.cell_to_latlng(cell)
    return lat, lon


def cells_within(cell: str, steps: int) -> list[str]:
    """Return a cell and those that so many steps lead to, in no order."""
    return [str(one) for one in h3.grid_disk(cell, steps)]


def boundary_of(cell: str) -> list[tuple[float, float]]:
    """Return the corners of a cell, in order."""
    return [(lat, lon) for lat, lon in h3.cell_to_boundary(cell)]


def outlines_of(cells: Sequence[str]) -> list[list[tuple[float, float]]]:
    """Return the rings that bound some cells together, those of holes among them."""
    shape = h3.cells_to_h3shape(list(dict.fromkeys(cells)), tight=False)
    return [
        [(lat, lon) for lat, lon in ring]
        for polygon in shape
        for ring in (polygon.outer, *polygon.holes)
    ]
