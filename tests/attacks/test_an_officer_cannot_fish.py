"""One officer, however ill-willed, gets no request out: too wide, too often, or alone (R1–R4, R15).

The officer here has a session, a certified passkey and the agency's pages, and writes what they
never would. The last tests let the relay help: then the register itself keeps it out.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from firmware.protocol.encoding import new_id
from firmware.protocol.passkeys import challenge
from firmware.protocol.register.entries import (
    Delays,
    Limits,
    LimitsChanged,
    OfficerRevoked,
    RequestLeaf,
)
from firmware.protocol.requests import COSIGN_TAG, SignedRequest
from relay.request.rules import parse_text
from relay.request.service import MAX_PENDING
from relay.store import requests
from relay.store.requests import Draft
from tests.relay.http_people import Officer, certified_officer, id_of
from tests.relay.http_world import CELLS, DAY_MS, HOUR_MS, World, open_world

MINUTE_MS = 60 * 1000
DANGER = "Somebody may be hurt."


@pytest.fixture
async def world(tmp_path) -> AsyncIterator[World]:
    async with open_world(tmp_path, limits=Limits()) as world:
        yield world


@pytest.fixture
async def officer(world: World) -> Officer:
    return await certified_officer(world)


def partner_of(officer: Officer) -> Officer:
    assert officer.partner is not None
    return officer.partner


async def published(world: World) -> int:
    return len((await world.register.view()).register.requests)


def signed_by_both(officer: Officer, **changes: Any) -> SignedRequest:
    """Return what two corrupt officers sign, past every page."""
    partner = partner_of(officer)
    draft = officer.sign(officer.write(**changes))
    cosigned = partner.cosigned(draft)
    assert officer.certificate is not None
    assert partner.certificate is not None
    return SignedRequest(
        request=draft.request,
        assertion=draft.assertion,
        officer=draft.officer,
        cosignature=cosigned.cosignature,
        cosigner=cosigned.cosigner,
    )


# --- alone ---


async def test_an_officer_publishes_nothing_alone(world: World, officer: Officer) -> None:
    draft = officer.sign(officer.write())
    await officer.hand_in(draft)
    mine = {
        "cosignature": officer.passkey.sign(challenge(COSIGN_TAG, draft.request.encode())),
        "cosigner": officer.certificate,
    }
    partner = partner_of(officer)
    for path, content in (
        ("cosign", officer.cosigned(draft).encode()),
        ("cosign", officer.cosigned(draft, cosigner=partner.certificate).encode()),
        ("cosign", officer.cosigned(draft, **mine).encode()),
    ):
        answer = await officer.http.post(
            f"/agency/requests/{id_of(draft)}/{path}",
            content=b'{"cosigned":' + content + b"}",
            headers={"Content-Type": "application/json"},
        )
        assert not answer.is_success
    assert await world.moderation.list() == []
    assert await published(world) == 0


async def test_a_second_passkey_of_the_same_officer_is_no_second_officer(
    world: World, officer: Officer
) -> None:
    twin = Officer(world, officer.name)  # the same person joined twice, under one name
    await twin.register()
    twin.passkey = officer.passkey
    twin.certificate = twin.certify()
    refused = await twin.http.post(
        f"/agency/officers/{twin.officer_id}/certificate",
        content=twin.certificate.encode(),
        headers={"Content-Type": "application/json"},
    )
    assert refused.json()["error"]["code"] == "certificate"
    names = {"cosigner_id": officer.officer_id, "cosigner_name": officer.name}
    answer = await officer.hand_in(officer.sign(officer.write(**names)))
    assert answer.json()["error"]["code"] == "cosigner"


async def test_a_stolen_session_without_the_passkey_signs_nothing(
    world: World, officer: Officer
) -> None:
    thief = Officer(world, officer.name)
    thief.officer_id, thief.certificate = officer.officer_id, officer.certificate
    thief.partner, thief.http = officer.partner, officer.http  # cookie and CSRF token, too
    answer = await thief.hand_in(thief.sign(thief.write()))
    assert answer.json()["error"]["code"] == "signature"
    request = officer.write()
    await officer.publish(officer.sign(request))
    assert not (await thief.withdraw(request)).is_success


async def test_the_second_officer_signs_what_was_handed_in_and_nothing_else(
    world: World, officer: Officer
) -> None:
    shown = officer.sign(officer.write(text="A bicycle was taken."))
    await officer.hand_in(shown)
    wider = officer.write(id=id_of(shown), text="Everybody who came by.", cells=CELLS)
    await officer.hand_in(officer.sign(wider))  # the same id once more: a conflict
    assert (await partner_of(officer).cosign(shown)).is_success
    (row,) = await world.moderation.list()
    assert row.request.text == "A bicycle was taken."


async def test_a_co_signature_for_one_request_is_none_for_another(
    world: World, officer: Officer
) -> None:
    partner = partner_of(officer)
    harmless = officer.sign(officer.write())
    harmful = officer.sign(officer.write(text="Who met whom?", cells=CELLS))
    await officer.hand_in(harmful)
    got = partner.cosigned(harmless).cosignature
    answer = await partner.cosign(harmful, cosignature=got)
    assert answer.json()["error"]["code"] == "register"
    assert await published(world) == 0


# --- too wide, too long, too often ---


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("window", {"hours": 13, "reason": "It was a long night."}),
        ("reason", {"hours": 3}),
        ("form", {"hours": 3, "reason": "  \n "}),
        ("emergency", {"hours": 3, "danger": DANGER, "reason": "It was a long night."}),
        ("age", {"days_back": 31}),
        ("future", {"days_back": -1}),
        ("area", {"cells": ["8928308281fffff"]}),
        ("area", {"cells": [CELLS[0], CELLS[0]]}),
        ("life", {"days": 8}),
        ("created", {"created_back_ms": 11 * MINUTE_MS}),
    ],
)
async def test_what_is_too_wide_or_too_long_is_refused_by_its_rule(
    world: World, officer: Officer, code: str, changes: dict[str, Any]
) -> None:
    now_ms = world.clock.wall_ms()
    fields = dict(changes)
    days_back = fields.pop("days_back", 0)
    hours = fields.pop("hours", 1)
    created_ms = now_ms - fields.pop("created_back_ms", 0)
    to_ms = now_ms - days_back * DAY_MS
    answer = await officer.hand_in(
        officer.sign(
            officer.write(
                from_ms=to_ms - hours * HOUR_MS,
                to_ms=to_ms,
                created_ms=created_ms,
                expires_ms=created_ms + fields.pop("days", 7) * DAY_MS,
                **fields,
            )
        )
    )
    assert answer.json()["error"]["code"] == code


async def test_more_than_twelve_cells_are_no_request_at_all(officer: Officer) -> None:
    draft = officer.sign(officer.write(cells=[f"8928308280{n:x}ffff" for n in range(13)]))
    assert (await officer.hand_in(draft)).status_code == 422


async def test_the_same_place_is_not_asked_about_again_by_a_colleague_or_under_another_case(
    world: World, officer: Officer
) -> None:
    assert (await officer.publish(officer.sign(officer.write()))).is_success
    partner = partner_of(officer)
    for who in (officer, partner):
        # Differencing: the same place with a neighbour, to find out who answered before.
        draft = who.sign(who.write(case_number="OTHER-9", cells=CELLS))
        assert (await who.hand_in(draft)).json()["error"]["code"] == "area_quiet"


async def test_looser_limits_let_nothing_onto_the_desk_before_they_are_three_days_old(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path, name="testtown", delays=Delays()) as world:
        world.clock.advance(8 * 24 * 3600)
        officer = await certified_officer(world)
        await world.register.view()  # witnesses see the certificates
        world.clock.advance(73 * 3600)
        await signed_in_anew(officer)
        assert (await officer.publish(officer.sign(officer.write()))).is_success
        world.clock.advance(16 * 60)
        await world.publishing.publish_due()
        await world.town.change(LimitsChanged(limits=Limits(area_quiet_ms=0)))
        await world.register.view()
        draft = officer.sign(officer.write())
        # Seen to fail with the aged limits left out of `Register.check_counts`.
        assert (await officer.hand_in(draft)).json()["error"]["code"] == "area_quiet"
        world.clock.advance(73 * 3600)
        await signed_in_anew(officer)
        assert (await officer.hand_in(officer.sign(officer.write()))).is_success


async def signed_in_anew(officer: Officer) -> None:
    for one in (officer, partner_of(officer)):
        await one.log_in()
        await one.take_csrf()


async def test_many_drafts_at_once_do_not_get_past_the_counts(
    world: World, officer: Officer
) -> None:
    drafts = [officer.sign(officer.write(case_number=f"C-{n}")) for n in range(4)]
    # Each alone keeps the rules, and all of them together don't. Seen to be taken, all four, with
    # what lies on the desk left out of `check_draft`.
    answers = await asyncio.gather(*(officer.hand_in(draft) for draft in drafts))
    assert sum(answer.is_success for answer in answers) == 1
    for draft, answer in zip(drafts, answers, strict=True):  # nor if the desk took them, as once
        if not answer.is_success:
            await put_on_the_desk(world, officer, draft)
    for draft in drafts:
        await put_past_moderators(world, officer, draft)
    await world.publishing.publish_due()
    assert await published(world) == 1


async def put_on_the_desk(world: World, officer: Officer, draft: Draft) -> None:
    asked = parse_text(draft.request)
    async with world.database.begin() as tx:
        await requests.add_draft(
            tx, draft, asked, account_id=officer.officer_id, digest=asked.digest(), now_ms=1
        )


async def put_past_moderators(world: World, officer: Officer, draft: Draft) -> None:
    async with world.database.begin() as tx:
        cosigned = partner_of(officer).cosigned(draft)
        await requests.set_cosigned(tx, id_of(draft), cosigned, 1)
        await requests.set_state(tx, id_of(draft), "passed", 1)


async def test_no_officer_buries_the_moderators(tmp_path: Path) -> None:
    """Not even where the register's limits let one have a hundred open requests."""
    many = Limits(max_open_per_officer=100, area_quiet_ms=0)
    async with open_world(tmp_path, limits=many) as world:
        officer = await certified_officer(world)
        numbers = range(MAX_PENDING + 1)
        drafts = [officer.sign(officer.write(case_number=f"C-{n}")) for n in numbers]
        for draft in drafts[:-1]:
            await put_on_the_desk(world, officer, draft)
        # Seen to be taken with is_queue_full taken out of relay/request/service.py.
        answer = await officer.hand_in(drafts[-1])
        assert answer.json()["error"]["code"] == "open_limit"
        await officer.take_back(id_of(drafts[0]))
        assert (await officer.hand_in(drafts[-1])).is_success


