"""The public record over HTTP: what it shows, how it is searched, and what it costs."""

import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace as dataclass_replace
from pathlib import Path
from time import perf_counter
from typing import Any
from xml.etree import ElementTree as ET

import httpx2
import pytest
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import HTMLResponse

from firmware.protocol.custody import (
    DeletionAnsweredLeaf,
    DeletionAskedLeaf,
    LegalProcessLeaf,
    ReceivedLeaf,
    quarter_of,
)
from firmware.protocol.encoding import new_id, sha256_hex
from firmware.protocol.register.entries import ProgramReleased
from firmware.protocol.register.facts import Stamps
from firmware.protocol.register.records import RequestRecord
from relay.agency.keys import answer_deletion
from relay.record.exports import as_csv
from relay.record.public_record import PublicRecord, RecordView
from relay.record.request_search import RequestQuery, search
from relay.web.pages import Pages
from tests.relay.http_people import certified_officer
from tests.relay.http_world import CELLS, DAY_MS, HOUR_MS, World, open_world
from tests.relay.record_world import (
    PACKAGE,
    PACKAGE_ID,
    fill,
    log_custody,
    outcome_of,
    publish,
    refuse,
)

ATOM = "{http://www.w3.org/2005/Atom}"
AT_CELL = "37.7767, -122.4185"
"""Within the first of CELLS."""
ELSEWHERE = "59.33, 18.06"
PAGES = (
    "/", "/agencies", "/agencies/lakeland", "/requests", "/requests?case=none", "/entries",
    "/entries?kind=limits", "/entries/register/1", "/transparency", "/passing-by", "/doorbell",
)  # fmt: skip


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


async def get(world: World, path: str, **headers: str) -> httpx2.Response:
    return await world.browser().get(path, headers=headers)


async def ids_found(world: World, question: str) -> list[str]:
    """Return the case numbers that a search finds."""
    answer = await get(world, f"/requests.json?{question}")
    assert answer.status_code == 200, answer.text
    return [row["case_number"] for row in answer.json()["requests"]]


async def figures(world: World) -> dict[str, int]:
    told = (await get(world, "/transparency.json")).json()
    return {one["name"]: one["count"] for one in told["figures"]}


async def test_every_page_is_there_empty_and_filled_in_both_languages(world: World) -> None:
    for _ in range(2):
        for path in PAGES:
            for language in ("en", "sv"):
                page = await get(world, path, **{"Accept-Language": language})
                assert page.status_code == 200, path
                assert f'<html lang="{language}">' in page.text
                assert " style=" not in page.text
        await fill(world)


async def test_figures_are_counted_from_the_logs(world: World) -> None:
    await fill(world)
    counted = await figures(world)
    assert {name: count for name, count in counted.items() if count} == {
        "requests": 2,
        "requests.open": 1,
        "requests.withdrawn": 1,
        "refusals": 1,
        "refusals.assembly": 1,
        "downloads": 1,
        "deletions.asked": 1,
        "erased.withdrawn": 1,
        "outcomes.not_used": 1,
        "legal_process": 1,
        "feed_legal_process": 1,
        "feed_dangers": 1,
    }


async def test_every_figure_leads_to_the_list_that_it_counts(world: World) -> None:
    await fill(world)
    in_time = DeletionAskedLeaf(
        agency="lakeland", package=PACKAGE[::-1], answer_by_ms=world.clock.wall_ms() + 90 * DAY_MS
    )
    await log_custody(world, in_time)
    world.clock.advance(14 * 24 * 3600 + 1)
    page = (await get(world, "/transparency")).text
    counted = await figures(world)
    for name, count in counted.items():
        row = page.split(f'data-figure="{name}"')[1].split("</tr>")[0]
        href = row.split('href="')[1].split('"')[0].replace("&amp;", "&")
        path, _, question = href.partition("?")
        told = (await get(world, f"{path}.json?{question}")).json()
        assert told["total"] == count, name
    assert counted["deletions.overdue"] == 1


