"""The redirect from /agency/NAME to an agency's public page, /agencies/NAME."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from relay.web.agency.session import services_of
from relay.web.json_responses import not_found


async def redirect(request: Request) -> Response:
    """GET /agency/{agency_id}: redirect, if the register has the agency."""
    agency = await services_of(request).agencies.find(request.path_params["agency_id"])
    if agency is None:
        raise not_found("agency")
    return RedirectResponse(f"/agencies/{agency.id}", status_code=308)
