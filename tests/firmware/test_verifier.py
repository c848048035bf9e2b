"""The verifier says yes to a right grant and names the first check that a wrong one fails."""

from dataclasses import replace

import msgspec
import pytest

from firmware.consent.facts import Decided, Decision, Grant, Release
from firmware.consent.verifier import CONFIRMATION_LIFE_MS, decide, judge, release
from firmware.protocol.decisions import ChangeSettings, Confirm, Decline, Hold, OwnerSettings
from firmware.protocol.encoding import b64u, canonical, new_id
from firmware.protocol.grants import STATEMENT_TAG, SignedStatement
from firmware.protocol.passkeys import challenge
from firmware.protocol.register.entries import Delays
from firmware.protocol.tlog.policy import parse_policy
from tests.fakes.consent_world import (
    MINUTE_MS,
    NOW_MS,
    ConsentWorld,
    make_world,
    new_owner_passkey,
    reason,
)
from tests.fakes.log_town import make_town
from tests.story.authenticator import SoftPasskey

SECOND_MS = 1000
HOUR_MS = 60 * MINUTE_MS


@pytest.fixture
def world() -> ConsentWorld:
    return make_world()


# A right grant


def test_accepts_a_right_grant_and_releases_it_once_confirmed_and_logged(world):
    grant = world.granted()
    logged = world.logged(grant.digest)
    confirmation = world.confirmation(grant.digest)
    answer = release(grant, confirmation, logged, world.facts)
    assert isinstance(answer, Release)
    assert (answer.grant, answer.confirmation, answer.logged) == (grant, confirmation, logged)


def test_a_grant_says_all_that_is_told_of_it_later(world):
    grant = world.granted()
    assert grant.request == world.request
    assert grant.signed_request == world.signed_request
    assert grant.agreement == world.agreement
    assert grant.credential_id == world.owner.key.credential_id
    assert grant.not_after_ms == NOW_MS + 60 * MINUTE_MS
    assert grant.terms == world.terms()


def test_accepts_a_grant_by_the_second_of_two_owners(world):
    world, second = world.with_owner()
    answer = judge(world.sign(world.statement(), by=second), world.facts)
    assert isinstance(answer, Grant)
    assert answer.credential_id == second.key.credential_id


# Its form, and who signed it


@pytest.mark.parametrize(
    "junk", [b"", b"{}", b"\xff", b"[" * 5000, b'{"a":1,"a":2}', b"x" * 70_000]
)
def test_refuses_what_is_not_a_statement(world, junk):
    assert reason(judge(junk, world.facts)) == "form"


def test_refuses_a_statement_that_is_not_canonical(world):
    data = world.sign(world.statement())
    assert reason(judge(data.replace(b'{"assertion"', b'{ "assertion"'), world.facts)) == "form"


def test_refuses_a_text_within_that_is_not_canonical_though_it_is_signed(world):
    text = world.statement().encode().replace(b'{"device"', b'{ "device"')
    assertion = world.owner.sign(challenge(STATEMENT_TAG, text))
    data = SignedStatement(statement=text.decode(), assertion=assertion).encode()
    assert reason(judge(data, world.facts)) == "form"


def test_refuses_a_statement_for_another_doorbell(world):
    data = world.sign(world.statement(device="z" * 20))
    assert reason(judge(data, world.facts)) == "device"
    data = world.sign(world.statement(Decline(request_digest="ab" * 32), device="z" * 20))
    assert reason(judge(data, world.facts)) == "device"


def test_refuses_a_passkey_that_is_no_owner(world):
    stranger = new_owner_passkey()
    assert reason(judge(world.sign(world.statement(), by=stranger), world.facts)) == "owner"


def test_refuses_an_owners_login_used_as_a_grant(world):
    statement = msgspec.json.decode(world.sign(world.statement()))
    statement["assertion"] = msgspec.to_builtins(world.owner.sign(b"x" * 32))
    assert reason(judge(canonical(statement), world.facts)) == "assertion"


def test_refuses_an_assertion_that_is_not_base64url(world):
    right = world.signed(world.statement())
    assertion = msgspec.structs.replace(right.assertion, client_data_json="A")
    wrong = msgspec.structs.replace(right, assertion=assertion)
    assert reason(judge(wrong.encode(), world.facts)) == "form"


