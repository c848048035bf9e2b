"""Where somebody is signed in: their own list, one to end, or all. Works without JavaScript."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from relay.web.agency.session import clear_session, find_officer, services_of
from relay.web.answers import PageError, not_found
from relay.web.forms import form_of, text_in

PATH = "/agency/sessions"


async def own_page(request: Request) -> Response:
    """GET /agency/sessions."""
    officer = await find_officer(request)
    if officer is None:
        raise PageError(401, "unauthenticated", "sign in first")
    services = services_of(request)
    return services.pages.render(
        request,
        "agency/sessions.html",
        csrf=officer.csrf,
        officer=officer,
        sessions=await services.sessions.list_of(officer.account.id),
        own_id=officer.session_id,
        done=request.query_params.get("done") == "ended",
    )


async def end(request: Request) -> Response:
    """POST /agency/sessions/end: `session` is one's name, `others` or `all`."""
    officer = await find_officer(request)
    if officer is None:
        raise PageError(401, "unauthenticated", "sign in first")
    sessions = services_of(request).sessions
    which = text_in(await form_of(request), "session")
    if which == "others":
        await sessions.end_all(officer.account.id, but=officer.session_id)
    elif which == "all":
        await sessions.end_all(officer.account.id)
    elif not await sessions.end_one(officer.account.id, which):
        raise not_found("session of yours")
    if which not in ("all", officer.session_id):
        return RedirectResponse(f"{PATH}?done=ended", status_code=303)
    response = RedirectResponse("/agency", status_code=303)
    clear_session(response)
    return response
