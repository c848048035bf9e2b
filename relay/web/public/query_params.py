"""Parsers of query parameters: strict in programs' requests, lenient in people's."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from firmware.protocol.encoding import WireError
from relay.custody.log_entries import LOGS
from relay.map.cells import cell_at, cells_within, is_cell
from relay.map.places import Place, Places
from relay.record.request_search import STATES, RequestQuery
from relay.record.rows import KINDS, EntryQuery
from relay.web.json_responses import PageError
from relay.web.pagination import Paged

T = TypeVar("T")

MAX_CHARS = 120
MAX_PAGE_DIGITS = 8
MAX_SHOWN_CHARS = 12
DAY_MS = 24 * 3600 * 1000
NEAR_STEPS = 8
"""Around a place that has a name: cells are 0.3 km apart, so within about 3 km."""
REQUESTS_ASK = frozenset(
    ("case", "place", "cell", "agency", "state", "from", "to", "emergency", "owed", "page")
)
COMPARE_ASK = frozenset(("agency", "from", "to"))
AGENCIES_ASK = frozenset(("name", "page"))
ENTRIES_ASK = frozenset(
    ("log", "kind", "agency", "detail", "quarter", "subject", "year", "overdue", "page")
)
"""Which parameters the pages read."""
_YEAR = re.compile(r"[12][0-9]{3}")
_COORDINATES = re.compile(r"\s*([+-]?\d{1,2}(?:\.\d+)?)\s*[,;\s]\s*([+-]?\d{1,3}(?:\.\d+)?)\s*\Z")


class InvalidQuery(WireError):
    """A query parameter is invalid; `field` says which."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFilter:
    """The fields of the request list's form."""

    case: str
    place: str
    agency: str
    state: str
    begin: str
    end: str
    emergency: str
    owed: str

    def as_query(self, **more: object) -> str:
        """Return the fields as a query string, without empty ones."""
        fields: Mapping[str, object] = {
            "case": self.case,
            "place": self.place,
            "agency": self.agency,
            "state": self.state,
            "from": self.begin,
            "to": self.end,
            "emergency": self.emergency,
            "owed": self.owed,
            **more,
        }
        return urlencode({name: value for name, value in fields.items() if value not in ("", None)})


def read_filter(params: QueryParams) -> RequestFilter:
    """Return the filled-in fields; `cell` is another name of `place`."""

    return RequestFilter(
        case=read_text_field(params, "case"),
        place=read_text_field(params, "place") or read_text_field(params, "cell"),
        agency=read_text_field(params, "agency"),
        state=read_text_field(params, "state"),
        begin=read_text_field(params, "from"),
        end=read_text_field(params, "to"),
        emergency="yes" if read_text_field(params, "emergency") else "",
        owed="yes" if read_text_field(params, "owed") else "",
    )


def read_page_number(params: QueryParams) -> int:
    """Return the page number, from 1 on, or 0 for an invalid one."""
    text = params.get("page") or "1"
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_PAGE_DIGITS else 0


def page_number_text(params: QueryParams) -> str:
    """Return the typed page number, to be displayed."""
    return params.get("page", "")[:MAX_SHOWN_CHARS]


def page_at(params: QueryParams, rows: Sequence[T], *, size: int, total: int) -> Paged[T]:
    """Return the page that `rows` are, of `total`; one that a list doesn't have is numbered 0."""
    count, number = max(1, -(-total // size)), read_page_number(params)
    return Paged(rows=rows, number=number if number <= count else 0, count=count, total=total)


def start_of(params: QueryParams, *, size: int) -> int:
    """Return the number of rows before the page."""
    return max(0, read_page_number(params) - 1) * size


def check_page(paged: Paged[T]) -> None:
    """Refuse a page that a list doesn't have: for files, whose reader is a program."""
    if paged.number == 0:
        raise PageError(404, "no_such_page", f"the pages of this list are 1 to {paged.count}")


def read_text_field(params: QueryParams, name: str) -> str:
    """Return one field's typed text."""
    return params.get(name, "").strip()[:MAX_CHARS]


def request_query_of(
    asked: RequestFilter, places: Places, agencies: Set[str] = frozenset()
) -> tuple[RequestQuery, Place | None]:
    """Return the search's query, and the place that a name was resolved to, or raise InvalidQuery.

    `agencies` are the ids that the agency's name stands for.
    """
    cells, place = _cells(asked.place, places)
    state = next((one for one in STATES if one == asked.state), None)
    if asked.state and state is None:
        raise InvalidQuery("state", f"a state is one of {', '.join(STATES)}")
    begin_ms, end_ms = _day("from", asked.begin), _day("to", asked.end)
    query = RequestQuery(
        case=asked.case,
        agencies=agencies,
        cells=cells,
        from_ms=begin_ms,
        to_ms=None if end_ms is None else end_ms + DAY_MS - 1,
        state=state,
        is_emergency=bool(asked.emergency),
        is_owed=bool(asked.owed),
    )
    return query, place


def entry_query_of(
    params: QueryParams, now_ms: int, agencies: Set[str] = frozenset()
) -> EntryQuery:
    """Return the query of log entries, or raise InvalidQuery."""
    log = next((one for one in LOGS if one == params.get("log")), None)
    if params.get("log") and log is None:
        raise InvalidQuery("log", f"a log is one of {', '.join(LOGS)}")
    kind = next((one for one in KINDS if one == params.get("kind")), None)
    if params.get("kind") and kind is None:
        raise InvalidQuery("kind", f"a kind is one of {', '.join(KINDS)}")
    year = params.get("year", "")
    if year and not _YEAR.fullmatch(year):
        raise InvalidQuery("year", "a year is written as 2026")
    return EntryQuery(
        log=log,
        kind=kind,
        agencies=agencies,
        detail=params.get("detail") or None,
        quarter=params.get("quarter") or None,
        subject=params.get("subject") or None,
        year=int(year) if year else None,
        overdue_at_ms=now_ms if params.get("overdue") else None,
    )


def _cells(text: str, places: Places) -> tuple[frozenset[str], Place | None]:
    if not text:
        return frozenset(), None
    if is_cell(text.lower()):
        return frozenset({text.lower()}), None
    found = _COORDINATES.match(text)
    if found is not None:
        lat, lon = float(found[1]), float(found[2])
        if abs(lat) > 90 or abs(lon) > 180:
            raise InvalidQuery("place", "latitude is at most 90 degrees, longitude at most 180")
        return frozenset({cell_at(lat, lon)}), None
    named = places.search(text, lambda _: True)
    if not named:
        raise InvalidQuery("place", f"nothing here is called {text!r}; try coordinates or a cell")
    place = named[0][0]
    return frozenset(cells_within(cell_at(place.lat, place.lon), NEAR_STEPS)), place


def _day(name: str, text: str) -> int | None:
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
        begin = datetime(day.year, day.month, day.day, tzinfo=UTC)
    except ValueError as error:
        raise InvalidQuery(name, "a day is written as 2026-11-27") from error
    return int(begin.timestamp() * 1000)
