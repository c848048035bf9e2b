"""A jurisdiction as files: GeoJSON of its cells (RFC 7946), and a small outline as SVG. Pure."""

import json
import math
from collections.abc import Sequence

from relay.map.cells import boundary_of, centre_of, outlines_of

OUTLINE_SIZE = 320
_MARGIN = 8
_COLOUR = "#4d9275"
"""Seen on light and on dark paper alike: an image doesn't know which it lies on."""


def as_geojson(cells: Sequence[str]) -> bytes:
    """Return each cell as a polygon that carries its number."""
    features = [
        {
            "type": "Feature",
            "id": cell,
            "properties": {"cell": cell},
            "geometry": {"type": "Polygon", "coordinates": [_ring(boundary_of(cell))]},
        }
        for cell in cells
    ]
    told = {"type": "FeatureCollection", "features": features}
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def cell_rows(cells: Sequence[str]) -> list[dict[str, str]]:
    """Return each cell with its centre, as a table has it."""
    rows = []
    for cell in cells:
        lat, lon = centre_of(cell)
        rows.append({"cell": cell, "latitude": f"{lat:.5f}", "longitude": f"{lon:.5f}"})
    return rows


def as_svg(cells: Sequence[str]) -> bytes:
    """Return the area's shape, north up, as wide as its own parallel makes it."""
    rings = outlines_of(cells)
    points = [point for ring in rings for point in ring]
    west, east = min(lon for _, lon in points), max(lon for _, lon in points)
    south, north = min(lat for lat, _ in points), max(lat for lat, _ in points)
    squeeze = max(math.cos(math.radians((south + north) / 2)), 0.01)
    span = max((east - west) * squeeze, north - south)
    scale = (OUTLINE_SIZE - 2 * _MARGIN) / span
    width = (east - west) * squeeze * scale + 2 * _MARGIN
    height = (north - south) * scale + 2 * _MARGIN

    def place(point: tuple[float, float]) -> str:
        lat, lon = point
        x, y = (lon - west) * squeeze * scale + _MARGIN, (north - lat) * scale + _MARGIN
        return f"{x:.1f} {y:.1f}"

    path = "".join("M" + "L".join(place(point) for point in ring) + "Z" for ring in rings)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}">'
        f'<path d="{path}" fill="{_COLOUR}" fill-opacity=".35" fill-rule="evenodd" '
        f'stroke="{_COLOUR}" stroke-width="2" stroke-linejoin="round"/></svg>\n'
    ).encode()


def _ring(corners: Sequence[tuple[float, float]]) -> list[list[float]]:
    closed = [*corners, corners[0]]
    return [[round(lon, 6), round(lat, 6)] for lat, lon in closed]
