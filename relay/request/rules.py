"""Rules for requests at the desk that only the relay can check. Pure.

Limits, area and counts are the protocol's (firmware/protocol/register/rules.py). Here is what
depends on the time and on who is signed in.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, Literal

from firmware.protocol.encoding import WireError, decode_canonical
from firmware.protocol.passkeys import AssertionRefused, challenge, check_assertion
from firmware.protocol.register.facts import place_of_limits
from firmware.protocol.register.rules import Rule, RuleBroken, check_area, check_limits
from firmware.protocol.requests import ASKING_ROLES, MAX_SKEW_MS, REQUEST_TAG, EvidenceRequest
from relay.agency.agencies import Agency, Standing, agency_of, standing_of
from relay.agency.register import RegisterView
from relay.errors import RelayError
from relay.store.people import Account
from relay.store.requests import Draft, RequestRow

DeskRule = Literal[
    "form.unreadable", "form.words", "form.unknown", "form.not_yours",
    "agency.unknown", "agency.other",
    "agreement.waiting", "agreement.suspended", "agreement.ended", "agreement.text",
    "officer.none", "officer.waiting", "officer.ended", "officer.revoked", "officer.role",
    "officer.name", "officer.certificate", "officer.filing",
    "cosigner.self", "cosigner.none", "cosigner.role", "cosigner.name", "cosigner.other",
    "emergency.approver", "open_limit.desk", "signature", "created", "id_taken", "register",
    "expired.cosigning", "expired.publication",
    "state.cosigned", "state.desk", "state.public",
    "state.outcome", "state.renewed", "state.filed", "state.no_download", "state.open",
    "state.not_early",
    "state.appealed", "state.not_refused", "state.appeal_late", "outcome_due", "grounds.theft_map",
]  # fmt: skip
"""What only the relay refuses its officers, by name."""
ModeratorRule = Literal[
    "expired.moderation", "moderator", "state.appeal_decided", "state.moderated"
]
"""What it refuses a moderator."""
RefusalName = Rule | DeskRule | ModeratorRule
"""Every reason for a refusal: relay/web/agency/problem_texts.py has words for the officers'."""


_THEFT_MAP: Final = re.compile(
    r"(?<!\w)(?:(?:parcel )?thefts?[\s_-]*maps?|maps? of (?:parcel )?thefts?"
    r"|stöldkart\w*|kart\w+ över (?:paket)?stöld\w*)(?!\w)"
)
WRITTEN_FIELDS: Final = ("text", "reason", "danger")
"""The fields of a request in which officers give their grounds."""


class RequestRefused(RelayError):
    """A request breaks a rule; `name` says which, the text what is allowed.

    Pages have words for each name, and fill in `facts`.
    """

    def __init__(self, name: RefusalName, detail: str, /, **facts: object) -> None:
        super().__init__(detail)
        self.name: RefusalName = name
        self.facts = facts

    @property
    def reason(self) -> str:
        """The first part of the name, which programs are told as the error's code."""
        return self.name.partition(".")[0]


def parse_text(text: str) -> EvidenceRequest:
    """Return a request's fields; only the form is checked."""
    try:
        return decode_canonical(EvidenceRequest, text.encode())
    except WireError as error:
        raise RequestRefused("form.unreadable", str(error)) from error


def check_draft(
    draft: Draft, officer: Account, view: RegisterView, pending: Sequence[EvidenceRequest] = ()
) -> EvidenceRequest:
    """Return the request if this officer may put it on the desk, or raise RequestRefused.

    `pending` is what of its agency lies there already.
    """
    request = parse_text(draft.request)
    if request.agency != officer.agency or request.officer_id != officer.id:
        raise RequestRefused(
            "agency.other", "the request names another officer or agency than yours"
        )
    agency = require_agreement(view, request.agency)
    standing = require_standing(view, request.agency, officer.id)
    if draft.officer != standing.signed:
        raise another_certificate()
    if request.officer_name != standing.name:
        words = f"your certificate's name is {standing.name!r}"
        raise RequestRefused("officer.name", words, name=standing.name)
    check_cosigner(request, view)
    check_times(request, view.now_ms)
    check_grounds(request)
    try:
        check_limits(request, view.facts.limits)
        check_area(request.cells, agency.agreement)
        check_counts(request, view, pending)
    except RuleBroken as error:
        raise RequestRefused(error.rule, str(error)) from error
    _check_assertion(draft, standing)
    return request


def check_counts(
    request: EvidenceRequest, view: RegisterView, pending: Sequence[EvidenceRequest]
) -> None:
    """Raise RuleBroken if the request exceeds a count (R4, R13, R15).

    Or RequestRefused, which names the case of the emergency in the way.
    What is on its way into the register counts as what is there: else more would be signed and
    read than goes in.
    """
    place = place_of_limits(view.register, view.stamps, view.now_ms)
    try:
        view.register.check_counts(request, limits_from=place, pending=pending)
    except RuleBroken as error:
        if error.rule != "emergency.open":
            raise
        case_number = _case_of_emergency(request, view, pending)
        raise RequestRefused(error.rule, str(error), case_number=case_number) from error


