"""The invented town's own map, as the demo gives it to its relay: drawn, searched and named."""

import gzip
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import process_time
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Route, expect
from pmtiles.reader import MmapSource, Reader, all_tiles

from relay.map.cells import centre_of
from relay.map.map_data import MapData
from relay.map.places import load_places
from relay.map.streets import check_streets
from tests.flows.browser import chromium, pictured_on_failure
from tests.flows.serving import serving
from tests.flows.test_map_page import SOFTWARE_WEBGL
from tests.flows.test_request_pages import join
from tests.relay.http_people import certified_officer, id_of
from tests.relay.http_world import RELAY_URL, World, open_world
from tests.relay.record_world import publish
from tests.story.town import AGENCY_CELLS, DOORBELL_CELL, NEIGHBOUR_CELLS
from tests.story.town_map import (
    ATTRIBUTION,
    PLACES_NAME,
    STREETS_NAME,
    map_settings,
    write_town_map,
)

STREET = "Linden Street"


def town_maps(folder: Path) -> MapData:
    write_town_map(folder)
    return MapData(
        streets=check_streets(folder / STREETS_NAME),
        attribution=ATTRIBUTION,
        places=load_places(folder / PLACES_NAME),
    )


@asynccontextmanager
async def town_page(tmp_path: Path) -> AsyncIterator[tuple[World, Page]]:
    """The story's agency in a relay with the town's map, and an officer's browser."""
    async with open_world(tmp_path, maps=town_maps(tmp_path / "map")) as world:
        world.clock.set_wall_ms(time.time_ns() // 1_000_000)
        begins_ms = world.clock.wall_ms()
        cells = [*AGENCY_CELLS, *NEIGHBOUR_CELLS]
        await world.town.agree("lakeland", "Lakeland Police", cells=cells, begins_ms=begins_ms)
        async with (
            serving(world.app) as port,
            chromium(
                f"--host-resolver-rules=MAP {urlsplit(RELAY_URL).hostname}:80 127.0.0.1:{port}",
                f"--unsafely-treat-insecure-origin-as-secure={RELAY_URL}",
                *SOFTWARE_WEBGL,
            ) as browser,
            pictured_on_failure(browser, tmp_path),
        ):
            person = await join(world, browser, "Officer Berg")
            yield world, person.page
            assert person.faults == []


def test_it_is_the_same_each_time_and_made_in_three_seconds(tmp_path: Path) -> None:
    begun = process_time()  # a busy machine needs no more of it
    write_town_map(tmp_path / "one")
    assert process_time() - begun < 3
    write_town_map(tmp_path / "two")
    for name in (STREETS_NAME, PLACES_NAME):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_all_its_tiles_can_be_read_and_stay_within_what_a_map_takes(tmp_path: Path) -> None:
    write_town_map(tmp_path)
    with (tmp_path / STREETS_NAME).open("rb") as file:
        source = MmapSource(file)
        tiles = [gzip.decompress(tile) for _, tile in all_tiles(source)]
        assert len(tiles) >= 4
        assert all(tile[0] == 0x1A for tile in tiles)  # field 3, a layer
        assert Reader(source).header()["tile_type"].name == "MVT"


def test_every_cell_of_the_storys_agencies_has_a_name_near(tmp_path: Path) -> None:
    places = town_maps(tmp_path).places
    near = places.nearest([centre_of(one) for one in (*AGENCY_CELLS, *NEIGHBOUR_CELLS)], 0.5)
    assert all(near)
    names = {one.name for one in near if one is not None}
    assert len(names) > 3


def test_its_settings_are_read_as_a_relays(tmp_path: Path) -> None:
    text = map_settings(tmp_path)
    keys = re.findall(r"^(\w+) = ", text, re.MULTILINE)
    assert keys == ["pmtiles", "places", "districts", "addresses", "attribution"]


@pytest.mark.browser
async def test_an_officer_sees_streets_and_finds_one_by_its_name(tmp_path: Path) -> None:
    async with town_page(tmp_path) as (_, page):
        await page.goto(f"{RELAY_URL}/agency/requests/new")
        await page.locator("#area").scroll_into_view_if_needed()
        await page.wait_for_selector("#map[data-ready]", timeout=60_000)
        await expect(page.locator(".maplibregl-ctrl-attrib-inner")).to_contain_text(ATTRIBUTION)
        await page.fill("#place-search", STREET)
        await page.click("#find-place")
        await expect(page.locator("#places li strong").first).to_have_text(STREET)


@pytest.mark.browser
@pytest.mark.parametrize("is_lying", [False, True], ids=["true", "lying"])
async def test_whoever_cosigns_sees_a_map_of_the_very_cells_that_they_sign(
    tmp_path: Path, *, is_lying: bool
) -> None:
    """A relay that draws other cells than stand in the text: its picture goes, numbers stay."""
    async with town_page(tmp_path) as (world, page):
        officer = await certified_officer(world)
        assert officer.partner is not None
        draft = officer.sign(officer.write(cells=[DOORBELL_CELL]))
        await officer.hand_in(draft)
        token = officer.partner.http.cookies["dw_agency"]
        await page.context.add_cookies(
            [{"name": "dw_agency", "value": token, "url": f"{RELAY_URL}/agency"}]
        )
        path = f"{RELAY_URL}/agency/requests/{id_of(draft)}"
        told, other = (f"<code>{cell}</code>" for cell in (DOORBELL_CELL, NEIGHBOUR_CELLS[0]))
        true_page = (await officer.partner.http.get(path)).text
        assert told in true_page

        async def answer(route: Route) -> None:
            await route.fulfill(content_type="text/html", body=true_page.replace(told, other))

        if is_lying:
            await page.route(path, answer)
        await page.goto(path)
        cells = page.locator("[data-term=cells]")
        await expect(cells.locator("code")).to_have_text([DOORBELL_CELL])
        await expect(cells.locator("svg.cell-map")).to_have_count(0 if is_lying else 1)
        if not is_lying:
            await expect(cells).to_contain_text("Near Chestnut Lane")


@pytest.mark.browser
async def test_the_public_map_shows_streets_and_a_click_leads_to_requests(tmp_path: Path) -> None:
    async with town_page(tmp_path) as (world, page):
        officer = await certified_officer(world)
        await publish(officer, cells=[DOORBELL_CELL])
        await page.goto(f"{RELAY_URL}/map")
        assert "Near" in await page.locator("#asked thead").inner_text()
        await page.locator("#asked-map").scroll_into_view_if_needed()
        await page.wait_for_selector("#map[data-ready]", timeout=60_000)
        box = await page.locator("#map").bounding_box()
        assert box is not None
        await page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        await page.wait_for_url(f"{RELAY_URL}/requests?cell={DOORBELL_CELL}")
