"""Verifier of owners' statements: decides whether one may be acted on. Pure; any failure means no.

Specification: protocol/grants.py (what an owner signs, and in which bytes) and trust rules R10,
R10b and R10c. Of every statement `judge` checks, in this order:

1. form: both parts are canonical, and of a known type;
2. for a grant, that no other device has this doorbell's keys; then the request (request_rules.py):
   in force, and for this doorbell's cell;
3. device: signed for this doorbell;
4. signer: an owner of it, or for a `Confirm` a registered approver; then the signature;
5. time: the clock is trusted, `not_after_ms` is ahead, by 24 hours at most (`TIMELESS` decisions
   skip this);
6. unspent: the statement wasn't used before;
7. for a grant: not revoked; each clip in the library, the one that was signed, within its own times
   and the request's; sound, if granted, in one of them; recipient: the request's agency, and only
   its keys;
8. for a decision: household_rules.py.

`judge` runs when a statement arrives. After the owner's confirmation `release` or `decide` repeats
all checks with fresh facts, and then demands:

9. confirmation outside the relay of this very statement, within 10 minutes; an approver's must be
   signed by the same owner's key. A decision needs it only if it widens (R10c);
10. for a grant: the custody log's proof of its commitment, cosigned not long ago.

The order of the checks is the order of the code. Not here: who is notified, what is stored, how a
confirmation is asked for.
"""

from dataclasses import dataclass

from firmware.consent.facts import (
    Confirmation,
    Decided,
    Decision,
    Facts,
    Grant,
    Judged,
    Logged,
    Reason,
    Refusal,
    Release,
    UnverifiedStatement,
)
from firmware.consent.household_rules import TIMELESS, Forbidden, check_decision, is_widening
from firmware.consent.request_rules import RequestRefused, check_request, is_fresh
from firmware.protocol.custody import release_entry
from firmware.protocol.decisions import Confirm
from firmware.protocol.encoding import WireError, decode_canonical, sha256_hex
from firmware.protocol.grants import (
    MAX_GRANT_LIFE_MS,
    STATEMENT_TAG,
    GrantTerms,
    Owner,
    SignedStatement,
    Statement,
)
from firmware.protocol.passkeys import AssertionRefused, PasskeyKey, challenge, check_assertion
from firmware.protocol.register.entries import Agreement
from firmware.protocol.releases import is_of_delivery, is_of_grant, package_id_of
from firmware.protocol.requests import EvidenceRequest
from firmware.protocol.setting_changes import unknown_settings
from firmware.protocol.tlog.proof import check_proof

CONFIRMATION_LIFE_MS = 10 * 60 * 1000