async def test_an_agencys_page_has_all_that_it_did(world: World) -> None:
    _, requests = await fill(world)
    page = (await get(world, "/agencies/lakeland")).text
    for told in ("Lakeland Police", "in force", requests[0].case_number, "Custody log, entry 0"):
        assert told in page
    told = (await get(world, "/agencies/lakeland/record.json")).json()
    quarter = quarter_of(world.clock.wall_ms())
    assert told["agency"]["received"] == {quarter: "1-4"}
    assert told["agency"]["refused_by_moderators"] == {"assembly": 1}
    assert told["agency"]["outcomes"] == {"not_used": 1}
    assert told["agreements"][0]["register_entry"] == 1


async def test_bands_only_rise_within_a_quarter_and_begin_at_none(world: World) -> None:
    now_ms = world.clock.wall_ms()
    quarter = quarter_of(now_ms)

    async def band() -> str:
        told = (await get(world, "/agencies/lakeland/record.json")).json()
        return str(told["agency"]["received"][quarter])

    seen = [await band()]
    for name in ("1-4", "5+"):
        await log_custody(world, ReceivedLeaf(agency="lakeland", quarter=quarter, band=name))
        world.clock.advance(60)
        seen.append(await band())
    assert seen == ["0", "1-4", "5+"]


async def test_a_deletion_without_an_answer_is_shown_as_overdue(world: World) -> None:
    answer_by_ms = world.clock.wall_ms() + 14 * DAY_MS
    asked = DeletionAskedLeaf(agency="lakeland", package=PACKAGE, answer_by_ms=answer_by_ms)
    await log_custody(world, asked)
    assert (await figures(world))["deletions.overdue"] == 0
    world.clock.advance(14 * 24 * 3600 + 1)
    assert (await figures(world))["deletions.overdue"] == 1
    assert "Deletions not answered" in (await get(world, "/agencies/lakeland")).text
    signed = answer_deletion(
        world.agency_key,
        PACKAGE_ID,
        is_deleted=True,
        reason="wiped",
        answered_ms=answer_by_ms,  # which the agency says; the witnesses say it was later
    )
    await log_custody(world, DeletionAnsweredLeaf(signed=signed))
    told = (await get(world, "/agencies/lakeland/record.json")).json()
    assert told["agency"]["deletions"] == {
        "asked": 1, "deleted": 1, "kept": 0, "late": 1, "waiting": 0, "overdue": 0,
    }  # fmt: skip


async def test_an_outcome_that_is_owed_for_30_days_is_shown(world: World) -> None:
    officer, requests = await fill(world)
    assert await ids_found(world, "owed=yes") == []
    world.clock.advance(37 * 24 * 3600 + 1)
    assert await ids_found(world, "owed=yes") == [requests[0].case_number]  # the other one is filed
    assert (await figures(world))["outcomes.overdue"] == 1
    await log_custody(world, outcome_of(officer, requests[0], "used"))
    assert (await figures(world))["outcomes.overdue"] == 0


async def test_no_legal_process_is_shown_as_zero_with_since_when(world: World) -> None:
    page = (await get(world, "/transparency")).text
    assert "0: none has been served. Counted since <time" in page
    leaf = LegalProcessLeaf(quarter="2026-Q3", kind="court_order", yielded=["nothing"])
    await log_custody(world, leaf)
    assert "Court order" in (await get(world, "/transparency")).text


