"""A request's certificates are checked once, when they are published; and never less than that."""

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.register.entries import OfficerLeaf
from firmware.protocol.requests import SignedCertificate, certificate_message
from tests.fakes.log_town import Town, TownOfficer, make_town, sign_p256, spki_of


def certified_anew(town: Town, officer: TownOfficer) -> TownOfficer:
    """Return the officer with the same certificate, signed by the agency's key of now."""
    text = officer.certificate.certificate
    signature = sign_p256(town.agency_key, certificate_message(text.encode()))
    certificate = SignedCertificate(certificate=text, signature=signature)
    return dataclasses.replace(officer, certificate=certificate)


def why_void(town: Town) -> str | None:
    """Return why the newest entry is void."""
    register = town.register
    newest = [void.why for void in register.voids if void.index == register.size - 1]
    return newest[0] if newest else None


def test_the_agencys_other_signature_over_the_same_certificate_is_as_good() -> None:
    town = make_town()
    town.officer = certified_anew(town, town.officer)
    signed = town.publish()
    record = town.register.requests[signed.request_digest]
    assert record.signed == signed
    assert record.signed.officer is not record.signed.cosigner


@pytest.mark.parametrize("who", ["officer", "cosigner"])
def test_a_registered_certificate_under_a_strangers_signature_is_no_certificate(who: str) -> None:
    town = make_town()
    honest, town.agency_key = town.agency_key, ec.generate_private_key(ec.SECP256R1())
    setattr(town, who, certified_anew(town, getattr(town, who)))
    town.agency_key = honest
    # Seen to fail with neither `OfficerRecord.is_of` nor `_certified` looking at the signature.
    town.publish()
    assert why_void(town) == "an officer's certificate isn't in the register"


@pytest.mark.parametrize("who", ["officer", "cosigner"])
def test_certificates_by_two_keys_of_an_agency_make_no_request(who: str) -> None:
    town = make_town()
    town.agency_key = ec.generate_private_key(ec.SECP256R1())
    town.make_agreement(signing_key=spki_of(town.agency_key))
    anew = certified_anew(town, getattr(town, who))
    town.append(OfficerLeaf(signed=anew.certificate))
    setattr(town, who, anew)
    # Seen to fail without the look at the key in `_certified`.
    town.publish()
    assert why_void(town) is not None


def test_a_certificate_is_in_memory_once_however_many_requests_carry_it() -> None:
    town = make_town()
    first = town.publish()
    town.wind(days=2)
    second = town.publish(case_number="LK-2")
    assert first.officer == second.officer
    records = list(town.register.requests.values())
    assert records[0].signed.officer is records[1].signed.officer
