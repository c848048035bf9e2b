"""A jurisdiction as files: GeoJSON of its cells (RFC 7946), and a small outline as SVG. Pure."""

import json
from collections.abc import Sequence

from relay.map.cell_svg import Sheet
from relay.map.cells import boundary_of, centre_of, outlines_of

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
    picture = _Picture(cells)
    return picture.drawn(
        picture.shape(cells, f'fill="{_COLOUR}" fill-opacity=".35" {_line(_COLOUR)}')
    )


def as_changed_svg(old: Sequence[str], new: Sequence[str]) -> bytes:
    """Return an area before and after as one shape: what stays, came (filled) and went (hatched).

    Colours, filling and edges all differ, so that it can be read without seeing colours.
    """
    before, after = set(old), set(new)
    picture = _Picture(sorted(before | after))
    hatched = f'fill="url(#went)" {_line(_WENT_COLOUR)} stroke-dasharray="5 3"'
    return picture.drawn(
        '<pattern id="went" width="6" height="6" patternUnits="userSpaceOnUse" '
        f'patternTransform="rotate(45)"><path d="M0 0V6" {_line(_WENT_COLOUR)}/></pattern>',
        picture.shape(sorted(before & after), f'fill="{_COLOUR}" fill-opacity=".2"'),
        picture.shape(sorted(after - before), f'fill="{_COLOUR}" fill-opacity=".85"'),
        picture.shape(sorted(before - after), hatched),
        picture.shape(sorted(after), f'fill="none" {_line(_COLOUR)}'),
    )


class _Picture:
    """A picture of areas whose sheet shows all of some cells."""

    def __init__(self, cells: Sequence[str]) -> None:
        self._sheet = Sheet.of([point for ring in outlines_of(cells) for point in ring])

    def shape(self, cells: Sequence[str], look: str) -> str:
        """Return the union of cells as one path; empty without cells."""
        if not cells:
            return ""
        path = "".join("M" + "L".join(map(self._place, ring)) + "Z" for ring in outlines_of(cells))
        return f'<path d="{path}" {look} fill-rule="evenodd"/>'

    def drawn(self, *parts: str) -> bytes:
        """Return the whole picture as a file."""
        wide, high = f"{self._sheet.width:.0f}", f"{self._sheet.height:.0f}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" '
            f'viewBox="0 0 {wide} {high}" '
            f'width="{wide}" height="{high}">{"".join(parts)}</svg>\n'
        ).encode()

    def _place(self, point: tuple[float, float]) -> str:
        x, y = self._sheet.place(point)
        return f"{x:.1f} {y:.1f}"


def _line(colour: str) -> str:
    return f'stroke="{colour}" stroke-width="2" stroke-linejoin="round"'


def _ring(corners: Sequence[tuple[float, float]]) -> list[list[float]]:
    closed = [*corners, corners[0]]
    return [[round(lon, 6), round(lat, 6)] for lat, lon in closed]
