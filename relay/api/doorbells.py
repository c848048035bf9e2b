"""An owner's doorbells: their events, live view, and statements sealed to them."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from firmware.protocol.commands import IceServer, SealedStatement
from firmware.protocol.encoding import ID_PATTERN
from firmware.protocol.live import MAX_SIGNED_BYTES, SignedLive
from relay.api.auth import OwnDoorbell, Owner, Services, Token
from relay.api.errors import not_found
from relay.api.stream import Audience, event_object, health_object, stream
from relay.api.viewers import Viewer
from relay.live.ice import Reach
from relay.store import commands, events, people, thumbnails

router = APIRouter()

STATEMENT_LIFE_MS = 24 * 3600 * 1000
SessionId = Annotated[str, Field(pattern=ID_PATTERN)]


class HealthOut(BaseModel):
    """What a doorbell last said of itself; `received_ms` is by the relay's clock."""

    received_ms: int
    health: dict[str, Any]  # Any: protocol.events.Health


class DoorbellOut(BaseModel):
    """One doorbell; `health` is null until it has said how it is, `troubles` aren't over yet."""

    device: str
    name: str
    state: str
    since_ms: int
    identity_key: str
    sealing_key: str
    health: HealthOut | None
    troubles: list[dict[str, Any]]  # Any: protocol.events.Event inside


class DoorbellsOut(BaseModel):
    """All of an owner's doorbells."""

    doorbells: list[DoorbellOut]


class EventsOut(BaseModel):
    """Events, newest first; `corrected_ms` where the doorbell's clock was set only later.

    `has_thumbnail` where a sealed picture of it can be fetched.
    """

    events: list[dict[str, Any]]  # Any: protocol.events.Event inside


class IceOut(BaseModel):
    """RTCIceServers whose credentials end at `expires_ms`, and from where live view works."""

    ice_servers: list[dict[str, Any]]  # Any: RTCIceServer
    expires_ms: int
    reach: Reach


class NonceOut(BaseModel):
    """What the doorbell wants to find in the next thing that a browser signs."""

    nonce: str


class Signed(BaseModel):
    """A protocol.live.SignedLive; the relay doesn't look into it."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=MAX_SIGNED_BYTES)
    signature: str = Field(pattern="^[A-Za-z0-9_-]{10,110}$")

    def to_protocol(self) -> SignedLive:
        """Return it in the protocol's words."""
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


class StatementIn(BaseModel):
    """HPKE of a protocol.grants.SignedStatement, base64url; the relay can't open it."""

    model_config = ConfigDict(extra="forbid")
    sealed: str = Field(min_length=1, max_length=64 * 1024, pattern="^[A-Za-z0-9_-]+$")


class CommandOut(BaseModel):
    """A command that is on its way."""

    command_id: str


class CommandStateOut(BaseModel):
    """`state` is waiting, answered or expired; `reply` is a protocol.commands reply body."""

    state: str
    reply: dict[str, Any] | None  # Any: protocol.commands.ReplyBody


@router.get("/doorbells")
async def list_doorbells(services: Services, owner: Owner) -> DoorbellsOut:
    """Return the caller's doorbells."""
    linked = await services.pairings.doorbells(owner)
    async with services.database.read() as tx:
        troubles = {row.device: await events.open_troubles(tx, row.device) for row in linked}
    return DoorbellsOut(
        doorbells=[
            DoorbellOut(
                device=row.device,
                name=row.name,
                state=row.state,
                since_ms=row.since_ms,
                identity_key=row.identity_key,
                sealing_key=row.sealing_key,
                health=None if row.health is None else HealthOut(**health_object(row.health)),
                troubles=[event_object(told) for told in troubles[row.device]],
            )
            for row in linked
        ]
    )


@router.get("/events")
async def list_events(
    services: Services,
    owner: Owner,
    before_seq: Annotated[int | None, Query(ge=0, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> EventsOut:
    """Return what the caller's doorbells told, newest first; pages go by `relay_seq`."""
    audience = await _audience(services, owner)
    async with services.database.read() as tx:
        rows = await events.newest(
            tx,
            sorted(audience.devices),
            credential_ids=sorted(audience.credential_ids),
            before_seq=before_seq,
            limit=limit,
        )
        pictured = await thumbnails.having(
            tx, [row.event.id for row in rows], now_ms=services.clock.wall_ms()
        )
    return EventsOut(
        events=[event_object(row, has_thumbnail=row.event.id in pictured) for row in rows]
    )


@router.get("/stream")
async def follow(services: Services, owner: Owner, token: Token) -> StreamingResponse:
    """Follow what the caller's doorbells tell (text/event-stream)."""

    async def audience() -> Audience | None:
        if await services.sessions.find(token, "owner") is None:
            return None
        return await _audience(services, owner)

    return StreamingResponse(
        stream(services.hub, audience),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


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
    """Bring a doorbell more of a browser's candidates."""
    await services.signalling.candidates(
        device, session_id, body.signed.to_protocol(), account=viewer
    )
    return Response(status_code=204)


@router.delete("/doorbells/{device}/sessions/{session_id}", status_code=204)
async def close_session(
    services: Services, viewer: Viewer, device: str, session_id: SessionId
) -> Response:
    """Tell a doorbell that the viewer left."""
    await services.signalling.close(device, session_id, account=viewer)
    return Response(status_code=204)


@router.post("/doorbells/{device}/orders", status_code=204)
async def send_order(
    services: Services, owner: Owner, device: OwnDoorbell, body: OrderIn
) -> Response:
    """Carry a browser's sealed order to a doorbell, and wait for its yes or no."""
    await services.signalling.order(device, body.sealed, account=owner.id)
    return Response(status_code=204)


@router.post("/doorbells/{device}/statements", status_code=202)
async def send_statement(services: Services, device: OwnDoorbell, body: StatementIn) -> CommandOut:
    """Carry a sealed statement to a doorbell."""
    command_id = await services.commands.send(
        device,
        SealedStatement(sealed=body.sealed),
        services.clock.wall_ms() + STATEMENT_LIFE_MS,
    )
    return CommandOut(command_id=command_id)


@router.get("/commands/{command_id}")
async def get_command(services: Services, owner: Owner, command_id: str) -> CommandStateOut:
    """Say whether a doorbell has answered."""
    own = {doorbell.device for doorbell in await services.pairings.doorbells(owner)}
    async with services.database.read() as tx:
        row = await commands.get(tx, command_id)
    if row is None or row.command.device not in own:
        raise not_found("command")
    reply = None if row.reply is None else msgspec.to_builtins(row.reply.body)
    return CommandStateOut(state=row.state(services.clock.wall_ms()), reply=reply)


def _rtc_ice_server(server: IceServer) -> dict[str, Any]:
    """Return it as RTCPeerConnection wants it: no user name rather than an empty one."""
    if not server.username:
        return {"urls": server.urls}
    return {"urls": server.urls, "username": server.username, "credential": server.credential}


async def _audience(services: Services, owner: Owner) -> Audience:
    async with services.database.read() as tx:
        credentials = await people.list_credentials(tx, owner.id)
    return Audience(
        devices=frozenset(row.device for row in await services.pairings.doorbells(owner)),
        credential_ids=frozenset(row.credential_id for row in credentials),
    )
