"""What lies on the desk: it counts, it ends, it can be begun anew, and who sees it."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

import httpx2
import pytest
from msgspec.structs import replace

from firmware.protocol.encoding import new_id
from firmware.protocol.register.entries import Limits, LimitsChanged
from relay.request.drafts import MAX_DRAFTS, DraftForm, Drafts
from tests.relay.admin_people import waiting_request
from tests.relay.http_people import Officer, certified_officer, id_of, officer_elsewhere
from tests.relay.http_world import CELLS, DAY_MS, HOUR_MS, World, open_world
from tests.relay.register_town import EASY

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[World]:
    """A world where one asks about a place once a day."""
    async with open_world(tmp_path, limits=Limits()) as world:
        yield world


def reason_of(answer: httpx2.Response) -> str:
    return "" if answer.is_success else str(answer.json()["error"]["code"])


def main_of(page: str) -> str:
    found = re.search(r"<main.*?</main>", page, re.DOTALL)
    assert found is not None
    return found[0]


async def hand_in(officer: Officer, **changes: object) -> str:
    """Hand a request in; return why it wasn't taken."""
    return reason_of(await officer.hand_in(officer.sign(officer.write(**changes))))


async def checked(officer: Officer, **changes: object) -> set[str]:
    """Return what stands against the same as a form."""
    asked = officer.write(**changes)
    names = ("case_number", "incident_type", "text", "cells", "from_ms", "to_ms", "contact")
    form = {name: getattr(asked, name) for name in (*names, "retention_days", "danger")}
    body = {"form": form | {"cosigner_id": asked.cosigner_id}}
    answer = await officer.http.post("/agency/requests/check", json=body)
    return {one["reason"] for one in answer.json()["problems"]}


# --- it counts (R4, R13, R15) ---


async def test_what_waits_counts_as_what_is_published(world: World) -> None:
    """Seen to be taken, all of it, with `pending` left out of Desk.draft."""
    officer = await certified_officer(world)
    for case in ("A-1", "A-1", "A-2"):
        assert await hand_in(officer, case_number=case) == ""
    assert await checked(officer, case_number="A-1") == {"case_limit"}
    assert await hand_in(officer, case_number="A-1") == "case_limit"
    danger = {"danger": "A child is in the water."}
    assert await hand_in(officer, case_number="E-1", **danger) == ""
    assert await checked(officer, case_number="E-2", **danger) == {"emergency.open"}
    assert await hand_in(officer, case_number="E-2", **danger) == "emergency"
    assert await hand_in(officer, case_number="A-2") == ""
    assert "open_limit" in await checked(officer, case_number="A-9")
    assert await hand_in(officer, case_number="A-9") == "open_limit"


async def test_the_same_place_waits_once(strict: World) -> None:
    officer = await certified_officer(strict)
    assert officer.partner is not None
    draft = officer.sign(officer.write())
    assert (await officer.hand_in(draft)).is_success
    assert await checked(officer, case_number="B-1") == {"area_quiet"}
    assert await hand_in(officer.partner, case_number="B-1") == "area_quiet"
    assert await hand_in(officer, case_number="B-1", cells=CELLS[1:]) == ""
    assert (await officer.take_back(id_of(draft))).is_success  # and its place is free again
    assert await hand_in(officer, case_number="B-2") == ""


async def test_two_officers_at_once_get_one_place(strict: World) -> None:
    """Seen to be both with what lies on the desk read before the transaction."""
    officer = await certified_officer(strict)
    partner = officer.partner
    assert partner is not None
    drafts = [one.sign(one.write(case_number=f"C-{n}")) for n, one in enumerate((officer, partner))]
    answers = await asyncio.gather(officer.hand_in(drafts[0]), partner.hand_in(drafts[1]))
    assert sorted(map(reason_of, answers)) == ["", "area_quiet"]


@pytest.mark.parametrize("is_of_version_5", [False, True])
async def test_what_ended_on_the_desk_counts_no_more(world: World, is_of_version_5: bool) -> None:
    officer = await certified_officer(world)
    ends_ms = world.clock.wall_ms() + HOUR_MS
    for _ in range(2):
        assert await hand_in(officer, case_number="D-1", expires_ms=ends_ms) == ""
    assert await hand_in(officer, case_number="D-1") == "case_limit"
    if is_of_version_5:
        async with world.database.begin() as tx:
            await tx.exec_driver_sql("UPDATE requests SET expires_ms = NULL")
    world.clock.advance(3600)
    assert await hand_in(officer, case_number="D-1") == ""


async def test_a_co_signature_is_refused_when_others_took_the_place_before(world: World) -> None:
    """As after an update: more lies there than goes in. Seen to be taken without the count."""
    officer = await certified_officer(world)
    partner = officer.partner
    assert partner is not None
    drafts = [officer.sign(officer.write(case_number=case)) for case in ("F-1", "F-1", "F-2")]
    for draft in drafts:
        world.clock.advance(1)
        assert (await officer.hand_in(draft)).is_success
    stricter = LimitsChanged(limits=replace(EASY, max_per_case=1))
    await world.town.change(stricter, *world.town.admins)
    answers = [reason_of(await partner.cosign(draft)) for draft in drafts]
    assert answers == ["", "case_limit", ""]


