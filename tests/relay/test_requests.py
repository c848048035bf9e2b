"""Evidence requests on the desk: every rule refuses by its name; two officers sign, never one."""

from collections.abc import AsyncIterator

import httpx2
import pytest
from msgspec.structs import replace

from firmware.protocol.encoding import new_id
from firmware.protocol.passkeys import challenge
from firmware.protocol.register.entries import AgencySuspended, Delays, Limits, OfficerRevoked
from firmware.protocol.requests import COSIGN_TAG, REQUEST_TAG
from relay.request.published_requests import find_published
from relay.request.rules import fields_citing_theft_map
from relay.store import requests
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import CELLS, DAY_MS, HOUR_MS, World, open_world

MINUTE_MS = 60 * 1000


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


def partner_of(officer: Officer) -> Officer:
    assert officer.partner is not None
    return officer.partner


def code_of(answer: httpx2.Response) -> str:
    assert not answer.is_success, answer.text
    return str(answer.json()["error"]["code"])


async def refusal(officer: Officer, **changes: object) -> str:
    return code_of(await officer.hand_in(officer.sign(officer.write(**changes))))


async def state_of(world: World, request_id: str) -> str:
    async with world.database.read() as tx:
        row = await requests.find_request(tx, request_id)
    assert row is not None
    published = find_published(await world.register.view(), request_id)
    return row.state if published is None else published.state


# --- the way of one request ---


async def test_a_request_goes_from_one_officer_to_another_to_a_moderator_to_the_register(
    world: World, officer: Officer
) -> None:
    draft = officer.sign(officer.write())
    request_id = id_of(draft)
    assert (await officer.hand_in(draft)).status_code == 201
    assert await state_of(world, request_id) == "waiting"
    assert (await partner_of(officer).cosign(draft)).status_code == 200
    assert await state_of(world, request_id) == "moderation"
    await world.moderation.pass_on(request_id)
    assert await state_of(world, request_id) == "passed"
    assert await world.publishing.publish_due() == [request_id]
    assert await state_of(world, request_id) == "open"
    published = find_published(await world.register.view(), request_id)
    assert published is not None
    assert published.signed.request == draft.request


async def test_nothing_is_in_the_register_before_a_moderator_passed_it(
    world: World, officer: Officer
) -> None:
    before = (await world.register.view()).register.size
    draft = officer.sign(officer.write())
    await officer.hand_in(draft)
    assert await world.publishing.publish_due() == []
    await partner_of(officer).cosign(draft)
    assert await world.publishing.publish_due() == []
    assert (await world.register.view()).register.size == before


async def test_a_request_that_no_witness_has_seen_is_on_its_way_and_shown_to_no_owner(
    world: World, officer: Officer
) -> None:
    world.log.is_away = True
    draft = officer.sign(officer.write())
    await officer.publish(draft)
    assert await state_of(world, id_of(draft)) == "logging"
    assert (await world.browser().get(f"/requests/{id_of(draft)}")).status_code == 404
    world.log.is_away = False
    assert await state_of(world, id_of(draft)) == "open"
    assert (await world.browser().get(f"/requests/{id_of(draft)}")).status_code == 200


async def test_the_same_hand_in_twice_is_the_same_answer(officer: Officer) -> None:
    draft = officer.sign(officer.write())
    first, again = await officer.hand_in(draft), await officer.hand_in(draft)
    assert (again.status_code, again.json()) == (201, first.json())
    partner = partner_of(officer)
    cosigned = partner.cosigned(draft)
    for _ in range(2):
        same = await partner.cosign(
            draft, cosignature=cosigned.cosignature, cosigner=cosigned.cosigner
        )
        assert same.status_code == 200


async def test_another_request_of_the_same_id_is_a_conflict(officer: Officer) -> None:
    request_id = new_id()
    await officer.hand_in(officer.sign(officer.write(id=request_id)))
    other = officer.sign(officer.write(id=request_id, text="Something else."))
    assert (await officer.hand_in(other)).status_code == 409


# --- two officers ---


async def test_only_the_officer_who_is_named_can_co_sign(world: World, officer: Officer) -> None:
    draft = officer.sign(officer.write())
    await officer.hand_in(draft)
    stranger = (await certified_officer(world, "Officer Ek")).partner
    assert stranger is not None
    assert code_of(await stranger.cosign(draft)) == "cosigner"
    assert code_of(await officer.cosign(draft)) == "cosigner"
    assert await state_of(world, id_of(draft)) == "waiting"


async def test_nobody_names_themselves_as_the_second_officer(officer: Officer) -> None:
    themselves = {"cosigner_id": officer.officer_id, "cosigner_name": officer.name}
    assert await refusal(officer, **themselves) == "cosigner"


