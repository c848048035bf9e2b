"""Live view's signalling: carries signed documents to doorbells and back (relay/live).

Where a route takes a `Viewer`, the token of another player of the owner's does as well. Guests
carry the same; the doorbell refuses what their right hasn't.
"""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from firmware.protocol.commands import IceServer
from firmware.protocol.live import MAX_SIGNED_BYTES, SignedLive
from relay.api.auth import Owner, SeenDoorbell, Services
from relay.api.ids import SessionId
from relay.api.viewers import Viewer
from relay.live.ice import Reach

router = APIRouter()


class IceOut(BaseModel):
    """RTCIceServers whose credentials end at `expires_ms`, and where live view works from."""

    ice_servers: list[dict[str, Any]]  # Any: RTCIceServer
    expires_ms: int
    reach: Reach


class NonceOut(BaseModel):
    """The nonce that the browser's next signed document must contain."""

    nonce: str


class Signed(BaseModel):
    """A protocol.live.SignedLive; the relay doesn't look into it."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=MAX_SIGNED_BYTES)
    signature: str = Field(pattern="^[A-Za-z0-9_-]{10,110}$")

    def to_protocol(self) -> SignedLive:
        """Return the protocol's document."""
        return SignedLive(text=self.text, signature=self.signature)


class OfferIn(BaseModel):
    """A browser's signed protocol.live.LiveOffer."""

    model_config = ConfigDict(extra="forbid")
    session_id: SessionId
    signed: Signed


class AnswerOut(BaseModel):
    """The doorbell's signed protocol.live.LiveAnswer."""

    signed: Signed


class CandidatesIn(BaseModel):
    """A browser's signed protocol.live.LiveCandidates."""

    model_config = ConfigDict(extra="forbid")
    signed: Signed


class OrderIn(BaseModel):
    """HPKE of a signed protocol.live.BrowserOrder, base64url; the relay can't open it."""

    model_config = ConfigDict(extra="forbid")
    sealed: str = Field(min_length=1, max_length=16 * 1024, pattern="^[A-Za-z0-9_-]+$")


@router.get("/doorbells/{device}/ice")
async def ice(services: Services, viewer: Viewer) -> IceOut:
    """Return STUN and TURN servers for one session with this doorbell."""
    fresh = services.signalling.ice(account=viewer)
    return IceOut(
        ice_servers=[_rtc_ice_server(server) for server in fresh.servers],
        expires_ms=fresh.expires_ms,
        reach=fresh.reach,
    )


@router.post("/doorbells/{device}/nonce")
async def nonce(services: Services, viewer: Viewer, device: str) -> NonceOut:
    """Ask a doorbell for a nonce."""
    return NonceOut(nonce=await services.signalling.nonce(device, account=viewer))


@router.post("/doorbells/{device}/offer")
async def offer(services: Services, viewer: Viewer, device: str, body: OfferIn) -> AnswerOut:
    """Ask a doorbell for live view."""
    answer = await services.signalling.offer(
        device, body.session_id, body.signed.to_protocol(), account=viewer
    )
    return AnswerOut(signed=Signed(text=answer.text, signature=answer.signature))


@router.post("/doorbells/{device}/sessions/{session_id}/candidates", status_code=204)
async def add_candidates(
    services: Services,
    viewer: Viewer,
    device: str,
    session_id: SessionId,
    body: CandidatesIn,
) -> Response:
    """Send a doorbell more of a browser's ICE candidates."""
    await services.signalling.candidates(
        device, session_id, body.signed.to_protocol(), account=viewer
    )
    return Response(status_code=204)


@router.delete("/doorbells/{device}/sessions/{session_id}", status_code=204)
async def close_session(
    services: Services, viewer: Viewer, device: str, session_id: SessionId
) -> Response:
    """End a live session at the doorbell."""
    await services.signalling.close(device, session_id, account=viewer)
    return Response(status_code=204)


@router.post("/doorbells/{device}/orders", status_code=204)
async def send_order(
    services: Services, owner: Owner, device: SeenDoorbell, body: OrderIn
) -> Response:
    """Carry a browser's sealed order to a doorbell, and wait for its reply."""
    await services.signalling.order(device, body.sealed, account=owner.id)
    return Response(status_code=204)


def _rtc_ice_server(server: IceServer) -> dict[str, Any]:
    """Return an RTCIceServer dictionary: no user name rather than an empty one."""
    if not server.username:
        return {"urls": server.urls}
    return {"urls": server.urls, "username": server.username, "credential": server.credential}
