"""What the register's entries add up to: who may change it where, and what of it counts when."""

from typing import Any

import msgspec
import pytest

from firmware.consent.request_rules import RequestRefused, check_request
from firmware.protocol.encoding import WireError, b64u, sha256_hex
from firmware.protocol.register.change_rules import check_place
from firmware.protocol.register.changes import parse_change, parse_header, texts_of
from firmware.protocol.register.counts import MAX_LIMITS_BACK
from firmware.protocol.register.entries import (
    AdminsChanged,
    AgencySuspended,
    Change,
    ChangeHeader,
    Limits,
    LimitsChanged,
    OfficerLeaf,
    ProgramReleased,
    RequestLeaf,
)
from firmware.protocol.register.replay import Register
from firmware.protocol.requests import SignedCertificate, SignedRequest, certificate_message
from tests.fakes.log_town import (
    CELL,
    DAY_MS,
    HOUR_MS,
    NOW_MS,
    OTHER_CELL,
    Town,
    TownOfficer,
    make_town,
    sign_p256,
    spki_of,
)

LOOSE_COUNTS = Limits(max_per_case=100, max_open_per_officer=100, area_quiet_ms=0)
LOOSE = LimitsChanged(limits=LOOSE_COUNTS)
STRICT = LimitsChanged(limits=Limits(max_per_case=1))
PROGRAM = ProgramReleased(program="owner-app", version="1.2", sha256="a" * 64)
PLACED_BODY = (
    b'{"body":{"kind":"program","program":"owner-app","sha256":"'
    + b"a" * 64
    + b'","version":"1.2"}}'
)
PLACED = (
    b'{"body_sha256":"' + sha256_hex(PLACED_BODY).encode() + b'"'
    b',"domain":"doorward/register-change/v2","follows":7,"kind":"program"'
    b',"nonce":"aaaaaaaaaaaaaaaaaaaaaaaaaa","origin":"example.a/register","v":2}'
)
PLACED_NOWHERE_BODY = b'{"body":{"agency":"lakeland","kind":"suspended"}}'
PLACED_NOWHERE = (
    b'{"agency":"lakeland","body_sha256":"' + sha256_hex(PLACED_NOWHERE_BODY).encode() + b'"'
    b',"domain":"doorward/register-change/v2","kind":"suspended"'
    b',"nonce":"aaaaaaaaaaaaaaaaaaaaaaaaaa","origin":"example.a/register","v":2}'
)


@pytest.fixture
def town() -> Town:
    return make_town()


def whys(town: Town) -> list[str]:
    """Return why entries are void, oldest first."""
    return [void.why for void in town.register.voids]


def is_asked(town: Town, signed: SignedRequest) -> bool:
    """Tell whether a doorbell that has read it all would tell its owner now."""
    digest, facts = signed.request_digest, town.facts()
    try:
        check_request(digest, facts, now_ms=town.now_ms, cell=CELL, refused=frozenset())
    except RequestRefused:
        return False
    return True


# --- one place for each change ---


def test_changes_that_widen_are_counted_and_others_are_not(town: Town) -> None:
    before = town.register.widenings
    assert before == 2, "the charter and the agreement"
    town.append(town.change(STRICT))
    town.revoke(town.cosigner)
    town.suspend()
    town.publish()
    assert town.register.widenings == before + 1


def test_the_second_of_two_changes_for_one_place_is_void_and_says_what_to_do(town: Town) -> None:
    one, other = town.change(STRICT), town.change(LOOSE)
    town.append(one)
    town.append(other)
    assert town.register.limits[-1].limits == STRICT.limits
    (why,) = whys(town)
    assert why == "another change was published since this one was written: propose it again"


def test_a_void_change_takes_no_place(town: Town) -> None:
    town.append(town.change(LOOSE, by=("ann",)))
    assert len(whys(town)) == 1
    town.append(town.change(STRICT))
    assert len(whys(town)) == 1


