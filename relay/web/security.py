"""Security headers of every response, and limits of every request's body and address.

Plain ASGI, so that an event stream passes through untouched.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES: Final = 128 * 1024
ZERO_TEXT: Final = "a text can't have a zero byte in it"
CHARSET_TEXT: Final = "send a form's text as UTF-8, and name no charset"

BASE_HEADERS: Final = {
    "x-content-type-options": "nosniff",
    # Not no-referrer: browsers would then send "Origin: null" with our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
OWNERS_APP_HEADERS: Final = {
    "permissions-policy": "camera=(), microphone=(self), geolocation=(self)",
}
"""The owner's app may ask to talk at the door, and where it is: for the doorbell's place."""


def page_policy(*, connect: tuple[str, ...] = (), worker: bool = False) -> str:
    """Return the Content-Security-Policy of a page that may also fetch from `connect`.

    With `worker` it may run a module of this site beside it.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "font-src 'self'",
            "manifest-src 'self'",
            " ".join(("connect-src 'self'", *connect)),
            "media-src 'self' blob:",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            *(("worker-src 'self'",) if worker else ()),
        )
    )


class SecurityHeaders:
    """ASGI middleware that adds the headers above, and `policy` where the page sets no CSP.

    `headers` take the place of those above that have their name.
    """

    def __init__(
        self, app: ASGIApp, *, policy: str, is_https: bool, headers: Mapping[str, str] | None = None
    ) -> None:
        self._app = app
        all_headers = {**BASE_HEADERS, **(headers or {}), "content-security-policy": policy}
        if is_https:
            all_headers["strict-transport-security"] = "max-age=31536000"
        self._headers = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in all_headers.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                named = {name.lower() for name, _ in headers}
                headers += [one for one in self._headers if one[0] not in named]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class HostCheck:
    """ASGI middleware that refuses requests for another name than the relay's own with 421.

    What answers to any name writes that name into links and redirects, and lets a page of another
    site, whose name an attacker points here, be of one origin with it (DNS rebinding).
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str], *, free: Iterable[str] = ()) -> None:
        """`free` are paths that any name may ask for, such as a probe's by address."""
        self._app = app
        self._origins = tuple(origins)
        self._hosts = frozenset(host for origin in self._origins for host in _hosts_of(origin))
        self._free = frozenset(free)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is for this host."""
        if scope["type"] != "http" or scope.get("path") in self._free:
            await self._app(scope, receive, send)
            return
        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) != 1:
            words = f"a request names its host once, and this one {len(hosts)} times"
            await send_error(send, 400, "host", words)
        elif hosts[0].lower() not in self._hosts:
            here = " or ".join(self._origins)
            words = f"this relay is {here}, and answers to no other name"
            await send_error(send, 421, "host", words)
        else:
            await self._app(scope, receive, send)


def _hosts_of(origin: str) -> set[str]:
    """Return the Host headers for an origin: without its port, if that is the usual one."""
    parts = urlsplit(origin)
    name = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    usual = {"http": 80, "https": 443}[parts.scheme]
    port = parts.port or usual
    return {f"{name}:{port}", name} if port == usual else {f"{name}:{port}"}


async def send_error(send: Send, status: int, code: str, message: str) -> None:
    """Answer with an error as JSON, and end the connection."""
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class BodyLimit:
    """ASGI middleware that refuses a body over the limit with 413, announced or not.

    What has a zero byte where a text should be is refused with 400, a form that names its own
    charset with 415: Python knows one that takes ever longer to read, and some that aren't text.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int = MAX_BODY_BYTES,
        larger: Mapping[str, int] | None = None,
    ) -> None:
        """`larger` are limits of paths that begin so: those that take a file."""
        self._app = app
        self._max_bytes = max_bytes
        self._larger = dict(larger or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read a whole body of bounded size, then call the app."""
        if scope["type"] == "http" and _has_zero(scope):
            await send_error(send, 400, "invalid", ZERO_TEXT)
            return
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        if _names_charset(scope):
            await send_error(send, 415, "media_type", CHARSET_TEXT)
            return
        path = scope.get("path", "")
        limits = [most for begin, most in self._larger.items() if path.startswith(begin)]
        max_bytes = max(limits, default=self._max_bytes)
        announced = Headers(scope=scope).get("content-length", "0")
        if not announced.isdecimal() or len(announced) > 12 or int(announced) > max_bytes:
            await self._refuse(send, max_bytes)
            return
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return  # the other side left
            body += message.get("body", b"")
            if len(body) > max_bytes:
                await self._refuse(send, max_bytes)
                return
            if not message.get("more_body", False):
                break
        if _has_zero_text(scope, bytes(body)):
            await send_error(send, 400, "invalid", ZERO_TEXT)
            return
        await self._app(scope, _replay(bytes(body), receive), send)

    async def _refuse(self, send: Send, max_bytes: int) -> None:
        await send_error(send, 413, "too_large", f"a body may have {max_bytes} bytes at most")


def _has_zero(scope: Scope) -> bool:
    """Return whether an address has a zero byte: no path has one, and PostgreSQL rejects it."""
    return "\0" in scope.get("path", "") or b"%00" in scope.get("query_string", b"")


def _names_charset(scope: Scope) -> bool:
    """Return whether a multipart form names a charset, in any spelling."""
    told = Headers(scope=scope).get("content-type", "").lower()
    return "multipart/" in told and "charset" in told


def _has_zero_text(scope: Scope, body: bytes) -> bool:
    """Return whether a text in JSON or in a plain form has one; a file may.

    JSON goes by many names (application/x+json), and in UTF-16 each letter has one.
    """
    media_type = Headers(scope=scope).get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        return b"%00" in body or b"\0" in body
    return media_type.startswith("application/") and (b"\\u0000" in body or b"\0" in body)


def _replay(body: bytes, receive: Receive) -> Receive:
    is_told = False

    async def replay() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