async def test_requests_are_found_by_case_place_time_agency_and_state(world: World) -> None:
    officer, requests = await fill(world)
    first, second = (request.case_number for request in requests)
    assert await ids_found(world, "") == [second, first]
    assert await ids_found(world, "case=2026/18") == [second]
    assert await ids_found(world, "case=k-2026/17") == [first]
    assert await ids_found(world, f"case={requests[0].id}") == [first]
    assert await ids_found(world, f"case={requests[0].digest()}") == [first]
    assert await ids_found(world, f"place={AT_CELL}") == [second, first]
    assert await ids_found(world, f"cell={CELLS[1]}") == []
    assert await ids_found(world, f"place={ELSEWHERE}") == []
    assert await ids_found(world, "agency=lakeland&state=open") == [first]
    assert await ids_found(world, "agency=Lakeland%20Police&state=open") == [first]
    assert await ids_found(world, "from=2026-09-21&to=2026-09-21") == [second, first]
    assert await ids_found(world, "from=2026-09-22") == []
    assert await ids_found(world, "emergency=yes") == []
    now_ms = world.clock.wall_ms()
    await publish(
        officer,
        case_number="E-1",
        danger="A child is missing.",
        from_ms=now_ms - 2 * HOUR_MS,
        to_ms=now_ms - HOUR_MS,
    )
    assert await ids_found(world, "emergency=yes") == ["E-1"]


async def test_a_question_that_makes_no_sense_is_told_so(world: World) -> None:
    for question, code in (
        ("place=nowhere+at+all", "place"),
        ("place=95,10", "place"),
        ("state=logging", "state"),
        ("from=yesterday", "from"),
        ("to=2026-02-30", "to"),
    ):
        page = await get(world, f"/requests?{question}")
        assert page.status_code == 422
        assert 'role="alert"' in page.text
        for form in ("json", "csv", "atom"):
            answer = await get(world, f"/requests.{form}?{question}", Accept="application/json")
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, code)
    for question in ("kind=secret", "log=private"):
        answer = await get(world, f"/entries?{question}", Accept="application/json")
        assert answer.status_code == 422


async def test_no_question_breaks_a_page(world: World) -> None:
    await fill(world)
    nasty = (
        *("", "\x00", "%", "'\"<>", "-0,0", "90,180", "-90,-180", "1e9,1", "\u202e\U0001f600"),
        *("89" + "f" * 13, "9" * 400, "0001-01-01", "9999-12-31", "2026-1-1", "null"),
    )
    names = {
        "/requests": ("place",),
        "/requests.json": ("case", "place", "agency", "state", "from", "to", "page"),
        "/entries.json": ("kind", "log", "page", "subject"),
    }
    for path, name in [(path, name) for path, some in names.items() for name in some]:
        for value in nasty:
            answer = await world.browser().get(path, params={name: value})
            expected = (400,) if value == "\x00" else (200, 404 if name == "page" else 422)
            assert answer.status_code in expected, (path, name, value)


async def test_what_is_not_there_is_not_found(world: World) -> None:
    for path in (
        "/requests/none",
        "/agencies/nobody",
        "/agencies/nobody/record.json",
        "/agencies/nobody/outline.svg",
        "/entries/register/99",
        "/entries/custody/0",
        "/entries/other/0",
        "/entries/register/99999999999999999999",
        "/entries/register/1/proof",
        "/transparency/policy",
        "/transparency/monitor-report.json",
        "/agency/nobody",
    ):
        assert (await get(world, path)).status_code == 404, path


async def test_a_request_shows_its_chain(world: World) -> None:
    _, requests = await fill(world)
    page = (await get(world, f"/requests/{requests[1].id}")).text
    chain = page.split('id="chain"')[1].split("</ol>")[0]
    assert chain.index("Published") < chain.index("Withdrawn by the agency")
    assert chain.index("Withdrawn by the agency") < chain.index("<strong>not used</strong>")
    assert chain.count('href="/entries/') == 3


async def test_an_entry_is_shown_word_by_word_and_unfolded(world: World) -> None:
    officer, requests = await fill(world)
    rows = (await get(world, f"/entries.json?kind=request&subject={requests[0].digest()}")).json()
    page = await get(world, f"/entries/register/{rows['entries'][0]['index']}")
    assert page.status_code == 200
    assert "&#34;case_number&#34;: &#34;K-2026/17&#34;" in page.text  # unfolded
    assert officer.officer_id in page.text