async def test_the_first_signature_is_none_of_the_second_kind(officer: Officer) -> None:
    draft = officer.sign(officer.write())
    await officer.hand_in(draft)
    partner = partner_of(officer)
    drafted = partner.passkey.sign(challenge(REQUEST_TAG, draft.request.encode()))
    assert code_of(await partner.cosign(draft, cosignature=drafted)) == "register"
    cosigned = officer.passkey.sign(challenge(COSIGN_TAG, draft.request.encode()))
    again = officer.sign(officer.write(), assertion=cosigned)
    assert code_of(await officer.hand_in(again)) == "signature"


async def test_a_draft_that_has_ended_is_not_co_signed(world: World, officer: Officer) -> None:
    draft = officer.sign(officer.write(expires_ms=world.clock.wall_ms() + HOUR_MS))
    await officer.hand_in(draft)
    world.clock.advance(3600)
    assert code_of(await partner_of(officer).cosign(draft)) == "expired"


async def test_either_officer_takes_back_what_is_not_published(
    world: World, officer: Officer
) -> None:
    for who in (officer, partner_of(officer)):
        draft = officer.sign(officer.write(case_number=f"T-{who.name[-4:].upper()}"))
        await officer.hand_in(draft)
        await partner_of(officer).cosign(draft)
        await world.moderation.pass_on(id_of(draft))
        assert (await who.take_back(id_of(draft))).status_code == 200
        assert await world.publishing.publish_due() == []
        assert await state_of(world, id_of(draft)) == "taken_back"


async def test_what_is_published_is_not_taken_back_but_withdrawn(
    world: World, officer: Officer
) -> None:
    request = officer.write()
    await officer.publish(officer.sign(request))
    assert code_of(await officer.take_back(request.id)) == "state"
    assert (await partner_of(officer).withdraw(request)).status_code == 200
    assert await state_of(world, request.id) == "withdrawn"
    assert (await officer.withdraw(request)).status_code == 200  # done is done


async def test_another_agencys_request_is_not_withdrawn(world: World, officer: Officer) -> None:
    request = officer.write()
    await officer.publish(officer.sign(request))
    await world.town.agree("polk", "Polk", cells=CELLS, begins_ms=world.clock.wall_ms())
    other = Officer(world, "Officer Crow", agency="polk")
    await other.register()
    await other.get_certified()
    await other.take_csrf()
    assert code_of(await other.withdraw(request)) == "not_found"
    other.partner = other  # a draft of their own, to have a page of their own
    own = other.write(cosigner_id=officer.officer_id, cosigner_name=officer.name)
    async with world.database.begin() as tx:
        await requests.add_draft(
            tx,
            other.sign(own),
            own,
            account_id=other.officer_id,
            digest=own.digest(),
            now_ms=world.clock.wall_ms(),
        )
    assert code_of(await other.withdraw(request, at=own.id)) == "register"
    lie = await other.withdraw(request, at=own.id, agency="lakeland")
    assert code_of(lie) == "agency"
    assert await state_of(world, request.id) == "open"


# --- renewal and emergency ---


async def test_a_request_is_renewed_once_by_two_officers(world: World, officer: Officer) -> None:
    first = officer.write()
    await officer.publish(officer.sign(first))
    world.clock.advance(3600)
    same = {"case_number": first.case_number, "from_ms": first.from_ms, "to_ms": first.to_ms}
    renewal = officer.write(renews=first.id, **same)
    assert (await officer.publish(officer.sign(renewal))).status_code == 201
    assert await state_of(world, first.id) == "renewed"
    assert await state_of(world, renewal.id) == "open"
    assert await refusal(officer, renews=first.id, **same) == "renewal"
    assert await refusal(officer, renews=renewal.id, **same) == "renewal"


async def test_a_renewal_asks_for_the_same(world: World, officer: Officer) -> None:
    first = officer.write()
    await officer.publish(officer.sign(first))
    assert await refusal(officer, renews=first.id, case_number="OTHER-1") == "renewal"
    assert await refusal(officer, renews=new_id()) == "renewal"


async def test_an_emergency_wants_an_approver_and_there_is_one_at_a_time(
    world: World, officer: Officer
) -> None:
    danger = {"danger": "A child is missing since noon."}
    emergency = officer.write(**danger)
    assert (await officer.publish(officer.sign(emergency))).status_code == 201
    assert await refusal(officer, case_number="E-2", cells=CELLS[1:], **danger) == "emergency"
    partner = partner_of(officer)  # the approver drafts, and an officer is to co-sign
    assert await refusal(partner, case_number="E-3", cells=CELLS[1:], **danger) == "emergency"
    long_ms = world.clock.wall_ms() - 3 * HOUR_MS
    assert await refusal(officer, from_ms=long_ms, case_number="E-4", **danger) == "emergency"


# --- each rule ---


