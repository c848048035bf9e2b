"""The rules for a published request, as each doorbell checks them for itself.

Trust rules R1-R4, R13 and R20 as far as one doorbell can judge them. Pure.
"""

from collections.abc import Iterable
from typing import Literal

from firmware.protocol.claims import Agency
from firmware.protocol.encoding import WireError, decode_canonical, unb64u
from firmware.protocol.passkeys import AssertionRefused, challenge, check_assertion
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

RequestReason = Literal[
    "agency", "agreement", "officer", "request_form", "request_signature",
    "request_expired", "window", "area",
]  # fmt: skip


class RequestRefused(Exception):
    """A published request breaks a rule; `reason` names it."""

    def __init__(self, reason: RequestReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: RequestReason = reason
        self.detail = detail


def agency_of(signed: SignedRequest, agencies: Iterable[Agency]) -> Agency:
    """Return the agency that a request names, if this doorbell knows it."""
    name = _parse(signed).agency
    agency = next((a for a in agencies if a.id == name), None)
    if agency is None:
        raise RequestRefused("agency", f"this doorbell knows no agency {name!r}")
    return agency


def check_request(
    signed: SignedRequest, agency: Agency, *, now_ms: int, cell: str
) -> EvidenceRequest:
    """Return the request if its officer, limits and place hold for the doorbell in `cell`."""
    request = _parse(signed)
    if now_ms >= agency.agreement_until_ms:
        raise RequestRefused("agreement", f"the agreement with {agency.name} has ended")
    _check_officer(signed, request, agency, now_ms)
    if not request.created_ms - MAX_SKEW_MS <= now_ms < request.expires_ms:
        raise RequestRefused("request_expired", "the request is over, or not yet made")
    if request.expires_ms - request.created_ms > MAX_LIFE_MS:
        raise RequestRefused("request_expired", "a request may stand for 7 days at most")
    window_ms = request.to_ms - request.from_ms
    if not MIN_WINDOW_MS <= window_ms <= MAX_WINDOW_MS:
        raise RequestRefused("window", "a request may ask for 15 minutes to 12 hours")
    if request.to_ms > request.created_ms + MAX_SKEW_MS:
        raise RequestRefused("window", "a request may not ask for a time that isn't over")
    if request.from_ms < request.created_ms - MAX_AGE_MS:
        raise RequestRefused("window", "a request may go back 30 days at most")
    if not set(request.cells) <= set(agency.cells):
        raise RequestRefused("area", f"the place isn't inside {agency.name}'s jurisdiction")
    if cell not in request.cells:
        raise RequestRefused("area", "the request is about another place")
    return request


def _parse(signed: SignedRequest) -> EvidenceRequest:
    try:
        return decode_canonical(EvidenceRequest, signed.request.encode())
    except WireError as error:
        raise RequestRefused("request_form", str(error)) from error


def _check_officer(
    signed: SignedRequest, request: EvidenceRequest, agency: Agency, now_ms: int
) -> None:
    try:
        certificate = check_certificate(signed.officer, unb64u(agency.signing_key))
    except WireError as error:
        raise RequestRefused("officer", str(error)) from error
    if certificate.agency != request.agency or certificate.officer_id != request.officer_id:
        raise RequestRefused("officer", "the officer's certificate is for somebody else")
    if now_ms >= certificate.not_after_ms:
        raise RequestRefused("officer", "the officer's certificate has ended")
    expected = challenge(REQUEST_TAG, signed.request.encode())
    try:
        check_assertion(signed.assertion, certificate.passkey, expected)
    except AssertionRefused as error:
        raise RequestRefused("request_signature", str(error)) from error
    except WireError as error:
        raise RequestRefused("request_form", str(error)) from error
