"""Administrators' sign-in and sign-out pages; relay/web/face.py has the passkey steps."""

from starlette.requests import Request
from starlette.responses import Response

from relay.web.admin.session import FACE, require_admin_post, services_of


def sign_in_page(request: Request, *, status: int = 200) -> Response:
    """Return the sign-in page."""
    services = services_of(request)
    return services.pages.render(
        request,
        "admin/sign_in.html",
        status=status,
        has_demo_passkeys=services.site.has_demo_passkeys,
    )


async def logout(request: Request) -> Response:
    """POST /admin/logout."""
    await require_admin_post(request)
    return await FACE.sign_out(request)
