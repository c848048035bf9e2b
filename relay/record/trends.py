"""The record month by month (UTC): requests, refusals, emergencies, outcomes; and bands. Pure.

Months count what witnesses saw in them. What owners gave is known by quarter and as a band only
(R18), and no month says more.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from firmware.protocol.custody import quarter_of
from relay.record.exports import Row
from relay.record.figures import quarters
from relay.record.public_record import RecordView

MONTHS_SHOWN: Final = 12
QUARTERS_SHOWN: Final = 5
"""As many as twelve months touch."""
TREND_FIELDS: Final = (
    "month", "agencies", "requests", "emergencies", "refused_by_moderators", "outcomes_used",
    "outcomes_not_used",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthFigures:
    """What became public in one month."""

    year: int
    month: int
    """1 is January."""
    agencies: int
    """Those that published a request."""
    requests: int
    emergencies: int
    """Of the requests."""
    refusals: int
    """Requests that moderators refused: these weren't published, and stand in no other figure."""
    used: int
    not_used: int
    """Outcomes that agencies filed."""

    @property
    def name(self) -> str:
        """The month as 2026-11."""
        return f"{self.year:04d}-{self.month:02d}"

    @property
    def is_quiet(self) -> bool:
        """Whether nobody asked, in vain or not."""
        return self.requests == self.refusals == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterGiven:
    """How many agencies received recordings in a quarter, by the band of how many."""

    quarter: str
    few: int
    """Agencies with 1 to 4."""
    many: int
    """Agencies with 5 or more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trends:
    """The last months and quarters, oldest first."""

    months: list[MonthFigures]
    quarters: list[QuarterGiven]
    undated: int
    """Entries of these kinds in no month: no checkpoint that counts today has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lately:
    """The newest month in which anything was asked, and what owners gave in its quarter."""

    month: MonthFigures
    is_this_month: bool
    given: QuarterGiven
    is_this_quarter: bool


def trends_of(view: RecordView) -> Trends:
    """Return the trends of the last twelve months, fewer where the record is younger."""
    tallies, undated = _tallies(view)
    months = [_figures(month, tallies[month]) for month in _last_months(view)]
    shown = quarters(view)[:QUARTERS_SHOWN]
    return Trends(
        months=months[::-1],
        quarters=[_given(view, quarter) for quarter in shown[::-1]],
        undated=undated,
    )


def lately_of(view: RecordView, trends: Trends) -> Lately:
    """Return what happened last: this month's, or the last month's that wasn't quiet."""
    this = trends.months[-1]
    month = next((one for one in reversed(trends.months) if not one.is_quiet), this)
    quarter = f"{month.year:04d}-Q{(month.month + 2) // 3}"
    return Lately(
        month=month,
        is_this_month=month == this,
        given=_given(view, quarter),
        is_this_quarter=quarter == quarter_of(view.now_ms),
    )


def trend_rows(months: Sequence[MonthFigures]) -> list[Row]:
    """Return months as rows of a file."""
    return [
        {
            "month": one.name,
            "agencies": one.agencies,
            "requests": one.requests,
            "emergencies": one.emergencies,
            "refused_by_moderators": one.refusals,
            "outcomes_used": one.used,
            "outcomes_not_used": one.not_used,
        }
        for one in months
    ]


Month = tuple[int, int]
"""Year and month."""


@dataclass(slots=True)
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    agencies: set[str] = field(default_factory=set)
    emergencies: int = 0


def _tallies(view: RecordView) -> tuple[defaultdict[Month, _Tally], int]:
    found: defaultdict[Month, _Tally] = defaultdict(_Tally)
    requests, undated = view.register.register.requests, 0
    for row in view.book.rows:
        if row.kind not in ("request", "refused", "outcome"):
            continue
        if row.seen_ms is None:
            undated += 1
            continue
        tally = found[_month_of(row.seen_ms)]
        tally.counts[row.detail if row.kind == "outcome" else row.kind] += 1
        if row.kind == "request":
            record = requests.get(row.subject or "")
            tally.emergencies += record is not None and record.request.is_emergency
            tally.agencies.add(row.agency or "")
    return found, undated


def _figures(month: Month, tally: _Tally) -> MonthFigures:
    return MonthFigures(
        year=month[0],
        month=month[1],
        agencies=len(tally.agencies),
        requests=tally.counts["request"],
        emergencies=tally.emergencies,
        refusals=tally.counts["refused"],
        used=tally.counts["used"],
        not_used=tally.counts["not_used"],
    )


def _given(view: RecordView, quarter: str) -> QuarterGiven:
    bands = Counter(
        view.book.band(agency, quarter)
        for agency, of_quarter in view.book.bands
        if of_quarter == quarter
    )
    return QuarterGiven(quarter=quarter, few=bands["1-4"], many=bands["5+"])


def _last_months(view: RecordView) -> Iterator[Month]:
    """Yield this month and those before it, to the record's begin or twelve of them."""
    first = _month_of(min(view.book.begun_ms or view.now_ms, view.now_ms))
    year, month = _month_of(view.now_ms)
    for _ in range(MONTHS_SHOWN):
        yield year, month
        if (year, month) <= first:
            return
        year, month = (year - 1, 12) if month == 1 else (year, month - 1)


def _month_of(time_ms: int) -> Month:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.year, moment.month
