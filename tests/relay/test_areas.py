"""From an agency's GeoJSON to cells, and what is said of an area that can't be one."""

import contextlib
import json
import math
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.agency.errors import AreaRefused
from relay.agency.geojson import MAX_AREA_BYTES, MAX_POINTS
from relay.agency.jurisdiction import (
    cells_of_area,
    cells_of_geojson,
    check_cells,
    describe_area,
    extent_of,
)
from relay.record.areas import as_changed_svg, as_svg
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
    assert 3 <= len(cells_of(polygon([*ring, ring[0]]))) < 90  # cells differ in size by half


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


TRIANGLE = "59.31, 18.00\n59.31, 18.06\n59.34, 18.03\n"


@pytest.mark.parametrize(
    "typed",
    [
        TRIANGLE,
        TRIANGLE + "59.31, 18.00",  # closed by hand
        "\n\n" + TRIANGLE.replace("\n", "\r\n\r")[:-1],
        "59.31 18.0\n59,31; 18,06\n 59.34°N 18.03°E ",
        "+59.31\t18\n59,31 18,06\n59.34 n, 18.03 ö",
    ],
)
def test_typed_corners_are_the_cells_of_the_same_polygon(typed: str) -> None:
    typed = typed.replace("\r\n\r", "\r\n")
    ring = [[18.0, 59.31], [18.06, 59.31], [18.03, 59.34], [18.0, 59.31]]
    assert cells_of_area(typed.encode()) == cells_of(polygon(ring))


def test_south_and_west_and_several_shapes_are_read() -> None:
    south = "33.90 S 70.60 W\n\N{MINUS SIGN}33.9, -70.58\n-33.88 70.59 V\n"
    both = cells_of_area((TRIANGLE + " \n\n" + south).encode())
    assert both == sorted([*cells_of_area(TRIANGLE.encode()), *cells_of_area(south.encode())])
    assert "latitude -33" in describe_area(both)


def test_one_reader_takes_geojson_corners_and_cells() -> None:
    area = json.dumps(VECTORS[0]["geojson"]).encode()
    cells = cells_of_area(area)
    assert cells == cells_of_geojson(area)
    assert cells_of_area("\n".join(reversed(cells)).encode()) == cells
    assert cells_of_area(f" {CELL.upper()}\t{OTHER}".encode()) == sorted([CELL, OTHER])


@pytest.mark.parametrize(
    ("typed", "reason", "said"),
    [
        ("59, 18\n59.1, 18.1\n59, 18.1\n59.1, 18", "area_crosses_itself", "latitude 59.0000"),
        ("59, 18\n59.3, 18\n59.3, 18.3\n59, 18.3", "area_too_large", "7154 cells"),
        ("59, 18\n59.00001, 18\n59, 18.00001", "area_no_cells", "smaller than a cell"),
        ("59, 18\n59, 18.1\n59, 18.2", "area_no_inside", "no height"),
        ("59, 18\n59.1, 18", "area_few_corners", "three corners"),
        (TRIANGLE + "\n59, 18", "area_few_corners", "three corners"),
        ("59, 18\nElm Street", "area_corner", "line 2"),
        ("59\n", "area_corner", "line 1"),
        ("59, 18, 3", "area_corner", "line 1"),
        ("59." + "1" * 400 + ", 18", "area_corner", "line 1"),
        ("118.0, 59.3", "area_corner_outside", "first the latitude"),
        ("-33.9 S, 70.6", "area_corner_sign", "line 1 has a letter and a sign"),
        ("33.9 S, 70.6 W\n33.9 S, +70.6 W", "area_corner_sign", "line 2"),
        ("1, 179.9\n1, -179.9\n1.1, 179.9", "area_antimeridian", "180th meridian"),
        ("59, 18\n" * (MAX_POINTS + 1), "area_few_corners", "three corners"),
        ("".join(f"59.{n:05}, 18\n" for n in range(MAX_POINTS)), "area_too_many_points", "20000"),
        ("1" * (MAX_AREA_BYTES + 1), "area_too_many_bytes", "512 KiB"),
        (f"{CELL} {OTHER} here", "area_not_a_cell", "here is no cell"),
        (f"{CELL} 8828308281fffff", "area_not_a_cell", "8828308281fffff"),
        (f"{CELL} {CELL}", "area_cell_twice", "named twice"),
        ("", "area_nothing", "type corners"),
        (" \n", "area_nothing", "draw"),
        ("Elm Street", "area_not_json", "isn't GeoJSON"),
        ("<kml></kml>", "area_other_format", "export"),
    ],
)
def test_says_what_is_wrong_with_what_was_typed(typed: str, reason: str, said: str) -> None:
    with pytest.raises(AreaRefused) as refused:
        cells_of_area(typed.encode())
    assert refused.value.reason == reason
    assert said in str(refused.value)


def test_too_many_cells_are_refused_though_each_is_one() -> None:
    cells = sorted(h3.grid_disk(CELL, 29))  # 2611
    with pytest.raises(AreaRefused) as refused:
        cells_of_area(" ".join(cells).encode())
    assert refused.value.reason == "area_too_large"


@given(st.binary(max_size=60))
def test_whatever_is_typed_is_read_or_refused(data: bytes) -> None:
    for begin in (b"", b"59.3, ", b"8928308280fffff ", b"{"):
        with contextlib.suppress(AreaRefused):
            assert cells_of_area(begin + data)


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


def test_what_an_editor_puts_before_a_text_is_no_part_of_it() -> None:
    area = json.dumps(VECTORS[0]["geojson"]).encode()
    for data in (area, TRIANGLE.encode(), CELL.encode()):
        assert cells_of_area(BOM_UTF8 + data) == cells_of_area(data)
    assert cells_of_geojson(BOM_UTF8 + area) == cells_of_geojson(area)
    with pytest.raises(AreaRefused, match="nothing in it"):
        cells_of_area(BOM_UTF8)


def test_an_area_on_both_sides_of_the_180th_meridian_is_whole() -> None:
    cells = h3.grid_disk(h3.latlng_to_cell(-16.8, 180.0, 9), 6)
    at = extent_of(cells)
    assert 179.9 < at.west < 180
    assert -180 < at.east < -179.9
    assert "longitude 179." in describe_area(cells)
    assert describe_area(cells).endswith("across the 180th meridian")
    assert "meridian" not in describe_area([cells[0]])
    here = h3.grid_disk(h3.latlng_to_cell(-16.8, 179.0, 9), 6)
    for picture in (as_svg, partial(as_changed_svg, cells[:9])):
        sizes = [
            re.findall(rb'viewBox="0 0 ([0-9]+) ([0-9]+)"', one)[0]
            for one in (picture(cells), as_svg(here))
        ]
        assert all(abs(int(a) - int(b)) < 40 for a, b in zip(*sizes, strict=True)), sizes


def test_a_person_can_see_where_an_area_is() -> None:
    said = describe_area(cells_of(polygon(square(18.0, 59.3, 0.03))))
    assert "km², latitude 59.3" in said
    assert "longitude 18.0" in said
