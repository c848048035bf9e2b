"""The report that an agency hands to its council: what it counts, and for which year."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from firmware.protocol.custody import DeletionAskedLeaf, DownloadLeaf, ReceivedLeaf
from relay.record.exports import AGENCY_FIELDS, ENTRY_FIELDS, REQUEST_FIELDS
from tests.relay.http_world import DAY_MS, World, open_world
from tests.relay.record_world import PACKAGE, fill, log_custody, outcome_of, refuse

GUIDE = Path(__file__).resolve().parents[2] / "docs/guide/public.md"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def report(world: World, year: int = 2026, agency: str = "lakeland") -> dict[str, Any]:
    answer = await world.browser().get(f"/agencies/{agency}/report/{year}.json")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def wind_to(world: World, year: int) -> None:
    world.clock.set_wall_ms(int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000)


async def test_a_report_counts_its_year_from_the_logs(world: World) -> None:
    _, requests = await fill(world)
    told = await report(world)
    assert [one["case_number"] for one in told["requests"]] == [r.case_number for r in requests]
    assert [one["became"] for one in told["requests"]] == ["open", "not_used"]
    counted = told["report"]
    assert counted["requests_published"] == sum(counted["became"].values()) == 2
    assert sum(counted["incidents"].values()) == 2
    assert (counted["withdrawn"], counted["emergencies"], counted["downloads"]) == (1, 0, 1)
    assert counted["refused_by_moderators"] == {"assembly": 1}
    assert counted["deletions"]["asked"] == counted["deletions"]["waiting"] == 1
    assert set(counted["received"].values()) == {"1-4"}
    assert [one["version"] for one in counted["agreements"]] == [1]
    assert (told["is_example"], counted["is_over"], counted["undated_entries"]) == (True, False, 0)


async def test_each_entry_is_in_the_report_of_one_year_only(world: World) -> None:
    """Seen to fail with the agency's figures of all time in the place of the year's."""
    officer, requests = await fill(world)
    wind_to(world, 2027)
    answer_by_ms = world.clock.wall_ms() + 14 * DAY_MS
    await log_custody(
        world,
        DownloadLeaf(agency="lakeland", package=PACKAGE[::-1]),
        ReceivedLeaf(agency="lakeland", quarter="2027-Q1", band="5+"),
        DeletionAskedLeaf(agency="lakeland", package=PACKAGE[::-1], answer_by_ms=answer_by_ms),
        outcome_of(officer, requests[0], "used"),
    )
    await refuse(world, "worship")
    old, new = (await report(world, 2026))["report"], (await report(world, 2027))["report"]
    assert (old["is_over"], new["is_over"]) == (True, False)
    assert [one["requests_published"] for one in (old, new)] == [2, 0]
    assert [one["downloads"] for one in (old, new)] == [1, 1]
    assert [one["deletions"]["asked"] for one in (old, new)] == [1, 1]
    assert [one["deletions"]["overdue"] for one in (old, new)] == [1, 0]
    assert [one["refused_by_moderators"] for one in (old, new)] == [{"assembly": 1}, {"worship": 1}]
    assert (old["received"]["2026-Q4"], new["received"]) == ("0", {"2027-Q1": "5+"})
    # What became of a request belongs to the year in which it was asked.
    assert (old["became"]["used"], old["became"]["not_used"], new["became"]["used"]) == (1, 1, 0)


async def test_a_figure_of_entries_leads_to_those_of_its_year(world: World) -> None:
    """Seen to lead to those of all years with the year taken out of the links."""
    await fill(world)
    wind_to(world, 2027)
    await log_custody(world, DownloadLeaf(agency="lakeland", package=PACKAGE[::-1]))
    await refuse(world, "assembly")
    for year in (2026, 2027):
        page = (await world.browser().get(f"/agencies/lakeland/report/{year}")).text
        rows = re.findall(r'<a href="/entries\?([^"]*)">[^<]*</a></th><td>(\d+)</td>', page)
        assert len(rows) == 6
        for question, count in rows:
            told = (await world.browser().get(f"/entries.json?{unescape(question)}")).json()
            assert (question, told["total"]) == (question, int(count))


async def test_what_an_agency_owes_stands_on_top(world: World) -> None:
    await fill(world)
    path = "/agencies/lakeland/report/2026"
    assert "Overdue from this year" not in (await world.browser().get(path)).text
    world.clock.advance(38 * 24 * 3600)
    assert (await report(world))["report"]["became"]["overdue"] == 1
    page = (await world.browser().get(path)).text
    assert "Overdue from this year: 1 outcomes, 1 answers" in page


async def test_the_page_says_what_the_logs_dont_know_in_both_languages(world: World) -> None:
    for _ in range(2):  # empty, and filled in
        for language, words in (("en", "what it cost"), ("sv", "vad det kostade")):
            headers = {"Accept-Language": language}
            page = await world.browser().get("/agencies/lakeland/report/2026", headers=headers)
            assert page.status_code == 200
            assert words in page.text
            assert " style=" not in page.text
        await fill(world)
    assert (
        '"/agencies/lakeland/report/2026"' in (await world.browser().get("/agencies/lakeland")).text
    )


async def test_only_years_of_the_agency_have_a_report(world: World) -> None:
    paths = [f"/agencies/lakeland/report/{year}" for year in (2025, 2027, 1000, 9999, "0", "now")]
    for path in (*paths, "/agencies/nobody/report/2026", "/agencies/lakeland/report/٢٠٢٦"):
        for form in ("", ".json"):
            assert (await world.browser().get(f"{path}{form}")).status_code == 404, path


async def test_the_guide_names_each_field_of_the_files(world: World) -> None:
    await fill(world)
    told, guide = await report(world), GUIDE.read_text()
    fields = [REQUEST_FIELDS, AGENCY_FIELDS, ENTRY_FIELDS, told["report"], told["requests"][0]]
    assert {name for names in fields for name in names if f"`{name}`" not in guide} == set()
