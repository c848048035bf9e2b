"""An administrator's own sessions: list them, end one, or all."""

from starlette.requests import Request
from starlette.responses import Response

from relay.web.admin.session import FACE, require_admin, require_admin_form, services_of


async def own_page(request: Request) -> Response:
    """GET /admin/sessions."""
    admin = await require_admin(request)
    services = services_of(request)
    return services.pages.render(
        request,
        "admin/sessions.html",
        csrf=admin.csrf,
        sessions=await services.sessions.list_of(admin.account.id),
        own_id=admin.session_id,
        done=request.query_params.get("done") == "ended",
    )


async def end(request: Request) -> Response:
    """POST /admin/sessions/end: `session` is one's name, `others` or `all`."""
    admin, _ = await require_admin_form(request)
    return await FACE.end_sessions(request, admin.account.id, admin.session_id)
