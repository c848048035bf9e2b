"""The page on which an agency answers many deletion requests with one signature."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from firmware.protocol.custody import (
    MAX_ANSWERED,
    DeletionAnsweredLeaf,
    package_commitment,
    parse_deletion_answer,
)
from firmware.protocol.encoding import decode, new_id
from firmware.protocol.events import PackageWithdrawn
from relay.agency.keys import DeletionDraft, answer_deletion
from relay.store import custody, packages
from relay.store.custody import Deletion
from relay.tools.agency.cli import main as agency_tool
from tests.fakes.record import recorded
from tests.relay.evidence_packages import deliver_package, place_all
from tests.relay.http_people import Officer, certified_officer, officer_elsewhere
from tests.relay.http_world import DAY_MS, World, open_world

PAGE = "/agency/evidence/deletions"
BATCH_S = 15 * 60
REASON = "Shredded with the case's copies."


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


async def wanted_back(world: World, officer: Officer, *, count: int = 3) -> list[str]:
    """Let so many owners take back what was downloaded; return the packages' ids."""
    request_id = str((await officer.publish(officer.sign(officer.write()))).json()["id"])
    ids = []
    for _ in range(count):
        device = await world.enrol()
        package_id = await deliver_package(world, request_id, device=device, download_by=officer)
        await world.delivery.take_withdrawn(device, PackageWithdrawn(package_id=package_id))
        ids.append(package_id)
    world.clock.advance(BATCH_S)
    return ids


async def save_draft(officer: Officer, *packages: str, **changes: str) -> httpx2.Response:
    """Send the page's first form."""
    fields = {"action": "draft", "answer": "deleted", "reason": REASON, **changes}
    data: dict[str, object] = {
        "csrf": officer.http.headers["X-CSRF"], "package": list(packages), **fields
    }  # fmt: skip
    return await officer.http.post(PAGE, data=data)


async def send(officer: Officer, content: bytes) -> httpx2.Response:
    """Send the page's second form."""
    data = {"csrf": officer.http.headers["X-CSRF"], "action": "answer"}
    return await officer.http.post(PAGE, data=data, files={"signed": ("answer.json", content)})


def signed_by(world: World, *packages: str, agency: str = "lakeland") -> bytes:
    key = world.town.keys[agency].key
    now_ms = world.clock.wall_ms()
    return answer_deletion(
        key, *packages, is_deleted=True, reason=REASON, answered_ms=now_ms
    ).encode()


def problems_in(page: str) -> list[str]:
    return re.findall(r'data-problem="(\w+)"', page)


def waiting_in(page: str) -> list[str]:
    return re.findall(r'name="package" value="(\w+)"', page)


async def test_many_are_chosen_written_about_once_signed_and_answered_by_one_entry(
    world: World, officer: Officer, tmp_path: Path
) -> None:
    """Chosen on the page, signed by the tool from the page's own file, and sent back to it."""
    ids = await wanted_back(world, officer)
    assert waiting_in((await officer.http.get(PAGE)).text) == sorted(ids)
    draft = await save_draft(officer, *ids[:2])
    assert draft.status_code == 200, draft.text
    assert 'filename="deletion-draft.json"' in draft.headers["content-disposition"]
    key, file, out = (tmp_path / one for one in ("key.json", "deletion-draft.json", "answer.json"))
    key.write_bytes(world.agency_key.encode())
    file.write_bytes(draft.content)
    arguments = ["--key", str(key), "--draft", str(file), "--out", str(out)]
    assert agency_tool(["deletion-answer", *arguments]) == 0
    answer = await send(officer, out.read_bytes())
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PAGE}#answered")
    (leaf,) = [
        one for one in await recorded(world.database) if isinstance(one, DeletionAnsweredLeaf)
    ]
    told = parse_deletion_answer(leaf.signed.answer.encode())
    assert told.packages == sorted(map(package_commitment, ids[:2]))
    assert (told.answer, told.reason) == ("deleted", REASON)
    await place_all(world)
    page = (await officer.http.get(PAGE)).text
    assert waiting_in(page) == ids[2:]
    assert page.count('data-answer="deleted"') == 1
    assert f"Deleted: {REASON}" in page.replace("&#39;", "'")
    assert '<td data-label="Recordings">2</td>' in page
    assert '<a href="/entries/custody/' in page
    for package_id in ids[:2]:
        assert (
            'data-step="deleted"' in (await officer.http.get(f"/agency/evidence/{package_id}")).text
        )


