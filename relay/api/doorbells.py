"""An owner's doorbells: their events, and statements sealed to them."""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from firmware.protocol.commands import SealedStatement
from relay.api.audience import SessionSource, find_audience
from relay.api.auth import OwnDoorbell, Owner, SeenDoorbell, Services, Token
from relay.api.cursors import MAX_CURSOR_CHARS, read_cursors, write_cursors
from relay.api.errors import ApiError, not_found
from relay.api.event_list import (
    BEFORE_DEVICE,
    MAX_LISTED,
    MAX_SEQ,
    USUALLY_LISTED,
    EventListAsked,
    events_in,
)
from relay.api.ids import BrowserId
from relay.api.stream import event_object, health_object, is_for_browser, stream
from relay.base.allowances import RateExceeded
from relay.store import commands, events, fleet
from relay.store.guests import GuestDoorbell

router = APIRouter()

STATEMENT_LIFE_MS = 24 * 3600 * 1000
NOTES_A_PAGE = 200
REPLAY_SHOWN_MS = 30 * 24 * 3600 * 1000
FULL_RETRY_S = 15


class HealthOut(BaseModel):
    """A doorbell's last health report; `received_ms` is by the relay's clock."""

    received_ms: int
    health: dict[str, Any]  # Any: protocol.events.Health


class GuestOut(BaseModel):
    """The right of a guest, as the doorbell told the relay."""

    browser: str
    what: list[str]
    until_ms: int


class DoorbellOut(BaseModel):
    """One doorbell; `health` is null before its first report, `troubles` are those not over yet.

    `cloned_ms`: since when two devices use its card. `claim_replayed_ms`: when another key than its
    own last tried the claim that it was enrolled by.
    """

    device: str
    state: str
    since_ms: int
    identity_key: str
    sealing_key: str
    health: HealthOut | None
    troubles: list[dict[str, Any]]  # Any: protocol.events.Event inside
    cloned_ms: int | None
    claim_replayed_ms: int | None
    guest: GuestOut | None = None
    """Where the caller is a guest, and no owner: then health and troubles aren't told."""


class GoneOut(BaseModel):
    """A doorbell that reported, at `since_ms`, that the caller is no longer an owner."""

    device: str
    since_ms: int


class DoorbellsOut(BaseModel):
    """All of an owner's doorbells, and those that lately were."""

    doorbells: list[DoorbellOut]
    gone: list[GoneOut]


class EventsOut(BaseModel):
    """Events, newest first; `corrected_ms` where the doorbell's clock was set only later.

    `has_thumbnail` where a sealed picture of it can be fetched.
    """

    events: list[dict[str, Any]]  # Any: protocol.events.Event inside


class NotesOut(BaseModel):
    """Sealed notes for one browser, oldest first, as events; go on after `next` if `has_more`.

    `next` has a cursor for each doorbell. One is lower than what was asked for only where the relay
    began to count anew.
    """

    events: list[dict[str, Any]]  # Any: protocol.events.Event inside
    next: str
    has_more: bool


class OwnerOut(BaseModel):
    """An account that follows the doorbell, as far as the relay knows."""

    name: str
    credential_id: str


class OwnersOut(BaseModel):
    """All accounts that follow the doorbell; one person may have several passkeys."""

    owners: list[OwnerOut]


class StatementIn(BaseModel):
    """HPKE of a protocol.grants.SignedStatement, base64url; the relay can't open it."""

    model_config = ConfigDict(extra="forbid")
    sealed: str = Field(min_length=1, max_length=64 * 1024, pattern="^[A-Za-z0-9_-]+$")


class CommandOut(BaseModel):
    """A command that was queued for the doorbell."""

    command_id: str


class CommandStateOut(BaseModel):
    """`state` is waiting, answered or expired; `reply` is a protocol.commands reply body."""

    state: str
    reply: dict[str, Any] | None  # Any: protocol.commands.ReplyBody


