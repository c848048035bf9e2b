"""From an agency's GeoJSON to cells, and what is said of an area that can't be one."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.agency.errors import AreaRefused
from relay.agency.geojson import MAX_AREA_BYTES, MAX_POINTS
from relay.agency.jurisdiction import cells_of_geojson, check_cells, describe_area
from tests.vectors.make_areas import polygon, square

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "areas.json").read_text())["areas"]
CELL, OTHER = "8928308280fffff", "8928308280bffff"


def cells_of(area: Any) -> list[str]:
    return cells_of_geojson(json.dumps(area).encode())


def refusal_of(data: bytes) -> AreaRefused:
    with pytest.raises(AreaRefused) as refused:
        cells_of_geojson(data)
    return refused.value


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_an_area_has_the_cells_that_the_browser_finds(vector: dict[str, Any]) -> None:
    assert cells_of(vector["geojson"]) == vector["cells"]


def test_a_hole_is_left_out() -> None:
    whole, holed = (cells_of(VECTORS[number]["geojson"]) for number in (0, 2))
    assert set(holed) < set(whole)
    assert len(whole) - len(holed) == len(cells_of(polygon(square(18.01, 59.31, 0.01))))


@pytest.mark.parametrize(
    ("area", "reason", "said"),
    [
        (
            polygon([[18, 59], [18.1, 59.1], [18.1, 59], [18, 59.1], [18, 59]]),
            "area_crosses_itself",
            "crosses itself, near latitude 59.0000, longitude 18.0000",
        ),
        (
            polygon(square(18, 59, 0.1), square(18.05, 59.05, 0.1)),  # a hole that juts out
            "area_crosses_itself",
            "draw it so that it doesn't",
        ),
        (polygon(square(18, 59, 0.3)), "area_too_large", "7154 cells, and an agreement holds 3000"),
        (polygon(square(18, 50, 20)), "area_too_large", "leave out water"),
        (polygon(square(18, 59, 0.0001)), "area_no_cells", "smaller than a cell"),
        (polygon(), "area_empty", "without an outline"),
        ({"type": "FeatureCollection", "features": []}, "area_empty", "no area"),
        (polygon(square(59.3, 118, 0.1)), "area_swapped", "longitude first"),
        (polygon(square(150, 95, 0.1)), "area_outside", "outside the world"),
        (polygon(square(674032, 6580822, 100)), "area_other_grid", "SWEREF 99"),
        (
            polygon(square(18, 59, 0.1))
            | {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3006"}}},
            "area_other_grid",
            "WGS 84",
        ),
        (
            polygon([[179.9, 1], [-179.9, 1], [-179.9, 1.1], [179.9, 1.1], [179.9, 1]]),
            "area_antimeridian",
            "180th meridian",
        ),
        (polygon(square(18, 59, 0.1)[:-1]), "area_open_ring", "isn't closed"),
        (polygon([[18, 59], [18.1, 59], [18, 59]]), "area_open_ring", "three corners"),
        ({"type": "Point", "coordinates": [18, 59]}, "area_not_an_area", "a Point"),
        ({"type": "Circle"}, "area_shape", "type and coordinates"),
        (polygon([["18", 59]] * 4), "area_shape", "two numbers"),
        (polygon([[True, 59]] * 4), "area_shape", "two numbers"),
        ({"type": "Feature", "geometry": None}, "area_shape", "type and coordinates"),
        ([1, 2], "area_not_json", "another kind"),
    ],
)
def test_says_why_an_area_cannot_be_one(area: Any, reason: str, said: str) -> None:
    refused = refusal_of(json.dumps(area).encode())
    assert refused.reason == reason
    assert said in str(refused)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<kml></kml>", "area_other_format"),
        (b"PK\x03\x04", "area_other_format"),
        (b"", "area_not_json"),
        (b"{", "area_not_json"),
        (b"[" * 200_000, "area_not_json"),
        (b'{"type":"Polygon","coordinates":[[[NaN,1]]]}', "area_not_json"),
        (b" " * (MAX_AREA_BYTES + 1), "area_too_many_bytes"),
    ],
)
def test_says_what_else_a_file_is(data: bytes, reason: str) -> None:
    assert refusal_of(data).reason == reason


def test_a_shape_within_shapes_without_end_is_refused() -> None:
    deep: dict[str, Any] = polygon(square(18, 59, 0.1))
    for _ in range(20):
        deep = {"type": "GeometryCollection", "geometries": [deep]}
    assert refusal_of(json.dumps(deep).encode()).reason == "area_shape"


def test_the_work_for_an_outline_is_bounded() -> None:
    # Sides that all reach each other's longitude: each is compared with each.
    comb = [[18.0 + 0.05 * (n % 4 in (1, 2)), 59.0 + (n // 2) * 1e-5] for n in range(8000)]
    comb += [[17.9, 59.05], [17.9, 59.0], comb[0]]
    assert refusal_of(json.dumps(polygon(comb)).encode()).reason == "area_too_intricate"
    many = [[18 + n * 1e-6, 59.0] for n in range(MAX_POINTS)]
    ring = [*many, [18.0, 59.01], many[0]]
    assert refusal_of(json.dumps(polygon(ring)).encode()).reason in (
        "area_too_many_points",
        "area_too_many_bytes",
    )
    # H3 reserves memory for the box around each polygon, however thin it is.
    slivers = [
        [[[n * 0.01, 0], [n * 0.01 + 0.6, 0.6], [n * 0.01 + 0.6, 0.60001], [n * 0.01, 0]]]
        for n in range(300)
    ]
    area = {"type": "MultiPolygon", "coordinates": slivers}
    assert refusal_of(json.dumps(area).encode()).reason == "area_too_large"


@given(st.floats(-179, 179), st.floats(-80, 80), st.integers(3, 40))
def test_any_small_circle_is_taken(longitude: float, latitude: float, corners: int) -> None:
    width = 0.01 / math.cos(math.radians(latitude))
    ring = [
        [
            longitude + width * math.cos(2 * math.pi * corner / corners),
            latitude + 0.01 * math.sin(2 * math.pi * corner / corners),
        ]
        for corner in range(corners)
    ]
    assert 3 <= len(cells_of(polygon([*ring, ring[0]]))) < 60


@given(st.binary(max_size=300))
def test_no_bytes_are_more_than_refused(data: bytes) -> None:
    with pytest.raises(AreaRefused):
        cells_of_geojson(data)


def test_cells_are_held_to_the_earth() -> None:
    check_cells([CELL, OTHER], [[CELL, OTHER]])
    for cells, merged, reason in [
        (["89fffffffffffff"], [], "area_not_a_cell"),
        ([CELL, CELL], [], "area_cell_twice"),
        ([CELL], [[OTHER]], "area_merged_outside"),
        ([CELL, OTHER], [[CELL], [CELL, OTHER]], "area_merged_twice"),
    ]:
        with pytest.raises(AreaRefused) as refused:
            check_cells(cells, merged)
        assert refused.value.reason == reason


def test_a_person_can_see_where_an_area_is() -> None:
    said = describe_area(cells_of(polygon(square(18.0, 59.3, 0.03))))
    assert "km², latitude 59.3" in said
    assert "longitude 18.0" in said
