"""The verifier says yes to a right grant and names the first check that a wrong one fails."""

from dataclasses import replace

import msgspec
import pytest

from firmware.consent.facts import Admission, Grant, OwnerAddition, Refusal, Release
from firmware.consent.verifier import CONFIRMATION_LIFE_MS, admit, judge, release
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.grants import AddOwner, OwnerKeys
from tests.fakes.consent_world import (
    CELL,
    MINUTE_MS,
    NOW_MS,
    ConsentWorld,
    certify,
    make_world,
    sign_request,
)
from tests.story.authenticator import SoftPasskey
from tests.story.browser import SoftBrowser


@pytest.fixture
def world() -> ConsentWorld:
    return make_world()


def reason(answer: object) -> str:
    assert isinstance(answer, Refusal), answer
    assert answer.detail
    return answer.reason


def granted(world: ConsentWorld) -> Grant:
    answer = judge(world.sign(world.statement()), world.facts)
    assert isinstance(answer, Grant), answer
    return answer


def test_accepts_a_right_grant_and_releases_it_once_confirmed(world):
    grant = granted(world)
    answer = release(grant, world.confirmation(grant.digest), world.facts)
    assert isinstance(answer, Release)
    assert answer.grant.request.case_number == "LK-2026/0117"


def test_releases_nothing_that_was_never_confirmed(world):
    assert reason(release(granted(world), None, world.facts)) == "not_confirmed"


@pytest.mark.parametrize(
    "changes",
    [
        {"statement_digest": "00" * 32},
        {"asked_ms": NOW_MS - CONFIRMATION_LIFE_MS - 1},
        {"asked_ms": NOW_MS + 1},
        {"confirmed_ms": NOW_MS - 2 * MINUTE_MS},
    ],
)
def test_releases_nothing_on_another_late_or_impossible_confirmation(world, changes):
    grant = granted(world)
    confirmation = world.confirmation(grant.digest, **changes)
    assert reason(release(grant, confirmation, world.facts)) == "not_confirmed"


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff", b"[" * 5000, b'{"a":1,"a":2}'])
def test_refuses_what_is_not_a_statement(world, junk):
    assert reason(judge(junk, world.facts)) == "form"


def test_refuses_a_statement_that_is_not_canonical(world):
    data = world.sign(world.statement())
    assert reason(judge(data.replace(b'{"assertion"', b'{ "assertion"'), world.facts)) == "form"


def test_refuses_a_statement_for_another_doorbell(world):
    data = world.sign(world.statement(device="z" * 20))
    assert reason(judge(data, world.facts)) == "device"


def test_refuses_a_passkey_that_is_no_owner(world):
    stranger = SoftPasskey.create(rp_id="owner.example", origin="https://owner.example")
    assert reason(judge(world.sign(world.statement(), by=stranger), world.facts)) == "owner"


def test_refuses_an_owners_login_used_as_a_grant(world):
    signed = msgspec.json.decode(world.sign(world.statement()))
    login = world.owner.sign(b"x" * 32)
    signed["assertion"] = msgspec.to_builtins(login)
    from firmware.protocol.encoding import canonical

    assert reason(judge(canonical(signed), world.facts)) == "assertion"


def test_refuses_an_assertion_made_on_another_site(world):
    key = world.owner.key
    moved = msgspec.structs.replace(key, origin="https://relay.example")
    owners = (msgspec.structs.replace(world.facts.owners[0], passkey=moved),)
    facts = replace(world.facts, owners=owners)
    assert reason(judge(world.sign(world.statement()), facts)) == "assertion"


def test_refuses_everything_while_the_clock_is_not_trusted(world):
    facts = replace(world.facts, is_clock_trusted=False)
    assert reason(judge(world.sign(world.statement()), facts)) == "clock"


def test_refuses_an_expired_statement(world):
    data = world.sign(world.statement(not_after_ms=NOW_MS))
    assert reason(judge(data, world.facts)) == "expired"


def test_refuses_a_statement_that_would_hold_longer_than_a_day(world):
    data = world.sign(world.statement(not_after_ms=NOW_MS + 24 * 60 * MINUTE_MS + 1))
    assert reason(judge(data, world.facts)) == "too_long"


def test_refuses_a_statement_that_was_spent(world):
    grant = granted(world)
    facts = replace(world.facts, spent=frozenset({grant.digest}))
    assert reason(judge(grant.signed.encode(), facts)) == "spent"
    assert reason(release(grant, world.confirmation(grant.digest), facts)) == "spent"


def test_refuses_a_request_that_was_never_published_here(world):
    data = world.sign(world.statement(world.terms(request_digest="00" * 32)))
    assert reason(judge(data, world.facts)) == "request_unknown"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"clip_id": "a" * 26}, "clip_unknown"),
        ({"manifest_digest": "cd" * 32}, "clip_digest"),
        ({"from_ms": NOW_MS - 61 * MINUTE_MS}, "clip_range"),
        ({"to_ms": NOW_MS - 58 * MINUTE_MS}, "clip_range"),
    ],
)
def test_refuses_a_clip_that_is_not_exactly_the_one_in_the_library(world, changes, expected):
    clip = msgspec.structs.replace(world.terms().clips[0], **changes)
    data = world.sign(world.statement(world.terms(clips=[clip])))
    assert reason(judge(data, world.facts)) == expected


