"""What the relay's administrators looked at of an officer: for that officer."""

from starlette.requests import Request
from starlette.responses import Response

from relay.web.agency.session import find_officer, services_of
from relay.web.answers import PageError


async def list_page(request: Request) -> Response:
    """GET /agency/reads."""
    officer = await find_officer(request)
    if officer is None:
        raise PageError(401, "unauthenticated", "sign in first")
    services = services_of(request)
    return services.pages.render(
        request,
        "agency/reads.html",
        csrf=officer.csrf,
        officer=officer,
        reads=await services.reads.of_account(officer.account.id),
    )
