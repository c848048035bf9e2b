"""Strict parser of GeoJSON (RFC 7946) polygons in longitude and latitude.

Taken are Polygon, MultiPolygon, GeometryCollection, Feature and FeatureCollection; what is no area
beside them (a point with the town's name) is refused too, so that nothing is left out unseen. Pure,
and bounded in size, depth and work.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TypeAlias, cast

import msgspec

from relay.agency.errors import AreaRefused

MAX_AREA_BYTES = 512 * 1024
MAX_POINTS = 20_000
_MAX_COMPARISONS = 2_000_000
_MAX_DEPTH = 8

Point: TypeAlias = tuple[float, float]
"""Longitude and latitude in degrees, in GeoJSON's order."""
Ring: TypeAlias = list[Point]
Polygon: TypeAlias = list[Ring]
"""The outer ring, then holes."""


def read_polygons(data: bytes) -> list[Polygon]:
    """Return all polygons of a GeoJSON text, or raise AreaRefused."""
    document = _parse(data)
    _check_crs(document)
    polygons = list(_polygons(document, 0))
    if not polygons:
        raise AreaRefused("empty", "there is no area in this file: it has no Polygon in it")
    check_polygons(polygons)
    return polygons


def check_polygons(polygons: Sequence[Polygon]) -> None:
    """Raise AreaRefused unless closed rings are outlines on the earth, and not too intricate."""
    if sum(len(ring) for polygon in polygons for ring in polygon) > MAX_POINTS:
        raise AreaRefused(
            "too_many_points",
            f"the outline has more than {MAX_POINTS} points: simplify it to about ten metres",
            most=MAX_POINTS,
        )
    left = _MAX_COMPARISONS
    for polygon in polygons:
        _check_places(polygon)
        left = _check_crossings(polygon, left)


def too_many_bytes() -> AreaRefused:
    """Return the refusal for a file or a list that is too long."""
    return AreaRefused(
        "too_many_bytes",
        f"the file has more than {MAX_AREA_BYTES // 1024} KiB: simplify the outline, and leave "
        "out all but the area",
        most=MAX_AREA_BYTES // 1024,
    )


def _parse(data: bytes) -> dict[str, object]:
    if len(data) > MAX_AREA_BYTES:
        raise too_many_bytes()
    if data.lstrip()[:1] == b"<" or data[:2] == b"PK":
        raise AreaRefused(
            "other_format",
            "this is another format (KML, SVG, HTML or an archive): export the area as GeoJSON",
        )
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise AreaRefused("not_json", "this isn't GeoJSON: it can't be read as JSON") from error
    if not isinstance(document, dict):
        raise AreaRefused("not_json", "this isn't GeoJSON: it is JSON of another kind")
    return cast("dict[str, object]", document)


def _check_crs(document: dict[str, object]) -> None:
    """Refuse any coordinate system but WGS 84; GeoJSON before 2016 could name others."""
    named = str(document.get("crs", "CRS84"))
    if "CRS84" not in named and "4326" not in named:
        raise _other_grid()


def _polygons(value: object, depth: int) -> Iterator[Polygon]:
    if not isinstance(value, dict) or depth > _MAX_DEPTH:
        raise AreaRefused("shape", "this isn't GeoJSON: a shape has a type and coordinates")
    match value.get("type"):
        case "FeatureCollection":
            for feature in _list(value.get("features")):
                yield from _polygons(feature, depth + 1)
        case "Feature":
            yield from _polygons(value.get("geometry"), depth + 1)
        case "GeometryCollection":
            for geometry in _list(value.get("geometries")):
                yield from _polygons(geometry, depth + 1)
        case "MultiPolygon":
            for polygon in _list(value.get("coordinates")):
                yield _polygon(polygon)
        case "Polygon":
            yield _polygon(value.get("coordinates"))
        case "Point" | "MultiPoint" | "LineString" | "MultiLineString" as kind:
            raise AreaRefused(
                "not_an_area",
                f"there is a {kind} in this file, which is no area: leave it out",
                kind=str(kind),
            )
        case _:
            raise AreaRefused("shape", "this isn't GeoJSON: a shape has a type and coordinates")


