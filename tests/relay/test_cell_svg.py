"""Map cells as SVG: what is drawn where, which names have room, and texts that stay texts."""

import re
from xml.etree import ElementTree as ET

import h3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.map.cell_svg import SIZE, CellGroup, Name, Sheet, draw_cells
from relay.map.cells import cell_at, centre_of
from relay.map.places import Place, Places
from relay.web.area_views import AreaPictures

CELL = "8928308280fffff"


def drawn(*groups: CellGroup, names: tuple[Name, ...] = ()) -> ET.Element:
    return ET.fromstring(draw_cells(groups, label="A map", names=names))  # noqa: S314 (our own)


def numbers(path: str) -> list[float]:
    return [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", path)]


def test_each_group_is_one_path_of_hexagons_with_its_class() -> None:
    near = [str(one) for one in h3.grid_ring(CELL, 1)]
    picture = drawn(CellGroup(look="a", cells=[CELL]), CellGroup(look="b", cells=near))
    paths = {one.get("class"): one.get("d") or "" for one in picture.iter("path")}
    assert paths["a"].count("M") == paths["a"].count("Z") == 1
    assert paths["b"].count("M") == 6
    assert len(numbers(paths["a"])) == 12


@settings(max_examples=60, deadline=None)
@given(lat=st.floats(-80, 80), lon=st.floats(-180, 180), steps=st.integers(0, 3))
def test_all_that_is_drawn_lies_inside_the_picture(lat: float, lon: float, steps: int) -> None:
    cells = [str(one) for one in h3.grid_disk(cell_at(lat, lon), steps)]
    picture = drawn(CellGroup(look="a", cells=cells))
    wide, high = numbers(picture.get("viewBox") or "")[2:]
    assert max(wide, high) == pytest.approx(SIZE, abs=1)
    values = numbers(next(iter(picture.iter("path"))).get("d") or "")
    assert all(0 <= x <= wide for x in values[::2])
    assert all(0 <= y <= high for y in values[1::2])


def test_cells_far_apart_are_dots_that_can_be_seen() -> None:
    far = [cell_at(59.3, 18.0), cell_at(57.7, 12.0)]
    picture = drawn(CellGroup(look="a", cells=far))
    (path,) = [one for one in picture.iter("path") if one.get("class") == "a dots"]
    assert (path.get("d") or "").count("h0") == 2


def test_nothing_is_drawn_of_nothing() -> None:
    assert draw_cells([CellGroup(look="a", cells=[])], label="A map") == ""


def test_texts_cannot_leave_their_element() -> None:
    lat, lon = centre_of(CELL)
    evil = '<script>"&'
    svg = draw_cells(
        [CellGroup(look="a", cells=[CELL])],
        label=f'{evil}" onload="x',
        names=[Name(text=evil, lat=lat, lon=lon)],
    )
    picture = ET.fromstring(svg)  # noqa: S314 (our own)
    assert picture.get("aria-label") == f'{evil}" onload="x'
    assert evil in [one.text for one in picture.iter("text")]
    assert [one.tag for one in picture.iter() if one.tag == "script"] == []
    assert picture.get("onload") is None


def test_of_names_in_one_place_the_first_is_written_and_none_outside() -> None:
    lat, lon = centre_of(CELL)
    names = (
        Name(text="First", lat=lat, lon=lon),
        Name(text="Second", lat=lat, lon=lon),
        Name(text="Elsewhere", lat=lat + 1, lon=lon),
    )
    picture = drawn(CellGroup(look="a", cells=[CELL]), names=names)
    texts = [one.text for one in picture.iter("text")]
    assert texts[0] == "First"
    assert "Second" not in texts
    assert "Elsewhere" not in texts


def test_the_scale_is_as_long_as_it_says() -> None:
    picture = drawn(CellGroup(look="a", cells=[CELL]))
    text = [one.text or "" for one in picture.iter("text")][-1]
    assert text.endswith(" m")
    sheet = Sheet.of([centre_of(CELL), (centre_of(CELL)[0] + 0.01, centre_of(CELL)[1])])
    assert sheet.units(1112) == pytest.approx(SIZE - 16, rel=0.01)  # 0.01 degrees


def test_a_picture_names_the_nearest_places_once_and_counts_the_rest() -> None:
    cells = [str(one) for one in h3.grid_disk(CELL, 2)]
    places = [
        Place(name=f"Street {n % 5}", lat=lat, lon=lon, population=0, keys="|s")
        for n, (lat, lon) in enumerate(map(centre_of, cells))
    ]
    shown = AreaPictures(Places(places)).of(cells, "A map")
    assert len(shown.names) == 3
    assert shown.more == 2


def test_the_nearest_of_many_places_is_found_across_tiles() -> None:
    """As all places would give it: the search looks only at tiles near by."""
    spread = [
        Place(name=f"{lat}/{lon}", lat=lat / 20, lon=lon / 20, population=0, keys="|x")
        for lat in range(-30, 30)
        for lon in range(-30, 30)
    ]
    (near,) = Places(spread).nearest([(0.099, -0.101)], 10)
    assert near is not None
    assert near.name == "2/-2"
    found = Places(spread).around(-0.06, -0.06, 0.06, 0.06, most=100)
    assert {(one.lat, one.lon) for one in found} == {
        (lat, lon) for lat in (-0.05, 0.0, 0.05) for lon in (-0.05, 0.0, 0.05)
    }
