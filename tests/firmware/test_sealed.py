"""What keeps back a package that was sealed in time, and wasn't announced before the power went."""

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from firmware.consent.sealed import keeps_back
from firmware.protocol.decisions import Decline
from firmware.protocol.grants import SignedStatement
from firmware.protocol.register.facts import RequestFact
from tests.fakes.consent_world import NOW_MS, ConsentWorld, make_world, new_owner_passkey
from tests.fakes.log_town import HOUR_MS

Change = Callable[[ConsentWorld], ConsentWorld]


@pytest.fixture
def world() -> ConsentWorld:
    return make_world()


def grant_of(world: ConsentWorld, **terms: object) -> SignedStatement:
    return world.signed(world.statement(world.terms(**terms)))


def kept(world: ConsentWorld, signed: SignedStatement) -> str | None:
    refusal = keeps_back(signed, world.facts)
    return None if refusal is None else refusal.reason


def stale(world: ConsentWorld) -> ConsentWorld:
    """The register wasn't read for more than an hour."""
    register = replace(world.facts.register, fresh_ms=world.facts.now_ms - HOUR_MS - 1)
    return world.with_facts(register=register)


def timeless(world: ConsentWorld) -> ConsentWorld:
    return world.with_facts(is_clock_trusted=False)


def as_it_is(world: ConsentWorld) -> ConsentWorld:
    return world


def with_fact(world: ConsentWorld, **changes: object) -> ConsentWorld:
    digest = world.signed_request.request_digest
    fact: RequestFact = replace(world.facts.register.requests[digest], **changes)
    return world.with_facts(register=replace(world.facts.register, requests={digest: fact}))


def withdrawn(world: ConsentWorld) -> ConsentWorld:
    return with_fact(world, is_withdrawn=True)


def without_officer(world: ConsentWorld) -> ConsentWorld:
    fact = world.facts.register.requests[world.signed_request.request_digest]
    return with_fact(world, officer=replace(fact.officer, is_revoked=True))


def without_cosigner(world: ConsentWorld) -> ConsentWorld:
    fact = world.facts.register.requests[world.signed_request.request_digest]
    return with_fact(world, cosigner=replace(fact.cosigner, is_revoked=True))


def suspended(world: ConsentWorld) -> ConsentWorld:
    agency = world.agreement.agency
    (fact,) = world.facts.register.agreements[agency]
    agreements = {agency: (replace(fact, is_suspended=True),)}
    return world.with_facts(register=replace(world.facts.register, agreements=agreements))


def never_again(world: ConsentWorld) -> ConsentWorld:
    return world.with_household(refused_agencies=frozenset({world.agreement.agency}))


def without_owner(world: ConsentWorld) -> ConsentWorld:
    return world.with_facts(owners=())


def with_another_key(world: ConsentWorld) -> ConsentWorld:
    other = msgspec.structs.replace(
        new_owner_passkey().key, credential_id=world.owner.key.credential_id
    )
    owner = msgspec.structs.replace(world.facts.owners[0], passkey=other)
    return world.with_facts(owners=(owner,))


def cloned(world: ConsentWorld) -> ConsentWorld:
    return world.with_facts(is_card_cloned=True)


ENDED: list[tuple[str, Change]] = [
    ("card_cloned", cloned),
    ("agency_refused", never_again),
    ("owner", without_owner),
    ("assertion", with_another_key),
    ("request_withdrawn", withdrawn),
    ("officer", without_officer),
    ("officer", without_cosigner),
    ("agreement", suspended),
]


def test_what_stands_may_leave(world: ConsentWorld):
    assert keeps_back(grant_of(world), world.facts) is None


@pytest.mark.parametrize("meanwhile", [as_it_is, stale, timeless])
@pytest.mark.parametrize(("expected", "change"), ENDED)
def test_what_ended_meanwhile_leaves_no_more_however_old_the_register_is(
    world: ConsentWorld, expected: str, change: Change, meanwhile: Change
):
    signed = grant_of(world)
    assert kept(meanwhile(change(world)), signed) == expected


