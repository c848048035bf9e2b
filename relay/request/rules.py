"""What a request must keep to come onto the desk, as far as only the relay can judge it. Pure.

Limits, area and counts are the protocol's (firmware/protocol/register/rules.py). Here is what
depends on the time and on who is signed in.
"""

from typing import Literal

from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.passkeys import AssertionRefused, challenge, check_assertion
from firmware.protocol.register.facts import place_of_limits
from firmware.protocol.register.rules import Rule, RuleBroken, check_area, check_limits
from firmware.protocol.requests import ASKING_ROLES, MAX_SKEW_MS, REQUEST_TAG, EvidenceRequest
from relay.agency.agencies import Agency, Standing, agency_of, standing_of
from relay.agency.register import RegisterView
from relay.errors import RelayError
from relay.store.people import Account
from relay.store.requests import Draft

Reason = (
    Literal[
        "form", "agency", "agreement", "officer", "cosigner", "signature", "created", "expired",
        "state", "id_taken", "register", "moderator", "outcome_due",
    ]
    | Rule
)  # fmt: skip


class RequestRefused(RelayError):
    """A request breaks a rule; `reason` names it, the text says what is allowed."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason


def parse_text(text: str) -> EvidenceRequest:
    """Return a request's fields; only the form is checked."""
    try:
        return decode_canonical(EvidenceRequest, text.encode())
    except WireError as error:
        raise RequestRefused("form", str(error)) from error


def check_draft(draft: Draft, officer: Account, view: RegisterView) -> EvidenceRequest:
    """Return the request if this officer may put it on the desk, or raise RequestRefused."""
    request = parse_text(draft.request)
    if request.agency != officer.agency or request.officer_id != officer.id:
        raise RequestRefused("agency", "the request names another officer or agency than yours")
    agency = require_agreement(view, request.agency)
    standing = require_standing(view, request.agency, officer.id)
    if draft.officer != standing.signed:
        raise RequestRefused("officer", "signed under another certificate than your newest one")
    if request.officer_name != standing.name:
        raise RequestRefused("officer", f"your certificate's name is {standing.name!r}")
    check_cosigner(request, view)
    check_times(request, view.now_ms)
    try:
        check_limits(request, view.facts.limits)
        check_area(request.cells, agency.agreement)
        place = place_of_limits(view.register, view.stamps, view.now_ms)
        view.register.check_counts(request, limits_from=place)
    except RuleBroken as error:
        raise RequestRefused(error.rule, str(error)) from error
    _check_assertion(draft, standing)
    return request


def require_agreement(view: RegisterView, agency_id: str) -> Agency:
    """Return an agency that may ask now, or raise."""
    agency = agency_of(view, agency_id)
    if agency is None:
        raise RequestRefused("agency", "the register knows no such agency")
    words = {
        "waiting": f"the agreement with {agency.name} isn't public for long enough yet",
        "suspended": f"{agency.name} is suspended",
        "ended": f"the agreement with {agency.name} has ended",
    }
    if agency.state != "in_force":
        raise RequestRefused("agreement", words[agency.state])
    return agency


def require_standing(view: RegisterView, agency_id: str, officer_id: str) -> Standing:
    """Return how an officer stands who may sign requests now, or raise."""
    standing = standing_of(view, agency_id, officer_id)
    words = {
        "none": "your agency hasn't certified your passkey",
        "waiting": "your certificate isn't in the register for long enough yet",
        "ended": "your certificate has ended; ask your agency for a new one",
        "revoked": "your certificate was revoked",
    }
    if standing.state != "valid":
        raise RequestRefused("officer", words[standing.state])
    if standing.role not in ASKING_ROLES:
        raise RequestRefused(
            "officer", "your certificate is for other work: officers and approvers sign requests"
        )
    return standing


def check_cosigner(request: EvidenceRequest, view: RegisterView) -> None:
    """Raise RequestRefused unless the officer named to co-sign it may do so now."""
    if request.cosigner_id == request.officer_id:
        raise RequestRefused("cosigner", "nobody co-signs their own request")
    cosigner = standing_of(view, request.agency, request.cosigner_id)
    if cosigner.state != "valid":
        raise RequestRefused("cosigner", "the officer who is to co-sign it has no certificate now")
    if cosigner.role not in ASKING_ROLES:
        raise RequestRefused("cosigner", "only an officer or an approver co-signs a request")
    if cosigner.name != request.cosigner_name:
        raise RequestRefused("cosigner", f"the co-signer's name is {cosigner.name!r}")
    if request.is_emergency and cosigner.role != "approver":
        raise RequestRefused("emergency", "an emergency is co-signed by an approver")


def check_times(request: EvidenceRequest, now_ms: int) -> None:
    """Raise RequestRefused unless it was made now, for a time that is over."""
    if abs(request.created_ms - now_ms) > MAX_SKEW_MS:
        raise RequestRefused("created", "signed more than 10 minutes ago, or your clock is wrong")
    if request.to_ms > now_ms:
        raise RequestRefused("future", "a request may not ask for a time that isn't over")


def _check_assertion(draft: Draft, standing: Standing) -> None:
    assert standing.passkey is not None  # noqa: S101 (it has a certificate)
    expected = challenge(REQUEST_TAG, draft.request.encode())
    try:
        check_assertion(draft.assertion, standing.passkey, expected)
    except AssertionRefused as error:
        raise RequestRefused("signature", str(error)) from error
    except WireError as error:
        raise RequestRefused("form", str(error)) from error