async def test_a_renewal_waits_once_and_takes_the_place_of_what_it_renews(world: World) -> None:
    officer = await certified_officer(world)
    first = officer.write()
    await officer.publish(officer.sign(first))
    for case in ("G-1", "G-2", "G-3", "G-4"):
        assert await hand_in(officer, case_number=case) == ""
    same = {"from_ms": first.from_ms, "to_ms": first.to_ms, "renews": first.id}
    assert await hand_in(officer, case_number="G-5") == "open_limit"
    assert await hand_in(officer, **same) == ""
    assert await hand_in(officer, **same) == "renewal"
    assert await hand_in(officer, case_number="G-5") == "open_limit"


# --- it ends (R13) ---


async def test_what_ended_waits_for_nobody_and_says_so(world: World) -> None:
    officer = await certified_officer(world)
    partner = officer.partner
    assert partner is not None
    ends_ms = world.clock.wall_ms() + HOUR_MS
    draft = officer.sign(officer.write(expires_ms=ends_ms))
    await officer.hand_in(draft)
    _, read = await waiting_request(world, officer, case_number="H-2", expires_ms=ends_ms)
    assert [row.id for row in await world.moderation.list()] == [read]
    assert 'id="to-cosign"' in (await partner.http.get("/agency")).text
    world.clock.advance(3600)
    assert await world.moderation.list() == []
    assert 'id="to-cosign"' not in (await partner.http.get("/agency")).text
    for request_id, words in (
        (id_of(draft), "It ended before both officers had signed."),
        (read, "It ended before a moderator had read it."),
    ):
        page = (await partner.http.get(f"/agency/requests/{request_id}")).text
        assert words in page
        assert 'id="standing" data-state="expired"' in page
        assert 'id="cosign"' not in page
        assert 'id="take-back"' not in page
    listed = main_of((await officer.http.get("/agency/requests")).text)
    assert listed.count('data-state="expired"') == 2


async def test_what_was_passed_and_ended_before_it_was_published_says_so(world: World) -> None:
    officer, request_id = await waiting_request(world, expires_ms=world.clock.wall_ms() + HOUR_MS)
    await world.moderation.pass_on(request_id)
    world.clock.advance(3600)
    assert await world.publishing.publish_due() == []
    page = main_of((await officer.http.get(f"/agency/requests/{request_id}")).text)
    assert 'data-state="void"' in page
    assert "It ended before it was published." in page


# --- who sees it ---


async def newcomer(world: World) -> Officer:
    one = Officer(world, "Officer Ny")
    await one.register()
    await one.take_csrf()
    return one


async def test_whom_nobody_certified_sees_what_is_public_and_their_own(world: World) -> None:
    """Seen to read the colleagues' with `seen_by` left out of relay/web/agency."""
    officer, stranger = await certified_officer(world), await newcomer(world)
    assert officer.partner is not None
    secret = officer.sign(officer.write(case_number="SECRET-1"))
    await officer.hand_in(secret)
    public = officer.sign(officer.write(case_number="PUBLIC-1"))
    await officer.publish(public)
    listed = (await stranger.http.get("/agency/requests")).text
    assert "PUBLIC-1" in listed
    assert "SECRET-1" not in listed
    path = f"/agency/requests/{id_of(secret)}"
    for answer in (
        await stranger.http.get(path),
        await stranger.http.post(f"{path}/again", data={}),
        await stranger.http.post(f"{path}/appeal", data={"text": "Why?"}),
        await stranger.take_back(id_of(secret)),
    ):
        assert answer.status_code == 404
    shown = await stranger.http.get(f"/agency/requests/{id_of(public)}")
    assert shown.status_code == 200
    assert 'id="packages"' not in shown.text
    assert "SECRET-1" in (await officer.partner.http.get("/agency/requests")).text
    world.clock.advance(31 * DAY_MS / 1000)  # who was certified once keeps what is their own
    await officer.log_in()
    assert "SECRET-1" in (await officer.http.get("/agency/requests")).text


async def test_a_refusals_reason_is_not_for_whom_nobody_certified(world: World) -> None:
    stranger = await newcomer(world)
    officer, request_id = await waiting_request(world)
    await world.moderation.refuse(request_id, "other", reason="Names a neighbour.")
    appealed = {"text": "It doesn't."}
    await officer.http.post(f"/agency/requests/{request_id}/appeal", data=appealed)
    await world.appeals.decide(request_id, "overturned", reason="So it is.", moderator="bo")
    await world.publishing.publish_due()
    path = f"/agency/requests/{request_id}"
    assert "Names a neighbour." in (await officer.http.get(path)).text
    page = await stranger.http.get(path)
    assert page.status_code == 200
    assert "Names a neighbour." not in page.text


# --- it can be begun anew ---


