"""CSV and GeoJSON (RFC 7946) of the theft map, made from what is published and nothing else. Pure.

The same edition always gives the same bytes: no time, language or reader goes in.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from relay.heatmap.imports import ImportedLayer
from relay.heatmap.publication import Band, Edition
from relay.map.cells import boundary_of, centre_of

DECIMALS = 5
"""About a metre."""
CSV_HEADER = "layer,first_month,last_month,cell,latitude,longitude,least,most"


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLayer:
    """A layer to be drawn or written, whoever counted it; without months it is still empty."""

    name: str
    first_month: str
    last_month: str
    bands: Sequence[Band]


def layers_of(document: Edition | ImportedLayer) -> list[MapLayer]:
    """Return the layers of a published document."""
    if isinstance(document, ImportedLayer):
        return [
            MapLayer(
                name=document.id,
                first_month=document.first_month,
                last_month=document.last_month,
                bands=document.bands,
            )
        ]
    return [
        MapLayer(
            name=layer.name,
            first_month=layer.months[0] if layer.months else document.month,
            last_month=document.month,
            bands=layer.bands,
        )
        for layer in document.layers
    ]


def as_csv(layers: Iterable[MapLayer]) -> bytes:
    """Return a line for each shown cell; `most` is empty in the last band."""
    lines = [CSV_HEADER]
    for layer in layers:
        head = f"{layer.name},{layer.first_month},{layer.last_month}"
        for band in layer.bands:
            most = "" if band.most is None else band.most
            for cell in band.cells:
                lat, lon = centre_of(cell)
                where = f"{lat:.{DECIMALS}f},{lon:.{DECIMALS}f}"
                lines.append(f"{head},{cell},{where},{band.least},{most}")
    return "\r\n".join([*lines, ""]).encode()


def as_geojson(layers: Iterable[MapLayer]) -> bytes:
    """Return each shown cell as a polygon, with its layer and band."""
    features = [
        {
            "type": "Feature",
            "properties": {
                "layer": layer.name,
                "first_month": layer.first_month,
                "last_month": layer.last_month,
                "cell": cell,
                "least": band.least,
                "most": band.most,
            },
            "geometry": {"type": "Polygon", "coordinates": [_ring(cell)]},
        }
        for layer in layers
        for band in layer.bands
        for cell in band.cells
    ]
    told = {"type": "FeatureCollection", "features": features}
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def _ring(cell: str) -> list[list[float]]:
    corners = boundary_of(cell)
    return [[round(lon, DECIMALS), round(lat, DECIMALS)] for lat, lon in (*corners, corners[0])]
