"""Plain HTML forms of the relay's pages, which work without JavaScript."""

import re
import secrets
from typing import Final

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from relay.web.json_responses import PageError

FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
CSRF_FIELD: Final = "csrf"
MAX_FIELDS: Final = 40
_UNREADABLE: Final = re.compile(r"[\x00\ud800-\udfff]")
"""A zero byte, or half a sign: neither can be stored."""


async def read_form(request: Request, *, csrf: str, max_files: int = 0) -> FormData:
    """Return a form of bounded size whose CSRF field is this session's, or raise PageError."""
    form = await form_of(request, max_files=max_files)
    check_csrf(text_in(form, CSRF_FIELD), csrf)
    return form


def check_csrf(sent: str, csrf: str) -> None:
    """Refuse a request without the session's own CSRF token."""
    if not secrets.compare_digest(sent.encode(), csrf.encode()):
        raise PageError(403, "csrf", "the page is out of date; load it again")


async def form_of(
    request: Request, *, max_files: int = 0, max_fields: int = MAX_FIELDS
) -> FormData:
    """Return a form of bounded size, without checking its CSRF token, or raise PageError.

    Its texts are such that can be stored and shown, in whatever charset they came.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in FORM_TYPES:
        raise PageError(415, "media_type", "send the page's own form")
    try:
        form = await request.form(max_files=max_files, max_fields=max_fields)
    except (HTTPException, ValueError) as error:  # ValueError: a charset that decodes nothing
        raise PageError(422, "form", "this form can't be read; load the page again") from error
    texts = (text for pair in form.multi_items() for text in pair if isinstance(text, str))
    if any(map(_UNREADABLE.search, texts)):
        raise PageError(422, "form", "a text of this form can't be read; type it anew")
    return form


def text_in(form: FormData, name: str) -> str:
    """Return one field as text with plain line ends, trimmed; empty where it isn't there."""
    value = form.get(name, "")
    return "" if isinstance(value, UploadFile) else value.replace("\r\n", "\n").strip()


async def file_in(form: FormData, name: str) -> bytes:
    """Return the file that was chosen in one field; empty where none was."""
    value = form.get(name)
    return await value.read() if isinstance(value, UploadFile) else b""