def _case_of_emergency(
    request: EvidenceRequest, view: RegisterView, pending: Sequence[EvidenceRequest]
) -> str:
    """Return the case number of the agency's emergency request that is open or on the desk."""
    standing = (
        record.request
        for record in reversed(view.register.requests.values())
        if not record.is_withdrawn and record.renewed_by is None
    )
    for one in (*pending, *standing):
        is_theirs = one.agency == request.agency and one.is_emergency
        if is_theirs and one.expires_ms > request.created_ms:
            return one.case_number
    return "?"


def came_before(on_desk: Sequence[RequestRow], request_id: str) -> list[EvidenceRequest]:
    """Return the requests that came to the desk before this one: they count against it.

    What came later gives way: so it is at publication, too.
    """
    ids = [row.id for row in on_desk]
    end = ids.index(request_id) if request_id in ids else len(ids)
    return [row.request for row in on_desk[:end]]


def another_certificate() -> RequestRefused:
    """Return why a signature doesn't count that was made under an older certificate."""
    words = "signed under another certificate than your newest one"
    return RequestRefused("officer.certificate", words)


def require_agreement(view: RegisterView, agency_id: str) -> Agency:
    """Return an agency that may make requests now, or raise."""
    agency = agency_of(view, agency_id)
    if agency is None:
        raise RequestRefused("agency.unknown", "the register knows no such agency")
    match agency.state:
        case "in_force":
            return agency
        case "waiting":
            words = f"the agreement with {agency.name} isn't public for long enough yet"
            raise RequestRefused("agreement.waiting", words)
        case "suspended":
            raise RequestRefused("agreement.suspended", f"{agency.name} is suspended")
        case "ended":
            words = f"the agreement with {agency.name} has ended"
            raise RequestRefused("agreement.ended", words)


def require_standing(view: RegisterView, agency_id: str, officer_id: str) -> Standing:
    """Return the standing of an officer who may sign requests now, or raise."""
    standing = standing_of(view, agency_id, officer_id)
    check_counts_now(standing)
    if standing.role not in ASKING_ROLES:
        told = "your certificate is for other work: officers and approvers sign requests"
        raise RequestRefused("officer.role", told)
    return standing


def check_counts_now(standing: Standing) -> None:
    """Raise RequestRefused unless an officer's certificate counts now."""
    match standing.state:
        case "valid":
            return
        case "none":
            raise RequestRefused("officer.none", "your agency hasn't certified your passkey")
        case "waiting":
            words = "your certificate isn't in the register for long enough yet"
            raise RequestRefused("officer.waiting", words)
        case "ended":
            words = "your certificate has ended; ask your agency for a new one"
            raise RequestRefused("officer.ended", words)
        case "revoked":
            raise RequestRefused("officer.revoked", "your certificate was revoked")


def check_cosigner(request: EvidenceRequest, view: RegisterView) -> None:
    """Raise RequestRefused unless the officer named to co-sign it may do so now."""
    if request.cosigner_id == request.officer_id:
        raise RequestRefused("cosigner.self", "nobody co-signs their own request")
    cosigner = standing_of(view, request.agency, request.cosigner_id)
    if cosigner.state != "valid":
        words = "the officer who is to co-sign it has no certificate now"
        raise RequestRefused("cosigner.none", words)
    if cosigner.role not in ASKING_ROLES:
        words = "only an officer or an approver co-signs a request"
        raise RequestRefused("cosigner.role", words)
    if cosigner.name != request.cosigner_name:
        words = f"the co-signer's name is {cosigner.name!r}"
        raise RequestRefused("cosigner.name", words, name=cosigner.name)
    if request.is_emergency and cosigner.role != "approver":
        words = "an emergency is co-signed by an approver"
        raise RequestRefused("emergency.approver", words)


def check_times(request: EvidenceRequest, now_ms: int) -> None:
    """Raise RequestRefused unless the request was made now, for a past time span."""
    if abs(request.created_ms - now_ms) > MAX_SKEW_MS:
        raise RequestRefused("created", "signed more than 10 minutes ago, or your clock is wrong")
    if request.to_ms > now_ms:
        raise RequestRefused("future", "a request may not ask for a time that isn't over")


def check_grounds(request: EvidenceRequest) -> None:
    """Raise RequestRefused if a request cites the theft map, which is no ground for one (R24)."""
    if fields_citing_theft_map(request):
        words = "the theft map shows where people report: it is no reason for a request"
        raise RequestRefused("grounds.theft_map", words)


def fields_citing_theft_map(request: EvidenceRequest) -> list[str]:
    """Return the names of the fields that name the theft map, in English or Swedish."""
    return [name for name in WRITTEN_FIELDS if _THEFT_MAP.search(_plain(getattr(request, name)))]


def _plain(text: str) -> str:
    """Return a text in small letters, each in one form, with every gap as one space."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _check_assertion(draft: Draft, standing: Standing) -> None:
    assert standing.passkey is not None  # noqa: S101 (it has a certificate)
    expected = challenge(REQUEST_TAG, draft.request.encode())
    try:
        check_assertion(draft.assertion, standing.passkey, expected)
    except AssertionRefused as error:
        raise RequestRefused("signature", str(error)) from error
    except WireError as error:
        raise RequestRefused("form.unreadable", str(error)) from error
