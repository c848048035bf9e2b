"""Outcomes of requests: which agency owes one by when, and how it is filed.

    open ─► over (expired, withdrawn) ─► outcome, signed, within 30 days ─► the custody log
                                       └► overdue: the agency puts no new request on the desk

A request that was renewed and its renewal are one, of which the renewal's digest is the name. All
that is due follows from the register and its witnesses' times, and so anybody can reckon it; what
was filed is in the custody log.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.outcomes import (
    FILE_WITHIN_MS,
    FILING_ROLES,
    Outcome,
    SignedOutcome,
    check_outcome,
    parse_outcome,
)
from firmware.protocol.register.records import RequestRecord
from relay.agency.agencies import standing_of
from relay.agency.register import RegisterView, RelayRegister
from relay.base.clock import Clock
from relay.custody.entries import CustodyEntries
from relay.request.rules import RequestRefused, another_certificate, check_counts_now
from relay.store import outcomes, packages
from relay.store.database import Database, Transaction
from relay.store.outcomes import FiledOutcome
from relay.store.people import Account

MAX_PRIVATE_CHARS = 2000
MAX_NAMED = 5
"""So many requests are named where an agency owes more outcomes."""

DueState = Literal["open", "due", "overdue", "filed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One request, with the requests it renewed, and its outcome's state.

    `closed_ms` and `due_ms` are None while it is open.
    """

    record: RequestRecord
    closed_ms: int | None
    due_ms: int | None
    state: DueState

    @property
    def digest(self) -> str:
        """The request's digest, which the outcome names."""
        return self.record.signed.request_digest


class Outcomes:
    """Files outcomes and lists due ones."""

    def __init__(
        self, database: Database, clock: Clock, register: RelayRegister, happenings: CustodyEntries
    ) -> None:
        self._database = database
        self._clock = clock
        self._register = register
        self._happenings = happenings

    async def list_due(self, agency: str) -> list[Due]:
        """Return an agency's requests with their outcomes' states, the most urgent first."""
        view = await self._register.view()
        async with self._database.read() as tx:
            filed = await outcomes.list_filed(tx, agency)
        ranks = {"overdue": 0, "due": 1, "open": 2, "filed": 3}
        found = [due_of(view, record, filed) for record in _asked_by(view, agency)]
        return sorted(found, key=lambda one: (ranks[one.state], one.due_ms or 0))

    async def find(self, agency: str, request_id: str) -> tuple[Due, FiledOutcome | None] | None:
        """Return one of an agency's requests that wasn't renewed, and its outcome."""
        view = await self._register.view()
        record = view.register.request_by_id(request_id)
        if record is None or record.request.agency != agency or record.renewed_by is not None:
            return None
        async with self._database.read() as tx:
            filed = await outcomes.find_outcome(tx, record.signed.request_digest)
        known = frozenset() if filed is None else frozenset({filed.request_digest})
        return due_of(view, record, known), filed

    async def list(self, agency: str) -> list[FiledOutcome]:
        """Return an agency's filed outcomes, the newest first."""
        async with self._database.read() as tx:
            return await outcomes.list_outcomes(tx, agency)

    async def may_say_used(self, record: RequestRecord) -> bool:
        """Return whether the agency fetched any package: without that, `used` can't be filed."""
        async with self._database.read() as tx:
            return await packages.is_any_downloaded(tx, _ids_of(record))

    async def file(self, officer: Account, signed: SignedOutcome, *, private_text: str) -> None:
        """Log an outcome and store the agency's own text beside it, or raise RequestRefused.

        The same word by the same officer again is the same answer; another one comes too late.
        """
        told = _parse(signed)
        view = await self._register.view()
        record = _check_request(view, told, officer)
        _check_signature(view, signed, officer)
        digest = told.request_digest
        async with self._database.begin() as tx:
            newest = (await self._register.replayed(tx)).requests.get(digest)
            if newest is None or newest.renewed_by is not None:
                words = "the request was renewed: file the renewal's outcome"
                raise RequestRefused("state.renewed", words)
            before = await outcomes.find_outcome(tx, digest)
            if before is not None:
                if before.signed.outcome == signed.outcome:
                    return
                words = "an outcome was filed before, and it is public"
                raise RequestRefused("state.filed", words)
            if told.outcome == "used" and not await packages.is_any_downloaded(tx, _ids_of(record)):
                words = "your agency has downloaded no recording for this request"
                raise RequestRefused("state.no_download", words)
            filed = FiledOutcome(
                request_digest=digest,
                agency=told.agency,
                account_id=officer.id,
                signed=signed,
                private_text=private_text,
                filed_ms=self._clock.wall_ms(),
            )
            if not await outcomes.add_outcome(tx, filed):
                words = "an outcome was filed at the same time"
                raise RequestRefused("state.filed", words)
            await self._happenings.outcome_filed(tx, signed, request_digest=digest)


