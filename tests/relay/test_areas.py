"""From an agency's GeoJSON to cells, and what is said of an area that can't be one."""

import contextlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
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


def box(width: float, height: float) -> list[list[float]]:
    """Return a ring, which may be thin or flat."""
    east, north = 18 + width, 59 + height
    return [[18, 59], [east, 59], [east, north], [18, (59 + north) / 2], [18, north], [18, 59]]


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
        (
            polygon(square(18, 59, 0.3)),
            "area_too_large",
            "7154 cells, and an agreement holds about 25",
        ),
        (polygon(square(18, 50, 20)), "area_too_large", "leave out water"),
        (polygon(box(20, 0.0001)), "area_too_long", "shorter pieces"),
        (polygon(box(0.0001, 20)), "area_too_long", "shorter pieces"),
        (polygon(square(18, 59, 0.0001)), "area_no_cells", "smaller than a cell"),
        (polygon(box(0, 0.1)), "area_no_inside", "no width or no height"),
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
        (b'{"type":"Polygon","coordinates":[[[' + b"9" * 401 + b",1]]]}", "area_other_grid"),
        (b'{"type":"Polygon","coordinates":[[[1,-' + b"9" * 401 + b"]]]}", "area_other_grid"),
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
    assert refusal_of(json.dumps(area).encode()).reason == "area_too_long"


def test_the_work_for_outlines_is_bounded_for_all_of_them_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("relay.agency.geojson._MAX_COMPARISONS", 1000)
    comb = [[18.0 + 0.05 * (n % 4 in (1, 2)), 59.0 + (n // 2) * 1e-3] for n in range(40)]
    ring = [*comb, [17.9, 59.05], [17.9, 59.0], comb[0]]
    assert cells_of(polygon(ring))
    area = {"type": "MultiPolygon", "coordinates": [[ring], [ring]]}
    assert refusal_of(json.dumps(area).encode()).reason == "area_too_intricate"


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


NEAR = st.integers(0, 40).map(lambda number: number / 1000)
NUMBERS = st.one_of(NEAR, st.integers(-3, 3), st.integers(-200, 200), st.floats(-90, 90))
HUGE = st.sampled_from([10**400, -(10**400), 2**63, 1e308, -1e-320, 1e-5])
ODD_POINTS = st.one_of(
    st.tuples(HUGE, NEAR).map(list),
    st.lists(st.one_of(NUMBERS, HUGE, st.none(), st.booleans(), st.text(max_size=2)), max_size=4),
)


@st.composite
def rings(draw: st.DrawFn) -> list[Any]:
    """Mostly closed, of few different points, so that they are flat, cross and repeat."""
    number = draw(st.sampled_from([NEAR, NUMBERS]))
    point = st.tuples(number, number).map(list)
    few: list[Any] = draw(st.lists(point, min_size=3, max_size=5, unique_by=tuple))
    if draw(st.integers(0, 7)) == 7:
        few.append(draw(ODD_POINTS))
    if draw(st.integers(0, 3)) == 3:
        few = [[few[0][0], *one[1:]] for one in few]  # on one meridian
    ring = few + draw(st.lists(st.sampled_from(few), max_size=3))
    return [*ring, ring[0]] if draw(st.integers(0, 9)) < 9 else ring


POLYGONS = st.lists(rings(), min_size=1, max_size=2)
SHAPES = st.one_of(
    st.builds(lambda one: {"type": "Polygon", "coordinates": one}, POLYGONS),
    st.builds(
        lambda many: {"type": "MultiPolygon", "coordinates": many}, st.lists(POLYGONS, max_size=3)
    ),
)
DOCUMENTS = st.one_of(
    SHAPES,
    st.builds(lambda one: {"type": "Feature", "geometry": one}, SHAPES),
    st.builds(
        lambda many: {"type": "GeometryCollection", "geometries": many},
        st.lists(SHAPES, max_size=3),
    ),
)


@settings(deadline=None)
@given(DOCUMENTS)
def test_no_document_is_more_than_refused(document: dict[str, Any]) -> None:
    with contextlib.suppress(AreaRefused):
        assert cells_of(document)


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


def test_merged_groups_are_looked_up_and_not_searched_for() -> None:
    class Cells(list[str]):
        times = 0

        def __iter__(self) -> Iterator[str]:
            self.times += 1
            return super().__iter__()

    cells = Cells(cells_of(polygon(square(18, 59, 0.05))))
    check_cells(cells, [[cell] for cell in list(cells)])
    assert cells.times < 10


def test_a_person_can_see_where_an_area_is() -> None:
    said = describe_area(cells_of(polygon(square(18.0, 59.3, 0.03))))
    assert "km², latitude 59.3" in said
    assert "longitude 18.0" in said
