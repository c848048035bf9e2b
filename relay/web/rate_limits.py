"""Rate limits of HTTP requests: by class of route, for each address and each account.

Reading is generous, signing in is tight, and nothing public is without a limit. An office or a
street behind one address shares that address's allowance, so an address alone may do what a
hundred people do at eight in the morning. Of IPv6 a whole /64 is one address.

Counted in the memory of each process: two allow twice as much, a restart forgets. It holds off a
page or a stranger that asks without end, and is no promise to anybody. Failed sign-ins are counted
in the database (relay/people/lockout.py).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from relay.base.allowances import Allowances, Rate, RateExceeded
from relay.base.clock import Clock
from relay.base.networks import is_inside, parse_address, stranger
from relay.web.json_responses import error_file, error_json, is_file, is_form, wants_json
from relay.web.pages import Pages

API_PREFIX: Final = "/api/"
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteClass:
    """A class of routes, with its rates for an address and for an account."""

    name: str
    per_address: Rate
    per_account: Rate | None = None


FILES: Final = RouteClass(name="files", per_address=Rate(at_once=3000, each_s=0.01))
READ: Final = RouteClass(
    name="read",
    per_address=Rate(at_once=1200, each_s=0.05),
    per_account=Rate(at_once=600, each_s=0.1),
)
CHANGE: Final = RouteClass(
    name="change",
    per_address=Rate(at_once=600, each_s=0.1),
    per_account=Rate(at_once=240, each_s=0.5),
)
SIGN_IN: Final = RouteClass(name="sign_in", per_address=Rate(at_once=60, each_s=2))
ENROL: Final = RouteClass(name="enrol", per_address=Rate(at_once=60, each_s=2))
RENEW: Final = RouteClass(name="renew", per_address=Rate(at_once=120, each_s=1))
AREA: Final = RouteClass(name="area", per_address=Rate(at_once=120, each_s=5))
PICTURE: Final = RouteClass(
    name="picture",
    per_address=Rate(at_once=40, each_s=5),
    per_account=Rate(at_once=24, each_s=30),
)
ONBOARD: Final = RouteClass(name="onboard", per_address=Rate(at_once=20, each_s=60))

# The first that fits counts; what fits none is read or changed, by its method.
_PATHS: Final[Sequence[tuple[re.Pattern[str], bool, RouteClass]]] = (
    (re.compile(r"/(static|log)(/|$)|/(healthz|livez|readyz|metrics)$"), False, FILES),
    # A map asks for many pieces of it.
    (re.compile(r"/(agency|map|for-agencies/[^/]+/area)/streets\.pmtiles$"), False, FILES),
    (re.compile(r"/(agency|admin)/(login|register|oidc)/"), False, SIGN_IN),
    (re.compile(r"/api/v1/owner/(login|register)/"), False, SIGN_IN),
    (re.compile(r"/api/v1/account/deletion"), True, SIGN_IN),
    # Each is decoded in a process of its own.
    (re.compile(r"/api/v1/feed/pictures$"), True, PICTURE),
    (re.compile(r"/enrol$"), True, ENROL),
    (re.compile(r"/renew$"), True, RENEW),
    # Whoever draws looks again and again, and hands nothing in by it.
    (re.compile(r"/for-agencies/[^/]+/area$"), True, AREA),
    (re.compile(r"/(onboarding|for-agencies)(/|$)"), True, ONBOARD),
)
"""Path, whether only what changes something is meant, class."""


def class_of(method: str, path: str) -> RouteClass:
    """Return the class of a route; every route has one."""
    for pattern, is_for_changes, found in _PATHS:
        if pattern.match(path) and not (is_for_changes and method in READING):
            return found
    return READ if method in READING else CHANGE


class ClientAddress:
    """ASGI middleware that replaces a trusted proxy's address by the real client's.

    Of X-Forwarded-For only what trusted proxies wrote counts: read from its end, the first that
    is none of theirs. From anybody else the header is as good as absent.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        if scope["type"] == "http" and (client := scope.get("client")) is not None:
            named = Headers(scope=scope).getlist("x-forwarded-for")
            address = client_address(client[0], ",".join(named), self._trusted)
            scope = {**scope, "client": (address, client[1] if address == client[0] else 0)}
        await self._app(scope, receive, send)


def client_address(peer: str, forwarded_for: str, trusted: Iterable[str]) -> str:
    """Return the client's address, by the socket and trusted proxies' headers."""
    networks = tuple(trusted)
    address = peer
    for hop in reversed(forwarded_for.split(",")):
        if not is_inside(address, networks):
            break
        parsed = parse_address(hop.strip())
        if parsed is None:
            break
        address = str(parsed)
    return address


class RateLimits:
    """ASGI middleware that answers 429 with Retry-After above an address's or account's rate."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        clock: Clock,
        pages: Pages | None,
        owner_origins: Sequence[str],
        factor: float = 1,
        class_of: Callable[[str, str], RouteClass] = class_of,
    ) -> None:
        """`factor` multiplies every allowance; without `pages` the refusal is JSON for all."""
        self._app = app
        self._allowances = Allowances(clock)
        self._pages = pages
        self._owner_origins = frozenset(owner_origins)
        self._factor = factor
        self._class_of = class_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count, then pass on or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = self._class_of(scope["method"], scope["path"])
        client = scope.get("client")

        def charge(account_id: str) -> None:
            if found.per_account is not None:
                self._take(f"{found.name}/account/{account_id}", found.per_account)

        try:
            name = stranger("" if client is None else client[0])
            self._take(f"{found.name}/address/{name}", found.per_address)
        except RateExceeded as error:
            response = self._refusal(Request(scope), error)
            await response(scope, receive, send)
            return
        scope = {**scope, "state": {**scope.get("state", {}), "charge": charge}}
        await self._app(scope, receive, send)

    def _take(self, key: str, rate: Rate) -> None:
        factor = self._factor
        at_once = max(1, round(rate.at_once * factor))
        self._allowances.take(key, Rate(at_once=at_once, each_s=rate.each_s / factor))

    def _refusal(self, request: Request, error: RateExceeded) -> Response:
        is_api = request.url.path.startswith(API_PREFIX)
        is_page = request.method in READING or is_form(request)
        response: Response
        if is_page and not is_api and is_file(request):
            response = error_file(request, 429, "too_often", str(error))
        elif self._pages is not None and is_page and not is_api and not wants_json(request):
            response = self._pages.render(
                request, "too_often.html", status=429, retry_after_s=error.retry_after_s
            )
        else:
            response = error_json(429, "too_often", str(error))
        response.headers["Retry-After"] = str(error.retry_after_s)
        origin = request.headers.get("origin", "")
        if is_api and origin in self._owner_origins:  # else a browser hides the answer from the app
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "Retry-After"
            response.headers["Vary"] = "Origin"
        return response