def test_refuses_an_assertion_made_on_another_site(world):
    moved = msgspec.structs.replace(world.owner.key, origin="https://relay.example")
    owners = (msgspec.structs.replace(world.facts.owners[0], passkey=moved),)
    assert reason(judge(world.sign(world.statement()), replace(world.facts, owners=owners))) == (
        "assertion"
    )


# Time, and once only


def test_refuses_everything_while_the_clock_is_not_trusted(world):
    facts = replace(world.facts, is_clock_trusted=False)
    assert reason(judge(world.sign(world.statement()), facts)) == "clock"


@pytest.mark.parametrize(("off_ms", "expected"), [(0, "expired"), (-1, "expired"), (1, None)])
def test_refuses_an_expired_statement(world, off_ms, expected):
    answer = judge(world.sign(world.statement(not_after_ms=NOW_MS + off_ms)), world.facts)
    assert reason(answer) == expected


@pytest.mark.parametrize(("off_ms", "expected"), [(0, None), (1, "too_long")])
def test_refuses_a_statement_that_would_hold_longer_than_a_day(world, off_ms, expected):
    data = world.sign(world.statement(not_after_ms=NOW_MS + 24 * HOUR_MS + off_ms))
    answer = judge(data, world.facts)
    assert reason(answer) == expected


def test_refuses_a_statement_that_was_spent(world):
    grant = world.granted()
    facts = replace(world.facts, spent=frozenset({grant.digest}))
    assert reason(judge(grant.signed.encode(), facts)) == "spent"
    confirmation, logged = world.confirmation(grant.digest), world.logged(grant.digest)
    assert reason(release(grant, confirmation, logged, facts)) == "spent"


def test_refuses_a_grant_that_was_taken_back_before_it_came_or_after(world):
    grant = world.granted()
    revoked = world.with_household(revoked=frozenset({grant.digest}))
    assert reason(judge(grant.signed.encode(), revoked.facts)) == "revoked"
    assert reason(revoked.released(grant)) == "revoked"


# The clips


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"clip_id": "a" * 26}, "clip_unknown"),
        ({"manifest_digest": "cd" * 32}, "clip_digest"),
        ({"from_ms": NOW_MS - 60 * MINUTE_MS - 1}, "clip_range"),
        ({"to_ms": NOW_MS - 59 * MINUTE_MS + 1}, "clip_range"),
        ({"to_ms": NOW_MS - 60 * MINUTE_MS}, "clip_range"),
        ({"from_ms": NOW_MS - 59 * MINUTE_MS, "to_ms": NOW_MS - 60 * MINUTE_MS}, "clip_range"),
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


def test_checks_every_clip_and_not_the_first_alone(world):
    fact, other = world.facts.clips[world.clip_id], new_id()
    world = world.with_facts(
        clips={world.clip_id: fact, other: replace(fact, manifest_digest="cd" * 32)}
    )
    clip = world.terms().clips[0]
    second = msgspec.structs.replace(clip, clip_id=other)
    data = world.sign(world.statement(world.terms(clips=[clip, second])))
    assert reason(judge(data, world.facts)) == "clip_digest"
    second = msgspec.structs.replace(second, manifest_digest="cd" * 32)
    assert isinstance(
        judge(world.sign(world.statement(world.terms(clips=[clip, second]))), world.facts), Grant
    )


@pytest.mark.parametrize(
    ("side", "off_ms", "expected"),
    [
        ("before", 0, None),
        ("before", 1, "clip_window"),
        ("after", 0, None),
        ("after", 1, "clip_window"),
    ],
)
def test_refuses_a_clip_outside_the_window_to_the_millisecond(world, side, off_ms, expected):
    fact = world.facts.clips[world.clip_id]
    window = world.request
    started = window.from_ms - off_ms if side == "before" else window.to_ms - 1000 + off_ms
    moved = replace(fact, started_ms=started, ended_ms=started + 1000)
    world = world.with_facts(clips={world.clip_id: moved})
    answer = judge(world.sign(world.statement()), world.facts)
    assert reason(answer) == expected


def test_refuses_sound_that_no_clip_has(world):
    data = world.sign(world.statement(world.terms(has_audio=True)))
    assert reason(judge(data, world.facts)) == "audio"
    fact = world.facts.clips[world.clip_id]
    with_sound = world.with_facts(clips={world.clip_id: replace(fact, has_sound=True)})
    assert isinstance(judge(data, with_sound.facts), Grant)


