"""Administrators' pages of agencies: the register's state, and the commands that change it."""

from starlette.requests import Request
from starlette.responses import Response

from relay.agency.agencies import agency_of, standing_of
from relay.web.admin.session import require_admin, services_of
from relay.web.json_responses import not_found
from relay.web.pagination import page_of

PAGE_ROWS = 50


async def list_page(request: Request) -> Response:
    """GET /admin/agencies."""
    admin = await require_admin(request)
    services = services_of(request)
    return services.pages.render(
        request,
        "admin/agencies.html",
        csrf=admin.csrf,
        paged=page_of(request, list((await services.agencies.all()).values()), size=PAGE_ROWS),
    )


async def show_page(request: Request) -> Response:
    """GET /admin/agencies/{agency_id}: its agreement, its officers' standing, the commands."""
    admin = await require_admin(request)
    services = services_of(request)
    view = await services.agencies.view()
    agency = agency_of(view, request.path_params["agency_id"])
    if agency is None:
        raise not_found("agency")
    officers = [
        standing_of(view, agency.id, officer_id)
        for of_agency, officer_id in view.register.officers
        if of_agency == agency.id
    ]
    officers.sort(key=lambda one: (one.name, one.officer_id))
    return services.pages.render(
        request,
        "admin/agency.html",
        csrf=admin.csrf,
        agency=agency,
        paged=page_of(request, officers, size=PAGE_ROWS),
        origin=view.register.origin,
        widenings=view.register.widenings,
    )
