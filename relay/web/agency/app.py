"""The agency's face as an app: its routes and middleware."""

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from firmware.protocol.encoding import WireError
from relay.agency.agencies import CertificateRefused
from relay.agency.register import RegisterRefused
from relay.base.allowances import RateExceeded
from relay.custody.entries import AnswerRefused
from relay.custody.errors import LogUnavailable
from relay.errors import PARTS_AWAY, RelayError, public_text, said
from relay.evidence.deletions import DeletionUnknown
from relay.feed.agency_posts import PostRefused
from relay.feed.text_rules import TextRefused
from relay.people.errors import SignInRefused
from relay.request.drafts import DraftRefused
from relay.request.form_checks import limit_values
from relay.request.presets import PresetRefused
from relay.request.rules import RequestRefused
from relay.web.agency import (
    account_links,
    appeals,
    dashboard,
    deletions,
    drafts,
    evidence,
    feed,
    officers,
    oidc,
    outcomes,
    presets,
    public_page,
    reads,
    request_form,
    requests,
    sessions,
    sign_in,
)
from relay.web.agency.padding import PaddedResponses
from relay.web.agency.problem_texts import refusal_text
from relay.web.agency.services import AgencyServices
from relay.web.agency.session import FACE, GuardedRoute, get, post, services_of
from relay.web.feed_texts import text_problem_text
from relay.web.json_responses import PageError, error_json, is_form, wants_json, with_retry_after
from relay.web.server_errors import on_unexpected_error

log = logging.getLogger(__name__)

CONFLICTS = frozenset({"id_taken", "state"})
FORBIDDEN = frozenset({"demo_passkey", "suspended", "suspended_by_agency", "network"})
LIMITS = frozenset({"open_limit", "case_limit", "area_quiet"})
POST_STATUS = {"unknown": 404, "taken": 409, "cosigned": 409, "late": 409, "many": 429}
PRESET_STATUS = {"not_found": 404, "full": 409, "taken": 409}
EXPLAINED = frozenset({
    *("role", "uncertified", "officer", "agreement", "csrf"),
    *("network", "suspended", "suspended_by_agency", "ceremony", "oidc", "oidc_known"),
    *("too_often", "not_yet"),
})  # fmt: skip
"""What the page says more about than that it didn't work."""


def build_agency(services: AgencyServices) -> Starlette:
    """Return the agency's face as an app of its own; its paths begin with /agency."""
    app = Starlette(routes=agency_routes())
    app.state.services = services
    for kind in (PageError, HTTPException, RelayError, WireError):
        app.add_exception_handler(kind, _on_error)
    app.add_exception_handler(Exception, on_unexpected_error(services.pages))
    app.add_middleware(PaddedResponses)
    return app


def agency_routes() -> list[GuardedRoute]:
    """Return every route, each with its rule in access.py."""
    return [
        get("/agency", dashboard.home, "anybody"),
        get("/agency/join", FACE.join, "anybody"),
        post("/agency/register/options", FACE.register_options, "anybody"),
        post("/agency/register/verify", FACE.register_verify, "anybody"),
        post("/agency/login/options", FACE.login_options, "anybody"),
        post("/agency/login/verify", FACE.login_verify, "anybody"),
        post("/agency/logout", sign_in.logout, "own.sessions"),
        get("/agency/oidc/start", oidc.start, "anybody"),
        get("/agency/oidc/callback", oidc.callback, "anybody"),
        *account_links.ROUTES,
        get("/agency/passkey", sign_in.passkey_page, "own.passkey"),
        get("/agency/officer.json", sign_in.own_file, "own.file"),
        post("/agency/passkey/options", sign_in.passkey_options, "own.passkey"),
        post("/agency/passkey/verify", sign_in.passkey_verify, "own.passkey"),
        get("/agency/sessions", sessions.own_page, "own.sessions"),
        post("/agency/sessions/end", sessions.end, "own.sessions"),
        get("/agency/staff", officers.list_page, "staff"),
        post("/agency/staff/invitations", officers.invite, "staff"),
        get("/agency/staff/{officer_id}", officers.show_page, "staff"),
        post("/agency/staff/{officer_id}/sessions/end", officers.end_sessions, "staff"),
        post("/agency/staff/{officer_id}/suspend", officers.suspend, "staff"),
        post("/agency/staff/{officer_id}/restore", officers.restore, "staff"),
        get("/agency/settings", officers.settings_page, "settings"),
        post("/agency/settings", officers.change_settings, "settings"),
        post("/agency/officers/{officer_id}/certificate", sign_in.put_certificate, "signed"),
        post("/agency/officers/{officer_id}/revocation", sign_in.revoke, "signed"),
        get("/agency/officers", sign_in.list_uncertified, "colleagues"),
        get("/agency/officers/{officer_id}", sign_in.get_officer, "own.standing"),
        get("/agency/requests", requests.list_page, "requests.read"),
        post("/agency/requests", requests.draft, "requests.write"),
        get("/agency/requests/new", request_form.new_page, "requests.write"),
        post("/agency/requests/new", request_form.post_form, "requests.write"),
        post("/agency/requests/check", request_form.check, "requests.write"),
        get("/agency/area", request_form.area, "requests.write"),
        get("/agency/places", request_form.search_places, "requests.write"),
        get("/agency/streets.pmtiles", request_form.streets, "requests.write"),
        get("/agency/drafts", drafts.list_page, "requests.write"),
        post("/agency/drafts", drafts.save, "requests.write"),
        post("/agency/drafts/{draft_id}/delete", drafts.delete, "requests.write"),
        *presets.ROUTES,
        get("/agency/requests/{request_id}", requests.show_page, "requests.read"),
        get("/agency/requests/{request_id}/renew", requests.renew_page, "requests.write"),
        post("/agency/requests/{request_id}/cosign", requests.cosign, "requests.write"),
        post("/agency/requests/{request_id}/take-back", requests.take_back, "requests.write"),
        post("/agency/requests/{request_id}/withdraw", requests.withdraw, "requests.write"),
        post("/agency/requests/{request_id}/again", requests.write_anew, "requests.write"),
        post("/agency/requests/{request_id}/appeal", appeals.appeal, "requests.write"),
        get("/agency/reads", reads.list_page, "own.reads"),
        get("/agency/evidence", evidence.list_page, "evidence.read"),
        get("/agency/evidence/deletions", deletions.list_page, "evidence.read"),
        post("/agency/evidence/deletions", deletions.post_form, "evidence.read"),
        get("/agency/evidence/{package_id}", evidence.open_page, "evidence.read"),
        post("/agency/evidence/{package_id}/download", evidence.download, "evidence.download"),
        post("/agency/evidence/{package_id}/deletion-answer", evidence.answer_deletion, "signed"),
        post("/agency/evidence/{package_id}/answer", evidence.upload_answer, "evidence.read"),
        get("/agency/outcomes", outcomes.list_page, "outcomes.file"),
        get("/agency/requests/{request_id}/outcome", outcomes.show_page, "outcomes.file"),
        post("/agency/requests/{request_id}/outcome", outcomes.file, "outcomes.file"),
        get("/agency/feed", feed.show_page, "feed.read"),
        post("/agency/feed", feed.hand_in, "feed.write"),
        post("/agency/feed/{post_id}/cosign", feed.cosign, "feed.write"),
        get("/agency/{agency_id}", public_page.redirect, "anybody"),  # last: all others go first
    ]


