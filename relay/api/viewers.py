"""WHEP players' tokens: list, create and delete them; and authentication by such a token.

Every route here but `Viewer` is the owner's alone. A viewer token reaches exactly the routes that
depend on `Viewer`: nonce, ICE servers, offer, candidates and the end of a session, of one doorbell.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from relay.api.auth import PLAYER, OwnDoorbell, Owner, Services, Token, seen_doorbell
from relay.api.errors import ApiError
from relay.api.ids import BrowserId

router = APIRouter()


class ViewerOut(BaseModel):
    """One player that has a token; `browser` is the id of its keys."""

    browser: str
    created_ms: int
    expires_ms: int


class ViewersOut(BaseModel):
    """The caller's players at one doorbell, newest first."""

    viewers: list[ViewerOut]


class ViewerTokenOut(BaseModel):
    """A new token; the relay can't show it again."""

    token: str
    expires_ms: int


@router.get("/doorbells/{device}/viewers")
async def list_viewers(services: Services, owner: Owner, device: OwnDoorbell) -> ViewersOut:
    """Return the caller's players."""
    rows = await services.viewers.list_of(account_id=owner.id, device=device)
    return ViewersOut(
        viewers=[
            ViewerOut(browser=row.browser, created_ms=row.created_ms, expires_ms=row.expires_ms)
            for row in rows
        ]
    )


@router.put("/doorbells/{device}/viewers/{browser}")
async def mint_token(
    services: Services, owner: Owner, device: OwnDoorbell, browser: BrowserId
) -> ViewerTokenOut:
    """Make a token for a player, in place of the one that it had."""
    made = await services.viewers.mint(account_id=owner.id, device=device, browser=browser)
    return ViewerTokenOut(token=made.token, expires_ms=made.expires_ms)


@router.delete("/doorbells/{device}/viewers/{browser}", status_code=204)
async def end_token(
    services: Services, owner: Owner, device: OwnDoorbell, browser: BrowserId
) -> Response:
    """Forget a player's token."""
    await services.viewers.end(account_id=owner.id, device=device, browser=browser)
    return Response(status_code=204)


async def viewer(
    device: str,
    services: Services,
    token: Token,
    _player: Annotated[object, Depends(PLAYER)],  # so that the description names both
) -> str:
    """Return the account on whose quota live view with this doorbell counts.

    The token is an owner's, a guest's or one of a player's; anything else is 401 or 404.
    """
    session = await services.sessions.find_owner(token)
    if session is not None:
        await seen_doorbell(device, services, session.account)
        return session.account.id
    found = await services.viewers.find(token, device)
    if found is None:
        raise ApiError(401, "unauthenticated", "sign in again, or set this player up again")
    return f"{found.account_id} {found.browser}"


Viewer = Annotated[str, Depends(viewer)]
