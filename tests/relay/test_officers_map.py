"""What the officers' map is made of: a jurisdiction, an operator's streets and names."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from relay.config.settings import MapConfig
from relay.errors import ConfigError
from relay.map.cells import cell_at, centre_of
from relay.map.map_data import MapData
from relay.map.places import Places, load_places
from relay.map.streets import check_streets
from relay.web.owner_texts import KEYS, owner_words
from tests.relay.http_people import Officer, certified_officer
from tests.relay.http_world import CELLS, World, open_world

STATIC = Path(__file__).parents[2] / "relay" / "web" / "static"
PLACES = (
    "1\tLakeland\tLakeland\tLejkland,Läkeland\t37.7752\t-122.4189\tP\tPPL\tUS\t\tCA\t\t\t\t9000\t\n"
    "2\tLakeside|x\tLakeside\t\t10.5\t20.5\tP\tPPL\tXX\t\t\t\t\t\t500000\t\n"
)
JSON = {"Accept": "application/json"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, maps=write_maps(tmp_path)) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


def write_maps(folder: Path) -> MapData:
    """Streets of which only the header is real, and two named places."""
    streets, places = folder / "streets.pmtiles", folder / "places.txt"
    header = b"PMTiles\x03".ljust(99, b"\0") + b"\x01"
    streets.write_bytes(header.ljust(127, b"\0") + bytes(range(256)) * 16)
    places.write_text(PLACES, encoding="utf-8")
    config = MapConfig(pmtiles_path=streets, places_path=places, attribution="© <b>Somebody</b>")
    return MapData.load(config)


async def test_the_jurisdiction_is_told_as_the_register_has_it(officer: Officer) -> None:
    told = (await officer.http.get("/agency/area")).json()
    assert told == {
        "cells": CELLS,
        "names": ["Lakeland", "Lakeland (2)"],
        "merged": [],
        "max_cells": 12,
        "has_streets": True,
        "attribution": "© <b>Somebody</b>",
        "has_places": True,
    }


async def test_places_are_found_without_accents_and_the_agencys_own_first(
    officer: Officer,
) -> None:
    async def names(asked: str) -> list[tuple[str, bool]]:
        answer = await officer.http.get("/agency/places", params={"q": asked})
        return [(one["name"], one["is_inside"]) for one in answer.json()["places"]]

    is_inside = cell_at(37.7752, -122.4189) in CELLS
    assert is_inside
    assert await names("lake") == [("Lakeland", True), ("Lakeside|x", False)]
    assert await names("lakel") == [("Lakeland", True)]
    assert await names("LÄKEL") == [("Lakeland", True)]
    assert await names("side") == [("Lakeside|x", False)]
    assert await names("l") == await names("") == await names("nowhere") == []
    assert cell_at(*centre_of(CELLS[1])) == CELLS[1]


async def test_streets_are_served_in_the_parts_that_are_asked_for(
    world: World, officer: Officer
) -> None:
    whole = await officer.http.get("/agency/streets.pmtiles")
    part = await officer.http.get("/agency/streets.pmtiles", headers={"Range": "bytes=127-130"})
    assert whole.content.startswith(b"PMTiles\x03")
    assert (part.status_code, part.content) == (206, bytes(range(4)))
    assert part.headers["content-range"] == f"bytes 127-130/{len(whole.content)}"
    assert part.headers["etag"] == whole.headers["etag"]
    beyond = await officer.http.get("/agency/streets.pmtiles", headers={"Range": "bytes=99999-"})
    assert beyond.status_code == 416


async def test_without_files_there_is_a_map_all_the_same(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        officer = await certified_officer(world)
        told = (await officer.http.get("/agency/area")).json()
        assert (told["has_streets"], told["has_places"]) == (False, False)
        assert (await officer.http.get("/agency/places?q=lake")).json() == {"places": []}
        assert (await officer.http.get("/agency/streets.pmtiles", headers=JSON)).status_code == 404


def test_files_that_are_no_map_are_refused_at_the_start(tmp_path: Path) -> None:
    assert check_streets(None) is None
    assert len(load_places(None)) == 0
    raster = b"PMTiles\x03".ljust(99, b"\0") + b"\x02"
    for content in (
        b"",
        b"PMTiles\x03",
        raster.ljust(127, b"\0"),
        b"PMTiles\x02".ljust(127, b"\1"),
    ):
        (tmp_path / "streets").write_bytes(content)
        with pytest.raises(ConfigError, match=r"map\.pmtiles"):
            check_streets(tmp_path / "streets")
    with pytest.raises(ConfigError, match=r"map\.pmtiles"):
        check_streets(tmp_path / "missing")
    with pytest.raises(ConfigError, match=r"map\.places"):
        load_places(tmp_path / "missing")
    row = "1\tA\tA\t\t{lat}\t1.0\tP\tPPL\tXX\t\t\t\t\t\t5\t\n"
    for text in ("1\tA\n", row.format(lat="91"), row.format(lat="nan"), row.format(lat="x")):
        (tmp_path / "places").write_text(text)
        with pytest.raises(ConfigError, match=r"map\.places"):
            load_places(tmp_path / "places")
    (tmp_path / "places").write_bytes(b"\xff\xfe" * 40)
    with pytest.raises(ConfigError, match=r"map\.places"):
        load_places(tmp_path / "places")
    assert Places().search("anything", lambda _: True) == []


def test_an_officer_reads_the_owners_apps_own_words() -> None:
    for language, begins in (("en", "You may ignore this."), ("sv", "Du får låta bli")):
        words = owner_words(language)
        assert words["release.ignore"].startswith(begins)
        assert set(KEYS) < set(words)
    module = (STATIC / "js" / "protocol" / "letter.js").read_text()
    preview = (STATIC / "js" / "request_form" / "preview.js").read_text()
    used = set(re.findall(r'"(release\.[a-z_]+)"', module + preview))
    assert used <= set(KEYS)
    assert {key for key in KEYS if "sharing_" not in key} == used