async def test_where_an_agencys_page_is_looked_for_leads_to_it(world: World) -> None:
    answer = await get(world, "/agency/lakeland")
    assert (answer.status_code, answer.headers["location"]) == (308, "/agencies/lakeland")


async def test_the_feed_is_atom_with_ids_that_stay(world: World) -> None:
    officer, requests = await fill(world)
    nasty = await publish(officer, case_number="X-1", text="<script>\"&'</script>", cells=CELLS[1:])
    answer = await get(world, "/requests.atom")
    assert answer.headers["content-type"] == "application/atom+xml"
    feed = ET.fromstring(answer.content)  # noqa: S314 - our own
    entries = feed.findall(f"{ATOM}entry")
    for element in (feed, *entries):
        for tag in ("id", "title", "updated"):
            assert len(element.findall(ATOM + tag)) == 1, tag
            assert element.findtext(ATOM + tag)
        assert element.find(f"{ATOM}author/{ATOM}name") is not None
    ids = [one.findtext(f"{ATOM}id") for one in entries]
    assert ids == [f"http://relay.test/requests/{one.id}" for one in (nasty, *requests[::-1])]
    assert entries[0].findtext(f"{ATOM}content") == nasty.text
    assert [one.get("rel") for one in feed.findall(f"{ATOM}link")] == ["self", "alternate"]
    world.clock.advance(3600)
    again = ET.fromstring((await get(world, "/requests.atom")).content)  # noqa: S314
    assert [one.findtext(f"{ATOM}id") for one in again.findall(f"{ATOM}entry")] == ids
    of_cell = ET.fromstring((await get(world, f"/requests.atom?cell={CELLS[1]}")).content)  # noqa: S314
    assert len(of_cell.findall(f"{ATOM}entry")) == 1
    assert 'type="application/atom+xml"' in (await get(world, "/requests")).text


async def test_no_cell_of_a_csv_is_a_formula(world: World) -> None:
    """Seen to fail with what _cell puts before a text taken out."""
    begins = ("=", "+", "-", "@", "\uff1d")
    texts = [f'{begin}HYPERLINK("https://evil.example","x"),\n\'quoted\'' for begin in begins]
    officer = await certified_officer(world)
    for number, text in enumerate(texts):
        await publish(officer, text=text, case_number=f"F-{number}")
    answer = await get(world, "/requests.csv")
    assert answer.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert answer.content.count(b"\r\n") == 1 + len(texts)
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert [row["text"] for row in rows] == [f"'{text}" for text in reversed(texts)]
    for row in rows:
        assert not [cell for cell in row.values() if cell.startswith(begins)]


@pytest.mark.parametrize("parting", [";", "\t", "\n", "\r\n", ",", "|"])
def test_no_part_of_a_cell_is_a_formula_where_cells_are_parted_otherwise(parting: str) -> None:
    """Excel takes a `;` for the end of a cell in half of Europe. Seen to fail with `^` alone."""
    for begin in ("=", "+", "-", "@", "\uff1d", ' "=', "  -"):
        text = f"A bicycle{parting}{begin}2, at 59.33, 18.06; ask Bo"
        data = as_csv(("text",), [{"text": text}]).decode()
        (row,) = csv.DictReader(io.StringIO(data, newline=""))
        assert row["text"] == f"A bicycle{parting}'{begin}2, at 59.33, 18.06; ask Bo"


