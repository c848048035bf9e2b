"""Strict parser of small forms: urlencoded, 4 KB at most, and only the expected fields."""

import asyncio
import re
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

MAX_FORM_BYTES = 4096
READ_S = 5.0
DOOR_NUMBER = re.compile("[0-9]{6}")


class FormRefused(Exception):
    """The form is not what the page's own forms send; `status` is the HTTP status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


async def read_form(request: Request, *names: str) -> dict[str, str]:
    """Return the fields `names`, each exactly once, or raise FormRefused."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await _read_body(request)
    if kind != "application/x-www-form-urlencoded" and (names or body):
        raise FormRefused(415, "send application/x-www-form-urlencoded")
    try:
        fields = parse_qs(
            body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=8,
        )
    except ValueError as error:
        raise FormRefused(400, "not a form") from error
    if set(fields) != set(names) or any(len(values) != 1 for values in fields.values()):
        raise FormRefused(400, f"expected the fields {', '.join(names) or '(none)'}, once each")
    return {name: values[0] for name, values in fields.items()}


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(READ_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_FORM_BYTES:
                    raise FormRefused(413, f"at most {MAX_FORM_BYTES} bytes")
    except TimeoutError as error:
        raise FormRefused(408, "the form took too long to arrive") from error
    except ClientDisconnect as error:  # nobody reads the answer, and the log isn't filled
        raise FormRefused(400, "the connection ended before the form did") from error
    return bytes(body)


def is_door_number(text: str) -> bool:
    """Return whether `text` is six ASCII digits."""
    return DOOR_NUMBER.fullmatch(text) is not None
