"""An agency's yearly report for its council: counted from both logs, by the witnesses' times. Pure.

What an owner did is in here as coarsely as everywhere (R9). What the logs don't know (cost, use in
court, complaints) isn't in here either: the page says so, and the agency adds it itself.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from firmware.protocol.register.facts import AgreementFact
from firmware.protocol.register.records import RequestRecord
from relay.record.exports import Row, Value, time_text
from relay.record.figures import Deletions, QuarterBand, deletions_in, quarters
from relay.record.public_record import RecordView
from relay.record.rows import EntryRow, Kind
from relay.request.outcomes import due_of
from relay.request.published_requests import PublishedState, States

Became = Literal["used", "not_used", "renewed", "overdue", "due", "open"]
"""renewed: its renewal's outcome is for both. due: over, and the 30 days aren't."""
BECAME: tuple[Became, ...] = ("used", "not_used", "renewed", "overdue", "due", "open")


@dataclass(frozen=True, slots=True, kw_only=True)
class YearsRequest:
    """One request of the year, with its outcome until now."""

    record: RequestRecord
    published_ms: int
    state: PublishedState
    became: Became
    is_resolved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class YearlyReport:
    """An agency's requests in a year (UTC), with their outcomes until `as_of_ms`."""

    agency: str
    year: int
    as_of_ms: int
    is_over: bool
    agreements: list[AgreementFact]
    """Those whose term lies in it with some part, oldest first."""
    requests: list[YearsRequest]
    """Published in it, oldest first."""
    refusals: dict[str, int]
    received: list[QuarterBand]
    """Oldest first."""
    downloads: int
    deletions: Deletions
    """Asked for in it."""
    officers_certified: int
    officers_revoked: int
    undated: int
    """Entries that can't be told to be of any year: no checkpoint that counts today has them."""

    @property
    def became(self) -> dict[Became, int]:
        """The number of requests by outcome; they add up to all."""
        found = Counter(one.became for one in self.requests)
        return {became: found[became] for became in BECAME}

    @property
    def incidents(self) -> dict[str, int]:
        """The requests' kinds of incident, the most frequent first."""
        return dict(
            Counter(one.record.request.incident_type for one in self.requests).most_common()
        )

    @property
    def emergencies(self) -> int:
        """The number of emergency requests."""
        return sum(one.record.request.is_emergency for one in self.requests)

    @property
    def renewals(self) -> int:
        """The number of renewals."""
        return sum(one.record.request.renewed_id is not None for one in self.requests)

    @property
    def withdrawn(self) -> int:
        """The number of withdrawn requests."""
        return sum(one.state == "withdrawn" for one in self.requests)

    @property
    def resolved(self) -> int:
        """The number of requests closed early, because the case was solved."""
        return sum(one.is_resolved for one in self.requests)

    @property
    def shared_onwards(self) -> int:
        """The number of requests that announced sharing with a prosecutor."""
        return sum(one.record.request.onward_sharing != "none" for one in self.requests)

    @property
    def longest_kept_days(self) -> int:
        """The longest retention in days that the requests promised."""
        return max((one.record.request.retention_days for one in self.requests), default=0)

    @property
    def cells(self) -> int:
        """The number of different map cells in the requests."""
        return len({cell for one in self.requests for cell in one.record.request.cells})


def years_of(view: RecordView, agency: str) -> list[int]:
    """Return the years with a report, newest first."""
    first_ms = view.register.facts.agreements[agency][0].seen_ms
    since = _year_of(view.now_ms if first_ms is None else first_ms)
    return list(range(_year_of(view.now_ms), since - 1, -1))


def yearly_report(view: RecordView, agency: str, year: int) -> YearlyReport:
    """Return the report of one of these years."""
    is_in = _in_year(year)
    rows = [row for row in view.book.rows if row.agency == agency]
    own = [row for row in rows if is_in(row.seen_ms)]
    asked = [one for one in view.book.deletions_of(agency) if is_in(one.asked.seen_ms)]
    return YearlyReport(
        agency=agency,
        year=year,
        as_of_ms=view.now_ms,
        is_over=_year_of(view.now_ms) > year,
        agreements=_agreements(view, agency, year),
        requests=list(_requests(view, agency, year)),
        refusals=dict(sorted(Counter(row.detail for row in own if row.kind == "refused").items())),
        received=_received(view, agency, year),
        downloads=_count(own, "download"),
        deletions=deletions_in(asked, view.now_ms),
        officers_certified=_count(own, "officer"),
        officers_revoked=_count(own, "officer_revoked"),
        undated=sum(row.seen_ms is None for row in rows),
    )


