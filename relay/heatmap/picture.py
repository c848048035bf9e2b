"""The theft map as SVG, drawn by the server: one path a band, north up. Pure.

Colours are the style sheet's (`.theft-1` to `.theft-3`); each band has a pattern as well, so that
the picture can be read without seeing colours. A county of 5,000 cells stays below 60 kB in gzip.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from relay.heatmap.publication import Band
from relay.map.cells import boundary_of, unroll

WIDTH = 1000
MAX_HEIGHT = 900
MIN_SPAN_DEGREES = 0.06
"""A single cell doesn't fill the sheet."""
_MARGIN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPicture:
    """Paths of the bands, the lowest first, in a sheet of `width` × `height` units."""

    width: int
    height: int
    paths: Sequence[str]
    km_units: float
    """So many units are a kilometre."""


def picture_of(bands: Sequence[Band]) -> MapPicture | None:
    """Return the picture of a layer; None if no cell is shown."""
    rings = [[boundary_of(cell) for cell in band.cells] for band in bands]
    points = [point for cells in rings for ring in cells for point in ring]
    if not points:
        return None
    longitudes = [lon for _, lon in points]
    unrolled = unroll(longitudes)
    is_across = unrolled != longitudes
    west, east = _widened(min(unrolled), max(unrolled))
    south, north = _widened(min(lat for lat, _ in points), max(lat for lat, _ in points))
    squeeze = max(math.cos(math.radians((south + north) / 2)), 0.01)
    scale = min(
        (WIDTH - 2 * _MARGIN) / ((east - west) * squeeze),
        (MAX_HEIGHT - 2 * _MARGIN) / (north - south),
    )

    def place(point: tuple[float, float]) -> tuple[int, int]:
        lat, lon = point
        right = (lon % 360 if is_across else lon) - west
        return (
            round(right * squeeze * scale) + _MARGIN,
            round((north - lat) * scale) + _MARGIN,
        )

    return MapPicture(
        width=round((east - west) * squeeze * scale) + 2 * _MARGIN,
        height=round((north - south) * scale) + 2 * _MARGIN,
        paths=["".join(_path([place(one) for one in ring]) for ring in cells) for cells in rings],
        km_units=scale / 111.2,
    )


def _widened(least: float, most: float) -> tuple[float, float]:
    missing = max(0.0, MIN_SPAN_DEGREES - (most - least)) / 2
    return least - missing, most + missing


def _path(corners: Sequence[tuple[int, int]]) -> str:
    """Return a closed ring in relative coordinates, which are short and much alike."""
    (x, y), *rest = corners
    steps = []
    for right, down in rest:
        steps.append(f"{right - x} {down - y}".replace(" -", "-"))
        x, y = right, down
    return f"M{corners[0][0]} {corners[0][1]}l{' '.join(steps)}z"