def _polygon(value: object) -> Polygon:
    rings = [_ring(ring) for ring in _list(value)]
    if not rings:
        raise AreaRefused("empty", "there is a polygon without an outline in this file")
    return rings


def _ring(value: object) -> Ring:
    ring = [_point(point) for point in _list(value)]
    if len(ring) < 4 or len(set(ring)) < 3:
        raise AreaRefused("open_ring", "an outline has three corners at least, and is closed")
    if ring[0] != ring[-1]:
        raise AreaRefused("open_ring", "an outline isn't closed: its last point is its first again")
    return ring


def _point(value: object) -> Point:
    numbers = _list(value)[:2]
    if len(numbers) < 2 or not all(type(number) in (int, float) for number in numbers):
        raise AreaRefused("shape", "a point is two numbers, longitude and latitude")
    longitude, latitude = cast("list[float]", numbers)
    try:
        return float(longitude), float(latitude)
    except OverflowError as error:  # a whole number of hundreds of digits
        raise _other_grid() from error


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise AreaRefused("shape", "this isn't GeoJSON: coordinates are lists")
    return cast("list[object]", value)


def _check_places(polygon: Polygon) -> None:
    points = [point for ring in polygon for point in ring]
    if any(abs(number) > 180 for point in points for number in point):
        raise _other_grid()
    if any(abs(latitude) > 90 for _, latitude in points):
        if all(abs(longitude) <= 90 for longitude, _ in points):
            raise AreaRefused(
                "swapped",
                "a latitude is beyond 90 degrees: it seems that latitude and longitude are "
                "swapped; GeoJSON has the longitude first",
            )
        raise AreaRefused("outside", "a point lies outside the world: a latitude is beyond 90")
    for ring in polygon:
        if any(abs(a[0] - b[0]) > 180 for a, b in pairwise(ring)):
            raise AreaRefused(
                "antimeridian",
                "the area crosses the 180th meridian: cut it there into two polygons",
            )


def _other_grid() -> AreaRefused:
    return AreaRefused(
        "other_grid",
        "the coordinates aren't degrees but another map grid's (such as UTM or SWEREF 99): export "
        "the area in WGS 84 (EPSG:4326)",
    )


def _check_crossings(polygon: Polygon, left: int) -> int:
    """Refuse outlines that cross themselves or each other; to touch is no crossing.

    Sides are looked at from west to east, each with those that reach its longitude: `left` times
    at most. Returns how often other polygons' may be.
    """
    sides = sorted((min(a, b), max(a, b)) for ring in polygon for a, b in pairwise(ring))
    reaching: list[tuple[Point, Point]] = []
    for side in sides:
        reaching = [other for other in reaching if other[1][0] >= side[0][0]]
        left -= len(reaching)
        if left < 0:
            raise AreaRefused(
                "too_intricate", "the outline is too intricate: simplify it to about ten metres"
            )
        for other in reaching:
            if _cross(side, other):
                longitude, latitude = other[0]
                raise AreaRefused(
                    "crosses_itself",
                    "the outline crosses itself, near latitude "
                    f"{latitude:.4f}, longitude {longitude:.4f}: draw it so that it doesn't",
                    latitude=f"{latitude:.4f}",
                    longitude=f"{longitude:.4f}",
                )
        reaching.append(side)
    return left


def _cross(one: Sequence[Point], other: Sequence[Point]) -> bool:
    (a, b), (c, d) = one, other
    return _turn(a, b, c) * _turn(a, b, d) < 0 and _turn(c, d, a) * _turn(c, d, b) < 0


def _turn(a: Point, b: Point, c: Point) -> int:
    """Return the side of the line from `a` to `b` on which `c` lies: 1, -1, or 0 on the line."""
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (area > 0) - (area < 0)
