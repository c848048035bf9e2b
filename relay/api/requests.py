"""Published requests and the way of the packages, as an owner's app sees them."""

from typing import Any

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel

from firmware.protocol.claims import Agency
from relay.api.auth import Owner, Services
from relay.api.errors import not_found
from relay.store.requests import PublishedRequest

router = APIRouter()


class RequestOut(BaseModel):
    """A published request; `signed` proves it, `agency` says whose it is."""

    signed: dict[str, Any]  # Any: protocol.requests.SignedRequest
    state: str
    published_ms: int
    agency: dict[str, Any]  # Any: protocol.claims.Agency


class RequestsOut(BaseModel):
    """The newest requests."""

    requests: list[RequestOut]


class PackageOut(BaseModel):
    """How far a package has come."""

    package_id: str
    request_id: str
    state: str
    at_ms: int


class PackagesOut(BaseModel):
    """The packages of the caller's doorbells."""

    packages: list[PackageOut]


@router.get("/requests")
async def list_requests(services: Services, _owner: Owner) -> RequestsOut:
    """Return the newest published requests."""
    agencies = await services.register.agencies()
    return RequestsOut(
        requests=[_request(row, agencies[row.agency]) for row in await services.publishing.list()]
    )


@router.get("/requests/{request_id}")
async def get_request(services: Services, _owner: Owner, request_id: str) -> RequestOut:
    """Return one published request."""
    row = await services.publishing.find(request_id)
    if row is None:
        raise not_found("request")
    agencies = await services.register.agencies()
    return _request(row, agencies[row.agency])


@router.get("/packages")
async def list_packages(services: Services, owner: Owner) -> PackagesOut:
    """Return what the caller's doorbells have released."""
    return PackagesOut(
        packages=[
            PackageOut(
                package_id=row.package_id,
                request_id=row.request_id,
                state=row.state,
                at_ms=row.at_ms,
            )
            for row in await services.delivery.list_for_owner(owner)
        ]
    )


def _request(row: PublishedRequest, agency: Agency) -> RequestOut:
    return RequestOut(
        signed=msgspec.to_builtins(row.signed),
        state=row.state,
        published_ms=row.published_ms,
        agency=msgspec.to_builtins(agency),
    )