def test_sound_may_be_given_if_one_of_the_clips_has_any(world):
    fact, other = world.facts.clips[world.clip_id], new_id()
    world = world.with_facts(clips={world.clip_id: fact, other: replace(fact, has_sound=True)})
    clip = world.terms().clips[0]
    second = msgspec.structs.replace(clip, clip_id=other)
    assert world.granted(clips=[clip, second], has_audio=True).terms.has_audio
    assert reason(world.judged(world.terms(clips=[clip], has_audio=True))) == "audio"


def test_a_clips_sound_need_not_be_given(world):
    fact = world.facts.clips[world.clip_id]
    world = world.with_facts(clips={world.clip_id: replace(fact, has_sound=True)})
    assert not world.granted().terms.has_audio


def test_refuses_another_agency_and_another_agencys_key(world):
    right = world.terms().recipient
    other = msgspec.structs.replace(right, agency="elsewhere")
    data = world.sign(world.statement(world.terms(recipient=other)))
    assert reason(judge(data, world.facts)) == "recipient"
    for keys in ([b64u(b"k" * 32)], [right.sealing_keys[0], b64u(b"k" * 32)]):
        stranger = msgspec.structs.replace(right, sealing_keys=keys)
        data = world.sign(world.statement(world.terms(recipient=stranger)))
        assert reason(judge(data, world.facts)) == "recipient"


def test_one_of_the_agencys_keys_is_enough(world):
    right = world.terms().recipient
    one = msgspec.structs.replace(right, sealing_keys=right.sealing_keys[1:])
    assert world.granted(recipient=one).terms.recipient == one


# The last words


def test_releases_nothing_that_was_never_confirmed(world):
    grant = world.granted()
    answer = release(grant, None, world.logged(grant.digest), world.facts)
    assert reason(answer) == "not_confirmed"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"statement_digest": "00" * 32}, "not_confirmed"),
        ({"asked_ms": NOW_MS - CONFIRMATION_LIFE_MS}, None),
        ({"asked_ms": NOW_MS - CONFIRMATION_LIFE_MS - 1}, "not_confirmed"),
        ({"asked_ms": NOW_MS}, None),
        ({"asked_ms": NOW_MS + 1}, "not_confirmed"),
        ({"confirmed_ms": NOW_MS - 2 * MINUTE_MS}, "not_confirmed"),
        ({"confirmed_ms": NOW_MS + 1}, "not_confirmed"),
    ],
)
def test_releases_nothing_on_another_late_or_impossible_confirmation(world, changes, expected):
    answer = world.released(world.granted(), **changes)
    assert reason(answer) == expected


def test_a_grant_that_was_knocked_for_is_released(world):
    assert isinstance(world.released(world.granted(), way="knock"), Release)


def test_nothing_but_a_grant_can_be_knocked_for(world):
    answer = world.decision(world.newcomer())
    confirmation = world.confirmation(answer.digest, way="knock")
    assert reason(decide(answer, confirmation, world.facts)) == "not_confirmed"


def test_an_approvers_yes_releases_the_grant(world):
    world, key = world.with_approver()
    grant = world.granted()
    yes = world.approval(key, grant.digest)
    assert isinstance(world.released(grant, way="approver", approval=yes), Release)


def test_an_approvers_word_is_looked_at_only_where_it_is_the_way(world):
    world, key = world.with_approver()
    grant = world.granted()
    no = world.approval(key, grant.digest, "no")
    assert isinstance(world.released(grant, way="door_page", approval=no), Release)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"answer": "no"}, "not_confirmed"),
        ({"digest": "00" * 32}, "not_confirmed"),
        ({"device": "z" * 20}, "device"),
        ({"not_after_ms": NOW_MS}, "not_confirmed"),
        ({"not_after_ms": NOW_MS + 1}, None),
    ],
)
def test_another_word_of_an_approver_releases_nothing(world, changes, expected):
    world, key = world.with_approver()
    grant = world.granted()
    changes = {"digest": grant.digest, **changes}
    answer = world.released(grant, way="approver", approval=world.approval(key, **changes))
    assert reason(answer) == expected


def test_an_approvers_other_statement_is_no_yes(world):
    world, key = world.with_approver()
    grant = world.granted()
    other = world.signed(world.statement(Decline(request_digest=grant.digest)), key)
    assert reason(world.released(grant, way="approver", approval=other)) == "not_confirmed"


def test_no_approvers_word_releases_nothing(world):
    assert reason(world.released(world.granted(), way="approver")) == "not_confirmed"


