"""Authentication by `Authorization: Bearer TOKEN`, for owners only."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from relay.api.errors import ApiError, not_found
from relay.api.services import ApiServices
from relay.base.allowances import charge
from relay.people.callers import Caller, caller_of
from relay.store.people import Account
from relay.store.sessions import Session


def services_of(request: Request) -> ApiServices:
    """Return the app's dependencies."""
    services: ApiServices = request.app.state.services
    return services


Services = Annotated[ApiServices, Depends(services_of)]


Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Security(
        HTTPBearer(
            scheme_name="session",
            description="An owner's session: the token of /owner/login/verify, for 30 days.",
            auto_error=False,
        )
    ),
]


def bearer_token(bearer: Bearer) -> str:
    """Return the token in the header, or raise 401."""
    if bearer is None or not bearer.credentials:
        raise ApiError(401, "unauthenticated", "sign in first")
    return bearer.credentials


Token = Annotated[str, Depends(bearer_token)]


def calling(request: Request) -> Caller:
    """Return the caller's address (as trusted proxies report it) and browser in short."""
    address = None if request.client is None else request.client.host
    return caller_of(address, request.headers.get("user-agent", ""))


Calling = Annotated[Caller, Depends(calling)]


async def session_of(request: Request, services: Services, token: Token) -> Session:
    """Return the owner's session that the token belongs to, or raise 401."""
    session = await services.sessions.find(token, "owner")
    if session is None:
        raise ApiError(401, "unauthenticated", "sign in again")
    charge(request.state, session.account.id)
    return session


OwnSession = Annotated[Session, Depends(session_of)]


async def signed_in_owner(session: OwnSession) -> Account:
    """Return the owner whom the token belongs to, or raise 401."""
    return session.account


Owner = Annotated[Account, Depends(signed_in_owner)]


async def own_doorbell(device: str, services: Services, owner: Owner) -> str:
    """Return the device id in the path if it is the owner's, or raise 404."""
    if device not in {doorbell.device for doorbell in await services.pairings.doorbells(owner)}:
        raise not_found("doorbell")
    return device


OwnDoorbell = Annotated[str, Depends(own_doorbell)]
