"""Web Push: the relay's VAPID key, and the subscriptions of an account's browsers."""

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from relay.api.auth import Owner, Services
from relay.api.ids import BrowserId
from relay.notify.push_endpoints import MAX_ENDPOINT_CHARS

router = APIRouter()


class SubscribedOut(BaseModel):
    """One of the caller's browsers that has a subscription."""

    browser: str
    set_ms: int


class PushOut(BaseModel):
    """The `applicationServerKey` (an uncompressed P-256 point in base64url), and who subscribed."""

    public_key: str
    browsers: list[SubscribedOut]


class SubscriptionIn(BaseModel):
    """The part of a PushSubscription that is kept: `endpoint` and `expirationTime`.

    Its keys are the doorbell's alone.
    """

    model_config = ConfigDict(extra="forbid")
    endpoint: str = Field(min_length=1, max_length=MAX_ENDPOINT_CHARS)
    expires_ms: int | None = Field(default=None, ge=0, le=2**53)


@router.get("/push")
async def get_push(services: Services, owner: Owner) -> PushOut:
    """Return the VAPID key that a browser subscribes with, and the caller's subscribed browsers."""
    found = await services.push.list(owner)
    return PushOut(
        public_key=services.push.public_key,
        browsers=[SubscribedOut(browser=one.browser, set_ms=one.set_ms) for one in found],
    )


@router.put("/push/{browser}", status_code=204)
async def subscribe(
    services: Services, owner: Owner, browser: BrowserId, body: SubscriptionIn
) -> Response:
    """Store a push subscription of one of the caller's browsers."""
    await services.push.add(owner, browser, body.endpoint, expires_ms=body.expires_ms)
    return Response(status_code=204)


@router.delete("/push/{browser}", status_code=204)
async def unsubscribe(services: Services, owner: Owner, browser: BrowserId) -> Response:
    """Delete a push subscription of one of the caller's browsers, if it is known."""
    await services.push.end(owner, browser)
    return Response(status_code=204)
