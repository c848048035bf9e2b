"""Authentication by `Authorization: Bearer TOKEN`, for owners only.

Dependencies are coroutines, also those that wait for nothing: FastAPI calls any other on a thread.
"""

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from relay.api.errors import ApiError, not_found
from relay.api.services import ApiServices
from relay.base.allowances import charge
from relay.people.callers import Caller, caller_of
from relay.store.people import Account
from relay.store.sessions import Session


async def services_of(request: Request) -> ApiServices:
    """Return the app's dependencies."""
    services: ApiServices = request.app.state.services
    return services


Services = Annotated[ApiServices, Depends(services_of)]


SIGNED_IN = HTTPBearer(
    scheme_name="session",
    description="The token that signing in answered with: an owner's session of 30 days.",
    auto_error=False,
)
PLAYER = HTTPBearer(
    scheme_name="player",
    description="The token of one other player, for live view with one doorbell alone.",
    auto_error=False,
)
PUBLIC: dict[str, Any] = {"security": []}  # Any: OpenAPI's own
"""Marks a route of the description as one that needs no token."""


async def bearer_token(
    sent: Annotated[HTTPAuthorizationCredentials | None, Depends(SIGNED_IN)],
) -> str:
    """Return the token in the header, or raise 401."""
    if sent is None or not sent.credentials:
        raise ApiError(401, "unauthenticated", "sign in first")
    return sent.credentials


Token = Annotated[str, Depends(bearer_token)]


async def calling(request: Request) -> Caller:
    """Return the caller's address (as trusted proxies report it) and browser in short."""
    address = None if request.client is None else request.client.host
    return caller_of(address, request.headers.get("user-agent", ""))


Calling = Annotated[Caller, Depends(calling)]


async def session_of(request: Request, services: Services, token: Token) -> Session:
    """Return the owner's session that the token belongs to, or raise 401."""
    session = await services.sessions.find_owner(token)
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


async def seen_doorbell(device: str, services: Services, owner: Owner) -> str:
    """Return the device id in the path if the caller is its owner or a guest, or raise 404."""
    if device not in {one.guest.device for one in await services.pairings.guest_doorbells(owner)}:
        await own_doorbell(device, services, owner)
    return device


SeenDoorbell = Annotated[str, Depends(seen_doorbell)]
"""Every route that depends on it is open to guests; `OwnDoorbell` is the owners'."""
