"""Outcomes of requests, signed: whether the agency used the recordings that it was given.

An officer files it once the request is over, and it goes into the custody log. A request and its
renewal are one: the renewal's digest stands for both. "not_used" is also what is said where nothing
arrived, so that the record doesn't tell of one request whether anybody gave something for it.

What the agency says beyond that is its own and isn't in here.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import (
    AgencyId,
    Digest,
    Document,
    Id,
    WireError,
    decode_canonical,
)
from firmware.protocol.passkeys import Assertion, challenge, check_assertion
from firmware.protocol.requests import OfficerRole, SignedCertificate, check_certificate

OUTCOME_TAG = b"doorward/outcome/v1"
FILE_WITHIN_MS = 30 * 24 * 3600 * 1000
"""After the request was over."""
FILING_ROLES: frozenset[OfficerRole] = frozenset({"officer", "approver", "records"})

OutcomeKind = Literal["used", "not_used"]


class Outcome(Document, frozen=True, kw_only=True):
    """The outcome of a request. `is_resolved`: it was closed early, because the case is solved."""

    v: Literal[1] = 1
    domain: Literal["doorward/outcome/v1"] = "doorward/outcome/v1"
    request_digest: Digest
    agency: AgencyId
    officer_id: Id
    outcome: OutcomeKind
    is_resolved: bool


class SignedOutcome(Document, frozen=True, kw_only=True):
    """`outcome` is the canonical text; the assertion signs `challenge(OUTCOME_TAG, …)`."""

    outcome: Annotated[str, msgspec.Meta(max_length=1024)]
    assertion: Assertion
    officer: SignedCertificate


def parse_outcome(signed: SignedOutcome) -> Outcome:
    """Return the outcome; only its form is checked."""
    return decode_canonical(Outcome, signed.outcome.encode())


def check_outcome(signed: SignedOutcome, signing_key: bytes) -> Outcome:
    """Return the outcome if somebody who may, whom the agency's key certified, signed it, or raise.

    Whether the certificate is registered, revoked or over is not checked here, nor the request.
    """
    outcome = parse_outcome(signed)
    certificate = check_certificate(signed.officer, signing_key)
    if (certificate.agency, certificate.officer_id) != (outcome.agency, outcome.officer_id):
        raise WireError("the certificate is another officer's")
    if certificate.role not in FILING_ROLES:
        raise WireError(f"who has the role {certificate.role} files no outcomes")
    expected = challenge(OUTCOME_TAG, signed.outcome.encode())
    check_assertion(signed.assertion, certificate.passkey, expected)
    return outcome