def test_a_statement_of_another_kind_made_to_a_grant_is_none(world):
    grant = world.granted()
    hold = world.signed(world.statement(Hold(from_ms=1, to_ms=2)))
    made = replace(grant, signed=hold)
    assert reason(world.released(made)) == "form"
    decision = world.decision(world.newcomer())
    confirmation = world.confirmation(grant.digest)
    made_decision = replace(decision, signed=grant.signed)
    assert reason(decide(made_decision, confirmation, world.facts)) == "form"


def test_the_digest_that_counts_is_of_the_signed_bytes(world):
    """So a grant that says another digest than its own finds no confirmation of that one."""
    grant, other = world.granted(), world.granted()
    made = replace(other, digest=grant.digest)
    assert reason(world.released(made)) == "not_confirmed"


# The public log


def test_releases_nothing_that_is_not_logged(world):
    grant = world.granted()
    answer = release(grant, world.confirmation(grant.digest), None, world.facts)
    assert reason(answer) == "not_logged"


@pytest.mark.parametrize(
    ("late_ms", "expected"),
    [
        (HOUR_MS, None),
        (HOUR_MS + SECOND_MS, "not_logged"),
        (-2 * MINUTE_MS, None),
        (-2 * MINUTE_MS - SECOND_MS, "not_logged"),
    ],
)
def test_a_proof_counts_for_an_hour_and_not_before_its_time(world, late_ms, expected):
    grant = world.granted()
    logged = world.logged(grant.digest)
    register = replace(world.facts.register, fresh_ms=NOW_MS + late_ms)
    facts = replace(world.facts, now_ms=NOW_MS + late_ms, register=register)
    data = world.sign(world.statement(not_after_ms=NOW_MS + 3 * HOUR_MS))
    grant = judge(data, facts)
    assert isinstance(grant, Grant), grant
    logged = world.logged(grant.digest)
    confirmation = world.confirmation(
        grant.digest, asked_ms=NOW_MS + late_ms, confirmed_ms=NOW_MS + late_ms
    )
    answer = release(grant, confirmation, logged, facts)
    assert reason(answer) == expected


def test_how_old_a_proof_may_be_is_what_the_registers_charter_says(world):
    grant = world.granted()
    register = replace(world.facts.register, delays=Delays(freshness_ms=10 * HOUR_MS))
    facts = replace(world.facts, now_ms=NOW_MS + 5 * MINUTE_MS, register=register)
    short = replace(register, delays=Delays(freshness_ms=MINUTE_MS), fresh_ms=facts.now_ms)
    confirmation, logged = world.confirmation(grant.digest), world.logged(grant.digest)
    assert isinstance(release(grant, confirmation, logged, facts), Release)
    facts = replace(facts, register=short)
    assert reason(release(grant, confirmation, logged, facts)) == "not_logged"


def test_what_is_logged_is_this_doorbells_release_of_this_grant(world):
    grant, other = world.granted(), world.granted()
    for logged in (
        world.logged(other.digest),
        world.logged(grant.digest, device="z" * 20),
        world.logged(grant.digest, request_digest="0" * 64),
    ):
        answer = release(grant, world.confirmation(grant.digest), logged, world.facts)
        assert reason(answer) == "not_logged"


def test_a_proof_of_another_record_is_none(world):
    grant = world.granted()
    logged, other = world.logged(grant.digest), world.logged(grant.digest)
    swapped = replace(logged, opening=other.opening)
    answer = release(grant, world.confirmation(grant.digest), swapped, world.facts)
    assert reason(answer) == "not_logged"


def test_a_log_that_the_policy_does_not_know_proves_nothing(world):
    grant = world.granted()
    confirmation, logged = world.confirmation(grant.digest), world.logged(grant.digest)
    for facts in (
        replace(world.facts, policy=parse_policy(make_town().policy_text)),
        replace(world.facts, custody_origin=world.facts.register.origin),
    ):
        assert reason(release(grant, confirmation, logged, facts)) == "not_logged"


# What else owners decide


def test_adds_an_owner_only_by_an_owner_and_only_once_confirmed(world):
    newcomer = new_owner_passkey()
    terms = world.newcomer(passkey=newcomer.key)
    by_herself = judge(world.sign(world.statement(terms), by=newcomer), world.facts)
    assert reason(by_herself) == "owner"
    answer = judge(world.sign(world.statement(terms)), world.facts)
    assert isinstance(answer, Decision)
    assert reason(decide(answer, None, world.facts)) == "not_confirmed"
    decided = decide(answer, world.confirmation(answer.digest), world.facts)
    assert isinstance(decided, Decided)
    assert decided.decision == answer


