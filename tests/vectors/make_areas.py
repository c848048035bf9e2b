"""Writes areas.json: areas of GeoJSON, and which H3 cells of resolution 9 they have.

    python tests/vectors/make_areas.py

relay/agency/jurisdiction.py and the browser's h3-js are both held to it: what an agency signs and
what an officer draws have to be the same cells.
"""

import json
import math
from pathlib import Path
from typing import Any

from relay.agency.jurisdiction import cells_of_geojson

HERE = Path(__file__).parent


def square(longitude: float, latitude: float, size: float) -> list[list[float]]:
    east, north = longitude + size, latitude + size
    return [
        [longitude, latitude],
        [east, latitude],
        [east, north],
        [longitude, north],
        [longitude, latitude],
    ]


def circle(longitude: float, latitude: float, radius: float, corners: int) -> list[list[float]]:
    ring = [
        [
            round(longitude + 2 * radius * math.cos(2 * math.pi * corner / corners), 6),
            round(latitude + radius * math.sin(2 * math.pi * corner / corners), 6),
        ]
        for corner in range(corners)
    ]
    return [*ring, ring[0]]


def polygon(*rings: list[list[float]]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


AREAS: dict[str, dict[str, Any]] = {
    "a square": polygon(square(18.0, 59.3, 0.03)),
    "a square the other way round": polygon(square(18.0, 59.3, 0.03)[::-1]),
    "a square with a hole": polygon(square(18.0, 59.3, 0.03), square(18.01, 59.31, 0.01)),
    "a circle": polygon(circle(-82.0, 28.03, 0.02, 64)),
    "two islands": {
        "type": "MultiPolygon",
        "coordinates": [[square(-0.13, 51.5, 0.01)], [square(-0.1, 51.5, 0.01)]],
    },
    "islands that overlap": {
        "type": "MultiPolygon",
        "coordinates": [[square(151.2, -33.87, 0.02)], [square(151.21, -33.86, 0.02)]],
    },
    "a notch": polygon(
        [[13.0, 55.6], [13.04, 55.6], [13.04, 55.63], [13.02, 55.605], [13.0, 55.63], [13.0, 55.6]]
    ),
    "a feature with three numbers a point": {
        "type": "Feature",
        "properties": {"name": "Harbour"},
        "geometry": polygon([[*point, 12.5] for point in square(11.95, 57.7, 0.015)]),
    },
    "a collection": {
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "properties": None, "geometry": polygon(square(24.94, 60.16, 0.01))}
        ],
    },
}


def main() -> None:
    areas = [
        {"name": name, "geojson": area, "cells": cells_of_geojson(json.dumps(area).encode())}
        for name, area in AREAS.items()
    ]
    text = json.dumps({"areas": areas}, indent=1, ensure_ascii=False)
    (HERE / "areas.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
