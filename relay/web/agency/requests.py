"""Requests of the officer's own agency: list, write, publish, read."""

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.protocol.encoding import Document
from firmware.protocol.requests import INCIDENT_TYPES, SignedRequest
from relay.web.agency.session import require_officer, require_officer_post, services_of
from relay.web.answers import not_found, read_json


class PublishIn(Document, frozen=True, kw_only=True):
    """A signed request."""

    signed: SignedRequest


async def list_page(request: Request) -> Response:
    """GET /agency/requests."""
    officer = await require_officer(request)
    services = services_of(request)
    return services.pages.render(
        request,
        "agency/requests.html",
        csrf=officer.csrf,
        officer=officer,
        requests=await services.publishing.list(agency=officer.agency.id),
    )


async def new_page(request: Request) -> Response:
    """GET /agency/requests/new."""
    officer = await require_officer(request)
    services = services_of(request)
    certificate = await services.register.find_certificate(officer.account.id)
    return services.pages.render(
        request,
        "agency/request_new.html",
        csrf=officer.csrf,
        officer=officer,
        incident_types=INCIDENT_TYPES,
        certificate=None if certificate is None else msgspec.to_builtins(certificate),
        has_demo_passkeys=services.site.has_demo_passkeys,
        rp_id=services.site.rp_id,
    )


async def publish(request: Request) -> Response:
    """POST /agency/requests."""
    officer = await require_officer_post(request)
    body = await read_json(request, PublishIn)
    request_id = await services_of(request).publishing.publish(officer.account, body.signed)
    return JSONResponse({"id": request_id}, status_code=201)


async def show_page(request: Request) -> Response:
    """GET /agency/requests/{request_id}: what was published and which evidence arrived.

    Nothing about who was asked, saw it or said no (rule R8).
    """
    officer = await require_officer(request)
    services = services_of(request)
    published = await services.publishing.find(request.path_params["request_id"])
    if published is None or published.agency != officer.agency.id:
        raise not_found("request")
    delivered = await services.delivery.list_for_agency(officer.agency.id)
    return services.pages.render(
        request,
        "agency/request.html",
        csrf=officer.csrf,
        officer=officer,
        published=published,
        packages=[row for row in delivered if row.request_id == published.id],
    )
