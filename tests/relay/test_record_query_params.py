"""What the public record says to a question that it can't answer: the same everywhere."""

import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest

from relay.map.map_data import MapData
from relay.map.places import Place, Places, comparable
from relay.web.i18n import load_texts
from tests.relay.http_people import certified_officer
from tests.relay.http_world import CELLS, DAY_MS, World, open_world
from tests.relay.record_world import fill, publish

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LISTS = ("/requests", "/entries", "/agencies")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def get(world: World, path: str) -> httpx2.Response:
    return await world.browser().get(path, headers=BROWSER)


async def test_a_page_that_a_list_does_not_have_is_said_not_to_be_there(world: World) -> None:
    await fill(world)
    for path in LISTS:
        for page in ("2", "0", "-1", "x", "99999999999", "9" * 400):
            answer = await get(world, f"{path}?page={page}")
            assert answer.status_code == 404, (path, page)
            assert f"There is no page {page[:12]}. This list has one page." in answer.text
            assert f'<a class="button" href="{path}">To the first page</a>' in answer.text
            told = await get(world, f"{path}.json?page={page}")
            assert (told.status_code, told.json()["error"]["code"]) == (404, "no_such_page")
        assert (await get(world, f"{path}?page=٣")).status_code == 404
        for page in ("1", ""):
            assert (await get(world, f"{path}?page={page}")).status_code == 200


async def test_the_first_page_of_a_search_that_has_no_second_keeps_the_search(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(world)
    monkeypatch.setattr("relay.web.public.requests.A_PAGE", 1)
    page = (await get(world, "/requests?agency=lakeland&page=3")).text
    assert "This list has pages 1 to 2." in page
    assert 'href="/requests?agency=lakeland">To the first page' in page
    assert "Page 2 of 2" in (await get(world, "/requests?agency=lakeland&page=2")).text


async def test_a_misspelt_parameter_gives_a_program_nothing_rather_than_everything(
    world: World,
) -> None:
    """Seen to give everybody's requests with the question in Answering taken out."""
    await publish(await certified_officer(world))
    for path in LISTS:
        answer = await get(world, f"{path}.csv?agncy=nobody")
        assert (answer.status_code, answer.headers["content-type"][:10]) == (422, "text/plain")
        assert answer.text.startswith("there is no parameter 'agncy' here; there are: ")
        told = await get(world, f"{path}.json?agncy=nobody")
        assert (told.status_code, told.json()["error"]["code"]) == (422, "unknown_parameter")
        assert (await get(world, f"{path}?agncy=nobody")).status_code == 303
    for path in ("/transparency.json", "/agencies/lakeland/record.json", "/requests.atom"):
        assert (await get(world, f"{path}?agncy=nobody")).status_code == 422
        assert (await get(world, f"{path}?lang=sv")).status_code == 303  # every page has that one


async def test_a_refused_file_is_no_page(world: World) -> None:
    for path, status in (("/requests.json?state=foo", 422), ("/agencies/x/record.json", 404)):
        answer = await get(world, path)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
    for path, status in (("/entries.csv?kind=foo", 422), ("/agencies/x/cells.csv", 404)):
        answer = await get(world, path)
        assert (answer.status_code, answer.headers["content-type"][:10]) == (status, "text/plain")
        assert "<" not in answer.text
    assert "<h1>" in (await get(world, "/entries?kind=foo")).text


async def test_a_name_is_offered_where_the_relay_knows_places(tmp_path: Path) -> None:
    lakeland = Place(
        name="Lakeland", lat=37.78, lon=-122.42, population=9, keys=f"|{comparable('Lakeland')}|"
    )
    for places in (Places(), Places([lakeland])):
        folder = tmp_path / str(len(places))
        folder.mkdir()
        async with open_world(folder, maps=MapData(places=places)) as world:
            page = (await get(world, "/requests")).text
            assert ("a map cell, or a name." in page) is (len(places) > 0)
            found = await get(world, "/requests?place=Lakeland")
            assert found.status_code == (200 if places else 422)
            assert ("knows no places by name. Write" in found.text) is (len(places) == 0)


class SlowPlaces(Places):
    """Says in which thread it was searched."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def search(self, text: str, is_inside: Callable[[Place], bool]) -> list[tuple[Place, bool]]:
        self.threads.append(threading.get_ident())
        return super().search(text, is_inside)


async def test_whoever_searches_a_world_of_names_keeps_nobody_waiting(tmp_path: Path) -> None:
    places = SlowPlaces()
    async with open_world(tmp_path, maps=MapData(places=places)) as world:
        for path in ("/requests", "/requests.json", "/requests.atom"):
            assert (await get(world, f"{path}?place=Atlantis")).status_code == 422
    assert len(places.threads) == 3
    assert threading.get_ident() not in places.threads


async def test_a_version_that_has_not_begun_does_not_count_yet(world: World) -> None:
    begins_ms = world.clock.wall_ms() + 30 * DAY_MS
    await world.town.agree("lakeland", "Lakeland Police", cells=CELLS, begins_ms=begins_ms)
    world.clock.advance(60)
    rows = (await get(world, "/agencies/lakeland")).text.split('id="versions"')[1].split("<tr>")
    assert ["Not yet" in row for row in rows[2:4]] == [True, False]
    versions = (await get(world, "/agencies/lakeland/record.json")).json()["agreements"]
    assert versions[0]["counts_from"] == versions[0]["begins"]
    assert versions[1]["counts_from"] >= versions[1]["public_since"]


def test_a_number_is_written_as_its_language_writes_it() -> None:
    texts = load_texts()
    assert texts["sv"]("record.moderation.hours", hours=0.5) == "0,5 h"
    assert texts["en"]("record.moderation.hours", hours=0.5) == "0.5 h"
    assert texts["sv"]("record.moderation.hours", hours="K.5") == "K.5 h"


def test_a_state_has_one_word() -> None:
    for language, word, of_them in (
        ("en", "Ended", "Of them ended"),
        ("sv", "Avslutad", "Varav avslutade"),
    ):
        texts = load_texts()[language]
        assert texts("state.expired") == texts("record.chain.expired") == word
        assert texts("record.figure.requests.expired") == of_them
