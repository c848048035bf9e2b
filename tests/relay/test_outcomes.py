"""Outcomes at the relay: who files what, when, once; and what an agency may not do until then."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from firmware.protocol.custody import OutcomeLeaf
from firmware.protocol.outcomes import FILE_WITHIN_MS, Outcome, OutcomeKind, SignedOutcome
from firmware.protocol.requests import EvidenceRequest, OfficerRole
from tests.fakes.outcomes import sign_outcome
from tests.fakes.record import recorded
from tests.relay.evidence_packages import deliver_package
from tests.relay.http_people import Officer, certified_officer, id_of, officer_elsewhere
from tests.relay.http_world import DAY_MS, World, open_world

SECRET = "Another camera showed more."


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


def partner_of(officer: Officer) -> Officer:
    assert officer.partner is not None
    return officer.partner


async def certified(world: World, role: OfficerRole) -> Officer:
    one = Officer(world, f"The {role}")
    await one.register()
    await one.get_certified(role=role)
    await one.take_csrf()
    return one


async def wind(world: World, *officers: Officer, ms: float) -> None:
    """Let time pass; then the officers sign in anew, with new certificates of the same role."""
    world.clock.advance(ms / 1000)
    for one in officers:
        assert one.certificate is not None
        role = json.loads(one.certificate.certificate)["role"]
        await one.get_certified(role=role)
        await one.log_in()
        await one.take_csrf()


async def ask(officer: Officer, **changes: object) -> EvidenceRequest:
    """Publish a request."""
    request = officer.write(**changes)
    answer = await officer.publish(officer.sign(request))
    assert answer.is_success, answer.text
    return request


def signed_by(
    officer: Officer,
    request: EvidenceRequest,
    outcome: OutcomeKind = "not_used",
    *,
    is_resolved: bool = False,
    **changes: object,
) -> SignedOutcome:
    fields = {
        "request_digest": request.digest(),
        "agency": officer.agency,
        "officer_id": officer.officer_id,
        "outcome": outcome,
        "is_resolved": is_resolved,
    }
    told = Outcome(**(fields | changes))  # type: ignore[arg-type]
    assert officer.certificate is not None
    return sign_outcome(told, officer.passkey, officer.certificate)


async def send(
    officer: Officer, request: EvidenceRequest, signed: SignedOutcome, private_text: str = ""
) -> httpx2.Response:
    return await officer.http.post(
        f"/agency/requests/{request.id}/outcome",
        json={"signed": json.loads(signed.encode()), "private_text": private_text},
    )


async def file(
    officer: Officer, request: EvidenceRequest, outcome: OutcomeKind = "not_used"
) -> httpx2.Response:
    return await send(officer, request, signed_by(officer, request, outcome))


async def logged(world: World) -> list[SignedOutcome]:
    entries = await recorded(world.database)
    return [one.signed for one in entries if isinstance(one, OutcomeLeaf)]


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_what_is_filed_is_logged_and_the_text_beside_it_stays_with_the_agency(
    world: World, officer: Officer
) -> None:
    request = await ask(officer)
    await wind(world, officer, ms=8 * DAY_MS)
    signed = signed_by(officer, request)
    assert (await send(officer, request, signed, SECRET)).status_code == 201
    assert await logged(world) == [signed]
    page = f"/agency/requests/{request.id}/outcome"
    colleague = await certified(world, "records")
    assert SECRET in (await colleague.http.get(page)).text
    stranger = await officer_elsewhere(world)
    assert (await stranger.http.get(page)).status_code == 404
    everything = "".join([str(one) for one in await recorded(world.database)])
    assert SECRET not in everything
    for path in ("/requests", f"/requests/{request.id}", "/agencies/lakeland", "/"):
        assert SECRET not in (await world.browser().get(path)).text


async def test_an_agency_that_owes_an_outcome_asks_for_nothing_new(
    world: World, officer: Officer
) -> None:
    """Seen to be taken without `require_outcomes` in `Desk.draft`."""
    request = await ask(officer)
    await wind(world, officer, partner_of(officer), ms=7 * DAY_MS + FILE_WITHIN_MS)
    assert (await officer.hand_in(officer.sign(officer.write()))).is_success  # to the millisecond
    world.clock.advance(1)
    again = officer.sign(officer.write(case_number="K-2"))
    refused = await officer.hand_in(again)
    assert code_of(refused) == (422, "outcome_due")
    assert f"{request.case_number} ({request.id})" in refused.json()["error"]["message"]
    colleague = await certified(world, "approver")  # it is the agency that owes
    colleague.partner = officer
    theirs = colleague.sign(colleague.write(case_number="K-3"))
    assert code_of(await colleague.hand_in(theirs)) == (422, "outcome_due")
    stranger = await officer_elsewhere(world)
    stranger.partner = stranger
    elsewhere = await stranger.hand_in(stranger.sign(stranger.write(cells=[])))
    assert code_of(elsewhere)[1] != "outcome_due"
    assert (await file(officer, request)).status_code == 201
    assert (await officer.hand_in(again)).is_success


async def test_nor_is_what_waits_co_signed_while_one_is_owed(
    world: World, officer: Officer
) -> None:
    """Seen to be co-signed, and published, without `require_outcomes` in `Desk.cosign`."""
    await ask(officer)
    partner = partner_of(officer)
    await wind(world, officer, partner, ms=7 * DAY_MS + FILE_WITHIN_MS)
    waiting = officer.sign(officer.write(case_number="K-2"))
    assert (await officer.hand_in(waiting)).is_success
    world.clock.advance(1)
    assert code_of(await partner.cosign(waiting)) == (422, "outcome_due")


async def test_what_is_over_and_told_is_not_renewed_any_more(
    world: World, officer: Officer
) -> None:
    """Seen to be published without `_require_no_outcome`: a request then had two outcomes."""
    ends_ms = world.clock.wall_ms() + DAY_MS
    first = await ask(officer, expires_ms=ends_ms)
    world.clock.advance(3600)
    renewal = officer.write(renews=first.id, from_ms=first.from_ms, to_ms=first.to_ms)
    draft = officer.sign(renewal)
    assert (await officer.hand_in(draft)).is_success
    assert (await partner_of(officer).cosign(draft)).is_success
    await wind(world, officer, ms=DAY_MS)
    assert (await file(officer, first)).status_code == 201
    await world.moderation.pass_on(renewal.id)
    assert await world.publishing.publish_due() == []
    row = await world.request_service.find_row("lakeland", renewal.id)
    assert row is not None
    assert (row.state, row.why) == ("void", "state.outcome")


async def test_a_request_and_its_renewal_want_one_outcome(world: World, officer: Officer) -> None:
    first = await ask(officer)
    world.clock.advance(3600)
    renewal = await ask(officer, renews=first.id, from_ms=first.from_ms, to_ms=first.to_ms)
    await wind(world, officer, ms=9 * DAY_MS)
    assert (await file(officer, first)).status_code == 404
    assert (await officer.http.get(f"/agency/requests/{first.id}/outcome")).status_code == 404
    assert (await file(officer, renewal)).status_code == 201
    await wind(world, officer, partner_of(officer), ms=60 * DAY_MS)
    assert (await officer.hand_in(officer.sign(officer.write(case_number="K-2")))).is_success


async def test_an_open_request_has_no_outcome_until_it_is_closed_as_resolved(
    world: World, officer: Officer
) -> None:
    request = await ask(officer)
    assert code_of(await file(officer, request)) == (409, "state")
    resolved = signed_by(officer, request, is_resolved=True)
    assert code_of(await send(officer, request, resolved)) == (409, "state")
    assert (await officer.withdraw(request)).is_success
    assert (await send(officer, request, resolved)).status_code == 201
    page = (await officer.http.get(f"/agency/requests/{request.id}/outcome")).text
    assert "the case was solved" in page


async def test_a_request_that_ended_by_itself_was_not_closed_as_resolved(
    world: World, officer: Officer
) -> None:
    request = await ask(officer)
    await wind(world, officer, ms=8 * DAY_MS)
    resolved = signed_by(officer, request, is_resolved=True)
    assert code_of(await send(officer, request, resolved)) == (409, "state")
    assert (await officer.withdraw(request)).is_success  # too late to be the reason of its end
    assert code_of(await send(officer, request, resolved)) == (409, "state")
    page = (await officer.http.get(f"/agency/requests/{request.id}/outcome")).text
    assert 'name="is_resolved"' not in page


async def test_only_what_was_downloaded_was_used(world: World, officer: Officer) -> None:
    request = await ask(officer)
    package_id = await deliver_package(world, request.id)
    await wind(world, officer, ms=8 * DAY_MS)
    assert code_of(await file(officer, request, "used")) == (409, "state")
    page = f"/agency/requests/{request.id}/outcome"
    assert 'value="used" required disabled' in (await officer.http.get(page)).text
    assert (await officer.http.post(f"/agency/evidence/{package_id}/download")).is_success
    assert 'value="used" required disabled' not in (await officer.http.get(page)).text
    assert (await file(officer, request, "used")).status_code == 201


async def test_the_same_word_again_is_the_same_answer_and_another_comes_too_late(
    world: World, officer: Officer
) -> None:
    request = await ask(officer)
    await deliver_package(world, request.id, download_by=officer)
    await wind(world, officer, ms=8 * DAY_MS)
    assert (await file(officer, request)).status_code == 201
    assert (await file(officer, request)).status_code == 201
    assert code_of(await file(officer, request, "used")) == (409, "state")
    assert len(await logged(world)) == 1


async def test_two_officers_who_file_at_once_get_one_outcome(
    world: World, officer: Officer
) -> None:
    request = await ask(officer)
    await deliver_package(world, request.id, download_by=officer)
    await wind(world, officer, ms=8 * DAY_MS)
    partner = partner_of(officer)
    await wind(world, partner, ms=0)
    answers = await asyncio.gather(file(officer, request, "used"), file(partner, request))
    assert sorted(one.status_code for one in answers) == [201, 409]
    assert len(await logged(world)) == 1


@pytest.mark.parametrize(
    ("role", "status"), [("officer", 201), ("approver", 201), ("records", 201), ("admin", 403)]
)
async def test_which_roles_file(
    world: World, officer: Officer, role: OfficerRole, status: int
) -> None:
    request = await ask(officer)
    await wind(world, officer, ms=8 * DAY_MS)
    one = await certified(world, role)
    assert (await file(one, request)).status_code == status
    expected = 200 if status == 201 else 403
    for page in ("/agency/outcomes", f"/agency/requests/{request.id}/outcome"):
        assert (await one.http.get(page)).status_code == expected


async def test_nobody_files_for_another(world: World, officer: Officer) -> None:
    """The forged one was seen to be filed without `check_outcome` in `_check_signature`."""
    request = await ask(officer)
    await wind(world, officer, ms=8 * DAY_MS)
    partner, stranger = partner_of(officer), await officer_elsewhere(world)
    theirs = signed_by(partner, request)
    assert code_of(await send(officer, request, theirs)) == (422, "agency")
    foreign = signed_by(stranger, request)
    assert (await send(stranger, request, foreign)).status_code == 404
    assert code_of(await send(officer, request, foreign)) == (422, "agency")
    mine = signed_by(officer, request)
    forged = SignedOutcome(outcome=mine.outcome, assertion=theirs.assertion, officer=mine.officer)
    assert code_of(await send(officer, request, forged)) == (422, "signature")
    other_paper = SignedOutcome(
        outcome=mine.outcome, assertion=theirs.assertion, officer=theirs.officer
    )
    assert code_of(await send(officer, request, other_paper)) == (422, "officer")
    nobody = world.browser("http://relay.test")
    body = {"signed": json.loads(mine.encode()), "private_text": ""}
    path = f"/agency/requests/{request.id}/outcome"
    assert (await nobody.post(path, json=body)).status_code == 401
    without_token = await officer.http.post(path, json=body, headers={"X-CSRF": "x"})
    assert without_token.status_code == 403
    assert await logged(world) == []


@pytest.mark.parametrize("text", ["x" * 2001, "turned\u202e"])
async def test_a_text_that_is_too_long_or_turns_others_is_refused(
    world: World, officer: Officer, text: str
) -> None:
    request = await ask(officer)
    await wind(world, officer, ms=8 * DAY_MS)
    answer = await send(officer, request, signed_by(officer, request), text)
    assert answer.status_code == 422
    assert await logged(world) == []


async def test_who_has_another_role_signs_no_request(world: World, officer: Officer) -> None:
    """The desk says so before the register would."""
    clerk = await certified(world, "records")
    clerk.partner = officer.partner
    assert (await clerk.hand_in(clerk.sign(clerk.write()))).status_code == 403
    draft = officer.sign(officer.write(cosigner_id=clerk.officer_id, cosigner_name=clerk.name))
    assert code_of(await officer.hand_in(draft)) == (422, "cosigner")
    asked = officer.sign(officer.write())
    await officer.hand_in(asked)
    assert (await clerk.cosign(asked)).status_code == 403
    page = (await officer.http.get("/agency/requests/new")).text
    assert clerk.name not in page
    assert id_of(asked)


async def test_a_thousand_outcomes_are_shown_a_page_at_a_time(
    world: World, officer: Officer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.web.agency.outcomes.REQUESTS_A_PAGE", 2)
    for number in range(3):
        await ask(officer, case_number=f"K-{number}")
        await wind(world, officer, partner_of(officer), ms=8 * DAY_MS)
    first, second, beyond = [
        (await officer.http.get(f"/agency/outcomes?page={page}")).text for page in ("1", "2", "99")
    ]
    assert "K-0" in first
    assert "K-2" not in first
    assert "K-2" in second
    assert beyond.rstrip() == second.rstrip().replace("page=2&amp;lang", "page=99&amp;lang")
    for nonsense in ("0", "-1", "x", "9" * 40, "²"):
        answer = await officer.http.get(f"/agency/outcomes?page={nonsense}")
        assert answer.status_code == 200
