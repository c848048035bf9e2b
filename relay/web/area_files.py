"""Files of a jurisdiction that isn't in the register yet: a picture, and GeoJSON.

And what a newer version of one changes: on a picture, and as a table.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from relay.agency.agreement_versions import Difference
from relay.map.cells import area_km2, centre_of
from relay.record.areas import as_changed_svg, as_geojson, as_svg

NO_STORE = {"Cache-Control": "no-store"}
NOTHING_ELSE = {"Content-Security-Policy": "default-src 'none'"}
SHOWN_CHANGES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangedCell:
    """A cell that only one version has; its centre is in degrees."""

    kind: Literal["added", "removed"]
    cell: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaChanges:
    """The difference between two versions' areas; the first changed cells are listed."""

    picture: str
    """A data: address."""
    km2_added: float
    km2_removed: float
    rows: list[ChangedCell]
    count: int


def shown_changes(difference: Difference | None) -> AreaChanges | None:
    """Return the difference between two versions' areas, None if there is none."""
    if difference is None or not (difference.cells_added or difference.cells_removed):
        return None
    rows = [
        *(_row("removed", cell) for cell in difference.cells_removed),
        *(_row("added", cell) for cell in difference.cells_added),
    ]
    return AreaChanges(
        picture=picture_of(as_changed_svg(difference.old.cells, difference.new.cells)),
        km2_added=round(area_km2(difference.cells_added), 1),
        km2_removed=round(area_km2(difference.cells_removed), 1),
        rows=rows[:SHOWN_CHANGES],
        count=len(rows),
    )


def picture_of(svg: bytes) -> str:
    """Return a picture as a data: URL."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def outline_answer(cells: Sequence[str]) -> Response:
    """Return the area's shape as an SVG response."""
    headers = {**NO_STORE, **NOTHING_ELSE}
    return Response(as_svg(cells), media_type="image/svg+xml", headers=headers)


def geojson_answer(cells: Sequence[str]) -> Response:
    """Return the cells as a GeoJSON response."""
    headers = {**NO_STORE, "Content-Disposition": 'attachment; filename="area.geojson"'}
    return Response(as_geojson(cells), media_type="application/geo+json", headers=headers)


def _row(kind: Literal["added", "removed"], cell: str) -> ChangedCell:
    latitude, longitude = centre_of(cell)
    return ChangedCell(kind=kind, cell=cell, latitude=latitude, longitude=longitude)