def test_what_narrows_comes_at_any_time_and_makes_nothing_else_void(town: Town) -> None:
    agency = town.agreement.agency
    early = town.change(AgencySuspended(agency=agency), by=("ann",))
    pending = town.change(STRICT)
    town.append(early)
    town.append(pending)
    town.append(town.change(AgencySuspended(agency=agency), by=("bob",)))
    assert whys(town) == []


@pytest.mark.parametrize(
    ("body", "follows", "why"),
    [
        (AgencySuspended(agency="lakeland-police"), 2, "bound to no place"),
        (STRICT, None, "which change it follows"),
        (STRICT, 1, "another change was published"),
        (STRICT, 3, "isn't in the register yet"),
    ],
)
def test_a_change_of_another_place_is_void(body: Any, follows: int | None, why: str) -> None:
    place = msgspec.UNSET if follows is None else follows
    change = Change(origin="o/register", nonce="a" * 26, follows=place, body=body)
    with pytest.raises(WireError, match=why):
        check_place(parse_header(texts_of(change).change), 2)


@pytest.mark.parametrize("follows", [-1, 1.5, "2", None, True, 1_000_001])
def test_a_place_that_is_no_number_parses_to_nothing(town: Town, follows: object) -> None:
    leaf = town.change(STRICT)
    said = msgspec.json.decode(leaf.change)
    said["follows"] = follows
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(said), type=ChangeHeader)


def test_a_new_administrator_counts_at_once_and_what_they_sign_has_to_age(town: Town) -> None:
    eve = town.new_admin("eve")
    admins = [town.admin("ann"), eve]
    town.append(town.change(AdminsChanged(admins=admins)))
    town.append(town.change(LOOSE, by=("ann", "bob")))
    assert "'bob' has no right" in whys(town)[-1]
    town.append(town.change(LOOSE, by=("ann", "eve")))
    assert len(whys(town)) == 1
    for hours, expected in ((0, Limits()), (71.9, Limits()), (0.2, LOOSE.limits)):
        town.wind(hours=hours)
        assert town.facts().limits == expected


# --- limits that count later ---


def same_case(town: Town, **changes: Any) -> SignedRequest:
    """Publish another request of one case, that stands for a week."""
    changes = {"case_number": "LK-1", "expires_ms": town.now_ms + 7 * DAY_MS - HOUR_MS, **changes}
    return town.publish(**changes)


def test_what_only_looser_limits_let_in_is_not_asked_before_they_are_three_days_old(
    town: Town,
) -> None:
    first = same_case(town)
    town.append(town.change(LOOSE))
    second = same_case(town)
    assert whys(town) == [], "whoever replays lets it in"
    assert is_asked(town, first)
    # Seen to fail with `keeps_from` not looked at in firmware/protocol/register/facts.py.
    assert not is_asked(town, second)
    town.wind(hours=71.9)
    assert not is_asked(town, second)
    town.wind(hours=0.2)
    assert is_asked(town, second)


def test_a_request_that_keeps_the_older_limits_too_is_asked_at_once(town: Town) -> None:
    town.append(town.change(LOOSE))
    assert is_asked(town, same_case(town))


@pytest.mark.parametrize(
    ("count", "changes"),
    [
        ("max_open_per_officer", {"case_number": "LK-2"}),
        ("max_per_case", {}),
        ("area_quiet_ms", {"case_number": "LK-2", "cells": [CELL, OTHER_CELL]}),
    ],
)
def test_every_count_is_held_to_the_limits_that_are_old_enough(
    count: str, changes: dict[str, Any]
) -> None:
    strict = Limits(max_open_per_officer=1 if "officer" in count else 5, max_per_case=1)
    town = make_town(limits=strict)
    same_case(town, cells=[OTHER_CELL])
    loose = msgspec.structs.replace(strict, **{count: getattr(LOOSE_COUNTS, count)})
    town.append(town.change(LimitsChanged(limits=loose)))
    late = same_case(town, **changes)
    assert whys(town) == []
    assert not is_asked(town, late)
    town.wind(hours=72)
    assert is_asked(town, late)


