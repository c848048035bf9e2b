"""The verifier: may this statement of an owner be acted on? Pure; any failure means no.

`judge` runs once when a statement arrives, and everything again with fresh facts in `release`,
`admit` and `let_in`, after the owner's confirmation outside the relay. The order of the checks is
the order of the code. What an owner signs, and in which bytes, is in protocol/grants.py.

Not here: who was told, what is stored, how a confirmation is asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from firmware.consent.facts import (
    Admission,
    BrowserAdmission,
    BrowserEnding,
    BrowserEnrolment,
    Confirmation,
    Facts,
    Grant,
    Judged,
    OwnerAddition,
    Reason,
    Refusal,
    Release,
)
from firmware.consent.request_rules import RequestRefused, agency_of, check_request
from firmware.protocol.browsers import check_browser_keys
from firmware.protocol.claims import Agency
from firmware.protocol.encoding import WireError, decode_canonical, sha256_hex
from firmware.protocol.grants import (
    MAX_GRANT_LIFE_MS,
    STATEMENT_TAG,
    AddOwner,
    EndBrowser,
    EnrolBrowser,
    GrantTerms,
    Owner,
    SignedStatement,
    Statement,
    check_owner_keys,
)
from firmware.protocol.passkeys import AssertionRefused, challenge, check_assertion
from firmware.protocol.requests import EvidenceRequest, SignedRequest

CONFIRMATION_LIFE_MS = 10 * 60 * 1000


class _Refused(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.refusal = Refusal(reason=reason, detail=detail)


def judge(data: bytes, facts: Facts) -> Judged | Refusal:
    """Check one opened statement (canonical `SignedStatement` bytes) against `facts`."""
    try:
        return _judge(data, facts)
    except _Refused as refused:
        return refused.refusal


def release(grant: Grant, confirmation: Confirmation | None, fresh: Facts) -> Release | Refusal:
    """Repeat every check of `grant` with fresh facts and demand the owner's confirmation."""
    again = judge(grant.signed.encode(), fresh)
    if isinstance(again, Refusal):
        return again
    refusal = _check_confirmation(grant.digest, confirmation, fresh)
    if refusal is not None:
        return refusal
    assert isinstance(again, Grant) and confirmation is not None  # noqa: S101, PT018 - same bytes
    return Release(grant=again, confirmation=confirmation)


def admit(
    addition: OwnerAddition, confirmation: Confirmation | None, fresh: Facts
) -> Admission | Refusal:
    """The same second step for a statement that adds an owner (R10c)."""
    again = judge(addition.signed.encode(), fresh)
    if isinstance(again, Refusal):
        return again
    refusal = _check_confirmation(addition.digest, confirmation, fresh)
    if refusal is not None:
        return refusal
    assert isinstance(again, OwnerAddition) and confirmation is not None  # noqa: S101, PT018
    return Admission(addition=again, confirmation=confirmation)


def let_in(
    enrolment: BrowserEnrolment, confirmation: Confirmation | None, fresh: Facts
) -> BrowserAdmission | Refusal:
    """The same second step for a browser; a known one needs no confirmation (R10c)."""
    again = judge(enrolment.signed.encode(), fresh)
    if isinstance(again, Refusal):
        return again
    assert isinstance(again, BrowserEnrolment)  # noqa: S101 - judged from the same bytes
    if not again.is_known:
        refusal = _check_confirmation(enrolment.digest, confirmation, fresh)
        if refusal is not None:
            return refusal
    return BrowserAdmission(enrolment=again)


