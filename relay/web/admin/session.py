"""Administrators' sessions: cookie `dw_admin`, and the CSRF token for changes.

A route asks for an administrator unless it says that it is for anybody.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from relay.store.people import Account
from relay.web.admin.services import AdminServices
from relay.web.face import CSRF_HEADER, Face, check_origin
from relay.web.forms import check_csrf, read_form
from relay.web.json_responses import PageError

FACE = Face(
    name="admin",
    role="admin",
    welcome=lambda signed_in: {"admin": {"name": signed_in.account.name}},
)

Endpoint = Callable[[Request], Awaitable[Response]]
Rule = Literal["anybody", "admin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admin:
    """A signed-in administrator."""

    account: Account
    csrf: str
    session_id: str


class AdminRoute(Route):
    """A route with its access rule, which is enforced before the endpoint is called."""

    def __init__(self, path: str, endpoint: Endpoint, *, method: str, rule: Rule) -> None:
        self.rule = rule
        guarded = endpoint if rule == "anybody" else _guarded(endpoint, is_post=method == "POST")
        super().__init__(path, guarded, methods=[method])


def get(path: str, endpoint: Endpoint, rule: Rule = "admin") -> AdminRoute:
    """Return a route that reads."""
    return AdminRoute(path, endpoint, method="GET", rule=rule)


def post(path: str, endpoint: Endpoint, rule: Rule = "admin") -> AdminRoute:
    """Return a route that changes something; its endpoint demands the CSRF token."""
    return AdminRoute(path, endpoint, method="POST", rule=rule)


def _guarded(endpoint: Endpoint, *, is_post: bool) -> Endpoint:
    async def guarded(request: Request) -> Response:
        if is_post:
            check_origin(request)
        await require_admin(request)
        return await endpoint(request)

    return guarded


def services_of(request: Request) -> AdminServices:
    """Return the face's dependencies."""
    services: AdminServices = request.app.state.services
    return services


async def find_admin(request: Request) -> Admin | None:
    """Return the signed-in administrator, or None; looked up once a request."""
    if not hasattr(request.state, "admin"):
        request.state.admin = await _look_up(request)
    found: Admin | None = request.state.admin
    return found


async def _look_up(request: Request) -> Admin | None:
    session = await FACE.find_session(request)
    if session is None:
        return None
    return Admin(account=session.account, csrf=session.csrf, session_id=session.id)


async def require_admin(request: Request) -> Admin:
    """Return the signed-in administrator, or raise 401."""
    admin = await find_admin(request)
    if admin is None:
        raise PageError(401, "unauthenticated", "sign in first")
    return admin


async def require_admin_form(request: Request, *, max_files: int = 0) -> tuple[Admin, FormData]:
    """Return the administrator and form of a changing POST; raises 401, 403, 415, 422."""
    check_origin(request)
    admin = await require_admin(request)
    return admin, await read_form(request, csrf=admin.csrf, max_files=max_files)


async def require_admin_post(request: Request) -> Admin:
    """Return the administrator of a page module's changing request; demands the CSRF header."""
    check_origin(request)
    admin = await require_admin(request)
    check_csrf(request.headers.get(CSRF_HEADER, ""), admin.csrf)
    return admin


def done(path: str, what: str) -> Response:
    """Return a redirect to the page with the result, so that a reload repeats nothing."""
    return RedirectResponse(f"{path}?done={what}", status_code=303)
