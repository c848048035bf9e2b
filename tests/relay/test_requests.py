"""Publishing evidence requests: every rule refuses by its name, and doorbells are told."""

from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from firmware.protocol.commands import RequestPublished
from firmware.protocol.encoding import new_id
from firmware.protocol.passkeys import challenge
from relay.agency.register import add_agency
from relay.notify.hub import RequestAppeared
from tests.relay.http_people import Officer, certified_officer
from tests.relay.http_world import CELLS, DAY_MS, HOUR_MS, World, open_world

MINUTE_MS = 60 * 1000


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


async def refusal(officer: Officer, **changes: object) -> str:
    answer = await officer.publish(officer.sign(officer.write(**changes)))
    assert not answer.is_success, answer.text
    return str(answer.json()["error"]["code"])


async def test_a_request_is_published_to_every_doorbell(world: World, officer: Officer) -> None:
    devices = [await world.enrol(), await world.enrol()]
    signed = officer.sign(officer.write())
    with world.hub.listen() as listener:
        answer = await officer.publish(signed)
        assert answer.status_code == 201, answer.text
        assert await listener.next(1) == RequestAppeared(request_id=answer.json()["id"])
    for device in devices:
        assert await world.told(device) == [RequestPublished(signed=signed)]


async def test_a_doorbell_that_enrols_later_hears_of_what_still_stands(
    world: World, officer: Officer
) -> None:
    standing = officer.sign(officer.write())
    assert (await officer.publish(standing)).status_code == 201
    device = await world.enrol()
    await world.publishing.catch_up(device)
    assert await world.told(device) == [RequestPublished(signed=standing)]


async def test_the_same_request_twice_is_the_same_answer(world: World, officer: Officer) -> None:
    device = await world.enrol()
    signed = officer.sign(officer.write())
    first, again = await officer.publish(signed), await officer.publish(signed)
    assert (again.status_code, again.json()) == (201, first.json())
    assert len(await world.told(device)) == 1


async def test_another_request_of_the_same_id_is_a_conflict(officer: Officer) -> None:
    request_id = new_id()
    await officer.publish(officer.sign(officer.write(id=request_id)))
    other = officer.sign(officer.write(id=request_id, text="Something else."))
    assert (await officer.publish(other)).status_code == 409


async def test_an_assertion_over_something_else_is_refused(officer: Officer) -> None:
    request = officer.write()
    login = officer.passkey.sign(challenge(b"some/other/tag", request.encode()))
    answer = await officer.publish(officer.sign(request, assertion=login))
    assert answer.json()["error"]["code"] == "signature"


async def test_a_text_that_is_not_canonical_is_refused(officer: Officer) -> None:
    signed = officer.sign(officer.write())
    loose = replace(signed, request=signed.request.replace('":', '": '))
    assert (await officer.publish(loose)).json()["error"]["code"] == "form"


async def test_a_certificate_by_another_agency_is_refused(world: World, officer: Officer) -> None:
    stranger = Officer(world)
    await stranger.register()
    stranger.passkey = officer.passkey
    signed = officer.sign(officer.write(), officer=stranger.certify())
    assert (await officer.publish(signed)).json()["error"]["code"] == "officer"


async def test_a_certificate_that_has_ended_is_refused(world: World, officer: Officer) -> None:
    world.clock.advance(31 * 24 * 3600)
    await officer.http.post("/agency/logout")
    begun = (await officer.http.post("/agency/login/options", json={})).json()
    body = {"session": begun["session"], "credential": officer.passkey.log_in(begun["options"])}
    await officer.http.post("/agency/login/verify", json=body)
    await officer.take_csrf()
    assert await refusal(officer) == "officer"


async def test_another_officers_name_is_refused(officer: Officer) -> None:
    assert await refusal(officer, officer_id=new_id()) == "agency"
    assert await refusal(officer, officer_name="Chief Wiggum") == "officer"