async def _on_error(request: Request, error: Exception) -> Response:
    return with_retry_after(await _answer(request, error), error)


async def _answer(request: Request, error: Exception) -> Response:
    status, code = _classify(error)
    if isinstance(error, PARTS_AWAY):
        log.warning("a request fails: %s", said(error))
    told = await _told(request, error)
    message = told or (error.detail if isinstance(error, HTTPException) else public_text(error))
    is_page = request.method == "GET" or is_form(request)
    if not is_page or wants_json(request):
        return error_json(status, code, message, is_told=bool(told))
    if status == 401:
        return await sign_in.sign_in_page(request, status=401)
    pages = services_of(request).pages
    if told or code in EXPLAINED:
        officer = getattr(request.state, "officer", None)  # as far as it was looked up
        return pages.render(
            request,
            "agency/refused.html",
            status=status,
            csrf="" if officer is None else officer.csrf,
            officer=officer,
            code="told" if told else code,
            message=message,
        )
    return pages.render(request, "error.html", status=status, code=code, is_refused=status < 500)


async def _told(request: Request, error: Exception) -> str:
    """Return a refusal's reason in the reader's language; "" for any other error."""
    services = services_of(request)
    texts = services.pages.texts(request)
    if isinstance(error, PostRefused):
        return texts(f"agency_feed.problem.{error.name}")
    if isinstance(error, TextRefused):
        return text_problem_text(texts, error.problem)
    if not isinstance(error, RequestRefused | DraftRefused | PresetRefused):
        return ""
    values = limit_values((await services.agencies.view()).facts.limits)
    return refusal_text(texts, error, values)


def _classify(error: Exception) -> tuple[int, str]:
    match error:
        case PageError():
            return error.status, error.code
        case HTTPException():
            return error.status_code, "not_found" if error.status_code == 404 else "http"
        case SignInRefused():
            return 403 if error.reason in FORBIDDEN else 400, error.reason
        case RateExceeded():
            return 429, "too_often"
        case RequestRefused():
            if error.reason in CONFLICTS:
                return 409, error.reason
            return 429 if error.reason in LIMITS else 422, error.reason
        case PostRefused():
            return POST_STATUS.get(error.name, 422), f"post_{error.name}"
        case TextRefused():
            return 422, f"text_{error.problem.rule}"
        case DraftRefused():
            return 404 if error.reason == "not_found" else 409, error.reason
        case PresetRefused():
            return PRESET_STATUS.get(error.reason, 422), f"preset_{error.reason}"
        case CertificateRefused():
            return 403, "certificate"
        case RegisterRefused():
            return 422, "register"
        case LogUnavailable():
            return 503, "log"
        case AnswerRefused() | DeletionUnknown():
            return 403, "deletion_answer"
        case _ if isinstance(error, PARTS_AWAY):
            return 503, "unavailable"
        case _:
            return 422, "invalid"
