"""Builds the agency's face."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from firmware.protocol.encoding import WireError
from relay.agency.agencies import CertificateRefused
from relay.agency.register import RegisterRefused
from relay.custody.errors import LogUnavailable
from relay.custody.happenings import AnswerRefused
from relay.errors import BusUnavailable, ObjectStoreError, RelayError
from relay.evidence.deletions import DeletionUnknown
from relay.people.errors import SignInRefused
from relay.request.rules import RequestRefused
from relay.web.agency import evidence, requests, sign_in
from relay.web.agency.padding import PaddedAnswers
from relay.web.agency.services import AgencyServices
from relay.web.agency.session import services_of
from relay.web.answers import PageError, error_json, wants_json

CONFLICTS = frozenset({"id_taken", "state"})
LIMITS = frozenset({"open_limit", "case_limit", "area_quiet"})


def build_agency(services: AgencyServices) -> Starlette:
    """Return the agency's face as an app of its own; its paths begin with /agency."""
    app = Starlette(routes=_routes())
    app.state.services = services
    for kind in (PageError, HTTPException, RelayError, WireError):
        app.add_exception_handler(kind, _on_error)
    app.add_middleware(PaddedAnswers)
    return app


def _routes() -> list[Route]:
    def get(path: str, endpoint: object) -> Route:
        return Route(path, endpoint, methods=["GET"])  # type: ignore[arg-type]

    def post(path: str, endpoint: object) -> Route:
        return Route(path, endpoint, methods=["POST"])  # type: ignore[arg-type]

    return [
        get("/agency", sign_in.home),
        get("/agency/join", sign_in.join),
        post("/agency/register/options", sign_in.register_options),
        post("/agency/register/verify", sign_in.register_verify),
        post("/agency/login/options", sign_in.login_options),
        post("/agency/login/verify", sign_in.login_verify),
        post("/agency/logout", sign_in.logout),
        post("/agency/officers/{officer_id}/certificate", sign_in.put_certificate),
        post("/agency/officers/{officer_id}/revocation", sign_in.revoke),
        get("/agency/officers", sign_in.list_uncertified),
        get("/agency/officers/{officer_id}", sign_in.get_officer),
        get("/agency/requests", requests.list_page),
        post("/agency/requests", requests.draft),
        get("/agency/requests/new", requests.new_page),
        get("/agency/requests/{request_id}", requests.show_page),
        get("/agency/requests/{request_id}/renew", requests.renew_page),
        post("/agency/requests/{request_id}/cosign", requests.cosign),
        post("/agency/requests/{request_id}/take-back", requests.take_back),
        post("/agency/requests/{request_id}/withdraw", requests.withdraw),
        get("/agency/evidence", evidence.list_page),
        get("/agency/evidence/{package_id}", evidence.open_page),
        post("/agency/evidence/{package_id}/download", evidence.download),
        post("/agency/evidence/{package_id}/deletion-answer", evidence.answer_deletion),
    ]


async def _on_error(request: Request, error: Exception) -> Response:
    status, code = _classify(error)
    message = error.detail if isinstance(error, HTTPException) else str(error)
    if request.method != "GET" or wants_json(request):
        return error_json(status, code, message)
    services = services_of(request)
    if status == 401:
        return services.pages.render(
            request,
            "agency/sign_in.html",
            status=401,
            has_demo_passkeys=services.site.has_demo_passkeys,
        )
    return services.pages.render(request, "error.html", status=status, code=code)


def _classify(error: Exception) -> tuple[int, str]:
    match error:
        case PageError():
            return error.status, error.code
        case HTTPException():
            return error.status_code, "not_found" if error.status_code == 404 else "http"
        case SignInRefused():
            return 403 if error.reason == "demo_passkey" else 400, error.reason
        case RequestRefused():
            if error.reason in CONFLICTS:
                return 409, error.reason
            return 429 if error.reason in LIMITS else 422, error.reason
        case CertificateRefused():
            return 403, "certificate"
        case RegisterRefused():
            return 422, "register"
        case LogUnavailable():
            return 503, "log"
        case AnswerRefused() | DeletionUnknown():
            return 403, "deletion_answer"
        case BusUnavailable() | ObjectStoreError():
            return 503, "unavailable"
        case _:
            return 422, "invalid"