async def again(officer: Officer, request_id: str) -> httpx2.Response:
    csrf = {"csrf": officer.http.headers["X-CSRF"]}
    return await officer.http.post(f"/agency/requests/{request_id}/again", data=csrf)


async def test_what_was_refused_is_written_anew_from_its_own_words(world: World) -> None:
    officer, request_id = await waiting_request(world, text="Who was there?", case_number="I-1")
    await world.moderation.refuse(request_id, "assembly", reason="No.")
    assert 'id="write-anew"' in (await officer.http.get(f"/agency/requests/{request_id}")).text
    first, second = await asyncio.gather(again(officer, request_id), again(officer, request_id))
    assert first.status_code == 303
    # Seen to be two drafts with a new id for each.
    assert first.headers["location"] == second.headers["location"]
    page = (await officer.http.get(first.headers["location"])).text
    assert "Who was there?" in page
    assert 'value="I-1"' in page
    drafts = Drafts(world.database, world.clock)
    (draft,) = await drafts.list(officer.officer_id)
    await drafts.save(officer.officer_id, draft.id, DraftForm(text="What happened?"))
    assert (await again(officer, request_id)).status_code == 303
    assert [one.form.text for one in await drafts.list(officer.officer_id)] == ["What happened?"]


async def test_the_co_signer_who_writes_it_anew_names_another(world: World) -> None:
    officer, request_id = await waiting_request(world)
    assert officer.partner is not None
    await officer.take_back(request_id)
    await again(officer.partner, request_id)
    (draft,) = await Drafts(world.database, world.clock).list(officer.partner.officer_id)
    assert draft.form.cosigner_id == ""
    assert draft.form.case_number == "K-2026/17"


async def test_only_what_never_became_public_is_written_anew_and_by_whom_may(world: World) -> None:
    officer, request_id = await waiting_request(world)
    assert (await again(officer, request_id)).status_code == 409
    await officer.take_back(request_id)
    elsewhere = await officer_elsewhere(world)
    assert (await again(elsewhere, request_id)).status_code == 404
    clerk = Officer(world, "Clerk")
    await clerk.register()
    await clerk.get_certified(role="records")
    await clerk.take_csrf()
    assert 'id="write-anew"' not in (await clerk.http.get(f"/agency/requests/{request_id}")).text
    assert (await again(clerk, request_id)).status_code == 403
    drafts = Drafts(world.database, world.clock)
    for _ in range(MAX_DRAFTS):
        await drafts.save(officer.officer_id, new_id(), DraftForm())
    full = await again(officer, request_id)
    assert full.status_code == 409
    assert "Delete one first" in full.text
    officer.http.headers["X-CSRF"] = "guessed"
    assert (await again(officer, request_id)).status_code == 403


async def test_an_appeal_says_when_the_request_itself_ends(world: World) -> None:
    ends_ms = world.clock.wall_ms() + DAY_MS
    officer, request_id = await waiting_request(world, expires_ms=ends_ms)
    await world.moderation.refuse(request_id, "other", reason="No.")
    page = (await officer.http.get(f"/agency/requests/{request_id}")).text
    said = page.split('id="ends-before"')[1].split("</p>")[0]
    assert f'data-ms="{ends_ms}"' in said


# --- in words ---


async def test_what_is_refused_is_said_in_the_readers_language(world: World) -> None:
    officer = await certified_officer(world)
    partner = officer.partner
    assert partner is not None
    draft = officer.sign(officer.write())
    await officer.hand_in(draft)
    swedish = {"Accept-Language": "sv"}
    for one in (officer, partner):
        one.http.headers.update(swedish)

    def said(answer: httpx2.Response) -> str:
        return str(answer.json()["error"]["message"])

    other = officer.sign(officer.write(cosigner_name="Chief Wiggum"))
    assert said(await officer.hand_in(other)).startswith("Medundertecknarens intyg har ett annat")
    renewal = officer.sign(officer.write(renews=new_id()))
    assert said(await officer.hand_in(renewal)).startswith("Det finns ingen förfrågan som kan")
    assert said(await officer.cosign(draft)) == (
        "Ingen medundertecknar sin egen förfrågan: välj en annan."
    )
    world.clock.advance(7 * DAY_MS / 1000)
    for one in (officer, partner):
        await one.log_in()
        await one.take_csrf()
    assert said(await partner.cosign(draft)).startswith("Den gick ut innan båda")


def sent_form(officer: Officer, cells: Sequence[str]) -> str:
    fields = [("csrf", officer.http.headers["X-CSRF"]), ("action", "check")]
    return urlencode([*fields, *(("cell", cell) for cell in cells)])


@pytest.mark.parametrize("has_header", [True, False])
async def test_far_too_many_ticked_cells_are_said_plainly(world: World, has_header: bool) -> None:
    officer = await certified_officer(world)
    sent = sent_form(officer, [f"89{number:013x}" for number in range(200)])
    if not has_header:
        del officer.http.headers["X-CSRF"]
    answer = await officer.http.post("/agency/requests/new", content=sent, headers=FORM)
    assert answer.status_code == 200
    assert "Choose at most 12 cells." in answer.text
