"""The rules that a request must keep to be published here. Pure.

Trust rules R1-R4, R13 and R20 of docs, as far as the relay can judge them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from firmware.protocol.claims import Agency
from firmware.protocol.encoding import WireError, decode_canonical, unb64u
from firmware.protocol.passkeys import AssertionRefused, PasskeyKey, challenge, check_assertion
from firmware.protocol.requests import (
    MAX_AGE_MS,
    MAX_LIFE_MS,
    MAX_SKEW_MS,
    MAX_WINDOW_MS,
    MIN_WINDOW_MS,
    REQUEST_TAG,
    EvidenceRequest,
    SignedRequest,
    check_certificate,
)
from relay.errors import RelayError

MAX_OPEN_PER_OFFICER = 5
MAX_PER_CASE = 2

Reason = Literal[
    "form", "agency", "agreement", "officer", "signature", "created", "expiry", "window",
    "future", "age", "area", "open_limit", "case_limit", "id_taken",
]  # fmt: skip


class RequestRefused(RelayError):
    """A request breaks a rule; `reason` names it, the text says what is allowed."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationFacts:
    """Who publishes, and when."""

    agency: Agency
    officer_id: str
    passkeys: Sequence[PasskeyKey]
    now_ms: int


def parse_request(signed: SignedRequest) -> EvidenceRequest:
    """Return the request's fields; only the form is checked."""
    try:
        return decode_canonical(EvidenceRequest, signed.request.encode())
    except WireError as error:
        raise RequestRefused("form", str(error)) from error


def check_publication(signed: SignedRequest, facts: PublicationFacts) -> EvidenceRequest:
    """Return the request if it may be published, or raise RequestRefused."""
    request = parse_request(signed)
    if request.agency != facts.agency.id or request.officer_id != facts.officer_id:
        raise RequestRefused("agency", "the request names another officer or agency than yours")
    if facts.now_ms >= facts.agency.agreement_until_ms:
        raise RequestRefused("agreement", f"the agreement with {facts.agency.name} has ended")
    _check_officer(signed, request, facts)
    _check_times(request, facts.now_ms)
    if not set(request.cells) <= set(facts.agency.cells):
        raise RequestRefused("area", f"a place isn't inside {facts.agency.name}'s jurisdiction")
    if len(set(request.cells)) != len(request.cells):
        raise RequestRefused("area", "a place is named twice")
    return request


def check_limits(*, open_count: int, case_count: int) -> None:
    """Refuse one request too many, given how many there are."""
    if open_count >= MAX_OPEN_PER_OFFICER:
        raise RequestRefused(
            "open_limit", f"an officer may have {MAX_OPEN_PER_OFFICER} open requests at most"
        )
    if case_count >= MAX_PER_CASE:
        raise RequestRefused("case_limit", f"a case may have {MAX_PER_CASE} requests at most")


def _check_officer(
    signed: SignedRequest, request: EvidenceRequest, facts: PublicationFacts
) -> None:
    try:
        certificate = check_certificate(signed.officer, unb64u(facts.agency.signing_key))
    except WireError as error:
        raise RequestRefused("officer", str(error)) from error
    if certificate.agency != request.agency or certificate.officer_id != request.officer_id:
        raise RequestRefused("officer", "the certificate is another officer's")
    if certificate.name != request.officer_name:
        raise RequestRefused("officer", f"the certificate's name is {certificate.name!r}")
    if facts.now_ms >= certificate.not_after_ms:
        raise RequestRefused("officer", "the certificate has ended; ask your agency for a new one")
    if certificate.passkey not in facts.passkeys:
        raise RequestRefused("officer", "the certificate is for a passkey that isn't yours here")
    expected = challenge(REQUEST_TAG, signed.request.encode())
    try:
        check_assertion(signed.assertion, certificate.passkey, expected)
    except AssertionRefused as error:
        raise RequestRefused("signature", str(error)) from error
    except WireError as error:
        raise RequestRefused("form", str(error)) from error


def _check_times(request: EvidenceRequest, now_ms: int) -> None:
    if abs(request.created_ms - now_ms) > MAX_SKEW_MS:
        raise RequestRefused("created", "signed more than 10 minutes ago, or your clock is wrong")
    if not request.created_ms < request.expires_ms <= request.created_ms + MAX_LIFE_MS:
        raise RequestRefused("expiry", "a request may stand for 7 days at most")
    if not MIN_WINDOW_MS <= request.to_ms - request.from_ms <= MAX_WINDOW_MS:
        raise RequestRefused("window", "a request may ask for 15 minutes to 12 hours")
    if request.to_ms > now_ms:
        raise RequestRefused("future", "a request may not ask for a time that isn't over")
    if request.from_ms < now_ms - MAX_AGE_MS:
        raise RequestRefused("age", "a request may go back 30 days at most")
