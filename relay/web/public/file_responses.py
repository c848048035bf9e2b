"""Responses that are files: JSON, CSV and others, for programs and spreadsheets."""

from collections.abc import Mapping
from urllib.parse import quote

from starlette.responses import Response

JSON_TYPE = "application/json"
CSV_TYPE = "text/csv; charset=utf-8; header=present"
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
