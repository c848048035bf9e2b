"""HTTP calls to the relay before there is an MQTT link: enrolment and renewal."""

import json

import httpx2

from firmware.errors import AnswerRefused, RelayUnreachable
from firmware.protocol.encoding import WireError, decode
from firmware.protocol.shards import MISDIRECTED, Elsewhere

MAX_ANSWER_BYTES = 1024 * 1024
RETRY_STATUSES = frozenset({408, 425, 429})


async def post(http: httpx2.AsyncClient, url: str, body: bytes) -> tuple[int, bytes]:
    """Post one JSON document; return status and body.

    Raises RelayUnreachable, AnswerRefused for an answer that is too long, or httpx2.InvalidURL.
    """
    headers = {"Content-Type": "application/json"}
    received = bytearray()
    try:
        async with http.stream(
            "POST", url, content=body, headers=headers, follow_redirects=False
        ) as response:
            async for piece in response.aiter_bytes():
                received += piece
                if len(received) > MAX_ANSWER_BYTES:
                    raise AnswerRefused(f"the relay's answer is over {MAX_ANSWER_BYTES} bytes")
            return response.status_code, bytes(received)
    except httpx2.HTTPError as error:
        raise RelayUnreachable(url, str(error) or type(error).__name__) from error


async def get(http: httpx2.AsyncClient, url: str, *, max_bytes: int) -> bytes:
    """Return a file of a relay's; raises RelayUnreachable, or AnswerRefused for what is no file."""
    received = bytearray()
    headers = {"Accept-Encoding": "identity"}  # packed, a small answer could be endless
    try:
        async with http.stream("GET", url, headers=headers, follow_redirects=False) as response:
            async for piece in response.aiter_raw():
                received += piece
                if len(received) > max_bytes:
                    raise AnswerRefused(f"{url} has over {max_bytes} bytes")
            status = response.status_code
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise RelayUnreachable(url, str(error) or type(error).__name__) from error
    if is_for_later(status):
        raise RelayUnreachable(url, f"HTTP status {status}")
    if status != 200:
        raise AnswerRefused(f"{url} answered with HTTP status {status}")
    return bytes(received)


def is_for_later(status: int) -> bool:
    """Return whether the same request may be answered in another way later."""
    return status >= 500 or status in RETRY_STATUSES


def elsewhere_in(status: int, body: bytes) -> Elsewhere | None:
    """Return where an answer leads, None if it doesn't.

    The same status says that the relay has another name than was asked for (RFC 9110 15.5.20).
    """
    if status != MISDIRECTED:
        return None
    try:
        return decode(Elsewhere, body, max_bytes=MAX_ANSWER_BYTES)
    except WireError:
        return None


def refusal_in(status: int, body: bytes) -> tuple[str, str]:
    """Return the code and the sentence of a refusal: the relay's own, if it has one."""
    code, detail = f"http_{status}", f"the relay answered with HTTP status {status}"
    try:
        error = json.loads(body)["error"]
        code, detail = str(error["code"])[:40], str(error["message"])[:200]
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return _printable(code), _printable(detail).rstrip(".")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)
