"""Evidence that has arrived for the officer's agency. The page opens it; the relay can't."""

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.protocol.custody import SignedDeletionAnswer
from relay.agency.agencies import public_agency
from relay.request.published import find_published
from relay.web.agency.arrived import find_arrived, list_arrived
from relay.web.agency.session import (
    require_certified,
    require_officer,
    require_officer_post,
    services_of,
)
from relay.web.answers import PageError, not_found, read_json
from relay.web.security import page_policy


async def list_page(request: Request) -> Response:
    """GET /agency/evidence."""
    officer = await require_officer(request)
    await require_certified(request, officer)
    services = services_of(request)
    view = await services.agencies.view()
    rows = await services.desk.list_rows(officer.agency.id)
    return services.pages.render(
        request,
        "agency/evidence.html",
        csrf=officer.csrf,
        officer=officer,
        packages=await list_arrived(services, officer.agency.id, view),
        deletions=await services.deletions.list(officer.agency.id),
        requests={row.id: row.request for row in rows},
    )


async def open_page(request: Request) -> Response:
    """GET /agency/evidence/{package_id}: choose the key file, fetch, open, verify."""
    officer = await require_officer(request)
    await require_certified(request, officer)
    services = services_of(request)
    view = await services.agencies.view()
    package = await find_arrived(
        services, officer.agency.id, request.path_params["package_id"], view
    )
    published = None if package is None else find_published(view, package.request_id)
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
        agency=public_agency(officer.agency),
    )
    response.headers["Content-Security-Policy"] = page_policy(connect=(services.bucket_origin,))
    return response


async def download(request: Request) -> Response:
    """POST /agency/evidence/{package_id}/download: written down, then a URL for ten minutes.

    Only while an agreement is in force: a monitor would call everything else a breach.
    """
    officer = await require_officer_post(request)
    await require_certified(request, officer)
    if officer.agency.state != "in_force":
        raise PageError(403, "agreement", "your agency's agreement doesn't count now")
    services = services_of(request)
    package_id = request.path_params["package_id"]
    view = await services.agencies.view()
    if await find_arrived(services, officer.agency.id, package_id, view) is None:
        raise not_found("evidence")
    found = await services.delivery.download(officer.account, package_id)
    if found is None:
        raise not_found("evidence")
    return JSONResponse(
        {"url": found.url, "size_bytes": found.size_bytes}, headers={"Cache-Control": "no-store"}
    )


async def answer_deletion(request: Request) -> Response:
    """POST /agency/evidence/{package_id}/deletion-answer: the agency's signature authorises."""
    signed = await read_json(request, SignedDeletionAnswer)
    await services_of(request).deletions.answer(request.path_params["package_id"], signed)
    return JSONResponse({"ok": True}, status_code=201)
