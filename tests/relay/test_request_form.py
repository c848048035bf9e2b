"""The form before it is signed: what stands against it, drafts, and what the map is made of."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from firmware.protocol.encoding import new_id
from firmware.protocol.register.entries import Limits
from relay.ingest.expiry import Expiry
from relay.request.drafts import DRAFT_LIFE_MS, MAX_DRAFTS, DraftForm, DraftRefused, Drafts
from relay.request.hints import hints_on
from relay.store import drafts as draft_rows
from tests.relay.http_people import Officer, certified_officer, officer_elsewhere
from tests.relay.http_world import CELLS, DAY_MS, HOUR_MS, World, open_world

STATIC = Path(__file__).parents[2] / "relay" / "web" / "static"
MINUTE_MS = 60 * 1000
OUTSIDE = "8908866025bffff"
JSON = {"Accept": "application/json"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, limits=Limits()) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


def form_of(officer: Officer, **changes: Any) -> dict[str, Any]:
    """A form that keeps every rule, but for `changes`."""
    now_ms = officer.world.clock.wall_ms()
    assert officer.partner is not None
    fields: dict[str, Any] = {
        "case_number": "K-2026/17",
        "incident_type": "burglary",
        "text": "A bicycle was taken from a yard.",
        "cells": CELLS[:1],
        "from_ms": now_ms - 2 * HOUR_MS,
        "to_ms": now_ms - HOUR_MS,
        "contact": "desk@lakeland.example",
        "retention_days": 90,
        "onward_sharing": "none",
        "cosigner_id": officer.partner.officer_id,
    }
    return fields | changes


async def check(officer: Officer, **changes: Any) -> dict[str, list[tuple[str, str]]]:
    answer = await officer.http.post(
        "/agency/requests/check", json={"form": form_of(officer, **changes)}
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return {
        "problems": [(one["field"], one["reason"]) for one in found["problems"]],
        "hints": [(one["field"], one["category"]) for one in found["hints"]],
    }


async def problems(officer: Officer, **changes: Any) -> list[tuple[str, str]]:
    return (await check(officer, **changes))["problems"]


# --- what stands against it ---


async def test_a_form_that_keeps_the_rules_has_nothing_against_it(officer: Officer) -> None:
    assert await check(officer) == {"problems": [], "hints": []}
    draft = officer.sign(officer.write())
    assert (await officer.hand_in(draft)).status_code == 201  # and the desk says the same


FIELDS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"case_number": ""}, ("case_number", "missing")),
    ({"case_number": "a case"}, ("case_number", "malformed")),
    ({"text": ""}, ("text", "missing")),
    ({"text": "turned \u202e round"}, ("text", "malformed")),
    ({"contact": ""}, ("contact", "missing")),
    ({"incident_type": "protest"}, ("incident_type", "malformed")),
    ({"retention_days": 0}, ("retention_days", "malformed")),
    ({"retention_days": None}, ("retention_days", "missing")),
    ({"onward_sharing": "everybody"}, ("onward_sharing", "malformed")),
    ({"cosigner_id": ""}, ("cosigner", "missing")),
    ({"cosigner_id": "a" * 26}, ("cosigner", "cosigner.none")),
    ({"cells": []}, ("cells", "missing")),
    ({"cells": [OUTSIDE]}, ("cells", "area.outside")),
    ({"cells": ["no cell"]}, ("cells", "area.outside")),
    ({"cells": [CELLS[0]] * 13}, ("cells", "area.many")),
    ({"from_ms": None}, ("from", "missing")),
    ({"to_ms": None}, ("to", "missing")),
]


async def test_each_field_says_what_it_lacks(officer: Officer) -> None:
    for changes, expected in FIELDS:
        assert await problems(officer, **changes) == [expected], changes


async def test_the_window_keeps_its_limits(world: World, officer: Officer) -> None:
    now_ms = world.clock.wall_ms()
    for begin, end, expected in (
        (now_ms - 10 * MINUTE_MS, now_ms - MINUTE_MS, ("to", "window")),
        (now_ms - 14 * HOUR_MS, now_ms - HOUR_MS, ("to", "window")),
        (now_ms - HOUR_MS, now_ms + HOUR_MS, ("to", "future")),
        (now_ms - 31 * DAY_MS, now_ms - 31 * DAY_MS + HOUR_MS, ("from", "age")),
        (now_ms - 4 * HOUR_MS, now_ms - HOUR_MS, ("reason", "reason")),
    ):
        assert await problems(officer, from_ms=begin, to_ms=end) == [expected]
    long = {"from_ms": now_ms - 4 * HOUR_MS, "to_ms": now_ms - HOUR_MS}
    assert await problems(officer, **long, reason="Nobody saw when.") == []


async def test_an_emergency_keeps_its_own_rules(world: World, officer: Officer) -> None:
    now_ms = world.clock.wall_ms()
    assert officer.partner is not None
    assert await problems(officer, danger="A child is missing.") == []
    long = {"from_ms": now_ms - 4 * HOUR_MS, "to_ms": now_ms - HOUR_MS}
    assert await problems(officer, danger="A child is missing.", **long) == [
        ("danger", "emergency.long")
    ]
    by_an_officer = form_of(officer, danger="A child.", cosigner_id=officer.officer_id)
    answer = await officer.partner.http.post("/agency/requests/check", json={"form": by_an_officer})
    assert [one["reason"] for one in answer.json()["problems"]] == ["emergency.approver"]


async def test_several_things_are_said_at_once(officer: Officer) -> None:
    now_ms = officer.world.clock.wall_ms()
    found = await problems(
        officer,
        case_number="",
        from_ms=now_ms,
        to_ms=now_ms + HOUR_MS,
        cells=[OUTSIDE],
        cosigner_id=officer.officer_id,
    )
    assert set(found) == {
        ("case_number", "missing"),
        ("to", "future"),
        ("cells", "area.outside"),
        ("cosigner", "cosigner.self"),
    }


async def test_counts_are_the_registers_own(world: World, officer: Officer) -> None:
    await officer.publish(officer.sign(officer.write()))
    assert await problems(officer) == [("cells", "area_quiet")]
    assert await problems(officer, cells=CELLS[1:]) == []
    await officer.publish(officer.sign(officer.write(cells=CELLS[1:])))
    found = await problems(officer)
    assert set(found) == {("case_number", "case_limit"), ("cells", "area_quiet")}


async def test_merged_cells_come_together(world: World, officer: Officer) -> None:
    begins_ms = world.clock.wall_ms()
    await world.town.agree(
        "lakeland", "Lakeland Police", cells=CELLS, merged=[CELLS], begins_ms=begins_ms
    )
    assert await problems(officer, cells=CELLS[:1]) == [("cells", "area.merged")]
    assert await problems(officer, cells=CELLS) == []


async def test_the_texts_are_in_the_readers_language_and_name_the_limits(officer: Officer) -> None:
    form = form_of(officer, cells=[CELLS[0]] * 13, text="Du måste svara.")
    for language, problem, hint in (
        ("en", "Choose at most 12 cells.", "may ignore it"),
        ("sv", "Välj högst 12 rutor.", "får strunta i den"),
    ):
        answer = await officer.http.post(
            "/agency/requests/check", json={"form": form}, headers={"Accept-Language": language}
        )
        assert answer.json()["problems"][0]["text"] == problem
        assert hint in answer.json()["hints"][0]["text"]


async def test_nobody_is_told_how_many_doorbells_there_are(world: World, officer: Officer) -> None:
    async def said() -> list[str]:
        form = {"form": form_of(officer)}
        answers = [
            await officer.http.get(path) for path in ("/agency/area", "/agency/requests/new")
        ]
        answers.append(await officer.http.post("/agency/requests/check", json=form))
        answers.append(await officer.http.get("/agency/places?q=lake"))
        return [answer.text for answer in answers]

    before = await said()
    for _ in range(3):
        await world.enrol()
    assert await said() == before


def test_words_of_each_category_are_hinted_at_and_plain_ones_are_not() -> None:
    for category, text in {
        "assembly": "Who came to the rally?",
        "worship": "Seen near the mosque.",
        "immigration": "Perhaps undocumented.",
        "reproductive_care": "Left the abortion clinic.",
        "announcement": "Community meeting on Friday.",
        "description_by_race": "Two black men ran.",
        "identity_of_a_victim": "The victim's name is known.",
        "pressure": "You are required to answer.",
    }.items():
        assert [hint.category for hint in hints_on({"text": text})] == [category]
    plain = "A black car with a white roof hit a red bicycle in Church Street, then left fast."
    assert [hint.category for hint in hints_on({"text": plain.replace("Church", "Elm")})] == []
    assert hints_on({"text": "Mustard was spilt.", "danger": ""}) == []


# --- who may ---


async def test_the_form_is_for_officers_with_the_pages_token(
    world: World, officer: Officer
) -> None:
    stranger = world.browser("http://relay.test")
    form = {"form": form_of(officer)}
    for path in (
        "/agency/area",
        "/agency/places?q=lake",
        "/agency/streets.pmtiles",
        "/agency/drafts",
    ):
        assert (await stranger.get(path, headers=JSON)).status_code == 401
    assert (await stranger.post("/agency/requests/check", json=form)).status_code == 401
    del officer.http.headers["X-CSRF"]
    for path, body in (
        ("/agency/requests/check", form),
        ("/agency/drafts", {"id": new_id(), "form": form_of(officer)}),
        (f"/agency/drafts/{new_id()}/delete", {}),
    ):
        assert (await officer.http.post(path, json=body)).status_code == 403
    sent = await officer.http.post("/agency/requests/new", data={"action": "save"})
    assert sent.status_code == 403


async def test_who_does_other_work_at_the_agency_writes_no_request(
    world: World, officer: Officer
) -> None:
    for role in ("records", "admin"):
        other = Officer(world, f"Clerk {role}")
        await other.register()
        await other.get_certified(role=role)
        await other.take_csrf()
        for path in ("/agency/area", "/agency/places?q=lake", "/agency/drafts"):
            assert (await other.http.get(path, headers=JSON)).status_code == 403
        for path, body in (
            ("/agency/requests/check", {"form": form_of(officer)}),
            ("/agency/drafts", {"id": new_id(), "form": form_of(officer)}),
        ):
            assert (await other.http.post(path, json=body)).status_code == 403


async def test_an_owed_outcome_is_said_before_anything_is_signed(
    world: World, officer: Officer
) -> None:
    await officer.publish(officer.sign(officer.write()))
    world.clock.advance(40 * DAY_MS / 1000)
    await officer.log_in()
    await officer.take_csrf()
    assert ("form", "outcome_due") in await problems(officer)


async def test_a_form_that_is_too_large_or_has_other_fields_is_refused(officer: Officer) -> None:
    for form, status in (
        ({"text": "x" * 4001}, 422),
        ({"cells": ["x"] * 201}, 422),
        ({"doorbells": 3}, 422),
        ({"text": "x" * 200_000}, 413),
    ):
        answer = await officer.http.post("/agency/requests/check", json={"form": form})
        assert answer.status_code == status


# --- drafts ---


async def save(officer: Officer, draft_id: str, **changes: Any) -> httpx2.Response:
    body = {"id": draft_id, "form": form_of(officer, **changes)}
    return await officer.http.post("/agency/drafts", json=body)


async def test_a_draft_is_kept_listed_opened_and_deleted(officer: Officer) -> None:
    draft_id = new_id()
    assert (await save(officer, draft_id, case_number="A-1")).status_code == 200
    assert (await save(officer, draft_id, case_number="A-<2>")).status_code == 200
    listed = (await officer.http.get("/agency/drafts")).text
    assert "A-&lt;2&gt;" in listed
    assert "A-1" not in listed
    page = (await officer.http.get(f"/agency/requests/new?draft={draft_id}")).text
    assert 'value="A-&lt;2&gt;"' in page
    deleted = await officer.http.post(
        f"/agency/drafts/{draft_id}/delete", data={"csrf": officer.http.headers["X-CSRF"]}
    )
    assert deleted.status_code == 303
    assert "You have begun nothing." in (await officer.http.get("/agency/drafts")).text


async def test_a_draft_is_one_officers_own(world: World, officer: Officer) -> None:
    draft_id = new_id()
    await save(officer, draft_id)
    assert officer.partner is not None
    elsewhere = await officer_elsewhere(world)
    elsewhere.partner = elsewhere
    # Seen to read, overwrite and delete it with the account left out of relay/request/drafts.py.
    for other in (officer.partner, elsewhere):
        opened = await other.http.get(f"/agency/requests/new?draft={draft_id}", headers=JSON)
        assert opened.status_code == 404
        assert (await save(other, draft_id, case_number="B-1")).status_code == 404
        gone = await other.http.post(f"/agency/drafts/{draft_id}/delete", json={})
        assert gone.status_code == 404
        assert draft_id not in (await other.http.get("/agency/drafts")).text
    assert "K-2026/17" in (await officer.http.get(f"/agency/requests/new?draft={draft_id}")).text


async def test_so_many_drafts_are_kept_for_so_long(world: World, officer: Officer) -> None:
    drafts = Drafts(world.database, world.clock)
    ids = [new_id() for _ in range(MAX_DRAFTS)]
    for draft_id in ids:
        await drafts.save(officer.officer_id, draft_id, DraftForm())
    full = await save(officer, new_id())
    assert (full.status_code, full.json()["error"]["code"]) == (409, "drafts_full")
    assert (await save(officer, ids[0])).status_code == 200
    world.clock.advance(DRAFT_LIFE_MS / 1000 + 1)
    assert await drafts.list(officer.officer_id) == []
    with pytest.raises(DraftRefused):
        await drafts.find(officer.officer_id, ids[0])
    await Expiry(world.database, world.clock).forget()
    async with world.database.read() as tx:
        assert await draft_rows.count_of(tx, officer.officer_id) == 0


async def test_a_draft_saved_twice_at_once_is_one(world: World, officer: Officer) -> None:
    draft_id = new_id()
    answers = await asyncio.gather(*(save(officer, draft_id) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    assert len(await Drafts(world.database, world.clock).list(officer.officer_id)) == 1


async def test_handing_in_deletes_the_draft(world: World, officer: Officer) -> None:
    draft_id = new_id()
    await save(officer, draft_id)
    signed = officer.sign(officer.write()).encode()
    body = b'{"draft":' + signed + b',"form_id":"' + draft_id.encode() + b'"}'
    headers = {"Content-Type": "application/json"}
    assert (await officer.http.post("/agency/requests", content=body, headers=headers)).is_success
    assert await Drafts(world.database, world.clock).list(officer.officer_id) == []


# --- without JavaScript ---


async def test_the_form_is_checked_and_kept_without_javascript(
    world: World, officer: Officer
) -> None:
    data = {
        "csrf": officer.http.headers.pop("X-CSRF"),
        "case_number": "lp 1",
        "text": "Look at <this>\r\nplease",
        "from": "2001-02-03T04:05:06",
        "cells": f"{CELLS[0]}, {OUTSIDE}",
        "cell": CELLS[0],
        "retention_days": "90",
    }
    page = await officer.http.post("/agency/requests/new", data=data | {"action": "check"})
    assert page.status_code == 200
    assert 'id="checked"' in page.text
    assert "A cell lies outside your jurisdiction." in page.text
    assert "Look at &lt;this&gt;\nplease" in page.text
    assert 'value="2001-02-03T04:05:06"' in page.text
    kept = await officer.http.post("/agency/requests/new", data=data | {"action": "save"})
    assert kept.status_code == 303
    (draft,) = await Drafts(world.database, world.clock).list(officer.officer_id)
    assert (draft.form.case_number, draft.form.cells) == ("LP 1", [CELLS[0], OUTSIDE])


async def test_the_page_is_small_and_runs_only_its_own_scripts(officer: Officer) -> None:
    page = await officer.http.get("/agency/requests/new")
    policy = page.headers["content-security-policy"]
    assert "worker-src 'self'" in policy
    assert "unsafe" not in policy
    assert (
        "worker-src"
        not in (await officer.http.get("/agency/drafts")).headers["content-security-policy"]
    )
    sizes = {"page": len(gzip.compress(page.content.rstrip()))}
    for path in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
        sizes[path] = len(gzip.compress((STATIC / path.removeprefix("/static/")).read_bytes()))
    for path in imported([path for path in sizes if path.endswith(".js")]):
        sizes[path] = len(gzip.compress((STATIC / path.removeprefix("/static/")).read_bytes()))
    print(f"first paint: {sum(sizes.values())} bytes compressed, {len(sizes)} files")
    assert not any("vendor/" in path for path in sizes), sizes
    assert sum(sizes.values()) < 100_000


async def test_nothing_that_is_signed_is_chosen_beforehand(officer: Officer) -> None:
    page = (await officer.http.get("/agency/requests/new")).text
    for name in ("incident_type", "cosigner"):
        choice = page.split(f'<select id="{name}"')[1].split("</select>")[0]
        assert choice.split("<option ")[1].startswith('value="">')
        assert "selected" not in choice
    assert 'name="retention_days" min="1" max="3650" required value=""' in page
    found = await check(officer, incident_type="", cosigner_id="", retention_days=None)
    missing = [(field, "missing") for field in ("cosigner", "incident_type", "retention_days")]
    assert sorted(found["problems"]) == missing


def imported(paths: list[str]) -> set[str]:
    """Return all modules that these load before anything is wanted."""
    found: set[str] = set()
    while paths:
        path = paths.pop()
        found.add(path)
        file = STATIC / path.removeprefix("/static/")
        for name in re.findall(
            r'^(?:import|export) [^;]*?from "(\.[^"]+)"', file.read_text(), re.M
        ):
            one = "/static/" + str((file.parent / name).resolve().relative_to(STATIC.resolve()))
            if one not in found:
                paths.append(one)
    return found