def due_of(view: RegisterView, record: RequestRecord, filed: frozenset[str]) -> Due:
    """Return the state of a request's outcome. Pure."""
    closed_ms = closed_at(view, record)
    due_ms = None if closed_ms is None else closed_ms + FILE_WITHIN_MS
    state: DueState = "open"
    if record.signed.request_digest in filed:
        state = "filed"
    elif due_ms is not None:
        state = "overdue" if view.now_ms > due_ms else "due"
    return Due(record=record, closed_ms=closed_ms, due_ms=due_ms, state=state)


def closed_at(view: RegisterView, record: RequestRecord) -> int | None:
    """Return a request's end: when witnesses saw its withdrawal, or else its own end.

    Until they have seen it, it counts as withdrawn now. None while it is open.
    """
    expires_ms = record.request.expires_ms
    if record.withdrawn_index is None:
        return expires_ms if view.now_ms >= expires_ms else None
    seen_ms = view.stamps.seen_ms(record.withdrawn_index)
    return min(view.now_ms if seen_ms is None else seen_ms, expires_ms)


async def require_outcomes(tx: Transaction, view: RegisterView, agency: str) -> None:
    """Raise RequestRefused, naming the requests, if an agency owes outcomes for too long."""
    filed = await outcomes.list_filed(tx, agency)
    owed = [
        record
        for record in _asked_by(view, agency)
        if due_of(view, record, filed).state == "overdue"
    ]
    if owed:
        named = _names(owed)
        raise RequestRefused("outcome_due", f"outcomes are overdue: {named}", named=named)


def _names(records: Iterable[RequestRecord]) -> str:
    named = [f"{one.request.case_number} ({one.request.id})" for one in records]
    more = len(named) - MAX_NAMED
    return ", ".join(named[:MAX_NAMED]) + (f" + {more}" if more > 0 else "")


def _asked_by(view: RegisterView, agency: str) -> list[RequestRecord]:
    """Return an agency's requests, each renewal in place of the renewed one."""
    return [
        record
        for record in view.register.requests.values()
        if record.request.agency == agency and record.renewed_by is None
    ]


def _parse(signed: SignedOutcome) -> Outcome:
    try:
        return parse_outcome(signed)
    except WireError as error:
        raise RequestRefused("form.unreadable", str(error)) from error


def _check_request(view: RegisterView, told: Outcome, officer: Account) -> RequestRecord:
    if told.agency != officer.agency or told.officer_id != officer.id:
        raise RequestRefused("agency.other", "the outcome names another officer or agency")
    record = view.register.requests.get(told.request_digest)
    if record is None or record.request.agency != told.agency:
        raise RequestRefused("form.unknown", "your agency published no such request")
    if record.renewed_by is not None:
        words = "the request was renewed: file the renewal's outcome"
        raise RequestRefused("state.renewed", words)
    closed_ms = closed_at(view, record)
    if closed_ms is None:
        words = "the request is open: withdraw it first, or wait for its end"
        raise RequestRefused("state.open", words)
    is_early = record.is_withdrawn and closed_ms < record.request.expires_ms
    if told.is_resolved and not is_early:
        words = "only a request that was withdrawn before its end was closed as resolved"
        raise RequestRefused("state.not_early", words)
    return record


def _check_signature(view: RegisterView, signed: SignedOutcome, officer: Account) -> None:
    agency = officer.agency or ""
    standing = standing_of(view, agency, officer.id)
    check_counts_now(standing)
    if standing.role not in FILING_ROLES:
        raise RequestRefused("officer.filing", "your certificate is for other work than outcomes")
    if signed.officer != standing.signed:
        raise another_certificate()
    known = view.register.officer_of(signed.officer)
    try:
        check_outcome(signed, unb64u(known.signing_key if known is not None else ""))
    except WireError as error:
        raise RequestRefused("signature", str(error)) from error


def _ids_of(record: RequestRecord) -> list[str]:
    """Return the ids of a request and of those it renewed."""
    renewed_id = record.request.renewed_id
    return [record.request.id] if renewed_id is None else [record.request.id, renewed_id]
