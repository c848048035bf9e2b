"""Pages of an agency's own administrator: officers, their sessions, and the agency's settings.

Neither requests nor evidence: access.py says so.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from relay.agency.addresses import check_colleague
from relay.agency.agencies import certified_until_ms, standing_of
from relay.agency.errors import OnboardingRefused
from relay.agency.settings import SettingsRefused
from relay.people.colleague_invitations import SentInvitation
from relay.people.staff import StaffRefused
from relay.store.people import Account
from relay.web.agency.session import Officer, require_officer, services_of
from relay.web.callers import caller_of_request
from relay.web.forms import form_of, text_in
from relay.web.json_responses import PageError, not_found

PAGE_ROWS = 50
MAX_PAGE = 10_000
PATH = "/agency/staff"
DONE = ("ended", "suspended", "restored")


async def list_page(request: Request) -> Response:
    """GET /agency/staff?page=…: the agency's officers, and a form to invite one."""
    return await _list(request, await require_officer(request))


async def _list(
    request: Request,
    officer: Officer,
    *,
    status: int = 200,
    invited: SentInvitation | None = None,
    email: str = "",
    problem: OnboardingRefused | None = None,
) -> Response:
    services = services_of(request)
    page = _page_of(request)
    colleagues = await services.staff.list_of(
        officer.agency.id, limit=PAGE_ROWS + 1, offset=(page - 1) * PAGE_ROWS
    )
    view = await services.agencies.view()
    settings = await services.settings.find(officer.agency.id)
    return services.pages.render(
        request,
        "agency/officers.html",
        status=status,
        csrf=officer.csrf,
        officer=officer,
        colleagues=[
            (
                one,
                standing_of(view, officer.agency.id, one.account.id),
                certified_until_ms(view, officer.agency.id, one.account.id),
            )
            for one in colleagues[:PAGE_ROWS]
        ],
        page=page,
        has_more=len(colleagues) > PAGE_ROWS,
        email_domain=settings.email_domain,
        invited=invited,
        email=email,
        problem=problem,
    )


async def invite(request: Request) -> Response:
    """POST /agency/staff/invitations: a one-time link for a colleague, shown once and mailed."""
    officer = await require_officer(request)
    services = services_of(request)
    typed = text_in(await form_of(request), "email")
    settings = await services.settings.find(officer.agency.id)
    try:
        email = check_colleague(typed, settings.email_domain)
    except OnboardingRefused as error:
        return await _list(request, officer, status=422, email=typed, problem=error)
    agency = officer.agency
    invited = await services.inviting.invite(agency.id, agency.name, email)
    return await _list(request, officer, invited=invited, email=email)


async def show_page(request: Request) -> Response:
    """GET /agency/staff/{officer_id}: a colleague's certificate and sessions."""
    officer = await require_officer(request)
    return await _show(request, officer, await _colleague(request, officer))


async def _show(
    request: Request, officer: Officer, colleague: Account, *, status: int = 200, problem: str = ""
) -> Response:
    services = services_of(request)
    view = await services.agencies.view()
    done = request.query_params.get("done")
    return services.pages.render(
        request,
        "agency/officer.html",
        status=status,
        problem=problem,
        csrf=officer.csrf,
        officer=officer,
        colleague=colleague,
        standing=standing_of(view, officer.agency.id, colleague.id),
        has_passkey=await services.staff.has_passkey(colleague),
        sessions=await services.sessions.list_of(colleague.id),
        own_id=officer.session_id,
        until_ms=certified_until_ms(view, officer.agency.id, colleague.id),
        has_provider=services.oidc.issuer_of(officer.agency.id) is not None,
        is_self=colleague.id == officer.account.id,
        done=done if done in DONE else None,
    )


async def end_sessions(request: Request) -> Response:
    """POST /agency/staff/{officer_id}/sessions/end: `session` is one's name, or `all`."""
    officer = await require_officer(request)
    colleague = await _colleague(request, officer)
    sessions = services_of(request).sessions
    which = text_in(await form_of(request), "session")
    if which == "all":
        await sessions.end_all(colleague.id)
    elif not await sessions.end_one(colleague.id, which):
        raise not_found("session of theirs")
    return RedirectResponse(f"{PATH}/{colleague.id}?done=ended", status_code=303)


async def suspend(request: Request) -> Response:
    """POST /agency/staff/{officer_id}/suspend: signs them out everywhere; `is_sure` is ticked."""
    officer = await require_officer(request)
    if text_in(await form_of(request), "is_sure") != "yes":
        colleague = await _colleague(request, officer)
        return await _show(request, officer, colleague, status=422, problem="unsure")
    return await _changed(request, services_of(request).staff.suspend, officer, "suspended")


async def restore(request: Request) -> Response:
    """POST /agency/staff/{officer_id}/restore."""
    officer = await require_officer(request)
    return await _changed(request, services_of(request).staff.restore, officer, "restored")


async def _changed(
    request: Request,
    change: Callable[[Account, str], Awaitable[bool]],
    officer: Officer,
    done: str,
) -> Response:
    officer_id: str = request.path_params["officer_id"]
    try:
        is_known = await change(officer.account, officer_id)
    except StaffRefused as error:
        if error.reason == "suspended":
            raise PageError(403, error.reason, str(error)) from error
        colleague = await _colleague(request, officer)
        return await _show(request, officer, colleague, status=403, problem=error.reason)
    if not is_known:
        raise not_found("colleague")
    return RedirectResponse(f"{PATH}/{officer_id}?done={done}", status_code=303)


async def settings_page(request: Request) -> Response:
    """GET /agency/settings."""
    officer = await require_officer(request)
    settings = await services_of(request).settings.find(officer.agency.id)
    limit = "" if settings.max_sessions is None else str(settings.max_sessions)
    return _settings(request, officer, networks="\n".join(settings.networks), max_sessions=limit)


async def change_settings(request: Request) -> Response:
    """POST /agency/settings: `networks`, one a line, and `max_sessions`."""
    officer = await require_officer(request)
    form = await form_of(request)
    networks, max_sessions = text_in(form, "networks"), text_in(form, "max_sessions")
    try:
        await services_of(request).settings.change(
            officer.agency.id,
            networks=networks,
            max_sessions=max_sessions,
            address=caller_of_request(request).address,
        )
    except SettingsRefused as error:
        return _settings(
            request,
            officer,
            networks=networks,
            max_sessions=max_sessions,
            status=422,
            problem=error,
        )
    return RedirectResponse("/agency/settings?done=saved", status_code=303)


def _settings(
    request: Request,
    officer: Officer,
    *,
    networks: str,
    max_sessions: str,
    status: int = 200,
    problem: SettingsRefused | None = None,
) -> Response:
    return services_of(request).pages.render(
        request,
        "agency/settings.html",
        status=status,
        csrf=officer.csrf,
        officer=officer,
        networks=networks,
        max_sessions=max_sessions,
        address=caller_of_request(request).address,
        problem=problem,
        done=request.query_params.get("done") == "saved",
    )


async def _colleague(request: Request, officer: Officer) -> Account:
    """Return the colleague of the path, or raise 404, also for another agency's officer."""
    found = await services_of(request).staff.find(
        officer.agency.id, request.path_params["officer_id"]
    )
    if found is None:
        raise not_found("colleague")
    return found


def _page_of(request: Request) -> int:
    text = request.query_params.get("page", "1")
    is_number = text.isascii() and text.isdigit() and len(text) < 6
    return min(max(int(text), 1), MAX_PAGE) if is_number else 1