def signer_of(signed: SignedStatement, owners: Iterable[Owner]) -> Owner | None:
    """Return the owner who truly signed this text, whatever else is wrong with it."""
    expected = challenge(STATEMENT_TAG, signed.statement.encode())
    for owner in owners:
        try:
            check_assertion(signed.assertion, owner.passkey, expected)
        except WireError:
            continue
        return owner
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A statement of an owner of this doorbell, not used before."""

    digest: str
    signed: SignedStatement
    statement: Statement
    owner: Owner

    @property
    def credential_id(self) -> str:
        return self.owner.passkey.credential_id


def _judge(data: bytes, facts: Facts) -> Judged:
    opened = _open(data, facts)
    terms = opened.statement.terms
    if isinstance(terms, EndBrowser):  # it narrows, so it counts while the time isn't known, too
        return _judge_ending(terms, opened, facts)
    _check_time(opened.statement, facts)
    if isinstance(terms, AddOwner):
        return _judge_addition(terms, opened, facts)
    if isinstance(terms, EnrolBrowser):
        return _judge_enrolment(terms, opened, facts)
    return _judge_grant(terms, opened, facts)


def _open(data: bytes, facts: Facts) -> _Opened:
    try:
        signed = decode_canonical(SignedStatement, data)
        statement = decode_canonical(Statement, signed.statement.encode())
    except WireError as error:
        raise _Refused("form", str(error)) from error
    digest = sha256_hex(signed.statement.encode())
    if statement.device != facts.device:
        raise _Refused("device", "signed for another doorbell")
    owner = _check_owner(signed, facts)
    if digest in facts.spent:
        raise _Refused("spent", "this statement was used before")
    return _Opened(digest=digest, signed=signed, statement=statement, owner=owner)


def _judge_addition(terms: AddOwner, opened: _Opened, facts: Facts) -> OwnerAddition:
    _check_addition(terms, facts)
    return OwnerAddition(
        digest=opened.digest,
        signed=opened.signed,
        terms=terms,
        credential_id=opened.credential_id,
        not_after_ms=opened.statement.not_after_ms,
    )


def _judge_enrolment(terms: EnrolBrowser, opened: _Opened, facts: Facts) -> BrowserEnrolment:
    try:
        check_browser_keys(terms.browser)
    except WireError as error:
        raise _Refused("form", f"the browser's keys can't be used: {error}") from error
    known = facts.browsers.get(terms.browser.id)
    if known is not None and known.credential_id != opened.credential_id:
        raise _Refused("browser", "this browser is another owner's")
    return BrowserEnrolment(
        digest=opened.digest,
        signed=opened.signed,
        terms=terms,
        credential_id=opened.credential_id,
        not_after_ms=opened.statement.not_after_ms,
        is_known=known is not None and known.keys == terms.browser,
    )


def _judge_ending(terms: EndBrowser, opened: _Opened, facts: Facts) -> BrowserEnding:
    known = facts.browsers.get(terms.browser)
    if known is None or known.credential_id != opened.credential_id:
        raise _Refused("browser", "none of your browsers here is that one")
    return BrowserEnding(
        digest=opened.digest,
        signed=opened.signed,
        terms=terms,
        credential_id=opened.credential_id,
    )


def _judge_grant(terms: GrantTerms, opened: _Opened, facts: Facts) -> Grant:
    signed_request, request, agency = _check_request(terms, facts)
    _check_clips(terms, request, facts)
    _check_recipient(terms, request, agency)
    return Grant(
        digest=opened.digest,
        signed=opened.signed,
        terms=terms,
        request=request,
        signed_request=signed_request,
        agency=agency,
        credential_id=opened.credential_id,
        not_after_ms=opened.statement.not_after_ms,
    )


def _check_owner(signed: SignedStatement, facts: Facts) -> Owner:
    credential_id = signed.assertion.credential_id
    owner = next((o for o in facts.owners if o.passkey.credential_id == credential_id), None)
    if owner is None:
        raise _Refused("owner", "not signed by an owner of this doorbell")
    expected = challenge(STATEMENT_TAG, signed.statement.encode())
    try:
        check_assertion(signed.assertion, owner.passkey, expected)
    except AssertionRefused as error:
        raise _Refused("assertion", str(error)) from error
    except WireError as error:
        raise _Refused("form", str(error)) from error
    return owner


def _check_time(statement: Statement, facts: Facts) -> None:
    if not facts.is_clock_trusted:
        raise _Refused("clock", "the doorbell doesn't know the time, so nothing goes in or out")
    if facts.now_ms >= statement.not_after_ms:
        raise _Refused("expired", "the statement's time is over; sign it again")
    if statement.not_after_ms - facts.now_ms > MAX_GRANT_LIFE_MS:
        raise _Refused("too_long", "a statement may hold for 24 hours at most")


def _check_addition(terms: AddOwner, facts: Facts) -> None:
    new = terms.owner.passkey.credential_id
    if any(o.passkey.credential_id == new for o in facts.owners):
        raise _Refused("already_owner", "this passkey is an owner already")
    if terms.owner.browser.id in facts.browsers:
        raise _Refused("browser", "the new owner's browser is an owner's here already")
    try:
        check_owner_keys(terms.owner)
    except WireError as error:
        raise _Refused("form", f"the new owner's keys can't be used: {error}") from error


def _check_request(
    terms: GrantTerms, facts: Facts
) -> tuple[SignedRequest, EvidenceRequest, Agency]:
    signed = facts.requests.get(terms.request_digest)
    if signed is None:
        raise _Refused("request_unknown", "no such request was published to this doorbell")
    try:
        agency = agency_of(signed, facts.agencies)
        request = check_request(signed, agency, now_ms=facts.now_ms, cell=facts.cell)
    except RequestRefused as error:
        raise _Refused(error.reason, error.detail) from error
    return signed, request, agency


def _check_clips(terms: GrantTerms, request: EvidenceRequest, facts: Facts) -> None:
    ids = [clip.clip_id for clip in terms.clips]
    if len(set(ids)) != len(ids):
        raise _Refused("clip_repeated", "a clip is named twice")
    for clip in terms.clips:
        fact = facts.clips.get(clip.clip_id)
        if fact is None:
            raise _Refused("clip_unknown", f"clip {clip.clip_id} isn't in the library")
        if fact.manifest_digest != clip.manifest_digest:
            raise _Refused("clip_digest", f"clip {clip.clip_id} isn't the one that was signed")
        if (clip.from_ms, clip.to_ms) != (fact.started_ms, fact.ended_ms):
            raise _Refused("clip_range", f"clip {clip.clip_id} has other times than were signed")
        if fact.started_ms < request.from_ms or fact.ended_ms > request.to_ms:
            raise _Refused("clip_window", f"clip {clip.clip_id} isn't inside the asked time")


def _check_recipient(terms: GrantTerms, request: EvidenceRequest, agency: Agency) -> None:
    if terms.recipient.agency != request.agency:
        raise _Refused("recipient", "granted to another agency than the one that asks")
    strangers = set(terms.recipient.sealing_keys) - set(agency.sealing_keys)
    if strangers:
        raise _Refused("recipient", f"a key that isn't {agency.name}'s would open the recording")


def _check_confirmation(
    digest: str, confirmation: Confirmation | None, fresh: Facts
) -> Refusal | None:
    if confirmation is None:
        detail = "nobody confirmed it at the doorbell"
    elif confirmation.statement_digest != digest:
        detail = "another statement was confirmed"
    elif not 0 <= fresh.now_ms - confirmation.asked_ms <= CONFIRMATION_LIFE_MS:
        detail = "it was confirmed too late: ten minutes after it was asked for at most"
    elif confirmation.confirmed_ms < confirmation.asked_ms:
        detail = "it was confirmed before it was asked for"
    else:
        return None
    return Refusal(reason="not_confirmed", detail=detail)
