"""Search of published requests: by words, place, agency, time and state. Pure.

The register is read from its newest request to its oldest, and what is dear (how a request stands)
is asked last, so that ten thousand requests are looked through in a few milliseconds.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterator, Set
from dataclasses import dataclass, field

from firmware.protocol.outcomes import FILE_WITHIN_MS
from firmware.protocol.register.records import RequestRecord
from relay.agency.register import RegisterView
from relay.request.outcomes import closed_at
from relay.request.published_requests import (
    PublishedRequest,
    PublishedState,
    States,
    find_published,
)

STATES: tuple[PublishedState, ...] = ("open", "suspended", "renewed", "withdrawn", "expired")
"""Those that a reader can meet: what witnesses haven't seen isn't published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestQuery:
    """The search's criteria; empty ones aren't applied."""

    case: str = ""
    """A part of the case number, in capitals, or the request's id or digest."""
    agencies: Set[str] = frozenset()
    """Any of these, by id."""
    cells: Set[str] = frozenset()
    """Any of these."""
    from_ms: int | None = None
    to_ms: int | None = None
    """The recordings that are asked for lie in this time, with some part of theirs."""
    state: PublishedState | None = None
    is_emergency: bool = False
    """Emergencies only."""
    is_owed: bool = False
    """Only those whose agency owes an outcome for too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRequests:
    """A page of results, newest first, and their total number."""

    requests: list[PublishedRequest]
    total: int


@dataclass(slots=True)
class RequestTally:
    """Counts of published requests, of one agency or of several."""

    by_state: Counter[PublishedState] = field(
        default_factory=lambda: Counter(dict.fromkeys(STATES, 0))
    )
    emergencies: int = 0
    owed: int = 0
    """Those whose outcome is overdue."""


def search(
    view: RegisterView,
    query: RequestQuery,
    *,
    filed: Container[str] = (),
    start: int = 0,
    limit: int = 50,
) -> FoundRequests:
    """Return the requests from `start` on that match, and how many match.

    `filed` are the digests of those whose outcome is in the log.
    """
    matching = list(_matching(view, query, filed))
    page = [
        published
        for request_id in matching[start : start + limit]
        if (published := find_published(view, request_id)) is not None
    ]
    return FoundRequests(requests=page, total=len(matching))


def tally_requests(view: RegisterView, filed: Container[str]) -> dict[str, RequestTally]:
    """Return each agency's counts of published requests, in one pass over all."""
    found: defaultdict[str, RequestTally] = defaultdict(RequestTally)
    public_size, states = view.stamps.size, States(view)
    for digest, record in view.register.requests.items():
        if record.index >= public_size:
            continue
        tally = found[record.request.agency]
        tally.by_state[states.of(record)] += 1
        tally.emergencies += record.request.is_emergency
        tally.owed += _is_owed(view, digest, record, filed)
    return dict(found)


def _is_owed(view: RegisterView, digest: str, record: RequestRecord, filed: Container[str]) -> bool:
    if record.renewed_by is not None or digest in filed:  # a renewal stands for what it renews
        return False
    closed_ms = closed_at(view, record)
    return closed_ms is not None and view.now_ms > closed_ms + FILE_WITHIN_MS


def _matching(view: RegisterView, query: RequestQuery, filed: Container[str]) -> Iterator[str]:
    public_size, states = view.stamps.size, States(view)
    for digest, record in reversed(view.register.requests.items()):
        if record.index >= public_size or not _is_asked_for(record, digest, query):
            continue
        if query.is_owed and not _is_owed(view, digest, record, filed):
            continue
        if query.state is None or states.of(record) == query.state:
            yield record.request.id


def _is_asked_for(record: RequestRecord, digest: str, query: RequestQuery) -> bool:
    request = record.request
    if query.agencies and request.agency not in query.agencies:
        return False
    if query.is_emergency and not request.is_emergency:
        return False
    if query.case and not (
        query.case.upper() in request.case_number or query.case in (request.id, digest)
    ):
        return False
    if query.from_ms is not None and request.to_ms < query.from_ms:
        return False
    if query.to_ms is not None and request.from_ms > query.to_ms:
        return False
    return not query.cells or not query.cells.isdisjoint(request.cells)
