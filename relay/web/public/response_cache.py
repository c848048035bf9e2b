"""Cache of public responses: made once, kept until something in them can change.

A page of the public record depends on what is asked, on the reader's language, and on the record's
version. So a flood of readers costs one rendering a minute, and a reader who has the page already
gets 304. What a page doesn't know in its address isn't asked: such a reader is sent to the same
page without it, or `?a=1`, `?a=2` and so on would each be rendered anew; a program, which asks
for a file, is refused, or a misspelt name would give it everything. Browsers ask each time,
since a withdrawn request must not look open from memory; shared caches may answer for half a
minute.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Container
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from relay.web.json_responses import PageError, is_file
from relay.web.pages import LANGUAGE, keep_language

CACHE_CONTROL = "public, max-age=0, s-maxage=30, must-revalidate"
LIMIT_BYTES = 8 * 1024 * 1024
MAX_NAME_CHARS = 60
MAX_QUERY_CHARS = 1000
"""A longer question is answered, but not kept."""
_KEPT_HEADERS = ("content-type", "content-disposition", "link", "content-security-policy")

Make = Callable[[], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    version: str
    body: bytes
    etag: str
    headers: dict[str, str]


class ResponseCache:
    """An LRU cache of whole responses, up to a number of bytes."""

    def __init__(self, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, str, str], _Kept] = OrderedDict()

    async def answer(
        self,
        request: Request,
        *,
        version: str,
        language: str,
        make: Make,
        known: Collection[str] = (),
    ) -> Response:
        """Return the result of `make`, or its cached result for this version.

        `known` are the parameters that the page reads.
        """
        unknown = [name for name in request.query_params if name not in known]
        if unknown:
            _check_asks(request, unknown, known)
            return _without_the_unknown(request, known)
        key = (request.url.path, request.url.query, language)
        kept = self._kept.get(key)
        if kept is None or kept.version != version:
            response = await make()
            if response.status_code != 200:
                return response
            kept = _keep(response, version)
            if len(request.url.query) <= MAX_QUERY_CHARS:
                self._put(key, kept)
        else:
            self._kept.move_to_end(key)
        headers = {**kept.headers, "etag": kept.etag, "cache-control": CACHE_CONTROL}
        headers["vary"] = "Accept-Language, Cookie"
        if kept.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(kept.body, headers=headers)

    def _put(self, key: tuple[str, str, str], kept: _Kept) -> None:
        before = self._kept.pop(key, None)
        self._bytes += len(kept.body) - (0 if before is None else len(before.body))
        self._kept[key] = kept
        while self._bytes > self._limit_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body)


def _check_asks(request: Request, unknown: Collection[str], known: Collection[str]) -> None:
    """Refuse a file's request with unknown query parameters."""
    wrong = next((name for name in unknown if name != LANGUAGE), None)
    if wrong is not None and is_file(request):
        there_are = ", ".join(sorted(known)) or "none"
        name = wrong[:MAX_NAME_CHARS]
        text = f"there is no parameter {name!r} here; there are: {there_are}"
        raise PageError(422, "unknown_parameter", text)


def _without_the_unknown(request: Request, known: Container[str]) -> Response:
    """Redirect to the same page without unknown parameters; a chosen language is set as cookie."""
    asked = request.query_params.multi_items()
    question = urlencode([(name, value) for name, value in asked if name in known])
    path = quote(request.scope["path"])
    response = RedirectResponse(f"{path}?{question}" if question else path, 303)
    response.headers["cache-control"] = "no-store"
    keep_language(request, response)
    return response


def _keep(response: Response, version: str) -> _Kept:
    body, headers = bytes(response.body), response.headers
    return _Kept(
        version=version,
        body=body,
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        headers={name: headers[name] for name in _KEPT_HEADERS if name in headers},
    )
