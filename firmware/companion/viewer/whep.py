"""WHEP (draft-ietf-wish-whep) for players: offer by POST, trickle by PATCH, end by DELETE.

The endpoint is /whep with `Authorization: Bearer TOKEN`, or /whep/TOKEN for players that can't
send one. A session's address can't be guessed and is enough to trickle to it and to end it. The
doorbell's answer is complete and there is no ICE restart, so no ETag is given.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from firmware.companion.viewer.errors import (
    AnswerRefused,
    FragmentRefused,
    NoSuchSession,
    NothingThere,
    NotNow,
    OfferRefused,
    RelayRefused,
    ViewerError,
)
from firmware.companion.viewer.gateway import Opened
from firmware.companion.viewer.guard import Guard, bearer_of
from firmware.companion.viewer.relay_client import IceServer
from firmware.companion.viewer.sdp_fragment import MAX_FRAGMENT_BYTES, Fragment, parse_fragment
from firmware.protocol.sdp import MAX_SDP_BYTES

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
RETRY_S = 10
NOT_LET_IN = {"unknown_browser", "browser_expired", "signature", "not_paired"}

Endpoint = Callable[[Request], Awaitable[Response]]


class Sessions(Protocol):
    """The doorbell's live view, as `firmware.companion.viewer.gateway.Gateway`; all raise
    ViewerErrors."""

    async def open(self, sdp: str) -> Opened:
        """Open a session."""
        ...

    async def trickle(self, key: str, fragment: Fragment) -> None:
        """Bring more candidates."""
        ...

    async def close(self, key: str) -> None:
        """End a session."""
        ...


class WrongBody(ViewerError):
    """A request's body is invalid."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def build_whep(sessions: Sessions, guard: Guard, further: Sequence[Route] = ()) -> ASGIApp:
    """Return the app that a server runs; `further` are other routes, each guarded."""
    app = Starlette(routes=[*whep_routes(sessions, guard), *further])
    app.router.redirect_slashes = False  # a redirect would be an answer that nobody guards
    return app


def whep_routes(sessions: Sessions, guard: Guard, prefix: str = "") -> list[Route]:
    """Return WHEP's routes under a prefix."""
    endpoint: dict[str, Endpoint] = {"POST": _offering(sessions, guard, prefix)}
    session: dict[str, Endpoint] = {"PATCH": _trickling(sessions), "DELETE": _closing(sessions)}
    return [
        guarded_route(guard, f"{prefix}/whep", endpoint, {"Accept-Post": SDP}),
        guarded_route(guard, f"{prefix}/whep/{{token}}", endpoint, {"Accept-Post": SDP}),
        guarded_route(guard, f"{prefix}/sessions/{{key}}", session, {"Accept-Patch": FRAGMENT}),
    ]


def guarded_route(
    guard: Guard, path: str, allowed: dict[str, Endpoint], accepts: dict[str, str]
) -> Route:
    """Return a route that checks host and origin, and puts errors into words."""
    return Route(path, _guarded(guard, allowed, accepts), methods=METHODS)


def unauthorised(guard: Guard, request: Request) -> Response | None:
    """Return the refusal of a request without the local token, or None."""
    token = request.path_params.get("token") or bearer_of(request.headers.get("authorization", ""))
    if guard.is_token(token):
        return None
    response = _problem(401, "show the token that doorward-view run prints")
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _guarded(guard: Guard, allowed: dict[str, Endpoint], accepts: dict[str, str]) -> Endpoint:
    """Check host and origin, answer OPTIONS and what isn't allowed, and put errors into words."""
    allow = ", ".join(["OPTIONS", *allowed])

    async def endpoint(request: Request) -> Response:
        origin = request.headers.get("origin")
        if not guard.is_host(request.headers.get("host", "")):
            return _problem(403, "this name isn't served here; use the address that was printed")
        if origin is not None and not guard.is_origin(origin):
            text = "pages of this origin may not play; allow one with doorward-view run --origin"
            return _problem(403, text)
        if request.method == "OPTIONS":
            response = Response(status_code=204, headers=accepts)
        elif request.method not in allowed:
            response = _problem(405, f"only {allow} here")
        else:
            response = await _answered(allowed[request.method], request)
        response.headers["Allow"] = allow
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Content-Type-Options"] = "nosniff"
        if origin is not None:
            _open_to(response, origin, allow)
        return response

    return endpoint


def _offering(sessions: Sessions, guard: Guard, prefix: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        refusal = unauthorised(guard, request)
        if refusal is not None:
            return refusal
        opened = await sessions.open(_text(await _body(request, SDP, MAX_SDP_BYTES)))
        response = Response(opened.sdp, status_code=201, media_type=SDP)
        response.headers["Location"] = f"{prefix}/sessions/{opened.key}"
        response.headers["Accept-Patch"] = FRAGMENT
        for server in opened.ice_servers:
            for link in _links(server):
                response.headers.append("Link", link)
        return response

    return endpoint


def _trickling(sessions: Sessions) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        fragment = parse_fragment(await _body(request, FRAGMENT, MAX_FRAGMENT_BYTES))
        await sessions.trickle(request.path_params["key"], fragment)
        return Response(status_code=204)

    return endpoint


def _closing(sessions: Sessions) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        await sessions.close(request.path_params["key"])
        return Response(status_code=200)

    return endpoint


async def _answered(endpoint: Endpoint, request: Request) -> Response:
    try:
        return await endpoint(request)
    except ViewerError as error:
        response = _problem(_status_of(error), str(error))
        retry_after_s = error.retry_after_s if isinstance(error, RelayRefused) else None
        if response.status_code == 503:
            response.headers["Retry-After"] = str(retry_after_s or RETRY_S)
        return response
    except ClientDisconnect:
        return _problem(400, "the player left before it had said all")


def _status_of(error: ViewerError) -> int:
    match error:
        case WrongBody():
            return error.status
        case NoSuchSession() | NothingThere():
            return 404
        case NotNow():
            return 409
        case OfferRefused():
            return 400
        case FragmentRefused():
            return 422
        case RelayRefused() if error.code in NOT_LET_IN:
            return 403
        case RelayRefused() if error.code in ("bad_offer", "bad_form", "invalid"):
            return 400
        case RelayRefused() if error.code == "no_session":
            return 404
        case RelayRefused() if error.code in ("unauthenticated", "not_found"):
            return 502
        case AnswerRefused():
            return 502
        case _:
            return 503


async def _body(request: Request, kind: str, max_bytes: int) -> bytes:
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found != kind:
        raise WrongBody(415, f"send {kind}")
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > max_bytes:
            raise WrongBody(413, f"at most {max_bytes} bytes")
    return data


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise WrongBody(400, "an SDP is UTF-8 (RFC 8866 section 5)") from error


def _links(server: IceServer) -> list[str]:
    """Return Link headers (RFC 9725 section 4.6)."""
    secret = (
        f'; username="{server.username}"; credential="{server.credential}"'
        '; credential-type="password"'
        if server.username
        else ""
    )
    return [f'<{url}>; rel="ice-server"{secret}' for url in server.urls]


def _open_to(response: Response, origin: str, allow: str) -> None:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Methods"] = allow
    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match"
    response.headers["Access-Control-Expose-Headers"] = "Location, Link, Retry-After"
    response.headers["Access-Control-Max-Age"] = "600"
    response.headers["Vary"] = "Origin"


def _problem(status: int, text: str) -> Response:
    return PlainTextResponse(text + "\n", status_code=status)