def test_a_renewal_is_not_asked_before_what_it_renews(town: Town) -> None:
    same_case(town)
    town.append(town.change(LOOSE))
    town.wind(hours=1)
    late = same_case(town)
    town.now_ms += HOUR_MS
    renewal = town.renew(late, expires_ms=town.now_ms + 7 * DAY_MS)
    assert whys(town) == []
    # Seen to fail with `renewed.keeps_from` left out of firmware/protocol/register/counts.py.
    assert not is_asked(town, renewal)
    town.wind(hours=72)
    assert is_asked(town, renewal)


def test_stricter_limits_keep_out_at_once_what_is_new(town: Town) -> None:
    same_case(town)
    town.append(town.change(STRICT))
    same_case(town, cells=[OTHER_CELL])
    assert "1 requests at most" in whys(town)[-1]


def test_a_request_under_limits_that_were_changed_very_often_waits_for_younger_ones() -> None:
    town = make_town()
    for _ in range(MAX_LIMITS_BACK + 1):
        town.append(town.change(LimitsChanged(limits=Limits())))
    signed = same_case(town)
    assert not is_asked(town, signed), "it wasn't tried by the charter's"
    town.wind(hours=72)
    assert is_asked(town, signed)


# --- an agency that changes its key ---


def certified_anew(town: Town, officer: TownOfficer) -> SignedCertificate:
    """Return the same certificate under the key that the agency has now."""
    text = officer.certificate.certificate
    message = certificate_message(text.encode())
    return SignedCertificate(certificate=text, signature=sign_p256(town.agency_key, message))


def rotated(town: Town) -> tuple[SignedCertificate, SignedCertificate]:
    """Let the agency change its key and certify both officers anew; return the certificates."""
    town.agency_key = town.new_key()
    town.make_agreement(signing_key=spki_of(town.agency_key))
    anew = certified_anew(town, town.officer), certified_anew(town, town.cosigner)
    town.append(*(OfficerLeaf(signed=one) for one in anew))
    return anew


def test_an_agency_with_another_key_certifies_the_same_officers_anew(town: Town) -> None:
    officer, cosigner = rotated(town)
    assert whys(town) == []
    signed = msgspec.structs.replace(
        town.sign(town.request(expires_ms=town.now_ms + 6 * DAY_MS)),
        officer=officer,
        cosigner=cosigner,
    )
    town.append(RequestLeaf(signed=signed))
    assert whys(town) == []
    assert not is_asked(town, signed), "the new key isn't old enough"
    town.wind(hours=73)
    # Seen to fail with `officer_of` going by the text alone.
    assert is_asked(town, signed)


def test_a_certificate_is_here_already_under_the_same_key_only(town: Town) -> None:
    town.append(OfficerLeaf(signed=certified_anew(town, town.officer)))
    assert whys(town) == ["this certificate is here already"]
    rotated(town)
    assert len(whys(town)) == 1
    town.append(OfficerLeaf(signed=certified_anew(town, town.officer)))
    assert whys(town)[1:] == ["this certificate is here already"]


def test_an_officer_who_was_revoked_comes_back_by_the_agencys_new_key_only(town: Town) -> None:
    town.revoke(town.officer)
    town.append(OfficerLeaf(signed=certified_anew(town, town.officer)))
    assert len(whys(town)) == 1
    officer, _ = rotated(town)
    old = town.register.officer_of(town.officer.certificate)
    new = town.register.officer_of(officer)
    assert old is not None
    assert new is not None
    assert (old.is_revoked, new.is_revoked) == (True, False)


def test_a_certificate_that_no_key_of_the_agency_signed_is_nobodys(town: Town) -> None:
    signed = town.officer.certificate
    for signature in (b64u(b"x"), "_", town.cosigner.certificate.signature):
        forged = msgspec.structs.replace(signed, signature=signature)
        assert town.register.officer_of(forged) is None