async def test_what_is_missing_is_said_and_what_was_written_stays(
    world: World, officer: Officer
) -> None:
    ids = await wanted_back(world, officer, count=2)
    answer = await save_draft(officer, answer="", reason=" ")
    assert (answer.status_code, problems_in(answer.text)) == (422, ["count", "answer", "reason"])
    answer = await save_draft(officer, ids[0], reason="two\nlines", answer="kept")
    assert (answer.status_code, problems_in(answer.text)) == (422, ["reason"])
    assert f'value="{ids[0]}" checked' in answer.text
    assert f'value="{ids[1]}" checked' not in answer.text
    assert 'value="kept" required checked' in answer.text
    for reason in ("x" * 201, "turned \u202e round", "\u200b"):
        answer = await save_draft(officer, ids[0], reason=reason)
        assert (answer.status_code, problems_in(answer.text)) == (422, ["reason"])
    assert (await save_draft(officer, *ids, reason="x" * 200)).status_code == 200
    many = [new_id() for _ in range(MAX_ANSWERED + 1)]
    answer = await save_draft(officer, *many)
    assert (answer.status_code, problems_in(answer.text)) == (422, ["count"])


async def test_what_was_answered_meanwhile_is_said(world: World, officer: Officer) -> None:
    ids = await wanted_back(world, officer, count=2)
    assert (await send(officer, signed_by(world, ids[0]))).status_code == 303
    answer = await save_draft(officer, *ids)
    assert (answer.status_code, problems_in(answer.text)) == (422, ["gone"])
    assert waiting_in(answer.text) == [ids[1]]
    answer = await save_draft(officer, new_id())
    assert problems_in(answer.text) == ["gone"]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("no file", "deletion-answer wrote"),
        ("the draft itself", "deletion-answer wrote"),
        ("another key", "signed by the key of your agency"),
        ("not asked for", "no owner asked"),
        ("answered", "answered before"),
    ],
)
async def test_a_file_that_is_not_taken_says_what_to_do(
    world: World, officer: Officer, kind: str, said: str
) -> None:
    """In both languages, and nothing of it is answered."""
    ids = await wanted_back(world, officer, count=2)
    await officer_elsewhere(world)
    draft = DeletionDraft(packages=ids, answer="kept", reason=REASON)
    content = {
        "no file": b"",
        "the draft itself": draft.encode(),
        "another key": signed_by(world, *ids, agency="elsewhere"),
        "not asked for": signed_by(world, *ids, new_id()),
        "answered": signed_by(world, *ids),
    }[kind]
    if kind == "answered":
        first = answer_deletion(
            world.agency_key, ids[0], is_deleted=False, reason="-",
            answered_ms=world.clock.wall_ms(),
        )  # fmt: skip
        assert (await send(officer, first.encode())).status_code == 303
    answer = await send(officer, content)
    assert answer.status_code == 422
    assert 'id="answer-refused"' in answer.text
    assert said in answer.text
    officer.http.cookies.set("dw_language", "sv")
    assert "Svaret togs inte emot." in (await send(officer, content)).text
    still = waiting_in((await officer.http.get(PAGE)).text)
    assert still == (ids[1:] if kind == "answered" else sorted(ids))


async def test_another_agencys_are_neither_shown_nor_answered(
    world: World, officer: Officer
) -> None:
    ids = await wanted_back(world, officer, count=1)
    stranger = await officer_elsewhere(world)
    assert waiting_in((await stranger.http.get(PAGE)).text) == []
    assert problems_in((await save_draft(stranger, *ids)).text) == ["gone"]
    answer = await send(stranger, signed_by(world, *ids, agency="elsewhere"))
    assert answer.status_code == 422
    answer = await send(stranger, signed_by(world, *ids))
    assert answer.status_code == 422
    assert waiting_in((await officer.http.get(PAGE)).text) == ids


