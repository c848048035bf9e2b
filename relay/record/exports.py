"""Exports of the public record: JSON and CSV with stable field names. Pure.

docs/guide/public.md says what each field means. Times are UTC (RFC 3339), CSV is RFC 4180 in UTF-8.
What officers wrote can't become a formula in somebody's spreadsheet: where a text begins like one
it gets an apostrophe, and so does each part of it that would be a cell for whoever parts cells
by something else than a comma.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from relay.record.figures import AgencyFigures, Figure
from relay.record.rows import EntryRow
from relay.request.published_requests import PublishedRequest

Value = str | int | float | bool | None | Sequence["Value"] | Mapping[str, "Value"]
Row = Mapping[str, Value]

_FORMULA = re.compile(r"(^|[;\t\r\n,|])(?=[ \"]*[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""Where a cell may begin, with what makes it a formula: Excel parts cells by `;` in half of Europe.

The last four are the wide forms, which spreadsheets of East Asia take alike.
"""
REQUEST_FIELDS = (
    "id", "agency", "agency_name", "case_number", "incident_type", "state", "published", "expires",
    "from", "to", "cells", "text", "reason", "danger", "retention_days", "onward_sharing",
    "renews", "renewed_by", "outcome", "digest", "register_entry",
)  # fmt: skip
ENTRY_FIELDS = (
    "log", "index", "kind", "agency", "detail", "quarter", "subject", "seen", "answer_by",
    "yielded", "counts",
)  # fmt: skip
AGENCY_FIELDS = (
    "id", "name", "state", "agreement_version", "agreement_begins", "agreement_ends",
    "agreement_text_sha256", "cells", "requests", "emergencies", "refused_by_moderators",
    "downloads", "deletions_asked", "deletions_overdue", "outcomes_used", "outcomes_not_used",
    "outcomes_overdue",
)  # fmt: skip
FIGURE_FIELDS = ("name", "count")


def time_text(time_ms: int | None) -> str | None:
    """Return a time in RFC 3339 form, in UTC."""
    if time_ms is None:
        return None
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_json(name: str, rows: Sequence[Row], **about: Value) -> bytes:
    """Return rows as one JSON document; `about` describes them."""
    told: dict[str, Value] = {"v": 1, **about, name: rows}
    return json.dumps(told, ensure_ascii=False, indent=1).encode() + b"\n"


def as_list(
    name: str,
    rows: Sequence[Row],
    *,
    is_example: bool,
    now_ms: int,
    total: int,
    next_url: str | None = None,
    **about: Value,
) -> bytes:
    """Return a list, or a page of one, as JSON: each list has these names, and its rows in `name`.

    `total` is how many rows there are on all pages, `next_url` where the next page is.
    """
    return as_json(
        name,
        rows,
        is_example=is_example,
        as_of=time_text(now_ms),
        total=total,
        next=next_url,
        **about,
    )


def as_csv(fields: Sequence[str], rows: Sequence[Row]) -> bytes:
    """Return rows as CSV, with the names of the fields first."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(fields)
    for row in rows:
        writer.writerow([_cell(row[field]) for field in fields])
    return file.getvalue().encode()


def request_row(
    published: PublishedRequest, *, agency_name: str, outcome: str | None, index: int | None
) -> Row:
    """Return an export's row of a published request; its contact is only on its own page."""
    request = published.request
    return {
        "id": published.id,
        "agency": published.agency,
        "agency_name": agency_name,
        "case_number": request.case_number,
        "incident_type": request.incident_type,
        "state": published.state,
        "published": time_text(published.published_ms),
        "expires": time_text(request.expires_ms),
        "from": time_text(request.from_ms),
        "to": time_text(request.to_ms),
        "cells": request.cells,
        "text": request.text,
        "reason": request.reason,
        "danger": request.danger,
        "retention_days": request.retention_days,
        "onward_sharing": request.onward_sharing,
        "renews": request.renewed_id,
        "renewed_by": published.renewed_by,
        "outcome": outcome,
        "digest": published.digest,
        "register_entry": index,
    }


def entry_row(row: EntryRow) -> Row:
    """Return an export's row of a log entry."""
    return {
        "log": row.log,
        "index": row.index,
        "kind": row.kind,
        "agency": row.agency,
        "detail": row.detail,
        "quarter": row.quarter,
        "subject": row.subject,
        "seen": time_text(row.seen_ms),
        "answer_by": time_text(row.answer_by_ms),
        "yielded": list(row.yielded),
        "counts": dict(row.counts),
    }


def agency_part(figures: AgencyFigures) -> dict[str, Value]:
    """Return an agency's figures as a JSON object."""
    deletions = figures.deletions
    return {
        "requests": figures.requests,
        "requests_by_state": {str(state): count for state, count in figures.by_state.items()},
        "emergencies": figures.emergencies,
        "refused_by_moderators": dict(figures.refusals),
        "received": {one.quarter: one.band for one in figures.received},
        "downloads": figures.downloads,
        "deletions": {
            "asked": deletions.asked,
            "deleted": deletions.deleted,
            "kept": deletions.kept,
            "late": deletions.late,
            "waiting": deletions.waiting,
            "overdue": deletions.overdue,
        },
        "outcomes": dict(figures.outcomes),
        "outcomes_overdue": figures.outcomes_overdue,
    }


def figure_row(figure: Figure) -> Row:
    """Return an export's row of one figure."""
    return {"name": figure.name, "count": figure.count}


def _cell(value: Value) -> str | int | float:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return value
        case str():
            return _FORMULA.sub(r"\1'", value)
        case Mapping():
            return _cell(" ".join(f"{key}={one}" for key, one in value.items()))
        case _:
            return _cell(" ".join(str(one) for one in value))
