"""Sign in and sign out; the steps with a passkey are relay/web/face.py's."""

from starlette.requests import Request
from starlette.responses import Response

from relay.web.admin.session import FACE, require_admin_post, services_of


def sign_in_page(request: Request, *, status: int = 200) -> Response:
    """Return the page for whoever isn't signed in."""
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
