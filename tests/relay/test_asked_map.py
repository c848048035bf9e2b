"""The map of cells that were asked about: /map, its files, and maps in place of cells' numbers."""

import gzip
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h3
import pytest
from msgspec.structs import replace as changed

from firmware.protocol.encoding import new_id
from firmware.protocol.register.facts import Stamps
from firmware.protocol.register.records import RequestRecord
from relay.map.map_data import MapData
from relay.map.places import Place, Places
from relay.record.asked_cells import asked_cells
from relay.record.public_record import PublicRecord
from relay.web.public.asked_map import MOST_DRAWN
from tests.fakes.sequenced_entries import time_of
from tests.flows.streets import write_streets
from tests.relay.http_people import Officer, certified_officer
from tests.relay.http_world import CELLS, World, open_world
from tests.relay.record_world import fill, publish

NEAR = Place(
    name="Alder <Street>", lat=37.7768, lon=-122.4186, population=0, keys="|alder <street>"
)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    maps = MapData(
        streets=write_streets(tmp_path / "s.pmtiles"),
        attribution="Us & them",
        places=Places([NEAR]),
    )
    async with open_world(tmp_path, maps=maps) as world:
        yield world


async def page_of(world: World, path: str = "/map", language: str = "en") -> str:
    answer = await world.browser().get(path, headers={"Accept-Language": language})
    assert answer.status_code == 200, answer.text
    return answer.text


async def requests_of(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await world.browser().get("/requests.json")).json()["requests"]
    return found


async def ask_often(world: World, officer: Officer, times: int, cells: list[str]) -> None:
    """Put more requests into the register as it holds them, without signing each."""
    request = await publish(officer, case_number="K-OFTEN", cells=CELLS[:1])
    view = await world.register.view()
    record = view.register.request_by_id(request.id)
    assert record is not None
    for number in range(times):
        other = changed(record.request, id=new_id(), cells=cells[number::times])
        view.register.requests[f"{number:064x}"] = RequestRecord(
            index=record.index, request=other, signed=record.signed, keeps_from=0
        )


async def test_nothing_asked_is_said_and_draws_nothing(world: World) -> None:
    for language, text in (
        ("en", "No agency has asked about any place"),
        ("sv", "Ingen myndighet"),
    ):
        page = await page_of(world, language=language)
        assert text in page
        assert 'id="asked"' not in page
        assert "asked_map.js" not in page
    assert json.loads(await page_of(world, "/map.geojson"))["features"] == []


async def test_cells_asked_about_are_drawn_and_listed_with_the_nearest_place(world: World) -> None:
    await fill(world)
    page = await page_of(world)
    assert page.count('class="asked-1"') == 2  # the picture's, and the legend's
    assert "Alder &lt;Street&gt;" in page
    assert "<Street>" not in page
    rows = re.findall(r'<a href="/requests\?cell=(\w+)">', page)
    asked = {cell for one in await requests_of(world) for cell in one["cells"]}
    assert set(rows) == asked
    found = json.loads(await page_of(world, "/map.geojson"))["features"]
    assert {one["properties"]["cell"] for one in found} == asked
    assert {one["properties"]["band"] for one in found} == {"1-4"}


async def test_the_number_of_requests_is_a_band(world: World) -> None:
    officer = await certified_officer(world)
    await ask_often(world, officer, 21, CELLS[:1] * 21)
    page = await page_of(world)
    assert "20 or more" in page.split('id="asked"')[1]
    lines = (await page_of(world, "/map.csv")).splitlines()
    assert lines[1].split(",")[3] == "20+"


async def test_what_was_asked_more_than_a_year_ago_is_gone(world: World) -> None:
    await fill(world)
    world.clock.advance(366 * 24 * 3600)
    assert "No agency has asked about any place" in await page_of(world)


async def test_a_thousand_cells_are_drawn_listed_by_page_and_stay_light(world: World) -> None:
    officer = await certified_officer(world)
    cells = sorted(h3.grid_disk(CELLS[0], 24))
    assert len(cells) > MOST_DRAWN
    await ask_often(world, officer, 200, cells)
    answer = await world.browser().get("/map", headers={"Accept-Encoding": "gzip"})
    drawn = re.search(r'<path class="asked-1[^"]*" d="([^"]+)"', answer.text)
    assert drawn is not None
    assert 900 < drawn[1].count("M") <= MOST_DRAWN
    assert f"Drawn are the {MOST_DRAWN} places asked about most" in answer.text
    assert answer.text.count('href="/requests?cell=') == 25
    assert (await world.browser().get("/map?page=2")).status_code == 200
    assert (await world.browser().get("/map?page=9999")).status_code == 404
    assert len(gzip.compress(answer.content)) < 50_000


async def test_a_name_leads_to_the_requests_of_its_surroundings(world: World) -> None:
    await fill(world)
    page = await page_of(world)
    assert '<form method="get" action="/requests"' in page
    assert 'name="place"' in page
    found = await page_of(world, "/requests?place=alder")
    assert "Within about 3 km of Alder" in found
    assert "K-2026/17" in found


async def test_a_cell_that_was_followed_stands_as_coordinates_that_find_the_same(
    world: World,
) -> None:
    await fill(world)
    page = await page_of(world, f"/requests?cell={CELLS[0]}")
    field = re.search(r'name="place" value="([^"]+)"', page)
    assert field is not None
    assert f'"{CELLS[0]}"' not in page  # as in a field; links have it
    again = await page_of(world, f"/requests.json?place={field[1]}")
    assert json.loads(again)["total"] == 2
    assert json.loads(await page_of(world, f"/requests.json?cell={CELLS[0]}"))["total"] == 2


async def test_streets_are_public_where_the_operator_has_some(world: World) -> None:
    answer = await world.browser().get("/map/streets.pmtiles", headers={"Range": "bytes=0-6"})
    assert (answer.status_code, answer.content) == (206, b"PMTiles")
    await fill(world)
    page = await page_of(world)
    assert 'data-streets="yes" data-attribution="Us &amp; them"' in page


async def test_without_the_operators_files_coordinates_stand_in_for_names(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        await fill(world)
        page = await page_of(world)
        assert re.search(r'cell=\w+">37\.\d{4}, -122\.\d{4}</a>', page)
        assert "this relay knows no places by name" in page
        assert (await world.browser().get("/map/streets.pmtiles")).status_code == 404


async def test_a_request_shows_a_map_and_a_name_and_folds_the_number(world: World) -> None:
    await fill(world)
    request = (await requests_of(world))[0]
    page = await page_of(world, f"/requests/{request['id']}")
    area = page.split('data-term="cells"')[1].split("</dd>")[0]
    assert '<svg class="cell-map"' in area
    assert "Near Alder &lt;Street&gt;" in area
    before, folded = area.split("<details>")
    assert request["cells"][0] not in before
    assert request["cells"][0] in folded


async def test_only_what_witnesses_saw_is_on_the_map(world: World) -> None:
    await fill(world)
    record = await PublicRecord(world.database, world.register, time_of=time_of).view()
    unseen = Stamps()
    unseen.add(1, record.now_ms)  # the charter alone
    assert asked_cells(record)
    assert asked_cells(replace(record, register=replace(record.register, stamps=unseen))) == []