@router.get("/doorbells")
async def list_doorbells(services: Services, owner: Owner) -> DoorbellsOut:
    """Return the caller's doorbells."""
    linked = await services.pairings.doorbells(owner)
    gone = await services.pairings.gone(owner)
    async with services.database.read() as tx:
        troubles = {row.device: await events.open_troubles(tx, row.device) for row in linked}
        replayed = await fleet.replayed_claims(
            tx,
            since_ms=services.clock.wall_ms() - REPLAY_SHOWN_MS,
            devices=[row.device for row in linked],
        )
    return DoorbellsOut(
        doorbells=[
            DoorbellOut(
                device=row.device,
                state=row.state,
                since_ms=row.since_ms,
                identity_key=row.identity_key,
                sealing_key=row.sealing_key,
                health=None if row.health is None else HealthOut(**health_object(row.health)),
                troubles=[event_object(told) for told in troubles[row.device]],
                cloned_ms=row.cloned_ms,
                claim_replayed_ms=replayed.get(row.device),
            )
            for row in linked
        ]
        + [
            _as_guest(one)
            for one in await services.pairings.guest_doorbells(owner)
            if one.guest.device not in {row.device for row in linked}
        ],
        gone=[GoneOut(device=one.device, since_ms=one.since_ms) for one in gone],
    )


@router.get("/events", response_model=EventsOut)
async def list_events(
    services: Services,
    owner: Owner,
    before_seq: Annotated[int | None, Query(ge=0, le=MAX_SEQ)] = None,
    before_device: Annotated[str, Query(pattern=BEFORE_DEVICE)] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = USUALLY_LISTED,
) -> Response:
    """Return the events of the caller's doorbells, newest first.

    Pages go by `relay_seq` and, as two doorbells may have the same, by doorbell.
    """
    asked = EventListAsked(
        before_seq=msgspec.UNSET if before_seq is None else before_seq,
        before_device=before_device,
        limit=limit,
    )
    now_ms = services.clock.wall_ms()
    body = await services.database.look(lambda at: events_in(at, owner, asked, now_ms))
    return Response(body, media_type="application/json")


