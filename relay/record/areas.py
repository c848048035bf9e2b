"""A jurisdiction as files: GeoJSON of its cells (RFC 7946), and a small outline as SVG. Pure."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from relay.map.cells import boundary_of, centre_of, outlines_of, unroll

OUTLINE_SIZE = 320
_MARGIN = 8
_COLOUR = "#4d9275"
_WENT_COLOUR = "#b5651d"
"""Both are seen on light and on dark paper: an image doesn't know which it lies on."""


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
    """Return rows of cells with their centres."""
    rows = []
    for cell in cells:
        lat, lon = centre_of(cell)
        rows.append({"cell": cell, "latitude": f"{lat:.5f}", "longitude": f"{lon:.5f}"})
    return rows


def as_svg(cells: Sequence[str]) -> bytes:
    """Return the area's shape as SVG, north up, scaled by its own parallel."""
    sheet = _Sheet.of(cells)
    return sheet.drawn(sheet.shape(cells, f'fill="{_COLOUR}" fill-opacity=".35" {_line(_COLOUR)}'))


def as_changed_svg(old: Sequence[str], new: Sequence[str]) -> bytes:
    """Return an area before and after as one shape: what stays, came (filled) and went (hatched).

    Colours, filling and edges all differ, so that it can be read without seeing colours.
    """
    before, after = set(old), set(new)
    sheet = _Sheet.of(sorted(before | after))
    hatched = f'fill="url(#went)" {_line(_WENT_COLOUR)} stroke-dasharray="5 3"'
    return sheet.drawn(
        '<pattern id="went" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0 0V6" {_line(_WENT_COLOUR)}/></pattern>',
        sheet.shape(sorted(before & after), f'fill="{_COLOUR}" fill-opacity=".2"'),
        sheet.shape(sorted(after - before), f'fill="{_COLOUR}" fill-opacity=".85"'),
        sheet.shape(sorted(before - after), hatched),
        sheet.shape(sorted(after), f'fill="none" {_line(_COLOUR)}'),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sheet:
    """A projection of part of the earth onto a picture."""

    west: float
    north: float
    is_across: bool
    """It lies on both sides of the 180th meridian."""
    squeeze: float
    scale: float
    width: float
    height: float

    @classmethod
    def of(cls, cells: Sequence[str]) -> "_Sheet":
        points = [point for ring in outlines_of(cells) for point in ring]
        longitudes = [lon for _, lon in points]
        unrolled = unroll(longitudes)
        west, east = min(unrolled), max(unrolled)
        south, north = min(lat for lat, _ in points), max(lat for lat, _ in points)
        squeeze = max(math.cos(math.radians((south + north) / 2)), 0.01)
        scale = (OUTLINE_SIZE - 2 * _MARGIN) / max((east - west) * squeeze, north - south)
        return cls(
            west=west,
            north=north,
            is_across=unrolled != longitudes,
            squeeze=squeeze,
            scale=scale,
            width=(east - west) * squeeze * scale + 2 * _MARGIN,
            height=(north - south) * scale + 2 * _MARGIN,
        )

    def shape(self, cells: Sequence[str], look: str) -> str:
        """Return the union of cells as one path; empty without cells."""
        if not cells:
            return ""
        path = "".join("M" + "L".join(map(self._place, ring)) + "Z" for ring in outlines_of(cells))
        return f'<path d="{path}" {look} fill-rule="evenodd"/>'

    def drawn(self, *parts: str) -> bytes:
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {self.width:.0f} {self.height:.0f}" '
            f'width="{self.width:.0f}" height="{self.height:.0f}">{"".join(parts)}</svg>\n'
        ).encode()

    def _place(self, point: tuple[float, float]) -> str:
        lat, lon = point
        right = (lon % 360 if self.is_across else lon) - self.west
        x = right * self.squeeze * self.scale + _MARGIN
        return f"{x:.1f} {(self.north - lat) * self.scale + _MARGIN:.1f}"


def _line(colour: str) -> str:
    return f'stroke="{colour}" stroke-width="2" stroke-linejoin="round"'


def _ring(corners: Sequence[tuple[float, float]]) -> list[list[float]]:
    closed = [*corners, corners[0]]
    return [[round(lon, 6), round(lat, 6)] for lat, lon in closed]
