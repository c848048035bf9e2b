"""Published requests, and the states of released packages, for the owner's app.

Requests are fetched as one list only: no route names a request, so that opening one tells nothing.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel

from relay.agency.agencies import Agency, public_agency
from relay.api.auth import Owner, Services
from relay.request.published_requests import PublishedRequest

router = APIRouter()


class RequestOut(BaseModel):
    """A published request; `signed` proves it, `agency` names the agency."""

    signed: dict[str, Any]  # Any: protocol.requests.SignedRequest
    state: str
    published_ms: int
    agency: dict[str, Any]  # Any: relay.agency.agencies.public_agency


class RequestsOut(BaseModel):
    """The newest requests."""

    requests: list[RequestOut]


class PackageOut(BaseModel):
    """One package's state."""

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
    agencies = await services.agencies.all()
    published = await services.request_service.list()
    return RequestsOut(requests=[out for row in published if (out := _request(row, agencies))])


@router.get("/packages")
async def list_packages(services: Services, owner: Owner) -> PackagesOut:
    """Return the packages that the caller's doorbells have released."""
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


def _request(row: PublishedRequest, agencies: Mapping[str, Agency]) -> RequestOut | None:
    """Return a request for the app; None before witnesses have seen it."""
    if row.published_ms is None:
        return None
    return RequestOut(
        signed=msgspec.to_builtins(row.signed),
        state=row.state,
        published_ms=row.published_ms,
        agency=public_agency(agencies[row.agency]),
    )
