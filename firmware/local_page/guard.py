"""Guard of the page's requests: only for our own host, and posts only from our own pages.

A page on the home network has no TLS name to lean on, so a foreign website may point its own
name at the doorbell's address (DNS rebinding) or post a form to it. Host and Origin are
therefore compared with the doorbell's own, before anything else is looked at.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
SCRIPTED_POLICY = f"{POLICY}; script-src 'self'; connect-src 'self'"
SCRIPTED = ("/", "/check", "/confirm", "/pair", "/recover", "/wifi")
"""Pages with a script, our own file: they stay fresh while somebody waits at them."""
HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: browsers would then send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def own_origins(url: str, *, listen_host: str, listen_port: int) -> tuple[str, ...]:
    """Return the origins under which the page may be called: its url, and where it listens.

    A page that listens on all addresses is called by its url only.
    """
    host = f"[{listen_host}]" if ":" in listen_host else listen_host
    names: tuple[str, ...] = LOOPBACK_NAMES if host in LOOPBACK_NAMES else (host,)
    if host in ("0.0.0.0", "[::]"):  # noqa: S104  # compared, not bound
        names = ()
    listening = [f"http://{name}:{listen_port}" for name in names]
    return tuple(dict.fromkeys([url.rstrip("/").lower(), *listening]))


def _policy_of(path: str) -> str:
    is_scripted = path in SCRIPTED or path.startswith(("/wifi/", "/releases/"))
    return SCRIPTED_POLICY if is_scripted else POLICY


class Guard:
    """ASGI middleware: refuses foreign hosts and foreign posts, and adds the headers."""

    def __init__(self, app: ASGIApp, *, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        self._hosts = frozenset(urlsplit(origin).netloc for origin in self._origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421 or 403."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers["Content-Security-Policy"] = _policy_of(scope["path"])
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return PlainTextResponse("This is not the address of this doorbell's page.\n", 421)
        if method in ("GET", "HEAD"):
            return None
        is_own = headers.getlist("origin") in [[origin] for origin in self._origins]
        if not is_own or headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return PlainTextResponse("Only this doorbell's own pages may send that.\n", 403)
        return None