@pytest.mark.parametrize("meanwhile", [as_it_is, stale, timeless])
def test_what_was_taken_back_leaves_no_more(world: ConsentWorld, meanwhile: Change):
    grant = world.granted()
    gone = world.with_household(revoked=frozenset({grant.digest}))
    assert kept(meanwhile(gone), grant.signed) == "revoked"
    assert kept(meanwhile(gone), grant_of(world)) in (None, "register", "clock")  # another grant


@pytest.mark.parametrize(("expected", "meanwhile"), [("register", stale), ("clock", timeless)])
def test_while_nobody_can_tell_it_waits(world: ConsentWorld, expected: str, meanwhile: Change):
    assert kept(meanwhile(world), grant_of(world)) == expected


def test_a_request_that_the_register_read_before_doesnt_know_waits_for_a_newer_one(
    world: ConsentWorld,
):
    signed = grant_of(world, request_digest="00" * 32)
    assert kept(stale(world), signed) == "register"
    assert kept(world, signed) == "request_unknown"


def test_an_agency_without_an_agreement_waits_for_a_newer_register(world: ConsentWorld):
    signed = grant_of(world)
    none = world.with_facts(register=replace(world.facts.register, agreements={}))
    assert kept(stale(none), signed) == "register"
    assert kept(none, signed) == "agreement"


def test_one_agreement_of_two_is_enough(world: ConsentWorld):
    agency = world.agreement.agency
    (fact,) = world.facts.register.agreements[agency]
    agreements = {agency: (replace(fact, is_suspended=True), fact)}
    both = world.with_facts(register=replace(world.facts.register, agreements=agreements))
    assert kept(stale(both), grant_of(world)) == "register"


def test_that_its_time_is_over_since_ends_nothing(world: ConsentWorld):
    signed = grant_of(world)
    later_ms = world.request.expires_ms - NOW_MS
    world.town.wind(ms=later_ms)
    later = world.with_facts(now_ms=NOW_MS + later_ms, clips={}).read_register()
    assert kept(later, signed) is None


def test_a_request_of_a_time_that_hasnt_come_keeps_it_back(world: ConsentWorld):
    signed = grant_of(world)
    request = msgspec.structs.replace(world.request, created_ms=NOW_MS + HOUR_MS)
    assert kept(with_fact(world, request=request), signed) == "request_expired"


def test_who_could_open_it_is_looked_at_again(world: ConsentWorld):
    recipient = world.terms().recipient
    other = msgspec.structs.replace(recipient, agency="elsewhere")
    assert kept(world, grant_of(world, recipient=other)) == "recipient"
    keys = [*recipient.sealing_keys, "CQ" + "A" * 41]
    wide = msgspec.structs.replace(recipient, sealing_keys=keys)
    assert kept(world, grant_of(world, recipient=wide)) == "recipient"


def test_only_a_grant_for_this_doorbell_is_one(world: ConsentWorld):
    decline = world.signed(world.statement(Decline(request_digest="00" * 32)))
    assert kept(world, decline) == "form"
    elsewhere = world.signed(world.statement(device="abcdefghijklmnop2346"))
    assert kept(world, elsewhere) == "device"
    junk = msgspec.structs.replace(grant_of(world), statement="{}")
    assert kept(world, junk) == "form"


def test_a_signature_that_is_none_keeps_it_back(world: ConsentWorld):
    signed = grant_of(world)
    assertion = msgspec.structs.replace(signed.assertion, client_data_json="A")
    assert kept(world, msgspec.structs.replace(signed, assertion=assertion)) == "assertion"


def test_the_reason_is_said_in_words(world: ConsentWorld):
    signed = grant_of(world)
    said = {}
    for _, change in ENDED:
        refusal = keeps_back(signed, change(world).facts)
        assert refusal is not None
        said[change] = refusal.detail
    assert said[withdrawn] == "the request was withdrawn"
    assert world.agreement.agency in said[never_again]
    assert "no owner" in said[without_owner]
    assert "revoked" in said[without_officer]