async def test_a_withdrawn_request_still_counts_against_its_case(
    world: World, officer: Officer
) -> None:
    for _ in range(2):
        request = officer.write(case_number="A-1")
        assert (await officer.publish(officer.sign(request))).is_success
        assert (await officer.withdraw(request)).is_success
        world.clock.advance(24 * 3600)
        await officer.log_in()
        await officer.take_csrf()
        await partner_of(officer).log_in()
        await partner_of(officer).take_csrf()
    draft = officer.sign(officer.write(case_number="A-1"))
    assert (await officer.hand_in(draft)).json()["error"]["code"] == "case_limit"


async def test_text_cannot_be_changed_after_moderation(world: World, officer: Officer) -> None:
    draft = officer.sign(officer.write())
    await officer.hand_in(draft)
    await partner_of(officer).cosign(draft)
    await world.moderation.pass_on(id_of(draft))
    async with world.database.begin() as tx:  # even if somebody writes into the database
        row = await requests.find_request(tx, id_of(draft))
        assert row is not None
        other = replace(row.draft, request=row.draft.request.replace("bicycle", "protester"))
        await tx.exec_driver_sql(
            "UPDATE requests SET draft = ? WHERE id = ?", (other.encode().decode(), row.id)
        )
    assert await world.publishing.publish_due() == []
    assert await published(world) == 0