def test_refuses_a_clip_named_twice(world):
    clip = world.terms().clips[0]
    data = world.sign(world.statement(world.terms(clips=[clip, clip])))
    assert reason(judge(data, world.facts)) == "clip_repeated"


@pytest.mark.parametrize("side", ["before", "after"])
def test_refuses_a_clip_outside_the_window(world, side):
    fact = world.facts.clips[world.clip_id]
    started = world.request.from_ms - 1 if side == "before" else world.request.to_ms - 10
    moved = replace(fact, started_ms=started, ended_ms=started + 1000)
    world.facts = replace(world.facts, clips={world.clip_id: moved})
    assert reason(judge(world.sign(world.statement()), world.facts)) == "clip_window"


def test_refuses_another_agency_and_another_agencys_key(world):
    right = world.terms().recipient
    other = msgspec.structs.replace(right, agency="elsewhere")
    data = world.sign(world.statement(world.terms(recipient=other)))
    assert reason(judge(data, world.facts)) == "recipient"
    stranger = msgspec.structs.replace(right, sealing_keys=[b64u(b"k" * 32)])
    data = world.sign(world.statement(world.terms(recipient=stranger)))
    assert reason(judge(data, world.facts)) == "recipient"


def test_refuses_an_agency_that_it_does_not_know_or_whose_agreement_ended(world):
    data = world.sign(world.statement())
    assert reason(judge(data, replace(world.facts, agencies=()))) == "agency"
    ended = msgspec.structs.replace(world.agency, agreement_until_ms=NOW_MS)
    assert reason(judge(data, replace(world.facts, agencies=(ended,)))) == "agreement"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"to_ms": NOW_MS - 90 * MINUTE_MS + 14 * MINUTE_MS}, "window"),
        ({"from_ms": NOW_MS - 13 * 60 * MINUTE_MS}, "window"),
        ({"to_ms": NOW_MS + MINUTE_MS}, "window"),  # a time that isn't over
        (
            {
                "from_ms": NOW_MS - 31 * 24 * 60 * MINUTE_MS,
                "to_ms": NOW_MS - 31 * 24 * 60 * MINUTE_MS + 60 * MINUTE_MS,
            },
            "window",
        ),
        ({"expires_ms": NOW_MS}, "request_expired"),
        ({"expires_ms": NOW_MS + 8 * 24 * 60 * MINUTE_MS}, "request_expired"),
        ({"created_ms": NOW_MS + 11 * MINUTE_MS}, "request_expired"),
        ({"cells": ["891f0000007ffff"]}, "area"),
        ({"officer_id": "b" * 26}, "officer"),
    ],
)
def test_refuses_a_request_that_breaks_its_limits_though_the_officer_signed_it(
    world, changes, expected
):
    world = world.with_request(msgspec.structs.replace(world.request, **changes))
    assert reason(judge(world.sign(world.statement()), world.facts)) == expected


def test_refuses_a_request_about_another_place(world):
    facts = replace(world.facts, cell="891f0000007ffff")
    assert reason(judge(world.sign(world.statement()), facts)) == "area"
    assert CELL in world.request.cells


def test_refuses_a_request_signed_by_another_officers_passkey(world):
    other = SoftPasskey.create(rp_id="relay.example", origin="https://relay.example")
    world = world.with_request(world.request, by=other)
    assert reason(judge(world.sign(world.statement()), world.facts)) == "request_signature"


def test_refuses_an_officer_whom_the_agency_never_certified(world):
    from cryptography.hazmat.primitives.asymmetric import ec

    forged = certify(
        ec.generate_private_key(ec.SECP256R1()), "lakeland", world.request.officer_id, world.officer
    )
    signed = sign_request(world.request, world.officer, forged)
    digest = next(iter(world.facts.requests))
    facts = replace(world.facts, requests={digest: signed})
    assert reason(judge(world.sign(world.statement()), facts)) == "officer"


def addition(world: ConsentWorld) -> tuple[SoftPasskey, AddOwner]:
    newcomer = SoftPasskey.create(rp_id="owner.example", origin="https://owner.example")
    keys = OwnerKeys(name="Bo", passkey=newcomer.key, browser=SoftBrowser.create().keys)
    return newcomer, AddOwner(pairing_id=new_id(), owner=keys)


def test_adds_an_owner_only_by_an_owner_and_only_once_confirmed(world):
    newcomer, terms = addition(world)
    by_herself = judge(world.sign(world.statement(terms), by=newcomer), world.facts)
    assert reason(by_herself) == "owner"
    answer = judge(world.sign(world.statement(terms)), world.facts)
    assert isinstance(answer, OwnerAddition)
    assert reason(admit(answer, None, world.facts)) == "not_confirmed"
    assert isinstance(admit(answer, world.confirmation(answer.digest), world.facts), Admission)


def test_refuses_to_add_an_owner_twice(world):
    ada = world.facts.owners[0]
    again = OwnerKeys(name="Ada", passkey=ada.passkey, browser=SoftBrowser.create().keys)
    terms = AddOwner(pairing_id=new_id(), owner=again)
    assert reason(judge(world.sign(world.statement(terms)), world.facts)) == "already_owner"


def test_admits_nobody_once_the_statement_is_spent(world):
    _, terms = addition(world)
    answer = judge(world.sign(world.statement(terms)), world.facts)
    assert isinstance(answer, OwnerAddition)
    facts = replace(world.facts, spent=frozenset({answer.digest}))
    assert reason(admit(answer, world.confirmation(answer.digest), facts)) == "spent"
