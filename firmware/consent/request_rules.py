"""Rules of published requests, which each doorbell checks for itself. Pure.

Trust rules R1–R4, R6, R13, R15, R17 and R20. Rules over the register alone were checked when it was
replayed, and a request that breaks them was never published; the limits are checked here again.
"""

from typing import Literal

from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.register.entries import Agreement, Delays
from firmware.protocol.register.facts import (
    OfficerFact,
    RegisterFacts,
    RequestFact,
    agreement_in_force,
    is_old_enough,
)
from firmware.protocol.register.rules import RuleBroken, check_area, check_limits
from firmware.protocol.requests import MAX_SKEW_MS, check_signatures

RequestReason = Literal[
    "register", "request_unknown", "request_unseen", "request_withdrawn", "request_expired",
    "officer", "request_signature", "agency_refused", "agreement", "rules", "area",
]  # fmt: skip

WITNESS_SKEW_MS = 2 * 60 * 1000
"""How far a witness's clock may be ahead of this one."""


class RequestRefused(Exception):
    """A published request breaks a rule; `reason` names it."""

    def __init__(self, reason: RequestReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: RequestReason = reason
        self.detail = detail


def check_request(
    digest: str,
    facts: RegisterFacts,
    *,
    now_ms: int,
    cell: str,
    refused: frozenset[str],
    may_be_over: bool = False,
) -> tuple[RequestFact, Agreement]:
    """Return the request and the agreement it is made under, for the doorbell in `cell`, or raise.

    `refused` are the agencies that may never ask here. The order of the checks is that of the code.
    With `may_be_over` the end of the request's time ends nothing: it was answered in time.
    """
    check_freshness(facts, now_ms)
    fact = facts.requests.get(digest)
    if fact is None:
        raise RequestRefused("request_unknown", "no such request is in the register")
    request = fact.request
    agreement = agreement_in_force(facts, request.agency, now_ms)
    if agreement is None:
        raise RequestRefused("agreement", f"no agreement with {request.agency!r} is in force")
    _check_officers(fact, agreement, facts, now_ms)
    if fact.seen_ms is None:
        raise RequestRefused("request_unseen", "no witness has seen the request yet")
    if fact.is_withdrawn:
        raise RequestRefused("request_withdrawn", f"{agreement.name} has withdrawn the request")
    is_over = now_ms >= request.expires_ms and not may_be_over
    if is_over or now_ms < request.created_ms - MAX_SKEW_MS:
        raise RequestRefused("request_expired", "the request is over, or not yet made")
    try:
        check_limits(request, facts.limits)
        check_area(request.cells, agreement)
    except RuleBroken as error:
        raise RequestRefused("rules", str(error)) from error
    if cell not in request.cells:
        raise RequestRefused("area", "the request is about another place")
    if request.agency in refused:
        raise RequestRefused("agency_refused", f"you never want to be asked by {agreement.name}")
    return fact, agreement


def check_not_ended(digest: str, facts: RegisterFacts) -> None:
    """Raise if the register has ended a request, however old the register's state is."""
    fact = facts.requests.get(digest)
    if fact is None:
        return
    if fact.is_withdrawn:
        raise RequestRefused("request_withdrawn", "the request was withdrawn")
    for officer in (fact.officer, fact.cosigner):
        _check_not_revoked(officer)
    agreements = facts.agreements.get(fact.request.agency, ())
    if agreements and all(one.is_suspended for one in agreements):
        raise RequestRefused("agreement", f"no agreement with {fact.request.agency!r} is in force")


def check_freshness(facts: RegisterFacts, now_ms: int) -> None:
    """Raise unless witnesses have cosigned the register's state lately."""
    if not is_fresh(facts.fresh_ms, facts.delays, now_ms):
        raise RequestRefused(
            "register", "the public register hasn't been read for too long, or the time is wrong"
        )


def is_fresh(fresh_ms: int, delays: Delays, now_ms: int) -> bool:
    """Return whether the witnesses' time `fresh_ms` still counts, and isn't ahead of `now_ms`."""
    return -WITNESS_SKEW_MS <= now_ms - fresh_ms <= delays.freshness_ms


def _check_officers(
    fact: RequestFact, agreement: Agreement, facts: RegisterFacts, now_ms: int
) -> None:
    for officer in (fact.officer, fact.cosigner):
        _check_officer(officer, agreement, facts, now_ms)
    try:
        check_signatures(fact.signed, unb64u(agreement.signing_key))
    except WireError as error:
        raise RequestRefused("request_signature", str(error)) from error


def _check_officer(
    officer: OfficerFact, agreement: Agreement, facts: RegisterFacts, now_ms: int
) -> None:
    name = officer.certificate.name
    _check_not_revoked(officer)
    if officer.signing_key != agreement.signing_key:
        raise RequestRefused("officer", f"{name} was certified by a key that no longer counts")
    if not is_old_enough(officer.seen_ms, facts.delays.key_age_ms, now_ms):
        raise RequestRefused("officer", f"the key of {name} isn't in the register for long enough")
    if now_ms >= officer.certificate.not_after_ms:
        raise RequestRefused("officer", f"the certificate of {name} has ended")


def _check_not_revoked(officer: OfficerFact) -> None:
    if officer.is_revoked:
        name = officer.certificate.name
        raise RequestRefused("officer", f"the certificate of {name} was revoked")