# --- what a suspension ends, and what comes back ---


def test_a_suspension_ends_what_was_asked_until_a_new_agreement_is_old_enough(town: Town) -> None:
    lasting = same_case(town)
    ending = town.publish(expires_ms=town.now_ms + DAY_MS, cells=[OTHER_CELL])
    town.suspend()
    assert not is_asked(town, lasting)
    town.wind(hours=1)
    town.make_agreement()
    for hours in (0, 71.9):
        town.wind(hours=hours)
        assert not is_asked(town, lasting)
    town.wind(hours=0.2)
    assert is_asked(town, lasting), "its agency may ask again, and it hasn't expired"
    assert ending.request_digest in town.facts().requests
    with pytest.raises(RequestRefused, match="request_expired"):
        check_request(
            ending.request_digest,
            town.facts(),
            now_ms=town.now_ms,
            cell=OTHER_CELL,
            refused=frozenset(),
        )


def test_a_request_that_is_published_under_a_suspension_never_comes_back(town: Town) -> None:
    town.suspend()
    signed = same_case(town)
    assert "suspended" in whys(town)[-1]
    town.make_agreement()
    town.wind(hours=73)
    assert not is_asked(town, signed)


# --- requests that are dated back ---


@pytest.mark.parametrize(("days", "expected"), [(6.9, True), (7.1, False)])
def test_a_request_that_is_dated_back_ends_a_week_after_its_date(
    town: Town, days: float, expected: bool
) -> None:
    made_ms = NOW_MS - round(days * DAY_MS)
    signed = town.publish(
        created_ms=made_ms,
        expires_ms=made_ms + 7 * DAY_MS,
        from_ms=made_ms - 2 * HOUR_MS,
        to_ms=made_ms - HOUR_MS,
    )
    assert whys(town) == []
    assert is_asked(town, signed) is expected


def test_a_request_that_stands_longer_than_a_week_is_void_whenever_it_is_dated(
    town: Town,
) -> None:
    for days in (0, 6):
        made_ms = NOW_MS - days * DAY_MS
        town.publish(
            created_ms=made_ms,
            expires_ms=made_ms + 7 * DAY_MS + 1,
            from_ms=made_ms - 2 * HOUR_MS,
            to_ms=made_ms - HOUR_MS,
        )
    assert [why for why in whys(town) if "7 days at most" not in why] == []
    assert len(whys(town)) == 2


# --- programs ---


def test_a_program_has_the_time_at_which_witnesses_saw_its_release(town: Town) -> None:
    town.append(town.change(PROGRAM))
    town.wind(hours=5)
    (fact,) = town.facts().programs
    assert (fact.program, fact.seen_ms) == (PROGRAM, NOW_MS)


def test_a_program_of_another_place_or_one_person_is_none(town: Town) -> None:
    town.append(town.change(PROGRAM, by=("bob",)))
    town.append(town.change(PROGRAM, follows=1))
    assert town.facts().programs == ()


def test_an_empty_register_has_no_place_but_its_charters(town: Town) -> None:
    register = Register(town.register.origin)
    assert register.widenings == 0
    assert register.apply(register.next_entry(town.change(STRICT))) is not None
    assert register.widenings == 0


def test_a_change_has_one_text_with_its_place_in_it_and_without_where_it_has_none() -> None:
    suspended = AgencySuspended(agency="lakeland")
    for follows, body, text, content in (
        (7, PROGRAM, PLACED, PLACED_BODY),
        (msgspec.UNSET, suspended, PLACED_NOWHERE, PLACED_NOWHERE_BODY),
    ):
        change = Change(origin="example.a/register", nonce="a" * 26, follows=follows, body=body)
        texts = texts_of(change)
        assert (texts.change.encode(), texts.content.encode()) == (text, content)
        assert parse_change(texts) == change
