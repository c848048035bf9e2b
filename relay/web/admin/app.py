"""The administrators' face as an app: its routes and error handlers."""

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from firmware.protocol.encoding import WireError
from relay.base.allowances import RateExceeded
from relay.custody.errors import LogUnavailable, TextNotAgreed
from relay.errors import PARTS_AWAY, RelayError, public_text, said
from relay.people.errors import SignInRefused
from relay.request.rules import RequestRefused
from relay.web.admin import accounts, agencies, doorbells, moderation, onboarding, sessions, sign_in
from relay.web.admin.feed import feed_routes
from relay.web.admin.services import AdminServices
from relay.web.admin.session import FACE, Admin, AdminRoute, get, post, services_of
from relay.web.json_responses import PageError, error_json, wants_json, with_retry_after
from relay.web.server_errors import on_unexpected_error

log = logging.getLogger(__name__)


def build_admin(services: AdminServices) -> Starlette:
    """Return the administrators' face as an app of its own; its paths begin with /admin."""
    app = Starlette(routes=admin_routes())
    app.state.services = services
    for kind in (PageError, HTTPException, RelayError, WireError):
        app.add_exception_handler(kind, _on_error)
    app.add_exception_handler(Exception, on_unexpected_error(services.pages))
    return app


def admin_routes() -> list[AdminRoute]:
    """Return all routes; each requires an administrator unless it is public."""
    return [
        get("/admin", moderation.home, "anybody"),
        get("/admin/join", FACE.join, "anybody"),
        post("/admin/register/options", FACE.register_options, "anybody"),
        post("/admin/register/verify", FACE.register_verify, "anybody"),
        post("/admin/login/options", FACE.login_options, "anybody"),
        post("/admin/login/verify", FACE.login_verify, "anybody"),
        post("/admin/logout", sign_in.logout),
        get("/admin/sessions", sessions.own_page),
        post("/admin/sessions/end", sessions.end),
        get("/admin/requests", moderation.home),
        get("/admin/requests/{request_id}", moderation.show_page),
        get("/admin/requests/{request_id}/area.geojson", moderation.geojson),
        post("/admin/requests/{request_id}/decision", moderation.decide),
        post("/admin/requests/{request_id}/appeal", moderation.decide_appeal),
        get("/admin/decisions", moderation.decisions_page),
        get("/admin/agencies", agencies.list_page),
        get("/admin/agencies/{agency_id}", agencies.show_page),
        get("/admin/doorbells", doorbells.fleet_page),
        get("/admin/accounts", accounts.search_page),
        get("/admin/accounts/{account_id}", accounts.show_page),
        post("/admin/accounts/{account_id}/suspend", accounts.suspend),
        post("/admin/accounts/{account_id}/restore", accounts.restore),
        *feed_routes(),
        *onboarding.ROUTES,
    ]


async def _on_error(request: Request, error: Exception) -> Response:
    return with_retry_after(await _answer(request, error), error)


async def _answer(request: Request, error: Exception) -> Response:
    status, code = _classify(error)
    if isinstance(error, PARTS_AWAY):
        log.warning("a request fails: %s", said(error))
    message = error.detail if isinstance(error, HTTPException) else public_text(error)
    if wants_json(request):
        return error_json(status, code, message)
    if status == 401:
        return sign_in.sign_in_page(request, status=401)
    admin: Admin | None = getattr(request.state, "admin", None)  # as far as it was looked up
    return services_of(request).pages.render(
        request,
        "admin/error.html",
        status=status,
        csrf="" if admin is None else admin.csrf,
        code=code,
        message=message,
    )


def _classify(error: Exception) -> tuple[int, str]:
    match error:
        case PageError():
            return error.status, error.code
        case HTTPException():
            return error.status_code, "not_found" if error.status_code == 404 else "http"
        case RateExceeded():
            return 429, "too_often"
        case SignInRefused():
            return 403 if error.reason == "demo_passkey" else 400, error.reason
        case RequestRefused():
            return 409 if error.reason == "state" else 422, error.reason
        case LogUnavailable():
            return 503, "log"
        case TextNotAgreed():
            return 503, "agreement_text"
        case _ if isinstance(error, PARTS_AWAY):
            return 503, "unavailable"
        case _:
            return 422, "invalid"