# --- with the relay's help ---


@pytest.mark.parametrize(
    "changes",
    [
        {"hours": 13, "reason": "It was a long night."},
        {"hours": 3},
        {"cells": ["8928308281fffff"]},
        {"danger": DANGER, "is_swapped": True},
    ],
)
async def test_a_relay_that_lets_it_in_publishes_nothing(
    world: World, officer: Officer, changes: dict[str, Any]
) -> None:
    fields = dict(changes)
    hours = fields.pop("hours", 1)
    who = partner_of(officer) if fields.pop("is_swapped", False) else officer
    now_ms = world.clock.wall_ms()
    signed = signed_by_both(who, from_ms=now_ms - hours * HOUR_MS, to_ms=now_ms, **fields)
    entry = await entry_of(world, signed)
    async with world.database.begin() as tx:
        await world.log.add(tx, "register", entry, key=new_id())  # past every check of the relay
    view = await world.register.view()
    assert len(view.register.voids) == 1
    assert view.register.requests == {}


async def entry_of(world: World, signed: SignedRequest) -> bytes:
    register = (await world.register.view()).register
    return register.next_entry(RequestLeaf(signed=signed))


async def test_a_relay_cannot_publish_what_one_officer_signed(
    world: World, officer: Officer
) -> None:
    signed = signed_by_both(officer)
    for lie in (
        replace(signed, cosignature=signed.assertion, cosigner=signed.officer),
        replace(signed, cosignature=signed.assertion),
        replace(signed, cosigner=signed.officer),
    ):
        entry = await entry_of(world, lie)
        async with world.database.begin() as tx:
            await world.log.add(tx, "register", entry, key=new_id())
    view = await world.register.view()
    assert len(view.register.voids) == 3
    assert view.register.requests == {}


