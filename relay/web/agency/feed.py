"""Pages of the agency's posts in the neighbours' feed: write, co-sign, and read its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from firmware.protocol.encoding import Document
from firmware.protocol.feed_posts import (
    AGENCY_POST_KINDS,
    MAX_POST_CHARS,
    AgencyPost,
    PostCosignature,
    SignedPost,
    parse_post,
)
from relay.feed.agency_posts import COSIGN_WITHIN_MS
from relay.feed.rules import OLDEST_MS
from relay.map.cells import centre_of
from relay.map.places import Near
from relay.store.feed_review import AgencyPostRow
from relay.web.agency.requests import signing
from relay.web.agency.services import AgencyServices
from relay.web.agency.session import require_officer, require_officer_post, services_of
from relay.web.json_responses import read_json

NEAR_KM = 10


class PostIn(Document, frozen=True, kw_only=True):
    """A post signed by the officer who wrote it."""

    signed: SignedPost


class CosignPostIn(Document, frozen=True, kw_only=True):
    """The second officer's signature."""

    cosigned: PostCosignature


@dataclass(frozen=True, slots=True, kw_only=True)
class CellChoice:
    """A cell of the feed: its centre in degrees, and the nearest place."""

    cell: str
    lat: float
    lon: float
    near: Near | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPost:
    """One of the agency's posts; `state` is the feed's, or says that it waits for a signature."""

    row: AgencyPostRow
    post: AgencyPost
    state: str
    reason: str


async def show_page(request: Request) -> Response:
    """GET /agency/feed: the form of a post, what waits for a co-signature, and earlier posts."""
    officer = await require_officer(request)
    services = services_of(request)
    view = await services.agencies.view()
    now_ms = services.clock.wall_ms()
    rows = await services.agency_posts.list(officer.agency.id)
    waiting = [
        row
        for row in rows
        if row.cosigner_id == officer.account.id
        and row.cosigned is None
        and now_ms < row.made_ms + COSIGN_WITHIN_MS
    ]
    signer = signing(officer, view)
    return services.pages.render(
        request,
        "agency/feed.html",
        csrf=officer.csrf,
        officer=officer,
        kinds=AGENCY_POST_KINDS,
        most=MAX_POST_CHARS,
        max_age_ms=OLDEST_MS,
        places=await _places(services, services.agency_posts.cells_of(officer.agency)),
        approvers=[one for one in signer["cosigners"] if one.role == "approver"],
        waiting=[(row, parse_post(row.signed)) for row in waiting],
        to_cosign=[{"id": row.id, "post": row.signed.post} for row in waiting],
        own=[await _own(services, row) for row in rows],
        may_write=officer.may("feed.write"),
        **signer,
    )


async def hand_in(request: Request) -> Response:
    """POST /agency/feed: store a signed post; it waits for a moderator or a co-signature."""
    officer = await require_officer_post(request)
    body = await read_json(request, PostIn)
    post = await services_of(request).agency_posts.hand_in(officer.account, body.signed)
    return JSONResponse({"id": post.id, "is_danger": post.is_danger}, status_code=201)


async def cosign(request: Request) -> Response:
    """POST /agency/feed/{post_id}/cosign: the approver's signature; the post is shown at once."""
    officer = await require_officer_post(request)
    posts, post_id = services_of(request).agency_posts, request.path_params["post_id"]
    await posts.require_waiting(officer.account, post_id)
    body = await read_json(request, CosignPostIn)
    await posts.cosign(officer.account, post_id, body.cosigned)
    return JSONResponse({"id": post_id})


async def _own(services: AgencyServices, row: AgencyPostRow) -> OwnPost:
    state, reason = await services.agency_posts.state_of(row)
    return OwnPost(row=row, post=parse_post(row.signed), state=state, reason=reason)


async def _places(services: AgencyServices, cells: Sequence[str]) -> list[CellChoice]:
    """Return each cell's centre and nearest place; in a thread, as lists may be long."""
    centres = [centre_of(cell) for cell in cells]
    nearest = await asyncio.to_thread(services.maps.places.nearest, centres, NEAR_KM)
    return [
        CellChoice(cell=cell, lat=lat, lon=lon, near=near)
        for cell, (lat, lon), near in zip(cells, centres, nearest, strict=True)
    ]
