"""Intake of published requests from the register: which concern this doorbell, and whom to notify.

No request is sent to a doorbell and none is answered: at each slot the intake reads the register's
requests for its own cell, and which of them each browser of the owners hasn't been notified of. The
notice goes once into the slot's note, which is sent in any case, and at most once more, if the
owners want a reminder (R7). So nobody else can see whether an owner was notified: see slots.py.

A notice counts once the slot that held it is in the public log. Until then it is repeated with the
same digest, by which the owner's app recognises it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from firmware.consent.request_rules import RequestRefused, check_request
from firmware.enrolment.browsers import BrowserStore
from firmware.protocol.encoding import as_line
from firmware.protocol.notes import MatchedRequest, RequestsMatched
from firmware.protocol.register.entries import Agreement
from firmware.protocol.register.facts import RegisterFacts, RequestFact
from firmware.protocol.requests import MAX_LIFE_MS, MAX_SKEW_MS
from firmware.store.household import HouseholdStore
from firmware.store.slots import AnnouncedRequest, SlotStore
from firmware.store.statements import StatementStore
from firmware.system.clock import Clock

REQUESTS_A_NOTE = 2
EMERGENCY_NEWS_MS = 2 * 3600 * 1000
"""An emergency request that is older isn't pushed any more."""
TOLD_FOR_MS = 2 * (MAX_LIFE_MS + MAX_SKEW_MS)
"""Retention of the records of notices: as long as a request and its renewal can stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelevantRequest:
    """A request that concerns this doorbell now."""

    digest: str
    fact: RequestFact
    agreement: Agreement


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotNotices:
    """The request notices of one slot: by browser, and the same as rows for the store."""

    bodies: Mapping[str, RequestsMatched]
    told: tuple[AnnouncedRequest, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEmergencies:
    """Emergency requests that weren't pushed yet, wherever they are about.

    `is_here` tells whether one is about this door; None: the owners don't want to be asked.
    """

    digests: tuple[str, ...]
    is_here: bool | None


class Register(Protocol):
    """The public register that this doorbell follows (`firmware.transparency.public_record`)."""

    def facts(self) -> RegisterFacts:
        """Return the register's facts for the rules."""
        ...