async def test_an_assertion_over_something_else_is_refused(officer: Officer) -> None:
    request = officer.write()
    login = officer.passkey.sign(challenge(b"some/other/tag", request.encode()))
    answer = await officer.hand_in(officer.sign(request, assertion=login))
    assert code_of(answer) == "signature"


async def test_a_text_that_is_not_canonical_is_refused(officer: Officer) -> None:
    draft = officer.sign(officer.write())
    loose = replace(draft, request=draft.request.replace('":', '": '))
    assert code_of(await officer.hand_in(loose)) == "form"


async def test_a_certificate_that_is_not_the_officers_own_is_refused(
    world: World, officer: Officer
) -> None:
    draft = officer.sign(officer.write(), officer=partner_of(officer).certificate)
    assert code_of(await officer.hand_in(draft)) == "officer"
    stranger = Officer(world)
    await stranger.register()
    await stranger.take_csrf()
    stranger.partner = partner_of(officer)
    stranger.certificate = stranger.certify()  # signed, but in no register
    assert await refusal(stranger) == "officer"


async def test_a_certificate_that_has_ended_is_refused(world: World, officer: Officer) -> None:
    world.clock.advance(31 * 24 * 3600)
    await officer.log_in()
    await officer.take_csrf()
    assert await refusal(officer) == "officer"


async def test_another_officers_name_is_refused(officer: Officer) -> None:
    assert await refusal(officer, officer_id=new_id()) == "agency"
    assert await refusal(officer, officer_name="Chief Wiggum") == "officer"
    assert await refusal(officer, cosigner_name="Chief Wiggum") == "cosigner"
    assert await refusal(officer, cosigner_id=new_id()) == "cosigner"


@pytest.mark.parametrize(
    ("minutes", "reason", "is_allowed"),
    [
        (14, "", False),
        (15, "", True),
        (120, "", True),
        (121, "", False),
        (121, "The shop closed at six and opened at nine.", True),
        (720, "It was found in the morning.", True),
        (721, "It was found in the morning.", False),
    ],
)
async def test_the_window_is_15_minutes_to_12_hours_and_a_long_one_has_a_reason(
    world: World, officer: Officer, minutes: int, reason: str, is_allowed: bool
) -> None:
    from_ms = world.clock.wall_ms() - 20 * HOUR_MS
    to_ms = from_ms + minutes * MINUTE_MS
    request = officer.write(from_ms=from_ms, to_ms=to_ms, reason=reason)
    assert (await officer.hand_in(officer.sign(request))).is_success is is_allowed


async def test_the_window_is_over_and_within_30_days(world: World, officer: Officer) -> None:
    now_ms = world.clock.wall_ms()
    assert await refusal(officer, from_ms=now_ms - HOUR_MS, to_ms=now_ms + 1) == "future"
    old_ms = now_ms - 30 * DAY_MS - 1
    assert await refusal(officer, from_ms=old_ms, to_ms=old_ms + HOUR_MS) == "age"


async def test_every_place_is_inside_the_jurisdiction(officer: Officer) -> None:
    assert await refusal(officer, cells=[CELLS[0], "89283082873ffff"]) == "area"
    assert await refusal(officer, cells=[CELLS[0], CELLS[0]]) == "area"


async def test_cells_with_few_addresses_are_asked_for_together(
    world: World, officer: Officer
) -> None:
    now_ms = world.clock.wall_ms()
    await world.town.agree("lakeland", "Lakeland", cells=CELLS, begins_ms=now_ms, merged=[CELLS])
    assert await refusal(officer, cells=CELLS[:1]) == "area"
    assert (await officer.hand_in(officer.sign(officer.write(cells=CELLS)))).is_success


async def test_a_request_stands_for_7_days_at_most(world: World, officer: Officer) -> None:
    now_ms = world.clock.wall_ms()
    assert await refusal(officer, expires_ms=now_ms + 7 * DAY_MS + 1) == "life"
    assert await refusal(officer, created_ms=now_ms - 11 * MINUTE_MS) == "created"


async def test_no_request_after_the_agreement_nor_of_a_suspended_agency(
    world: World, officer: Officer
) -> None:
    draft = officer.sign(officer.write())
    await world.town.change(AgencySuspended(agency="lakeland"), world.town.admins[0])
    assert code_of(await officer.hand_in(draft)) == "agreement"
    now_ms = world.clock.wall_ms()
    await world.town.agree(
        "lakeland", "Lakeland", cells=CELLS, begins_ms=now_ms, ends_ms=now_ms + HOUR_MS
    )
    assert (await officer.hand_in(draft)).status_code == 201
    world.clock.advance(3600)
    assert await refusal(officer) == "agreement"