@router.get("/notes")
async def list_notes(
    services: Services,
    owner: Owner,
    browser: BrowserId,
    after: Annotated[str, Query(max_length=MAX_CURSOR_CHARS)] = "",
    after_seq: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> NotesOut:
    """Return the notes that are sealed to one of the caller's browsers, oldest first.

    Every slot has one, and most say nothing: so an app asks only for what came since, by `next` of
    the last answer. `after_seq` is for doorbells without a cursor in it.
    """
    cursors = read_cursors(after) if after else {}
    if cursors is None:
        raise ApiError(422, "cursors", "these cursors can't be read; begin without them")
    audience = await find_audience(services.database, owner, now_ms=services.clock.wall_ms())
    async with services.database.read() as tx:
        rows = await events.notes_for(
            tx,
            sorted(audience.own),
            credential_ids=sorted(audience.credential_ids),
            guests=audience.guests,
            after=cursors,
            after_seq=after_seq,
            limit=NOTES_A_PAGE,
        )
        newest = await events.newest_seqs(tx, audience.own)
        newest |= await events.newest_heard(tx, audience.guests)
    has_more = len(rows) == NOTES_A_PAGE
    asked = {device: cursors.get(device, after_seq) for device in audience.devices}
    # All up to here is read: of notes alone if there are more.
    reached = {device: min(seq, newest.get(device, 0)) for device, seq in asked.items()}
    reached |= {row.device: row.relay_seq for row in rows}
    return NotesOut(
        events=[
            event_object(row)
            for row in rows
            if is_for_browser(row, browser) and audience.may_hear(row)
        ],
        next=write_cursors(reached),
        has_more=has_more,
    )


@router.get("/doorbells/{device}/owners")
async def list_owners(services: Services, device: OwnDoorbell) -> OwnersOut:
    """Return the accounts that follow the doorbell; only the doorbell knows who its owners are."""
    owners = await services.pairings.owners(device)
    return OwnersOut(
        owners=[OwnerOut(name=one.name, credential_id=one.credential_id) for one in owners]
    )


class NoticeOut(BaseModel):
    """The notice for passers-by that the relay shows, as its own key signed it; null: none."""

    shown: dict[str, str] | None


@router.get("/doorbells/{device}/door-notice")
async def show_door_notice(services: Services, device: OwnDoorbell) -> NoticeOut:
    """Return the doorbell's notice for passers-by, as anybody can read it under its id."""
    found = await services.door_notices.of_doorbell(device)
    if found is None:
        return NoticeOut(shown=None)
    signed = found.signed
    return NoticeOut(shown={"notice": signed.notice, "signature": signed.signature})


@router.delete("/doorbells/{device}", status_code=204)
async def leave(services: Services, owner: Owner, device: SeenDoorbell) -> Response:
    """Stop the caller's own account from following the doorbell; nobody can do that for another."""
    await services.pairings.leave(owner, device)
    return Response(status_code=204)


class InvitationOut(BaseModel):
    """A one-time invitation to an account on this relay, for a guest."""

    invitation: str
    expires_ms: int


@router.post("/doorbells/{device}/invitations", status_code=201)
async def invite(services: Services, owner: Owner, device: OwnDoorbell) -> InvitationOut:
    """Return an invitation that an owner shares with a guest; it lets nobody in by itself."""
    made = await services.pairings.invite_guest(owner, device)
    return InvitationOut(invitation=made.secret, expires_ms=made.expires_ms)


class ReplacementOut(BaseModel):
    """An invitation for the doorbell itself, as a link, and when it ends."""

    link: str
    expires_ms: int


@router.post("/doorbells/{device}/replacement")
async def replace(services: Services, device: OwnDoorbell) -> ReplacementOut:
    """Return the link by which a cloned doorbell gets a new identity; an earlier one ends."""
    invitation = await services.replacements.invite(device)
    return ReplacementOut(link=invitation.link, expires_ms=invitation.claim.expires_ms)


@router.get("/stream")
async def follow(
    services: Services,
    owner: Owner,
    token: Token,
    last_event_id: Annotated[str, Header(max_length=MAX_CURSOR_CHARS)] = "",
) -> StreamingResponse:
    """Stream the events of the caller's doorbells (text/event-stream), at most 20 at once.

    With the `id` of the last event that came, at this relay or another of the same database, what
    was missed since comes first, then a `reload`.
    """
    if services.hub.is_full(owner.id):
        raise RateExceeded(FULL_RETRY_S)
    said = stream(
        services.hub,
        SessionSource(services.database, services.clock, services.sessions, token),
        account_id=owner.id,
        after=read_cursors(last_event_id),  # of one that can't be read, all is read anew
        is_resumed=bool(last_event_id),
    )
    return StreamingResponse(
        said,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.post("/doorbells/{device}/statements", status_code=202)
async def send_statement(services: Services, device: OwnDoorbell, body: StatementIn) -> CommandOut:
    """Queue a sealed statement for a doorbell; 429 while too many statements wait for it."""
    command_id = await services.commands.send(
        device,
        SealedStatement(sealed=body.sealed),
        services.clock.wall_ms() + STATEMENT_LIFE_MS,
    )
    return CommandOut(command_id=command_id)


@router.get("/commands/{command_id}")
async def get_command(services: Services, owner: Owner, command_id: str) -> CommandStateOut:
    """Return a command's state, and the doorbell's reply if there is one."""
    own = {doorbell.device for doorbell in await services.pairings.doorbells(owner)}
    async with services.database.read() as tx:
        row = await commands.get(tx, command_id)
    if row is None or row.command.device not in own:
        raise not_found("command")
    reply = None if row.reply is None else msgspec.to_builtins(row.reply.body)
    return CommandStateOut(state=row.state(services.clock.wall_ms()), reply=reply)


def _as_guest(seen: GuestDoorbell) -> DoorbellOut:
    """Return a doorbell as a guest sees it: whether it is online, and its keys."""
    return DoorbellOut(
        device=seen.guest.device,
        state=seen.state,
        since_ms=seen.since_ms,
        identity_key=seen.identity_key,
        sealing_key=seen.sealing_key,
        health=None,
        troubles=[],
        cloned_ms=None,
        claim_replayed_ms=None,
        guest=GuestOut(
            browser=seen.guest.browser,
            what=list(seen.guest.what),
            until_ms=seen.guest.until_ms,
        ),
    )