class RequestIntake:
    """Finds published requests for one doorbell. Its methods read storage: not on the loop."""

    def __init__(
        self,
        *,
        cell: str,
        is_opted_in: bool,
        clock: Clock,
        register: Register,
        browsers: BrowserStore,
        household: HouseholdStore,
        statements: StatementStore,
        slots: SlotStore,
    ) -> None:
        """`cell` and `is_opted_in` are the file's, until the owners' settings have their own."""
        self._file_cell = cell
        self._is_opted_in = is_opted_in
        self._clock = clock
        self._register = register
        self._browsers = browsers
        self._household = household
        self._statements = statements
        self._slots = slots

    @property
    def is_opted_in(self) -> bool:
        """Whether owners are notified of requests: by their settings, else the own file."""
        settings = self._household.settings()
        chosen = None if settings is None else settings.is_opted_in
        return self._is_opted_in if chosen is None else chosen

    @property
    def _cell(self) -> str:
        """Where the doorbell hangs: by the owners' settings, else the own file."""
        settings = self._household.settings()
        chosen = None if settings is None else settings.cell
        return self._file_cell if chosen is None else chosen

    def matched(self) -> list[RelevantRequest]:
        """Return the requests that concern this doorbell now, emergencies first, then the oldest.

        Each is checked anew: one that was withdrawn, has expired, or whose agency may ask no more,
        is none. Of a request and its renewal only the renewal is here.
        """
        own_cell = self._cell
        if not self.is_opted_in or not own_cell or not self._clock.is_trusted():
            return []
        facts = self._register.facts()
        refused = self._household.refused_agencies()
        now_ms = self._clock.wall_ms()
        found = {}
        for digest, fact in facts.requests.items():
            if own_cell not in fact.request.cells:
                continue  # most are about other places: spare their signatures
            try:
                checked, agreement = check_request(
                    digest, facts, now_ms=now_ms, cell=own_cell, refused=refused
                )
            except RequestRefused:
                continue
            found[digest] = RelevantRequest(digest=digest, fact=checked, agreement=agreement)
        current = [one for one in found.values() if one.fact.renewed_by not in found]
        return sorted(current, key=_urgency)

    def has_unanswered(self) -> bool:
        """Return whether a request concerns this doorbell and nobody has answered it."""
        answered = self._household.declined() | self._statements.granted_requests()
        return any(one.digest not in answered for one in self.matched())

    def new_emergencies(self) -> NewEmergencies:
        """Return the emergency requests that are to be pushed now.

        Which they are hangs on the register alone, never on this doorbell's place or on what its
        owners want: doorbells that a request doesn't concern push it at the same time.
        """
        facts, now_ms = self._register.facts(), self._clock.wall_ms()
        pushed = self._slots.pushed_emergencies()
        found = [
            (digest, fact)
            for digest, fact in facts.requests.items()
            if fact.request.is_emergency
            and digest not in pushed
            and now_ms - fact.request.created_ms < EMERGENCY_NEWS_MS
            and _is_sound(digest, fact, facts, now_ms)
        ]
        wanted = [self._is_here(fact) for _, fact in found]
        return NewEmergencies(
            digests=tuple(digest for digest, _ in found),
            is_here=True if True in wanted else None if None in wanted else False,
        )

    def _is_here(self, fact: RequestFact) -> bool | None:
        refused = self._household.refused_agencies()
        if not self.is_opted_in or not self._cell or fact.request.agency in refused:
            return None
        return self._cell in fact.request.cells

    def tellings(self, browser_ids: Iterable[str]) -> SlotNotices:
        """Return the notices for each of these browsers now, at most two requests each."""
        matched = self.matched()
        told = self._slots.announced()
        answered = self._household.declined() | self._statements.granted_requests()
        settings = self._household.settings()
        has_reminder = settings is not None and settings.has_reminder is True
        bodies, kept = {}, []
        for browser in browser_ids:
            due = [
                (one, news)
                for one in matched
                if (news := self._news(one, browser, told, answered, has_reminder)) is not None
            ][:REQUESTS_A_NOTE]
            if due:
                bodies[browser] = RequestsMatched(
                    requests=[self._words(one, news) for one, news in due]
                )
                kept += [
                    AnnouncedRequest(digest=one.digest, browser=browser, is_reminder=is_reminder)
                    for one, is_reminder in due
                ]
        return SlotNotices(bodies=bodies, told=tuple(kept))

    def forget_old(self) -> None:
        """Delete the records of notices of requests that are over for certain."""
        self._slots.forget_announced_before(self._clock.wall_ms() - TOLD_FOR_MS)

    def _news(
        self,
        one: RelevantRequest,
        browser: str,
        told: Mapping[tuple[str, str, bool], int],
        answered: frozenset[str],
        has_reminder: bool,
    ) -> bool | None:
        """Return a browser's notice of a request: False as new, True as a reminder, None: none.

        A renewal repeats a request: a browser notified of the first gets it only as the one
        reminder, and none gets it once the request was answered.
        """
        digests = [one.digest]
        renewed = one.fact.request.renewed_id
        if renewed is not None:
            digests += [
                digest
                for digest, fact in self._register.facts().requests.items()
                if fact.request.id == renewed
            ]
        if any(digest in answered for digest in digests):
            return None
        first_told = [
            told[digest, browser, False] for digest in digests if (digest, browser, False) in told
        ]
        if not first_told:
            return False
        was_reminded = any((digest, browser, True) in told for digest in digests)
        half_ms = (min(first_told) + one.fact.request.expires_ms) // 2
        is_due = renewed is not None or self._clock.wall_ms() >= half_ms
        return True if has_reminder and is_due and not was_reminded else None

    def _words(self, one: RelevantRequest, is_reminder: bool) -> MatchedRequest:
        return MatchedRequest(
            request_id=one.fact.request.id,
            request_digest=one.digest,
            agency_name=as_line(one.agreement.name, otherwise=one.agreement.agency),
            is_emergency=one.fact.request.is_emergency,
            is_reminder=is_reminder,
            is_example=self._register.facts().is_example,
        )


def _is_sound(digest: str, fact: RequestFact, facts: RegisterFacts, now_ms: int) -> bool:
    """Return whether a request may be made at all, wherever the doorbell is."""
    cell = fact.request.cells[0]
    try:
        check_request(digest, facts, now_ms=now_ms, cell=cell, refused=frozenset())
    except RequestRefused:
        return False
    return True


def _urgency(one: RelevantRequest) -> tuple[bool, int, str]:
    return (not one.fact.request.is_emergency, one.fact.request.created_ms, one.digest)