async def test_a_lapse_suspends_what_was_published_until_a_new_agreement_counts(
    world: World, officer: Officer
) -> None:
    request = officer.write()
    await officer.publish(officer.sign(request))

    async def stands(state: str) -> bool:
        found = find_published(await world.register.view(), request.id)
        page = (await officer.http.get(f"/agency/requests/{request.id}")).text
        return found is not None and found.state == state and f'data-state="{state}"' in page

    assert await stands("open")
    await world.town.change(AgencySuspended(agency="lakeland"), world.town.admins[0])
    # Seen to fail with _has_standing taken out of relay/request/published_requests.py.
    assert await stands("suspended")
    await world.town.agree("lakeland", "Lakeland", cells=CELLS, begins_ms=world.clock.wall_ms())
    assert await stands("open")
    gone = OfficerRevoked(agency="lakeland", officer_id=request.cosigner_id)
    await world.town.change(gone, world.town.admins[0])
    assert await stands("suspended")


async def test_two_requests_a_case_and_five_an_officer(world: World, officer: Officer) -> None:
    for case in ("A-1", "A-1", "A-2", "A-2"):
        assert (await officer.publish(officer.sign(officer.write(case_number=case)))).is_success
    assert await refusal(officer, case_number="A-1") == "case_limit"
    assert (await officer.publish(officer.sign(officer.write(case_number="A-3")))).is_success
    assert await refusal(officer, case_number="A-4") == "open_limit"


async def test_the_same_place_is_asked_about_once_a_day(tmp_path) -> None:
    async with open_world(tmp_path, limits=Limits()) as world:
        officer = await certified_officer(world)
        await officer.publish(officer.sign(officer.write()))
        assert await refusal(officer, case_number="OTHER-1") == "area_quiet"
        elsewhere = officer.write(case_number="OTHER-1", cells=CELLS[1:])
        assert (await officer.hand_in(officer.sign(elsewhere))).is_success


# --- the session ---


async def test_handing_in_wants_a_session_and_its_csrf_token(officer: Officer) -> None:
    draft = officer.sign(officer.write())
    officer.http.headers["X-CSRF"] = "guessed"
    assert (await officer.hand_in(draft)).status_code == 403
    officer.http.cookies.clear()
    assert (await officer.hand_in(draft)).status_code == 401


async def test_a_page_of_another_site_cannot_hand_in(officer: Officer) -> None:
    officer.http.headers["Origin"] = "http://evil.test"
    assert (await officer.hand_in(officer.sign(officer.write()))).status_code == 403


async def test_an_expired_request_says_so(world: World, officer: Officer) -> None:
    request = officer.write()
    await officer.publish(officer.sign(request))
    world.clock.advance(8 * 24 * 3600)
    assert await state_of(world, request.id) == "expired"


async def test_before_an_agreement_has_been_public_for_a_week_nothing_is_open(tmp_path) -> None:
    async with open_world(tmp_path, name="testtown", delays=Delays()) as world:
        officer = Officer(world)
        await officer.register()
        page = (await officer.http.get("/agency")).text
        assert 'id="agreement-state" data-state="waiting"' in page
        assert (await officer.http.get("/agency/requests")).status_code == 403
        world.clock.advance(7 * 24 * 3600)
        await officer.log_in()
        # Seen to fail with is_before_first_day taken out of require_officer.
        assert (await officer.http.get("/agency/requests")).status_code == 200


async def test_a_new_certificate_counts_after_three_days_and_the_page_says_when(tmp_path) -> None:
    async with open_world(tmp_path, name="testtown", delays=Delays()) as world:
        world.clock.advance(8 * 24 * 3600)
        officer = await certified_officer(world)
        page = (await officer.http.get("/agency")).text
        assert 'id="no-certificate"' in page
        assert 'data-state="waiting"' in page
        counts_ms = world.clock.wall_ms() + 3 * DAY_MS
        assert f'data-ms="{counts_ms}"' in page
        assert await refusal(officer) == "officer"
        world.clock.advance(3 * 24 * 3600)
        await officer.log_in()
        await officer.take_csrf()
        assert (await officer.hand_in(officer.sign(officer.write()))).status_code == 201


@pytest.mark.parametrize(
    "words",
    [
        "The theft map shows that parcels go here.",
        "See THEFT-MAP of November.",
        "According to the map of thefts.",
        "Enligt stöldkartan tas många paket här.",
        "the  theft\nmap",
    ],
)
@pytest.mark.parametrize("field", ["text", "reason", "danger"])
async def test_a_request_that_cites_the_theft_map_is_refused(
    officer: Officer, words: str, field: str
) -> None:
    """Seen to be taken without `check_grounds`."""
    request = officer.write(**{field: words})
    assert fields_citing_theft_map(request) == [field]
    if field == "text":
        assert await refusal(officer, text=words) == "grounds"


async def test_a_theft_and_a_map_are_no_theft_map(officer: Officer) -> None:
    text = "A theft of a parcel; the area on the map is where the van stood."
    assert fields_citing_theft_map(officer.write(text=text)) == []
