"""An officer's own sessions: list them, end one, or all. Works without JavaScript."""

from starlette.requests import Request
from starlette.responses import Response

from relay.web.agency.session import FACE, is_before_first_day, require_session, services_of


async def own_page(request: Request) -> Response:
    """GET /agency/sessions."""
    officer = await require_session(request)
    services = services_of(request)
    return services.pages.render(
        request,
        "agency/sessions.html",
        csrf=officer.csrf,
        officer=officer,
        sessions=await services.sessions.list_of(officer.account.id),
        has_ways=services.oidc.issuer_of(officer.agency.id) is not None
        and officer.may("own.ways")
        and not is_before_first_day(officer.agency),
        own_id=officer.session_id,
        done=request.query_params.get("done") == "ended",
    )


async def end(request: Request) -> Response:
    """POST /agency/sessions/end: `session` is one's name, `others` or `all`."""
    officer = await require_session(request)
    return await FACE.end_sessions(request, officer.account.id, officer.session_id)
