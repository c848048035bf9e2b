"""Parser of typed corners: latitude and longitude, one corner a line.

    59.31, 18.00
    59.31, 18.06
    59.34, 18.03

An empty line begins another shape. The browser's search reads a place by the same rule
(relay/web/static/js/map/place_parser.js). Closed by itself, then judged as GeoJSON is.
"""

import re

from relay.agency.errors import AreaRefused
from relay.agency.geojson import Point, Polygon, Ring, check_polygons

_NUMBER = r"[+-]?\d{1,3}(?:[.,]\d{1,20})?"
_CORNER = re.compile(
    rf"({_NUMBER})\s*°?\s*([NS])?(?:\s*[,;]\s*|\s+)({_NUMBER})\s*°?\s*([EWÖV])?", re.IGNORECASE
)
"""Ö and V are Swedish for E and W."""
_MAX_LINE_CHARS = 100


def read_corners(data: bytes) -> list[Polygon]:
    """Return the shapes of a typed list, or raise AreaRefused."""
    try:
        lines = data.decode().replace("\N{MINUS SIGN}", "-").splitlines()
    except UnicodeDecodeError as error:
        raise AreaRefused("not_text", "this is no plain text (UTF-8): type it anew") from error
    shapes: list[Ring] = [[]]
    for number, line in enumerate(lines, start=1):
        if line.strip():
            shapes[-1].append(_corner(line.strip(), number))
        elif shapes[-1]:
            shapes.append([])
    polygons = [[_closed(shape)] for shape in shapes if shape]
    check_polygons(polygons)
    return polygons


def _corner(line: str, number: int) -> Point:
    found = _CORNER.fullmatch(line[:_MAX_LINE_CHARS])
    if found is None or len(line) > _MAX_LINE_CHARS:
        raise AreaRefused(
            "corner", f"line {number} isn't two numbers such as 59.3300, 18.0600", line=number
        )
    for degrees, side in ((found[1], found[2]), (found[3], found[4])):
        if side and degrees[0] in "+-":
            raise AreaRefused(
                "corner_sign",
                f"line {number} has a letter and a sign for one number: leave out one of both",
                line=number,
            )
    latitude = _degrees(found[1], is_negative=(found[2] or "N") in "Ss")
    longitude = _degrees(found[3], is_negative=(found[4] or "E") in "WwVv")
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise AreaRefused(
            "corner_outside",
            f"line {number} lies outside the world: first the latitude, at most 90, then the "
            "longitude, at most 180",
            line=number,
        )
    return longitude, latitude


def _degrees(text: str, *, is_negative: bool) -> float:
    degrees = float(text.replace(",", "."))
    return -degrees if is_negative else degrees


def _closed(shape: Ring) -> Ring:
    if len(set(shape)) < 3:
        raise AreaRefused("few_corners", "a shape has three corners at least, each on its own line")
    return shape if shape[0] == shape[-1] else [*shape, shape[0]]