async def test_a_wish_shows_at_the_end_of_its_batch(world: World, officer: Officer) -> None:
    """R9; seen to show at once without `asked_until_ms` in `list_deletions`."""
    (package_id,) = await wanted_back(world, officer, count=1)
    later = await deliver_package(world, await request_of(world, package_id))
    async with world.database.begin() as tx:
        await custody.put_deletion(
            tx,
            Deletion(
                package_id=later,
                agency="lakeland",
                asked_ms=world.clock.wall_ms() + 1000,
                answer_by_ms=world.clock.wall_ms() + DAY_MS,
                answer=None,
            ),
        )
    assert waiting_in((await officer.http.get(PAGE)).text) == [package_id]


async def request_of(world: World, package_id: str) -> str:
    async with world.database.read() as tx:
        return (await packages.list_requests(tx, "lakeland"))[package_id]


async def test_a_page_holds_as_many_as_one_signature_answers(
    world: World, officer: Officer
) -> None:
    (package_id,) = await wanted_back(world, officer, count=1)
    request_id = await request_of(world, package_id)
    now_ms = world.clock.wall_ms()
    for number in range(MAX_ANSWERED + 5):
        one = await deliver_package(world, request_id)
        async with world.database.begin() as tx:
            due_ms = now_ms + number
            await custody.put_deletion(
                tx,
                Deletion(
                    package_id=one, agency="lakeland", asked_ms=now_ms, answer_by_ms=due_ms,
                    answer=None,
                ),
            )  # fmt: skip
    page = (await officer.http.get(PAGE)).text
    ids = waiting_in(page)
    assert len(ids) == MAX_ANSWERED
    assert 'rel="next"' in page
    assert len(waiting_in((await officer.http.get(f"{PAGE}?page=2")).text)) == 6
    assert (await save_draft(officer, *ids)).status_code == 200
    evidence = (await officer.http.get("/agency/evidence")).text
    assert f"and {MAX_ANSWERED + 6 - 10} more" in evidence
    assert f'href="{PAGE}"' in evidence


async def test_where_nobody_waits_it_says_so_and_offers_no_form(
    world: World, officer: Officer
) -> None:
    page = (await officer.http.get(PAGE)).text
    assert "No owner waits for an answer." in page
    assert "<form" not in page
    assert 'id="answered"' not in page


async def test_the_forms_need_the_sessions_token(world: World, officer: Officer) -> None:
    ids = await wanted_back(world, officer, count=1)
    del officer.http.headers["X-CSRF"]
    for data in ({"package": ids}, {"package": ids, "csrf": "x"}):
        answer = await officer.http.post(PAGE, data={"action": "draft", **data})
        assert answer.status_code == 403


async def test_a_draft_is_a_document_that_the_tool_reads_strictly(
    world: World, officer: Officer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a page of a bad relay could write into it: more packages, other words, a future form."""
    ids = await wanted_back(world, officer, count=1)
    written = (await save_draft(officer, *ids)).content.rstrip()
    assert decode(DeletionDraft, written).packages == ids
    good = json.loads(written)
    key, file, out = (tmp_path / one for one in ("key.json", "draft.json", "answer.json"))
    key.write_bytes(world.agency_key.encode())
    arguments = ["deletion-answer", "--key", str(key), "--draft", str(file), "--out", str(out)]
    for bent in (
        {"v": 2},
        {"domain": "doorward/deletion-draft/v2"},
        {"more": 1},
        {"packages": []},
        {"packages": [new_id() for _ in range(MAX_ANSWERED + 1)]},
        {"packages": ["../x"]},
        {"answer": "gone"},
        {"reason": ""},
        {"reason": "a\u202eb"},
        {"reason": "two\nlines"},
        {"reason": "x" * 201},
    ):
        file.write_text(json.dumps({**good, **bent}))
        assert agency_tool(arguments) == 2, bent
    for content in (written[:-9], b"", b"[]", written * 2):
        file.write_bytes(content)
        assert agency_tool(arguments) == 2, content
    assert not out.exists()
    file.write_bytes(written)
    for more in (["--deleted"], ["--kept"], ["--reason", "x"]):
        assert agency_tool([*arguments, *more]) == 2
        assert "leave out" in capsys.readouterr().err
    assert not out.exists()
    assert agency_tool(arguments) == 0
    said = capsys.readouterr().out
    assert REASON in said
    assert ids[0] in said
    alone = ["deletion-answer", "--key", str(key), "--package", ids[0], "--out", str(out)]
    for missing in ([], ["--deleted"], ["--reason", "x"]):
        assert agency_tool([*alone, *missing]) == 2
        assert "--reason" in capsys.readouterr().err
