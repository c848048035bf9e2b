"""Agencies in the public record: found by name, in lists that are all alike, and their policy."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import relay.web.public.agencies as pages
from relay.record.agencies import agencies_named, list_agencies
from relay.record.figures import AgencyCounts, relay_figures
from relay.record.public_record import PublicRecord
from relay.web.public.agency_lookup import SUGGESTED, match_agencies
from tests.fakes.sequenced_entries import time_of
from tests.relay.http_people import certified_officer
from tests.relay.http_world import CELLS, World, open_world
from tests.relay.record_world import publish

MORE = ("lakeside", "mapleton", "oakfield")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        for agency in MORE:
            begins_ms = world.clock.wall_ms()
            name = f"{agency.title()} Police"
            await world.town.agree(agency, name, cells=CELLS, begins_ms=begins_ms)
        await world.register.view()
        yield world


async def json_of(world: World, path: str) -> dict[str, Any]:
    answer = await world.browser().get(path)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def page_of(world: World, path: str) -> str:
    return (await world.browser().get(path, headers={"Accept": "text/html"})).text


async def test_all_lists_are_alike(world: World) -> None:
    officer = await certified_officer(world)
    await publish(officer)
    world.clock.advance(60)
    year = "2026"
    for path, rows in (
        ("/agencies.json", "agencies"),
        ("/requests.json", "requests"),
        ("/entries.json", "entries"),
        ("/transparency.json", "figures"),
        ("/agencies/lakeland/record.json", "agreements"),
        (f"/agencies/lakeland/report/{year}.json", "requests"),
    ):
        told = await json_of(world, path)
        assert list(told)[:5] == ["v", "is_example", "as_of", "total", "next"], path
        assert (told["v"], told["total"], told["next"]) == (1, len(told[rows]), None), path


async def test_the_list_of_agencies_comes_in_files_that_name_the_next(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "A_FILE", 3)
    first = await json_of(world, "/agencies.json?name=police")
    assert (first["total"], len(first["agencies"])) == (4, 3)
    second = await json_of(world, first["next"].removeprefix("http://relay.test"))
    assert [one["id"] for one in second["agencies"]] == ["oakfield"]
    assert second["next"] is None
    table = await world.browser().get("/agencies.csv")
    assert table.headers["link"] == '<http://relay.test/agencies.csv?page=2>; rel="next"'


async def test_an_agency_is_found_by_its_id_its_name_or_a_part_of_it(world: World) -> None:
    requester = await certified_officer(world)
    await publish(requester)
    world.clock.advance(60)
    for text, count in (
        ("lakeland", 1), ("LAKELAND police", 1), ("lakeside", 0), ("", 1),
    ):  # fmt: skip
        told = await json_of(world, f"/requests.json?agency={text}")
        assert told["total"] == count, text
        told = await json_of(world, f"/entries.json?kind=request&agency={text}")
        assert told["total"] == count, text
    for path in ("/requests", "/entries"):
        for text, files in (("lakeland p", f"{path}.json?agency=lakeland"), ("lake", "")):
            page = await page_of(world, f"{path}?agency={text}")
            assert ('id="no-files"' in page) is not bool(files)
            assert f'href="{files}"' in page if files else f"{path}.json" not in page
        page = await page_of(world, f"{path}?agency=lake")
        assert "Of Lakeland Police, Lakeside Police." in page
        assert 'value="lake"' in page
        assert '<option value="oakfield">Oakfield Police</option>' in page
        assert "Of Lakeland" not in await page_of(world, f"{path}?agency=lakeland")
    page = await page_of(world, "/agencies?name=lake")
    assert page.count('<a href="/agencies/lake') == 2
    assert "No agency has that" in await page_of(world, "/agencies?name=zz")


async def test_a_program_names_a_whole_agency_or_is_told(world: World) -> None:
    """Seen to follow every agency that has it in its name with `match_agencies` in the place of
    `match_agencies_exactly`: another one that comes in would be followed unseen."""
    for path in ("/requests.json", "/requests.csv", "/requests.atom", "/entries.json"):
        for text in ("lakeland p", "LAKE", "police", "nobody"):
            answer = await world.browser().get(f"{path}?agency={text}")
            assert answer.status_code == 422, (path, text)
            assert f"no agency with the id or the whole name {text!r}" in answer.text or (
                f"whole name &#39;{text}&#39;" in answer.text
            )


async def test_every_agency_is_counted_in_one_pass_and_kept(world: World) -> None:
    await publish(await certified_officer(world))
    world.clock.advance(60)
    record = PublicRecord(world.database, world.register, time_of=time_of)
    view, counts = await record.view(), AgencyCounts()
    assert [counts.of(view, one).requests for one in ("lakeland", *MORE)] == [1, 0, 0, 0]
    assert [one.count for one in relay_figures(view) if one.name == "requests"] == [1]
    view.register.register.requests.clear()
    assert counts.of(view, "lakeland").requests == 1
    world.clock.advance(60)
    assert counts.of(await record.view(), "lakeland").requests == 0


async def test_a_form_suggests_some_of_thousands(world: World) -> None:
    record = PublicRecord(world.database, world.register, time_of=time_of)
    (lakeland, *_) = list_agencies(await record.view())
    found = match_agencies([lakeland] * 5000, "police")
    assert len(found.suggested) == SUGGESTED
    assert (len(found.names), found.more) == (5, 4995)


async def test_a_whole_name_is_meant_before_a_part(world: World) -> None:
    record = PublicRecord(world.database, world.register, time_of=time_of)
    agencies = list_agencies(await record.view())
    assert [one.id for one in agencies_named(agencies, "lakeland police")] == ["lakeland"]
    assert [one.id for one in agencies_named(agencies, "lake")] == ["lakeland", "lakeside"]


async def test_the_policy_is_counted_from_what_its_requests_promised(world: World) -> None:
    officer = await certified_officer(world)
    empty = await page_of(world, "/agencies/lakeland")
    assert "promised nothing beside its agreement" in empty
    assert "1 to 12 whole map cells" in empty
    await publish(officer, retention_days=30, incident_type="theft")
    await publish(officer, retention_days=90, onward_sharing="prosecutor")
    world.clock.advance(60)
    section = (await page_of(world, "/agencies/lakeland")).split('id="policy"')[1]
    assert "30 to 90 days" in section
    told = await json_of(world, "/agencies/lakeland/record.json")
    policy = told["agency"]["policy"]
    assert policy.pop("incidents").keys() == {"theft", "burglary"}
    assert policy == {
        "requests": 2, "shortest_kept_days": 30, "longest_kept_days": 90, "shared_onwards": 1,
    }  # fmt: skip
    other = await json_of(world, "/agencies/oakfield/record.json")
    assert other["agency"]["policy"]["requests"] == 0
