"""Whoever an agency certified for something else than asking gets no request out, and ends none.

The roles `records` and `admin` have real passkeys and real certificates. Here they sign past every
page, and a hostile relay publishes it: doorbells read the register and judge by themselves.
"""

import pytest
from msgspec.structs import replace

from firmware.consent.request_rules import RequestRefused, check_request
from firmware.protocol.encoding import WireError, new_id, unb64u
from firmware.protocol.passkeys import challenge
from firmware.protocol.register.entries import RequestLeaf, WithdrawnLeaf
from firmware.protocol.requests import (
    WITHDRAW_TAG,
    OfficerRole,
    SignedRequest,
    SignedWithdrawal,
    Withdrawal,
    check_signatures,
    check_withdrawal,
    parse_request,
)
from tests.fakes.log_town import Town, TownOfficer, make_town

OTHER_ROLES: tuple[OfficerRole, ...] = ("records", "admin")


def add_old_officer(town: Town, role: OfficerRole) -> TownOfficer:
    """Certify somebody long enough ago for every delay."""
    officer = town.add_officer("Clerk Ek", role=role)
    town.wind(days=4)
    return officer


def sign(town: Town, clerk: TownOfficer, *, place: str) -> SignedRequest:
    """Return a request that the clerk drafted or co-signed."""
    if place == "drafts":
        request = town.request(officer_id=clerk.id, officer_name=clerk.name)
        return town.sign(request, officer=clerk)
    request = town.request(cosigner_id=clerk.id, cosigner_name=clerk.name)
    return town.sign(request, cosigner=clerk)


def is_asked(town: Town, signed: SignedRequest) -> bool:
    """Tell whether a doorbell in the area would take a grant for it."""
    try:
        check_request(
            signed.request_digest,
            town.facts(),
            now_ms=town.now_ms,
            cell=parse_request(signed).cells[0],
            refused=frozenset(),
        )
    except RequestRefused:
        return False
    return True


def withdrawal_by(town: Town, clerk: TownOfficer, signed: SignedRequest) -> SignedWithdrawal:
    return signed_withdrawal(
        clerk,
        Withdrawal(
            request_digest=signed.request_digest, agency=town.agreement.agency, officer_id=clerk.id
        ),
    )


def signed_withdrawal(clerk: TownOfficer, withdrawal: Withdrawal) -> SignedWithdrawal:
    text = withdrawal.encode()
    return SignedWithdrawal(
        withdrawal=text.decode(),
        assertion=clerk.passkey.sign(challenge(WITHDRAW_TAG, text)),
        officer=clerk.certificate,
    )


@pytest.mark.parametrize("place", ["drafts", "co-signs"])
@pytest.mark.parametrize("role", OTHER_ROLES)
def test_no_doorbell_hears_a_request_by_another_role(role: OfficerRole, place: str) -> None:
    """Seen to be asked, in each case, without `check_may_ask` in `check_officers`."""
    town = make_town()
    clerk = add_old_officer(town, role)
    signed = sign(town, clerk, place=place)
    with pytest.raises(WireError, match="only an officer or an approver signs requests"):
        check_signatures(signed, unb64u(town.agreement.signing_key))
    town.append(RequestLeaf(signed=signed))
    assert not is_asked(town, signed)
    assert "only an officer or an approver" in town.register.voids[-1].why


@pytest.mark.parametrize("role", OTHER_ROLES)
def test_another_role_withdraws_nothing(role: OfficerRole) -> None:
    """Seen to end the request without `check_may_ask` in `check_withdrawal`."""
    town = make_town()
    clerk = add_old_officer(town, role)
    signed = town.publish()
    withdrawal = withdrawal_by(town, clerk, signed)
    with pytest.raises(WireError, match="only an officer or an approver signs requests"):
        check_withdrawal(withdrawal, unb64u(town.agreement.signing_key))
    leaf = WithdrawnLeaf(signed=withdrawal)
    why = town.register.would_refuse(town.next_entry(leaf))
    assert why is not None
    assert "only an officer or an approver" in why
    town.append(leaf)
    assert is_asked(town, signed)


@pytest.mark.parametrize("named", ["agency", "officer_id", "cosigner_id"])
def test_a_certificate_signs_for_nobody_else(named: str) -> None:
    town = make_town()
    other = "harbour-police" if named == "agency" else new_id()
    signed = town.sign(town.request(**{named: other}))
    with pytest.raises(WireError, match="for somebody else"):
        check_signatures(signed, unb64u(town.agreement.signing_key))
    town.append(RequestLeaf(signed=signed))
    assert not is_asked(town, signed)


@pytest.mark.parametrize("named", ["agency", "officer_id"])
def test_nobody_withdraws_in_anothers_name(named: str) -> None:
    town = make_town()
    signed = town.publish()
    honest = Withdrawal(
        request_digest=signed.request_digest,
        agency=town.agreement.agency,
        officer_id=town.officer.id,
    )
    key = unb64u(town.agreement.signing_key)
    assert check_withdrawal(signed_withdrawal(town.officer, honest), key) == honest
    other = "harbour-police" if named == "agency" else town.cosigner.id
    with pytest.raises(WireError, match="another officer's"):
        check_withdrawal(signed_withdrawal(town.officer, replace(honest, **{named: other})), key)


def test_a_withdrawal_that_another_passkey_signed_is_none() -> None:
    town = make_town()
    withdrawal = withdrawal_by(town, town.officer, town.publish())
    by_another = replace(
        withdrawal_by(town, town.cosigner, town.publish()),
        withdrawal=withdrawal.withdrawal,
        officer=withdrawal.officer,
    )
    key = unb64u(town.agreement.signing_key)
    check_withdrawal(withdrawal, key)
    with pytest.raises(WireError, match="another passkey"):
        check_withdrawal(by_another, key)


def test_who_may_ask_has_one_of_two_roles_in_the_certificate_that_the_agency_signed() -> None:
    """A clerk who writes another role into their certificate no longer has the agency's word."""
    town = make_town()
    clerk = add_old_officer(town, "records")
    certificate = replace(
        clerk.certificate,
        certificate=clerk.certificate.certificate.replace('"records"', '"officer"'),
    )
    signed = replace(sign(town, clerk, place="co-signs"), cosigner=certificate)
    with pytest.raises(WireError, match="didn't certify this officer"):
        check_signatures(signed, unb64u(town.agreement.signing_key))
