"""Last check of a package that is sealed and not announced yet: may it still leave? Pure.

A crash or full storage can lie between sealing and announcing. A grant that owners or the register
ended meanwhile ends its package as well, however old the register is; else "clock" and "register"
mean that it can't be decided yet, which is not final. The verifier judged all else before sealing:
a package outlives the end of its statement's or request's time, and its clips.
"""

from firmware.consent.facts import Facts, Reason, Refusal
from firmware.consent.request_rules import RequestRefused, check_not_ended, check_request
from firmware.protocol.encoding import WireError, decode_canonical, sha256_hex
from firmware.protocol.grants import STATEMENT_TAG, GrantTerms, SignedStatement, Statement
from firmware.protocol.passkeys import AssertionRefused, challenge, check_assertion


class _Kept(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


def keeps_back(signed: SignedStatement, facts: Facts) -> Refusal | None:
    """Return the refusal that keeps back a grant's package; None: it may leave."""
    try:
        terms = _grant_of(signed, facts)
        _check_not_ended(signed, terms, facts)
        _check_now(terms, facts)
    except (_Kept, RequestRefused) as error:
        return Refusal(reason=error.reason, detail=error.detail)
    return None


def _grant_of(signed: SignedStatement, facts: Facts) -> GrantTerms:
    try:
        statement = decode_canonical(Statement, signed.statement.encode())
    except WireError as error:
        raise _Kept("form", str(error)) from error
    if not isinstance(statement.terms, GrantTerms):
        raise _Kept("form", "this is no grant")
    if statement.device != facts.device:
        raise _Kept("device", "signed for another doorbell")
    return statement.terms


def _check_not_ended(signed: SignedStatement, terms: GrantTerms, facts: Facts) -> None:
    """Raise if owners have ended the grant since, or the register its request, or a clone all."""
    if facts.is_card_cloned:
        raise _Kept("card_cloned", "another device uses a copy of this doorbell's card")
    if sha256_hex(signed.statement.encode()) in facts.household.revoked:
        raise _Kept("revoked", "this grant was taken back")
    agency = terms.recipient.agency
    if agency in facts.household.refused_agencies:
        raise _Kept("agency_refused", f"you never want to be asked by {agency}")
    _check_owner(signed, facts)
    check_not_ended(terms.request_digest, facts.register)


def _check_owner(signed: SignedStatement, facts: Facts) -> None:
    credential_id = signed.assertion.credential_id
    owner = next((o for o in facts.owners if o.passkey.credential_id == credential_id), None)
    if owner is None:
        raise _Kept("owner", "whoever signed it is no owner of this doorbell any more")
    try:
        asked = challenge(STATEMENT_TAG, signed.statement.encode())
        check_assertion(signed.assertion, owner.passkey, asked)
    except (AssertionRefused, WireError) as error:
        raise _Kept("assertion", str(error)) from error


def _check_now(terms: GrantTerms, facts: Facts) -> None:
    if not facts.is_clock_trusted:
        raise _Kept("clock", "the doorbell doesn't know the time, so nothing goes out")
    fact, agreement = check_request(
        terms.request_digest,
        facts.register,
        now_ms=facts.now_ms,
        cell=facts.cell,
        refused=facts.household.refused_agencies,
        may_be_over=True,
    )
    if terms.recipient.agency != fact.request.agency:
        raise _Kept("recipient", "granted to another agency than the one that asks")
    if set(terms.recipient.sealing_keys) - set(agreement.sealing_keys):
        raise _Kept("recipient", f"a key that isn't {agreement.name}'s any more would open it")