# --- what an officer sees ---


async def test_an_officer_who_is_revoked_reads_nothing_more(world: World, officer: Officer) -> None:
    request = officer.write()
    await officer.publish(officer.sign(request))
    body = OfficerRevoked(agency="lakeland", officer_id=officer.officer_id)
    await world.town.change(body, world.town.admins[0])
    for path in ("/requests", f"/requests/{request.id}", "/requests/new", "/evidence"):
        # Seen to fail with the look at their standing taken out of relay/web/agency/session.py.
        assert (await officer.http.get("/agency" + path)).status_code == 403
    home = (await officer.http.get("/agency")).text
    assert 'data-state="revoked"' in home
    assert "/agency/evidence" not in home.split("<main")[1]
    assert (await officer.http.post("/agency/logout", json={})).status_code == 200


async def test_whom_only_the_relay_calls_an_officer_gets_no_evidence(
    world: World, officer: Officer
) -> None:
    await officer.publish(officer.sign(officer.write()))
    invited = Officer(world, "Officer Elm")
    await invited.register()
    await invited.take_csrf()
    package = f"/agency/evidence/{new_id()}"
    answers = [
        await invited.http.get("/agency/evidence"),
        await invited.http.get(package),
        await invited.http.post(f"{package}/download", json={}),
    ]
    # Seen to fail with require_certified taken out of relay/web/agency/evidence.py.
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    await invited.get_certified()
    assert (await invited.http.get("/agency/evidence")).status_code == 200


async def test_an_officer_sees_nothing_of_owners_and_doorbells(
    world: World, officer: Officer
) -> None:
    devices = [await world.enrol() for _ in range(3)]
    request = officer.write()
    await officer.publish(officer.sign(request))
    for path in ("", "/requests", f"/requests/{request.id}", "/evidence", "/requests/new"):
        page = (await officer.http.get("/agency" + path)).text
        assert not any(device in page for device in devices)
    answer = (await officer.http.get(f"/agency/officers/{officer.officer_id}")).json()
    assert set(json.loads(json.dumps(answer))) == {
        *("officer_id", "name", "agency", "certificate", "role", "counts_from_ms", "signed"),
    }