def report_part(report: YearlyReport) -> dict[str, Value]:
    """Return a report's figures as a JSON object."""
    deletions = report.deletions
    return {
        "year": report.year,
        "is_over": report.is_over,
        "requests_published": len(report.requests),
        "emergencies": report.emergencies,
        "renewals": report.renewals,
        "withdrawn": report.withdrawn,
        "resolved": report.resolved,
        "incidents": dict(report.incidents),
        "cells_asked_about": report.cells,
        "shared_onwards": report.shared_onwards,
        "longest_kept_days": report.longest_kept_days,
        "refused_by_moderators": dict(report.refusals),
        "received": {one.quarter: one.band for one in report.received},
        "downloads": report.downloads,
        "deletions": {
            "asked": deletions.asked,
            "deleted": deletions.deleted,
            "kept": deletions.kept,
            "late": deletions.late,
            "waiting": deletions.waiting,
            "overdue": deletions.overdue,
        },
        "became": {str(became): count for became, count in report.became.items()},
        "officers_certified": report.officers_certified,
        "officers_revoked": report.officers_revoked,
        "agreements": [_agreement_row(fact) for fact in report.agreements],
        "undated_entries": report.undated,
    }


def years_request_row(one: YearsRequest) -> Row:
    """Return a request of the year as a JSON object."""
    request = one.record.request
    return {
        "id": request.id,
        "case_number": request.case_number,
        "incident_type": request.incident_type,
        "is_emergency": request.is_emergency,
        "published": time_text(one.published_ms),
        "state": one.state,
        "became": one.became,
        "digest": one.record.signed.request_digest,
        "register_entry": one.record.index,
    }


def _agreement_row(fact: AgreementFact) -> Row:
    agreement = fact.agreement
    return {
        "version": agreement.version,
        "begins": time_text(agreement.begins_ms),
        "ends": time_text(agreement.ends_ms),
        "public_since": time_text(fact.seen_ms),
        "text_sha256": agreement.text_sha256,
        "is_suspended": fact.is_suspended,
    }


def _requests(view: RecordView, agency: str, year: int) -> Iterator[YearsRequest]:
    states, filed, is_in = States(view.register), frozenset(view.book.outcomes), _in_year(year)
    for digest, record in view.register.register.requests.items():
        if record.request.agency != agency:
            continue
        seen_ms = view.register.stamps.seen_ms(record.index)
        if seen_ms is None or not is_in(seen_ms):
            continue
        outcome = view.book.outcomes.get(digest)
        yield YearsRequest(
            record=record,
            published_ms=seen_ms,
            state=states.of(record),
            became=_became(view, record, outcome, filed),
            is_resolved=outcome is not None and outcome.is_resolved,
        )


def _became(
    view: RecordView, record: RequestRecord, outcome: EntryRow | None, filed: frozenset[str]
) -> Became:
    if record.renewed_by is not None:
        return "renewed"
    if outcome is not None:
        return "used" if outcome.detail == "used" else "not_used"
    state = due_of(view.register, record, filed).state
    return "open" if state == "filed" else state


def _agreements(view: RecordView, agency: str, year: int) -> list[AgreementFact]:
    begin_ms, end_ms = _begin_ms(year), _begin_ms(year + 1)
    return [
        fact
        for fact in view.register.facts.agreements[agency]
        if fact.seen_ms is not None
        and fact.seen_ms < end_ms
        and fact.agreement.begins_ms < end_ms
        and fact.agreement.ends_ms > begin_ms
    ]


def _received(view: RecordView, agency: str, year: int) -> list[QuarterBand]:
    first = view.register.facts.agreements[agency][0]
    return [
        QuarterBand(
            quarter=quarter,
            band=view.book.band(agency, quarter),
            row=view.book.bands.get((agency, quarter)),
        )
        for quarter in reversed(quarters(view, since_ms=first.seen_ms or view.now_ms))
        if quarter.startswith(f"{year:04d}-")
    ]


def _count(rows: Sequence[EntryRow], kind: Kind) -> int:
    return sum(row.kind == kind for row in rows)


def _in_year(year: int) -> Callable[[int | None], bool]:
    begin_ms, end_ms = _begin_ms(year), _begin_ms(year + 1)
    return lambda time_ms: time_ms is not None and begin_ms <= time_ms < end_ms


def _begin_ms(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) * 1000


def _year_of(time_ms: int) -> int:
    return datetime.fromtimestamp(time_ms / 1000, UTC).year
