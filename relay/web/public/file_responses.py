"""Responses that are files: JSON, CSV and others, for programs and spreadsheets."""

from collections.abc import Mapping, Sequence
from typing import Literal
from urllib.parse import quote

from starlette.responses import Response

from relay.record.exports import Row, as_csv, as_list
from relay.record.public_record import RecordView

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv; charset=utf-8; header=present"
ListForm = Literal["json", "csv"]
NOTHING_ELSE = "default-src 'none'; frame-ancestors 'none'; sandbox"


def file_answer(
    body: bytes, media_type: str, *, name: str = "", next_url: str | None = None
) -> Response:
    """Return bytes as a file; with a name a browser saves it, `next_url` is the page after it."""
    headers: Mapping[str, str] = {
        "content-type": media_type,
        "content-security-policy": NOTHING_ELSE,
        **({"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"} if name else {}),
        **({} if next_url is None else {"link": f'<{next_url}>; rel="next"'}),
    }
    return Response(body, headers=headers)


def list_answer(
    view: RecordView,
    form: ListForm,
    *,
    name: str,
    fields: Sequence[str],
    rows: Sequence[Row],
    total: int,
    next_url: str | None,
) -> Response:
    """Return a page of a list of the public record; `name` is the list's and the file's.

    `fields` are the columns of CSV, `total` is how many rows all pages have.
    """
    if form == "csv":
        return file_answer(as_csv(fields, rows), CSV_TYPE, name=f"{name}.csv", next_url=next_url)
    body = as_list(
        name,
        rows,
        is_example=view.register.register.is_example,
        now_ms=view.now_ms,
        total=total,
        next_url=next_url,
    )
    return file_answer(body, JSON_TYPE, next_url=next_url)