def test_a_decision_says_all_that_is_told_of_it_later(world):
    statement = world.statement(Decline(request_digest="ab" * 32))
    answer = judge(world.sign(statement), world.facts)
    assert isinstance(answer, Decision)
    assert answer.digest == statement.digest()
    assert answer.signed.statement == statement.encode().decode()
    assert answer.terms == statement.terms
    assert answer.credential_id == world.owner.key.credential_id
    assert answer.not_after_ms == statement.not_after_ms
    assert not answer.is_widening


def test_what_narrows_needs_no_confirmation(world):
    answer = judge(world.sign(world.statement(Hold(from_ms=1, to_ms=2))), world.facts)
    assert isinstance(answer, Decision)
    assert isinstance(decide(answer, None, world.facts), Decided)


def test_what_widens_only_by_what_was_decided_meanwhile_waits_after_all(world):
    settings = OwnerSettings(revision=1)
    terms = ChangeSettings(settings=settings)
    answer = judge(world.sign(world.statement(terms)), world.facts)
    assert isinstance(answer, Decision)
    assert not answer.is_widening
    mask = [[0, 0], [10, 0], [10, 10]]
    before = OwnerSettings(revision=1, masks=[mask])
    terms = ChangeSettings(settings=OwnerSettings(revision=2, masks=[]))
    masked = world.with_household(settings=before)
    answer = judge(world.sign(world.statement(terms)), masked.facts)
    assert isinstance(answer, Decision)
    made = replace(answer, is_widening=False)
    assert reason(decide(made, None, masked.facts)) == "not_confirmed"


def test_decides_nothing_once_the_statement_is_spent(world):
    answer = world.decision(world.newcomer())
    facts = replace(world.facts, spent=frozenset({answer.digest}))
    assert reason(judge(answer.signed.encode(), facts)) == "spent"
    assert reason(decide(answer, world.confirmation(answer.digest), facts)) == "spent"


def test_a_decision_that_widens_has_a_time_as_grants_have(world):
    untrusted = replace(world.facts, is_clock_trusted=False)
    assert reason(decide(world.decision(world.newcomer()), None, untrusted)) == "clock"


def test_a_confirmation_is_by_an_approvers_key_and_an_owners_passkey_is_none(world):
    world, key = world.with_approver()
    grant = world.granted()
    world = world.with_household(waiting={grant.digest: grant.credential_id})
    statement = world.statement(Confirm(statement_digest=grant.digest, answer="yes"))
    answer = judge(world.sign(statement, by=key), world.facts)
    assert isinstance(answer, Decision)
    assert answer.credential_id == grant.credential_id, "whose approver it is"
    assert reason(judge(world.sign(statement), world.facts)) == "approver"


def test_an_approver_of_somebody_who_is_no_owner_any_more_confirms_nothing(world):
    world, key = world.with_approver(of="Z29uZQ")
    grant = world.granted()
    yes = world.approval(key, grant.digest)
    assert reason(world.released(grant, way="approver", approval=yes)) == "approver"


def test_an_approvers_signature_must_match(world):
    world, key = world.with_approver()
    grant = world.granted()
    yes = world.approval(key, grant.digest)
    forged = msgspec.structs.replace(yes.assertion, signature=b64u(b"\x30\x00"))
    wrong = msgspec.structs.replace(yes, assertion=forged)
    assert reason(world.released(grant, way="approver", approval=wrong)) == "assertion"


def test_the_approver_of_another_owner_releases_nothing(world):
    world, second = world.with_owner()
    world, key = world.with_approver(of=second.key.credential_id)
    grant = world.granted()
    yes = world.approval(key, grant.digest)
    assert reason(world.released(grant, way="approver", approval=yes)) == "not_confirmed"


def test_an_owner_with_an_rsa_passkey_grants_as_any_other(world):
    """Windows Hello often has nothing else (RS256)."""
    hello = SoftPasskey.create(rp_id="owner.example", origin="https://owner.example", rsa_bits=2048)
    owner = msgspec.structs.replace(world.facts.owners[0], passkey=hello.key)
    world = replace(world.with_facts(owners=(owner,)), owner=hello)
    assert isinstance(world.released(world.granted()), Release)
