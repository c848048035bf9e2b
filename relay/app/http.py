"""The relay's HTTP application: the API, the faces, enrolment and health on one listener."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from firmware.protocol.claims import Enrolment, EnrolmentRequest
from firmware.protocol.encoding import WireError
from firmware.protocol.renewals import Renewal, RenewalRequest
from relay.api.app import build_api
from relay.api.event_list import EventList
from relay.api.services import ApiServices
from relay.app.doorbell_routes import doorbell_routes, lead_elsewhere
from relay.app.probes import PROBES, Health, Readiness, probe_routes
from relay.base.clock import Clock, SimulatedClock, SystemClock
from relay.base.metrics import Metrics
from relay.base.request_ids import FACE_SCOPES, RequestIds
from relay.base.request_ids import HEADER as NUMBER_HEADER
from relay.config.settings import NO_LIMITS, LimitsConfig
from relay.custody.errors import PolicyUnbound, TextNotAgreed
from relay.errors import EnrolmentRefused, HeldElsewhere, RenewalRefused
from relay.feed.pictures import MAX_BYTES as MAX_PICTURE_BYTES
from relay.web.admin.app import build_admin
from relay.web.admin.services import AdminServices
from relay.web.agency.app import build_agency
from relay.web.agency.services import AgencyServices
from relay.web.json_responses import (
    PageError,
    error_file,
    error_json,
    is_file,
    is_form,
    wants_json,
)
from relay.web.public.app import PublicFace
from relay.web.public.area_pages import AreaPages
from relay.web.public.onboarding import MAX_UPLOAD_BYTES, OnboardingPages, OnboardingServices
from relay.web.public.services import PublicServices
from relay.web.public.town import TownPage
from relay.web.rate_limits import ClientAddress, RateLimits
from relay.web.security import BodyLimit, HostCheck, SecurityHeaders, page_policy
from relay.web.server_errors import on_unexpected_error
from relay.web.static_files import PageFiles
from relay.web.town_time import HEADER as TOWN_HEADER
from relay.web.town_time import TownTime

UPLOADS = {
    "/for-agencies/": MAX_UPLOAD_BYTES,
    "/admin/onboardings/": MAX_UPLOAD_BYTES,
    "/api/v1/feed/pictures": MAX_PICTURE_BYTES,
}
"""Where files come in, and how large they may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpServices:
    """The application's dependencies; relay/app/relay.py builds them."""

    api: ApiServices
    agency: AgencyServices
    admin: AdminServices
    public: PublicServices
    onboarding: OnboardingServices
    owner_origins: Sequence[str]
    public_url: str
    enrol: Callable[[EnrolmentRequest], Awaitable[Enrolment]]
    renew: Callable[[RenewalRequest], Awaitable[Renewal]]
    check_health: Callable[[], Awaitable[Health]]
    check_ready: Callable[[], Awaitable[Readiness]]
    log_routes: Sequence[Route] = ()
    shard_directory_path: Path | None = None
    """The signed directory of shards, where doorbells may be another's."""
    town_clock: SimulatedClock | None = None
    limits: LimitsConfig = NO_LIMITS
    limits_clock: Clock = field(default_factory=SystemClock)
    metrics: Metrics = field(default_factory=Metrics)


def build_http(services: HttpServices) -> ASGIApp:
    """Return the app that a server runs."""
    listed = EventList(build_api(services.api), services.api, services.limits_clock)
    api = CORSMiddleware(
        TownTime(listed, services.town_clock),
        allow_origins=list(services.owner_origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Last-Event-ID"],
        expose_headers=[TOWN_HEADER, NUMBER_HEADER, "Retry-After"],
        max_age=600,
    )
    town = TownPage(
        clock=services.town_clock,
        pages=services.public.pages,
        record=services.public.record,
        origin=services.public_url,
    )
    public = Starlette(
        routes=[
            Mount("/api/v1", api),
            Mount("/static", PageFiles()),
            *doorbell_routes(services.enrol, services.renew),
            *probe_routes(services.check_health, services.check_ready),
            *services.log_routes,
            *OnboardingPages(services.onboarding).routes(),
            *AreaPages(services.onboarding).routes(),
            *PublicFace(services.public).routes(),
            *town.routes(),
        ],
        exception_handlers={
            HTTPException: _on_error(services.public),
            PageError: _on_error(services.public),
            WireError: _on_error(services.public),
            EnrolmentRefused: _on_error(services.public),
            RenewalRefused: _on_error(services.public),
            HeldElsewhere: lead_elsewhere(services.shard_directory_path),
            TextNotAgreed: _on_error(services.public),
            PolicyUnbound: _on_error(services.public),
            Exception: on_unexpected_error(services.public.pages),
        },
    )
    faces = _Faces(
        {"/agency": build_agency(services.agency), "/admin": build_admin(services.admin)}, public
    )
    limited = RateLimits(
        BodyLimit(faces, larger=UPLOADS),
        clock=services.limits_clock,
        pages=services.public.pages,
        owner_origins=services.owner_origins,
        factor=services.limits.factor,
    )
    named = HostCheck(limited, [services.public_url], free=PROBES)
    secured = SecurityHeaders(
        ClientAddress(named, services.limits.trusted_proxies),
        policy=page_policy(),
        is_https=services.public_url.startswith("https://"),
    )
    trusted = services.limits.trusted_proxies
    return RequestIds(secured, trusted=trusted, done=services.metrics.answered)


class _Faces:
    """Dispatches requests by path prefix to a face, all others to the public one."""

    def __init__(self, faces: Mapping[str, ASGIApp], public: ASGIApp) -> None:
        self._faces = faces
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        face = self._faces.get("/" + path.removeprefix("/").partition("/")[0], self._public)
        scope.get(FACE_SCOPES, []).append(scope)
        await face(scope, receive, send)


def _on_error(
    services: PublicServices,
) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def handler(request: Request, error: Exception) -> Response:
        status, code, message = _classify(error)
        is_page = request.method in ("GET", "HEAD") or is_form(request)
        if not is_page or wants_json(request):
            return error_json(status, code, message)
        if is_file(request):
            return error_file(request, status, code, message)
        return services.pages.render(
            request,
            "error.html",
            status=status,
            code=code,
            is_refused=status < 500,
            unfit=error if isinstance(error, TextNotAgreed) else None,
        )

    return handler


def _classify(error: Exception) -> tuple[int, str, str]:
    match error:
        case PageError():
            return error.status, error.code, error.message
        case HTTPException():
            code = "not_found" if error.status_code == 404 else "http"
            return error.status_code, code, error.detail
        case EnrolmentRefused():
            return 403, error.reason, str(error)
        case RenewalRefused():
            return 409 if error.reason == "not_due" else 403, error.reason, str(error)
        case TextNotAgreed():
            return 503, "agreement_text", str(error)
        case PolicyUnbound():
            return 503, "policy_unbound", str(error)
        case _:
            return 422, "invalid", str(error)