class _Refused(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


_REFUSED = (_Refused, Forbidden, RequestRefused)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parsed:
    """A parsed statement, not checked yet."""

    digest: str
    signed: SignedStatement
    statement: Statement


def judge(data: UnverifiedStatement, facts: Facts) -> Judged | Refusal:
    """Check one opened statement against `facts`: the first step."""
    try:
        return _judge(data, facts)
    except _REFUSED as error:
        return Refusal(reason=error.reason, detail=error.detail)


def release(
    grant: Grant, confirmation: Confirmation | None, logged: Logged | None, fresh: Facts
) -> Release | Refusal:
    """Repeat every check of `grant` with fresh facts; demand confirmation and the log's proof."""
    try:
        again = _judge(grant.signed.encode(), fresh)
        if not isinstance(again, Grant):
            raise _Refused("form", "this is no grant")
        confirmed = _check_confirmation(again, confirmation, fresh)
        proven = _check_logged(again, logged, fresh)
    except _REFUSED as error:
        return Refusal(reason=error.reason, detail=error.detail)
    return Release(grant=again, confirmation=confirmed, logged=proven)


def decide(
    decision: Decision, confirmation: Confirmation | None, fresh: Facts
) -> Decided | Refusal:
    """Repeat every check of `decision` with fresh facts; if it widens, demand confirmation."""
    try:
        again = _judge(decision.signed.encode(), fresh)
        if not isinstance(again, Decision):
            raise _Refused("form", "a grant is no other decision")
        if again.is_widening:
            _check_confirmation(again, confirmation, fresh)
    except _REFUSED as error:
        return Refusal(reason=error.reason, detail=error.detail)
    return Decided(decision=again)


def _judge(data: bytes, facts: Facts) -> Judged:
    parsed = _parse(data)
    terms = parsed.statement.terms
    if isinstance(terms, GrantTerms):
        return _judge_grant(parsed, terms, facts)
    return _judge_decision(parsed, facts)


def _parse(data: bytes) -> _Parsed:
    try:
        signed = decode_canonical(SignedStatement, data)
        statement = decode_canonical(Statement, signed.statement.encode())
    except WireError as error:
        unknown = unknown_settings(data)
        if unknown:
            raise _Refused("setting_unknown", ", ".join(unknown)) from error
        raise _Refused("form", str(error)) from error
    return _Parsed(digest=sha256_hex(signed.statement.encode()), signed=signed, statement=statement)


def _judge_grant(parsed: _Parsed, terms: GrantTerms, facts: Facts) -> Grant:
    if facts.is_card_cloned:
        raise _Refused("card_cloned", "another device uses a copy of this doorbell's card")
    fact, agreement = check_request(
        terms.request_digest,
        facts.register,
        now_ms=facts.now_ms,
        cell=facts.cell,
        refused=facts.household.refused_agencies,
    )
    _check_device(parsed.statement, facts)
    owner = _check_owner(parsed.signed, facts)
    _check_time(parsed.statement, facts)
    _check_unspent(parsed.digest, facts)
    if parsed.digest in facts.household.revoked:
        raise _Refused("revoked", "this grant was taken back")
    _check_clips(terms, fact.request, facts)
    _check_recipient(terms, fact.request, agreement)
    return Grant(
        digest=parsed.digest,
        signed=parsed.signed,
        terms=terms,
        request=fact.request,
        signed_request=fact.signed,
        agreement=agreement,
        credential_id=owner.passkey.credential_id,
        not_after_ms=parsed.statement.not_after_ms,
    )


def _judge_decision(parsed: _Parsed, facts: Facts) -> Decision:
    terms = parsed.statement.terms
    _check_device(parsed.statement, facts)
    if isinstance(terms, Confirm):
        credential_id = _check_approver(parsed.signed, facts)
    else:
        credential_id = _check_owner(parsed.signed, facts).passkey.credential_id
    if not isinstance(terms, TIMELESS):
        _check_time(parsed.statement, facts)
    _check_unspent(parsed.digest, facts)
    check_decision(terms, credential_id, facts)
    return Decision(
        digest=parsed.digest,
        signed=parsed.signed,
        terms=terms,
        credential_id=credential_id,
        not_after_ms=parsed.statement.not_after_ms,
        is_widening=is_widening(terms, credential_id, facts),
    )


def _check_device(statement: Statement, facts: Facts) -> None:
    if statement.device != facts.device:
        raise _Refused("device", "signed for another doorbell")


def _check_owner(signed: SignedStatement, facts: Facts) -> Owner:
    credential_id = signed.assertion.credential_id
    owner = next((o for o in facts.owners if o.passkey.credential_id == credential_id), None)
    if owner is None:
        raise _Refused("owner", "not signed by an owner of this doorbell")
    _check_signature(signed, owner.passkey)
    return owner


def _check_approver(signed: SignedStatement, facts: Facts) -> str:
    """Return whose approver signed: an owner's passkey is no approver's key, nor the reverse."""
    approver = facts.household.approvers.get(signed.assertion.credential_id)
    if approver is None or all(
        owner.passkey.credential_id != approver.credential_id for owner in facts.owners
    ):
        raise _Refused("approver", "not signed by a key that may confirm here")
    _check_signature(signed, approver.key)
    return approver.credential_id


def _check_signature(signed: SignedStatement, key: PasskeyKey) -> None:
    try:
        check_assertion(signed.assertion, key, challenge(STATEMENT_TAG, signed.statement.encode()))
    except AssertionRefused as error:
        raise _Refused("assertion", str(error)) from error
    except WireError as error:
        raise _Refused("form", str(error)) from error


def _check_time(statement: Statement, facts: Facts) -> None:
    if not facts.is_clock_trusted:
        raise _Refused("clock", "the doorbell doesn't know the time, so nothing goes in or out")
    if facts.now_ms >= statement.not_after_ms:
        raise _Refused("expired", "the statement's time is over; sign it again")
    if statement.not_after_ms - facts.now_ms > MAX_GRANT_LIFE_MS:
        raise _Refused("too_long", "a statement may hold for 24 hours at most")


def _check_unspent(digest: str, facts: Facts) -> None:
    if digest in facts.spent:
        raise _Refused("spent", "this statement was used before")


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
        if not fact.started_ms <= clip.from_ms < clip.to_ms <= fact.ended_ms:
            raise _Refused("clip_range", f"clip {clip.clip_id} doesn't have the times signed for")
        if clip.from_ms < request.from_ms or clip.to_ms > request.to_ms:
            raise _Refused("clip_window", f"clip {clip.clip_id} isn't inside the asked time")
    if terms.has_audio and not any(facts.clips[one].has_sound for one in ids):
        raise _Refused("audio", "sound was given, and no clip has any")


def _check_recipient(terms: GrantTerms, request: EvidenceRequest, agreement: Agreement) -> None:
    if terms.recipient.agency != request.agency:
        raise _Refused("recipient", "granted to another agency than the one that asks")
    if set(terms.recipient.sealing_keys) - set(agreement.sealing_keys):
        raise _Refused("recipient", f"a key that isn't {agreement.name}'s would open the recording")


def _check_confirmation(
    judged: Judged, confirmation: Confirmation | None, fresh: Facts
) -> Confirmation:
    if confirmation is None:
        raise _Refused("not_confirmed", "nobody confirmed it at the doorbell")
    if confirmation.statement_digest != judged.digest:
        raise _Refused("not_confirmed", "another statement was confirmed")
    if not 0 <= confirmation.confirmed_ms - confirmation.asked_ms <= CONFIRMATION_LIFE_MS:
        raise _Refused("not_confirmed", "it was confirmed too late, or before it was asked for")
    if confirmation.confirmed_ms > fresh.now_ms:
        raise _Refused("not_confirmed", "it was confirmed at a time that hasn't come yet")
    if confirmation.way == "approver":
        _check_approval(judged, confirmation, fresh)
    if confirmation.way == "knock" and not isinstance(judged, Grant):
        raise _Refused("not_confirmed", "only a grant can be knocked for")
    return confirmation


def _check_approval(judged: Judged, confirmation: Confirmation, fresh: Facts) -> None:
    approval = confirmation.approval
    if approval is None:
        raise _Refused("not_confirmed", "no approver's word is there")
    statement = _parse(approval.encode()).statement
    _check_device(statement, fresh)
    if _check_approver(approval, fresh) != judged.credential_id:
        raise _Refused("not_confirmed", "another owner's key confirmed it")
    terms, wanted = statement.terms, (judged.digest, "yes")
    if not isinstance(terms, Confirm) or (terms.statement_digest, terms.answer) != wanted:
        raise _Refused("not_confirmed", "the approver's key signed something else")
    if confirmation.confirmed_ms >= statement.not_after_ms:
        raise _Refused("not_confirmed", "the approver's word came too late")


def _check_logged(grant: Grant, logged: Logged | None, fresh: Facts) -> Logged:
    if logged is None:
        raise _Refused("not_logged", "the release isn't in the public log yet")
    opening, record = logged.opening, logged.opening.record
    if not is_of_grant(
        record, device=fresh.device, grant_digest=grant.digest, salt_g=opening.salt_g
    ):
        raise _Refused("not_logged", "another release was logged")
    if not is_of_delivery(
        record,
        package_id=package_id_of(grant.digest),
        request_digest=grant.terms.request_digest,
        agency=grant.terms.recipient.agency,
        salt_d=opening.salt_d,
    ):
        raise _Refused("not_logged", "the release of another package was logged")
    try:
        witnessed = check_proof(
            logged.proof,
            entry=release_entry(record),
            policy=fresh.policy,
            origin=fresh.custody_origin,
        )
    except WireError as error:
        raise _Refused("not_logged", str(error)) from error
    if not is_fresh(witnessed.fresh_ms, fresh.register.delays, fresh.now_ms):
        raise _Refused("not_logged", "the proof of the public log is too old, or of another time")
    return logged