@pytest.mark.parametrize(
    ("minutes", "is_allowed"), [(14, False), (15, True), (720, True), (721, False)]
)
async def test_the_window_is_15_minutes_to_12_hours(
    world: World, officer: Officer, minutes: int, is_allowed: bool
) -> None:
    from_ms = world.clock.wall_ms() - 20 * HOUR_MS
    request = officer.write(from_ms=from_ms, to_ms=from_ms + minutes * MINUTE_MS)
    assert (await officer.publish(officer.sign(request))).is_success is is_allowed


async def test_the_window_is_over_and_within_30_days(world: World, officer: Officer) -> None:
    now_ms = world.clock.wall_ms()
    assert await refusal(officer, from_ms=now_ms - HOUR_MS, to_ms=now_ms + 1) == "future"
    old_ms = now_ms - 30 * DAY_MS - 1
    assert await refusal(officer, from_ms=old_ms, to_ms=old_ms + HOUR_MS) == "age"


async def test_every_place_is_inside_the_jurisdiction(officer: Officer) -> None:
    assert await refusal(officer, cells=[CELLS[0], "89283082873ffff"]) == "area"
    assert await refusal(officer, cells=[CELLS[0], CELLS[0]]) == "area"


async def test_a_request_stands_for_7_days_at_most(world: World, officer: Officer) -> None:
    now_ms = world.clock.wall_ms()
    assert await refusal(officer, expires_ms=now_ms + 7 * DAY_MS + 1) == "expiry"
    assert await refusal(officer, created_ms=now_ms - 11 * MINUTE_MS) == "created"


async def test_no_request_after_the_agreement(world: World, officer: Officer) -> None:
    world.clock.advance(11 * 3600)
    request = officer.write()
    async with world.database.begin() as tx:
        await add_agency(tx, replace(world.agency, agreement_until_ms=world.clock.wall_ms()))
    answer = await officer.publish(officer.sign(request))
    assert answer.json()["error"]["code"] == "agreement"


async def test_two_requests_a_case_and_five_an_officer(officer: Officer) -> None:
    for case in ("A-1", "A-1", "A-2", "A-2"):
        assert (await officer.publish(officer.sign(officer.write(case_number=case)))).is_success
    assert await refusal(officer, case_number="A-1") == "case_limit"
    assert (await officer.publish(officer.sign(officer.write(case_number="A-3")))).is_success
    assert await refusal(officer, case_number="A-4") == "open_limit"


async def test_publishing_wants_a_session_and_its_csrf_token(
    world: World, officer: Officer
) -> None:
    signed = officer.sign(officer.write())
    officer.http.headers["X-CSRF"] = "guessed"
    assert (await officer.publish(signed)).status_code == 403
    officer.http.cookies.clear()
    assert (await officer.publish(signed)).status_code == 401


async def test_a_page_of_another_site_cannot_publish(officer: Officer) -> None:
    officer.http.headers["Origin"] = "http://evil.test"
    assert (await officer.publish(officer.sign(officer.write()))).status_code == 403


async def test_an_expired_request_says_so(world: World, officer: Officer) -> None:
    request_id = (await officer.publish(officer.sign(officer.write()))).json()["id"]
    world.clock.advance(8 * 24 * 3600)
    published = await world.publishing.find(request_id)
    assert published is not None
    assert published.state == "expired"


async def test_a_certificate_needs_the_agencys_signature(world: World) -> None:
    officer = Officer(world)
    await officer.register()
    good = officer.certify()
    url = f"/agency/officers/{officer.officer_id}/certificate"
    forged = {"certificate": good.certificate.replace("Berg", "Borg"), "signature": good.signature}
    assert (await officer.http.post(url, json=forged)).status_code == 403
    assert (await officer.get_certified()).status_code == 201
    state = (await officer.http.get(f"/agency/officers/{officer.officer_id}")).json()
    assert state["certificate"] == "valid"