async def test_geojson_svg_and_csv_have_the_same_cells(world: World) -> None:
    geojson = (await get(world, "/agencies/lakeland/cells.geojson")).json()
    assert [one["id"] for one in geojson["features"]] == CELLS
    ring = geojson["features"][0]["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert -123 < ring[0][0] < -122  # longitude first (RFC 7946 §3.1.1)
    table = list(
        csv.DictReader(io.StringIO((await get(world, "/agencies/lakeland/cells.csv")).text))
    )
    assert [row["cell"] for row in table] == CELLS
    svg = await get(world, "/agencies/lakeland/outline.svg")
    assert svg.headers["content-type"] == "image/svg+xml"
    assert ET.fromstring(svg.content).tag.endswith("svg")  # noqa: S314


async def test_an_answer_is_made_once_and_not_sent_twice(world: World) -> None:
    first = await get(world, "/requests")
    assert "public" in first.headers["cache-control"]
    etag = first.headers["etag"]
    again = await get(world, "/requests", **{"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")
    swedish = await get(world, "/requests", **{"If-None-Match": etag, "Accept-Language": "sv"})
    assert swedish.status_code == 200
    await refuse(world, "pressure")
    assert (await get(world, "/transparency", **{"If-None-Match": etag})).status_code == 200
    await fill(world)
    changed = await get(world, "/requests", **{"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


async def test_an_answer_that_sets_a_cookie_is_nobody_elses(world: World) -> None:
    answer = await get(world, "/requests?case=a%26b&lang=sv")
    assert (answer.status_code, answer.headers["location"]) == (303, "/requests?case=a%26b")
    assert "dw_language=sv" in answer.headers["set-cookie"]
    assert answer.headers["cache-control"] == "no-store"
    nonsense = await get(world, "/requests?lang=xx")
    assert (nonsense.status_code, "set-cookie" in nonsense.headers) == (303, False)


async def test_what_a_page_does_not_know_makes_no_rendering(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to render each of them anew with Answering's first question taken out."""
    rendered = []
    real = Pages.render

    def render(self: Pages, request: Request, template: str, **context: Any) -> HTMLResponse:
        rendered.append(template)
        return real(self, request, template, **context)

    monkeypatch.setattr(Pages, "render", render)
    for path in ("/", "/passing-by", "/requests", "/entries", "/agencies", "/transparency",
                 "/agencies/lakeland", "/entries/register/1"):  # fmt: skip
        for question in ("a=1", "a=2", "lang=sv&lang=en", "utm_source=x"):
            answer = await get(world, f"{path}?{question}")
            assert (answer.status_code, answer.headers["location"]) == (303, path)
    assert rendered == []
    kept = await get(world, "/entries?a=1&kind=request&page=2&b")
    assert kept.headers["location"] == "/entries?kind=request&page=2"


async def test_crawlers_may_index_the_record_and_not_the_portals(world: World) -> None:
    answer = await get(world, "/robots.txt")
    assert answer.text == "User-agent: *\nDisallow: /agency\nDisallow: /admin\n"


async def test_an_older_view_shows_no_request_that_its_witnesses_have_not_seen(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The book is newer than a view that waited for it. Seen to be a mistake of ours (500)."""
    _, requests = await fill(world)
    assert (await get(world, f"/requests/{requests[0].id}")).status_code == 200
    newest = PublicRecord.view

    async def older(self: PublicRecord) -> RecordView:
        view = await newest(self)
        return dataclass_replace(view, register=dataclass_replace(view.register, stamps=Stamps()))

    monkeypatch.setattr(PublicRecord, "view", older)
    world.clock.advance(60)
    assert (await get(world, f"/requests/{requests[0].id}")).status_code == 404


async def test_many_agencies_come_in_pages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for shown in ("agencies.A_PAGE", "transparency.AGENCIES_SHOWN"):
        monkeypatch.setattr(f"relay.web.public.{shown}", 1)
    await world.town.agree("alder", "Alder Police", cells=CELLS, begins_ms=world.clock.wall_ms())
    pages = [(await get(world, f"/agencies?page={number}")).text for number in (1, 2)]
    assert ["Alder Police" in page for page in pages] == [True, False]
    assert ["Lakeland Police" in page for page in pages] == [False, True]
    assert "All 2 of them" in (await get(world, "/transparency")).text


async def test_many_programs_are_cut_and_the_rest_is_a_list(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.web.public.transparency.PROGRAMS_SHOWN", 1)
    for number in range(3):
        program = ProgramReleased(
            program="firmware", version=f"1.{number}", sha256=sha256_hex(bytes([number]))
        )
        await world.town.change(program)
    page = (await get(world, "/transparency")).text
    assert "1.2" in page
    assert sha256_hex(b"\x00") not in page
    assert '<a href="/entries?kind=program">All 3 of them</a>' in page


async def test_a_version_that_no_witness_has_seen_is_not_compared(world: World) -> None:
    """Seen to be shown with every version taken."""
    world.log.is_away = True
    now_ms = world.clock.wall_ms()
    await world.town.agree("lakeland", "Lakeland Police", cells=CELLS, begins_ms=now_ms)
    await world.town.agree("unseen", "Unseen Police", cells=CELLS, begins_ms=now_ms)
    path = "/agreements/compare?agency="
    assert (await get(world, path + "lakeland")).status_code == 200
    for question in ("lakeland&from=1&to=2", "unseen"):
        assert (await get(world, path + question)).status_code == 404
    world.log.is_away = False
    assert (await get(world, path + "lakeland&from=1&to=2")).status_code == 200


async def test_entries_of_a_year_are_those_that_witnesses_saw_in_it(world: World) -> None:
    await fill(world)
    told = (await get(world, "/entries.json?kind=download&year=2026")).json()
    assert (told["total"], told["next"]) == (1, None)
    assert (await get(world, "/entries.json?kind=download&year=2025")).json()["total"] == 0
    wrong = await get(world, "/entries?year=26", Accept="application/json")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "year")


async def test_long_lists_have_pages_and_files_have_the_next(world: World) -> None:
    await log_custody(
        world,
        *(
            LegalProcessLeaf(quarter=f"{2000 + number}-Q1", kind="other", yielded=["nothing"])
            for number in range(55)
        ),
    )
    page = (await get(world, "/entries?kind=legal_process")).text
    assert "Page 1 of 2" in page
    assert "kind=legal_process&amp;page=2" in page
    second = (await get(world, "/entries?kind=legal_process&page=2")).text
    assert second.count('href="/entries/custody/') == 5


async def test_ten_thousand_requests_are_searched_at_once(world: World) -> None:
    officer, _ = await fill(world)
    view = await world.register.view()
    (record,) = [one for one in view.register.requests.values() if not one.is_withdrawn]
    written = officer.write()
    for number in range(10_000):  # as the register would hold them; signing them takes minutes
        request = replace(written, id=f"{new_id()[:-5]}{number:05}", case_number=f"C-{number}")
        view.register.requests[f"{number:064x}"] = RequestRecord(
            index=record.index, request=request, signed=record.signed, keeps_from=0
        )
        view.register._digests[request.id] = f"{number:064x}"
    await get(world, "/requests?state=open&page=99")  # templates are read once
    begun = perf_counter()
    found = search(view, RequestQuery(state="open", case="C-"), start=5000, limit=50)
    searched_ms = (perf_counter() - begun) * 1000
    begun = perf_counter()
    page = await get(world, "/requests?state=open&page=100")
    page_ms = (perf_counter() - begun) * 1000
    assert (found.total, page.status_code) == (10_000, 200)
    begun = perf_counter()
    await get(world, "/requests?state=open&page=100")
    kept_ms = (perf_counter() - begun) * 1000
    print(
        f"10,000 requests: search {searched_ms:.0f} ms, page {page_ms:.0f} ms, kept {kept_ms:.0f}"
    )


async def test_json_says_whether_the_town_is_invented(world: World) -> None:
    for path in ("/requests.json", "/agencies.json", "/entries.json", "/transparency.json"):
        told = json.loads((await get(world, path)).content)
        assert (told["v"], told["is_example"]) == (1, True)
