"""The figures of an agency, and of the relay: counted from the book, each with its entries. Pure.

A figure is a number and a query: whoever opens it reads the very entries that were counted.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware.protocol.custody import quarter_of
from relay.record.projection import Band, Deletion
from relay.record.public_record import RecordView
from relay.record.request_search import STATES, RequestTally, tally_requests
from relay.record.rows import EntryRow, Kind
from relay.request.published_requests import PublishedState

MAX_QUARTERS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure: `kind` and `detail` name the entries that it counts.

    Without a kind it counts requests: those in `state`, emergencies, or what is owed.
    """

    name: str
    count: int
    kind: Kind | None = None
    detail: str | None = None
    state: PublishedState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletions:
    """Counts of deletion requests and their answers."""

    asked: int
    deleted: int
    kept: int
    late: int
    waiting: int
    overdue: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarterBand:
    """The band of recordings that arrived in a quarter: `row` is the entry with it, if any."""

    quarter: str
    band: Band
    row: EntryRow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgencyFigures:
    """The figures of one agency."""

    agency: str
    requests: int
    by_state: dict[PublishedState, int]
    emergencies: int
    refusals: dict[str, int]
    received: list[QuarterBand] = field(default_factory=list)
    downloads: int
    deletions: Deletions
    outcomes: dict[str, int]
    outcomes_overdue: int


class AgencyCounts:
    """Counts all agencies in one pass over the record, cached until the record changes.

    A list has a thousand agencies, and whoever asks for it by ever another name has it made anew.
    """

    def __init__(self) -> None:
        self._version = ""
        self._tallies: dict[str, _Tally] = {}

    def of(self, view: RecordView, agency: str) -> AgencyFigures:
        """Return an agency's figures."""
        if view.version != self._version:
            self._tallies, self._version = _tallies(view), view.version
        tally = self._tallies.get(agency, _Tally())
        return AgencyFigures(
            agency=agency,
            requests=tally.requests.by_state.total(),
            by_state=dict(tally.requests.by_state),
            emergencies=tally.requests.emergencies,
            refusals=dict(sorted(tally.refusals.items())),
            received=_received(view, agency),
            downloads=tally.downloads,
            deletions=deletions_in(tally.deletions, view.now_ms),
            outcomes=dict(sorted(tally.outcomes.items())),
            outcomes_overdue=tally.requests.owed,
        )


@dataclass(slots=True)
class _Tally:
    requests: RequestTally = field(default_factory=RequestTally)
    refusals: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    downloads: int = 0
    deletions: list[Deletion] = field(default_factory=list)


def _tallies(view: RecordView) -> dict[str, _Tally]:
    found: defaultdict[str, _Tally] = defaultdict(_Tally)
    for agency, requests in tally_requests(view.register, view.book.outcomes).items():
        found[agency].requests = requests
    for (kind, of_agency, detail), count in view.book.counts.items():
        if of_agency is None or kind not in ("refused", "outcome", "download"):
            continue
        tally = found[of_agency]
        if kind == "download":
            tally.downloads += count
        else:
            (tally.refusals if kind == "refused" else tally.outcomes)[detail] += count
    for deletion in view.book.deletions_of():
        if deletion.asked.agency is not None:
            found[deletion.asked.agency].deletions.append(deletion)
    return dict(found)


def relay_figures(view: RecordView) -> list[Figure]:
    """Return the relay's totals, in the order in which they are shown."""
    book = view.book
    tallies = tally_requests(view.register, book.outcomes).values()
    by_state = sum((one.by_state for one in tallies), start=Counter[PublishedState]())
    deletions = deletions_in(book.deletions_of(), view.now_ms)
    return [
        Figure(name="requests", count=by_state.total(), kind="request"),
        *(Figure(name=f"requests.{state}", count=by_state[state], state=state) for state in STATES),
        Figure(name="emergencies", count=sum(one.emergencies for one in tallies)),
        *_by_detail(view, "refused", "refusals"),
        Figure(name="downloads", count=book.count("download"), kind="download"),
        Figure(name="deletions.asked", count=deletions.asked, kind="deletion_asked"),
        Figure(
            name="deletions.deleted",
            count=deletions.deleted,
            kind="deletion_answered",
            detail="deleted",
        ),
        Figure(
            name="deletions.kept", count=deletions.kept, kind="deletion_answered", detail="kept"
        ),
        Figure(name="deletions.overdue", count=deletions.overdue, kind="deletion_asked"),
        *(
            Figure(
                name=f"erased.{why}",
                count=book.count("erased", detail=why),
                kind="erased",
                detail=why,
            )
            for why in ("withdrawn", "unopened")
        ),
        *(
            Figure(
                name=f"outcomes.{what}",
                count=book.count("outcome", detail=what),
                kind="outcome",
                detail=what,
            )
            for what in ("used", "not_used")
        ),
        Figure(name="outcomes.overdue", count=sum(one.owed for one in tallies)),
        Figure(name="legal_process", count=book.count("legal_process"), kind="legal_process"),
        Figure(
            name="feed_legal_process",
            count=book.count("feed_legal_process"),
            kind="feed_legal_process",
        ),
        Figure(name="feed_dangers", count=book.count("feed_danger"), kind="feed_danger"),
        Figure(name="limit_changes", count=book.count("limits"), kind="limits"),
        Figure(name="void", count=book.count("void"), kind="void"),
    ]


def quarters(view: RecordView, *, since_ms: int | None = None) -> list[str]:
    """Return the quarters from a time, or the record's begin, to now, the newest first."""
    begin_ms = view.book.begun_ms if since_ms is None else since_ms
    found, last = [quarter_of(view.now_ms)], quarter_of(min(begin_ms or view.now_ms, view.now_ms))
    while found[-1] > last and len(found) < MAX_QUARTERS:
        found.append(_before(found[-1]))
    return found


def _received(view: RecordView, agency: str) -> list[QuarterBand]:
    first = view.register.facts.agreements[agency][0]
    return [
        QuarterBand(
            quarter=quarter,
            band=view.book.band(agency, quarter),
            row=view.book.bands.get((agency, quarter)),
        )
        for quarter in quarters(view, since_ms=first.seen_ms or view.now_ms)
    ]


def deletions_in(found: Sequence[Deletion], now_ms: int) -> Deletions:
    """Return the counts of some deletion requests."""
    answers = [one.answered.detail for one in found if one.answered is not None]
    return Deletions(
        asked=len(found),
        deleted=answers.count("deleted"),
        kept=answers.count("kept"),
        late=sum(one.is_late for one in found),
        waiting=len(found) - len(answers),
        overdue=sum(one.is_overdue(now_ms) for one in found),
    )


def _by_detail(view: RecordView, kind: Kind, name: str) -> list[Figure]:
    found = view.book.details(kind)
    return [
        Figure(name=name, count=sum(found.values()), kind=kind),
        *(
            Figure(name=f"{name}.{detail}", count=count, kind=kind, detail=detail)
            for detail, count in found.items()
        ),
    ]


def _before(quarter: str) -> str:
    year, number = int(quarter[:4]), int(quarter[-1])
    return f"{year - 1:04d}-Q4" if number == 1 else f"{year:04d}-Q{number - 1}"
