"""Map cells that were asked about in the last year, and how often as a band. Pure.

All of it is public, request by request; nothing here says where a doorbell is, or who answered.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from relay.map.cells import boundary_of, centre_of
from relay.record.exports import Row, time_text
from relay.record.public_record import RecordView

YEAR_MS: Final = 365 * 24 * 3600 * 1000
AskedBand = Literal["1-4", "5-19", "20+"]
ASKED_BANDS: Final[tuple[AskedBand, ...]] = ("1-4", "5-19", "20+")
ASKED_FIELDS: Final = ("cell", "latitude", "longitude", "requests", "last_asked")


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedCell:
    """One cell that requests of the last year named."""

    cell: str
    count: int
    """Of requests; the pages show its band."""
    last_ms: int
    """When the last of them was published."""

    @property
    def band(self) -> AskedBand:
        """How many requests named it."""
        return "1-4" if self.count < 5 else "5-19" if self.count < 20 else "20+"


def asked_cells(view: RecordView) -> list[AskedCell]:
    """Return the cells of the last year's published requests, those asked about most first."""
    since_ms, public_size = view.now_ms - YEAR_MS, view.register.stamps.size
    counts: dict[str, int] = {}
    last: dict[str, int] = {}
    for record in view.register.register.requests.values():
        if record.index >= public_size:
            continue
        seen_ms = view.register.stamps.seen_ms(record.index)
        if seen_ms is None or seen_ms < since_ms:
            continue
        for cell in record.request.cells:
            counts[cell] = counts.get(cell, 0) + 1
            last[cell] = max(last.get(cell, 0), seen_ms)
    found = [AskedCell(cell=cell, count=counts[cell], last_ms=last[cell]) for cell in counts]
    return sorted(found, key=lambda one: (-one.count, -one.last_ms, one.cell))


def asked_rows(cells: Sequence[AskedCell]) -> list[Row]:
    """Return cells as rows of a file."""
    rows: list[Row] = []
    for one in cells:
        lat, lon = centre_of(one.cell)
        rows.append(
            {
                "cell": one.cell,
                "latitude": round(lat, 5),
                "longitude": round(lon, 5),
                "requests": one.band,
                "last_asked": time_text(one.last_ms),
            }
        )
    return rows


def asked_geojson(cells: Sequence[AskedCell]) -> bytes:
    """Return each cell as a polygon with its band (RFC 7946)."""
    features = []
    for one in cells:
        ring = [[round(lon, 6), round(lat, 6)] for lat, lon in boundary_of(one.cell)]
        features.append(
            {
                "type": "Feature",
                "properties": {"cell": one.cell, "band": one.band},
                "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
            }
        )
    told = {"type": "FeatureCollection", "features": features}
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"
