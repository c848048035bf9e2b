"""Evidence that has arrived for the officer's agency. The page opens it; the relay can't."""

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from relay.web.agency.session import require_officer, require_officer_post, services_of
from relay.web.answers import not_found
from relay.web.security import page_policy


async def list_page(request: Request) -> Response:
    """GET /agency/evidence."""
    officer = await require_officer(request)
    services = services_of(request)
    published = await services.publishing.list(agency=officer.agency.id)
    return services.pages.render(
        request,
        "agency/evidence.html",
        csrf=officer.csrf,
        officer=officer,
        packages=await services.delivery.list_for_agency(officer.agency.id),
        requests={row.id: row.request for row in published},
    )


async def open_page(request: Request) -> Response:
    """GET /agency/evidence/{package_id}: choose the key file, fetch, open, verify."""
    officer = await require_officer(request)
    services = services_of(request)
    package = await services.delivery.find_for_agency(
        officer.agency.id, request.path_params["package_id"]
    )
    published = None if package is None else await services.publishing.find(package.request_id)
    if package is None or published is None:
        raise not_found("evidence")
    response = services.pages.render(
        request,
        "agency/evidence_open.html",
        csrf=officer.csrf,
        officer=officer,
        package=package,
        published=published,
        signed=msgspec.to_builtins(published.signed),
        agency=msgspec.to_builtins(officer.agency),
    )
    response.headers["Content-Security-Policy"] = page_policy(connect=(services.bucket_origin,))
    return response


async def download(request: Request) -> Response:
    """POST /agency/evidence/{package_id}/download: written down, then a URL for ten minutes."""
    officer = await require_officer_post(request)
    found = await services_of(request).delivery.download(
        officer.account, request.path_params["package_id"]
    )
    if found is None:
        raise not_found("evidence")
    return JSONResponse(
        {"url": found.url, "size_bytes": found.size_bytes}, headers={"Cache-Control": "no-store"}
    )
