"""The neighbours' feed: everybody reads it, members write it.

What is asked for is a district at the finest; a reader's filter for nearer things is the app's own.
"""

import hashlib
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel, ConfigDict, Field

from firmware.protocol.encoding import ID_PATTERN
from firmware.protocol.live import QuietHours
from relay.api.auth import PUBLIC, SIGNED_IN, Owner, Services
from relay.api.errors import ApiError, not_found
from relay.base.allowances import charge
from relay.feed.pictures import MAX_BYTES, MEDIA_TYPES
from relay.feed.posts import OwnPost
from relay.feed.push_choices import How, PushChoice
from relay.feed.reader import PublicPost
from relay.feed.rules import (
    MAX_PICTURES,
    MAX_TEXT_CHARS,
    MAX_WORDS_CHARS,
    TOPICS,
    Kind,
    PostDraft,
    Topic,
    require_district,
)
from relay.map.districts import DISTRICT_ID_PATTERN, Districts
from relay.store.feed import Membership, PostRow
from relay.store.people import Account

router = APIRouter(prefix="/feed")

DISTRICTS_AGE_S = 3600
PICTURE_AGE_S = 300
"""So long a picture may still be seen in a browser after it was erased here."""
PICTURE_HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox"}
PostId = Annotated[str, Field(pattern=ID_PATTERN)]
DistrictId = Annotated[str, Field(pattern=DISTRICT_ID_PATTERN.replace(r"\Z", "$"))]
DayMinute = Annotated[int, Field(ge=0, lt=1440)]
ZoneName = Annotated[str, Field(pattern=r"^[A-Za-z0-9+_-]{1,32}(/[A-Za-z0-9+_-]{1,32}){0,2}$")]
UPLOAD: dict[str, Any] = {  # Any: OpenAPI's own
    "requestBody": {
        "required": True,
        "content": {one: {"schema": {"type": "string", "format": "binary"}} for one in MEDIA_TYPES},
    }
}


class MembershipIn(BaseModel):
    """The chosen district, null to leave; topics that aren't sent stay as they are."""

    model_config = ConfigDict(extra="forbid")
    district: DistrictId | None
    follows: Annotated[list[Topic], Field(max_length=8)] | None = None


class MembershipOut(BaseModel):
    """The chosen district, null before one is chosen, and the topics followed there."""

    district: str | None
    follows: list[str]


class QuietBody(BaseModel):
    """Hours of each day without pushes; `to_minute` may be the next day's."""

    model_config = ConfigDict(extra="forbid")
    from_minute: DayMinute
    to_minute: DayMinute
    time_zone: ZoneName


class FollowingBody(BaseModel):
    """What is pushed: topics, at once or as a digest at a `minute` of the day in `time_zone`."""

    model_config = ConfigDict(extra="forbid")
    groups: Annotated[list[Topic], Field(max_length=2)]
    how: How
    minute: DayMinute
    time_zone: ZoneName
    quiet: QuietBody | None


class RequestOut(BaseModel):
    """A link to a published request."""

    request: str


class AgreementOut(BaseModel):
    """A link to an agreement's text, by its SHA-256."""

    agreement: str


class PostOut(BaseModel):
    """One public post; `cell` is H3 of resolution 8, `by` neighbour, agency or relay."""

    id: str
    kind: str
    cell: str
    hour_ms: int
    published_ms: int
    text: str
    pictures: list[str]
    by: str
    agency: str | None
    refers: RequestOut | AgreementOut | None
    is_urgent: bool


class PostsOut(BaseModel):
    """At most 50 posts, newest first; `more`: there are older ones, before the last one's id."""

    posts: list[PostOut]
    more: bool


class PostIn(BaseModel):
    """A new post; `hour_ms` is when it happened."""

    model_config = ConfigDict(extra="forbid")
    kind: Kind
    cell: str = Field(pattern="^[0-9a-f]{15}$")
    hour_ms: int = Field(ge=0, le=253_402_300_799_999)
    text: str = Field(max_length=4 * MAX_TEXT_CHARS)
    pictures: list[PostId] = Field(default=[], max_length=MAX_PICTURES)


class WrittenOut(BaseModel):
    """A new post's id and state."""

    id: str
    state: str


class OwnPostOut(BaseModel):
    """A post of the caller's. A refusal has a `reason` and, from some moderators, `words`.

    `appeal_until_ms` is null where an appeal isn't open, any more or at all.
    """

    id: str
    kind: str
    cell: str
    hour_ms: int
    text: str
    pictures: list[str]
    state: str
    written_ms: int
    published_ms: int | None
    is_urgent: bool
    reason: str | None
    words: str
    is_appealed: bool
    is_appeal_decided: bool
    appeal_until_ms: int | None


class LegalNoticeOut(BaseModel):
    """Legal process about posts of the caller's, and what it can yield."""

    id: str
    kind: str
    yielded: list[str]
    told_ms: int


class OwnPostsOut(BaseModel):
    """The caller's posts of the last 30 days, and legal process about them; newest first."""

    posts: list[OwnPostOut]
    legal: list[LegalNoticeOut]


class ExportedPostOut(OwnPostOut):
    """A post of the caller's, with the text of an appeal."""

    appeal: str


class ExportOut(BaseModel):
    """All that the relay keeps of the caller in the neighbours' feed."""

    v: Literal[1] = 1
    kind: Literal["doorward/feed-export"] = "doorward/feed-export"
    made_ms: int
    name: str
    membership: MembershipOut
    following: FollowingBody
    posts: list[ExportedPostOut]
    legal: list[LegalNoticeOut]


class AppealIn(BaseModel):
    """Why the post keeps the rules, for another moderator."""

    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=4 * MAX_WORDS_CHARS)


class PictureOut(BaseModel):
    """A picture's id, for a post."""

    id: str


@router.get("/districts", openapi_extra=PUBLIC)
async def districts(services: Services, request: Request) -> Response:
    """Return all districts of the town with their cells: the same file for everybody."""
    body = districts_file(services.feed.districts)
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"Cache-Control": f"public, max-age={DISTRICTS_AGE_S}", "ETag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


@router.get("/membership")
async def membership(services: Services, owner: Owner) -> MembershipOut:
    """Return what the caller has chosen."""
    return _membership(await services.feed.members.find(owner))


@router.put("/membership")
async def choose(services: Services, owner: Owner, body: MembershipIn) -> MembershipOut:
    """Choose a district and the topics to follow, or leave."""
    if body.district is None:
        await services.feed.members.leave(owner)
        return _membership(None)
    return _membership(await services.feed.members.join(owner, body.district, body.follows))


@router.get("/following")
async def following(services: Services, owner: Owner) -> FollowingBody:
    """Return what the caller is pushed of their district."""
    found = await services.push_choices.find(owner)
    quiet = None if found.quiet is None else QuietBody(**msgspec.structs.asdict(found.quiet))
    return FollowingBody.model_validate(
        {
            "groups": found.groups,
            "how": found.how,
            "minute": found.minute,
            "time_zone": found.time_zone,
            "quiet": quiet,
        }
    )


@router.put("/following", status_code=204)
async def follow(services: Services, owner: Owner, body: FollowingBody) -> Response:
    """Choose what to be pushed: topics of the district, at once or as a digest."""
    followed = PushChoice(
        groups=tuple(one for one in TOPICS if one in body.groups),
        how=body.how,
        minute=body.minute,
        time_zone=body.time_zone,
        quiet=None if body.quiet is None else QuietHours(**body.quiet.model_dump()),
    )
    await services.push_choices.choose(owner, followed)
    return Response(status_code=204)


@router.get("/posts", openapi_extra=PUBLIC)
async def posts(
    services: Services,
    district: Annotated[DistrictId | None, Query()] = None,
    before: Annotated[PostId | None, Query()] = None,
) -> PostsOut:
    """Return public posts of a district or the whole town, newest first."""
    if district is not None:
        require_district(services.feed.districts, district)
    page = await services.feed.reader.page(district, before=before)
    return PostsOut(posts=[_post(one) for one in page.posts], more=page.has_more)


@router.post("/posts", status_code=201)
async def write(services: Services, owner: Owner, body: PostIn) -> WrittenOut:
    """Send a post to the moderators."""
    draft = PostDraft(
        kind=body.kind,
        cell=body.cell,
        hour_ms=body.hour_ms,
        text=body.text,
        pictures=body.pictures,
    )
    row = await services.feed.posts.write(owner, draft)
    return WrittenOut(id=row.id, state=row.state)


@router.get("/mine")
async def mine(services: Services, owner: Owner) -> OwnPostsOut:
    """Return the caller's own posts, in every state."""
    notices = await services.feed.posts.legal_notices(owner)
    return OwnPostsOut(
        posts=[_own(one) for one in await services.feed.posts.mine(owner)],
        legal=[
            LegalNoticeOut(id=one.id, kind=one.kind, yielded=list(one.yielded), told_ms=one.told_ms)
            for one in notices
        ],
    )


@router.get("/export")
async def export(services: Services, owner: Owner) -> ExportOut:
    """Return all that the relay keeps of the caller in the feed; pictures by their ids."""
    own = await services.feed.posts.mine(owner)
    return ExportOut(
        made_ms=services.clock.wall_ms(),
        name=owner.name,
        membership=await membership(services, owner),
        following=await following(services, owner),
        posts=[
            ExportedPostOut(
                **_own(one).model_dump(), appeal="" if one.appeal is None else one.appeal.text
            )
            for one in own
        ],
        legal=(await mine(services, owner)).legal,
    )


async def own_post(post_id: str, services: Services, owner: Owner) -> PostRow:
    """Return the caller's own post, or raise 404."""
    return await services.feed.posts.find(owner, post_id)


Own = Annotated[PostRow, Depends(own_post)]


@router.delete("/posts/{post_id}", status_code=204)
async def withdraw(services: Services, owner: Owner, row: Own) -> Response:
    """Take back a post of one's own: its text and pictures are erased at once."""
    await services.feed.posts.withdraw(owner, row.id)
    return Response(status_code=204)


@router.post("/posts/{post_id}/appeal", status_code=204)
async def appeal(services: Services, owner: Owner, row: Own, body: AppealIn) -> Response:
    """Ask another moderator to look at a refusal again."""
    await services.feed.posts.appeal(owner, row.id, body.text)
    return Response(status_code=204)


@router.post("/pictures", status_code=201, openapi_extra=UPLOAD)
async def upload(services: Services, owner: Owner, request: Request) -> PictureOut:
    """Store a JPEG, PNG or WebP picture of at most 8 MB for a post, encoded anew."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise ApiError(415, "media_type", "send a JPEG, PNG or WebP picture")
    data = await request.body()
    if not 0 < len(data) <= MAX_BYTES:
        raise ApiError(413, "too_large", "a picture has 8 MB at most: make it smaller first")
    return PictureOut(id=await services.feed.pictures.add(owner, data))


async def maybe_owner(
    request: Request,
    services: Services,
    sent: Annotated[HTTPAuthorizationCredentials | None, Depends(SIGNED_IN)],
) -> Account | None:
    """Return the owner who asks, None for anybody without a session."""
    if sent is None or not sent.credentials:
        return None
    session = await services.sessions.find_owner(sent.credentials)
    if session is None:
        return None
    charge(request.state, session.account.id)
    return session.account


@router.get("/pictures/{picture_id}", openapi_extra=PUBLIC, response_class=Response)
async def picture(
    services: Services,
    reader: Annotated[Account | None, Depends(maybe_owner)],
    picture_id: str,
) -> Response:
    """Return the picture of a public post, or one of the caller's own, as JPEG."""
    found = await services.feed.pictures.find_public(picture_id)
    if found is not None:
        headers = {"Cache-Control": f"public, max-age={PICTURE_AGE_S}", **PICTURE_HEADERS}
        return Response(found, media_type="image/jpeg", headers=headers)
    if reader is not None:
        found = await services.feed.pictures.find_own(reader, picture_id)
    if found is None:
        raise not_found("picture")
    headers = {"Cache-Control": "no-store", **PICTURE_HEADERS}
    return Response(found, media_type="image/jpeg", headers=headers)


def districts_file(found: Districts) -> bytes:
    """Return the whole town's districts as JSON, without how many addresses each has."""
    told = [{"id": one.id, "name": one.name, "cells": list(one.cells)} for one in found]
    return msgspec.json.encode({"districts": told})


def _membership(found: Membership | None) -> MembershipOut:
    if found is None:
        return MembershipOut(district=None, follows=[])
    return MembershipOut(district=found.district, follows=list(found.follows))


def _post(post: PublicPost) -> PostOut:
    refers = None if post.refers is None else msgspec.to_builtins(post.refers)
    return PostOut(
        id=post.id,
        kind=post.kind,
        cell=post.cell,
        hour_ms=post.hour_ms,
        published_ms=post.published_ms,
        text=post.text,
        pictures=post.pictures,
        by=post.written_by,
        agency=post.agency,
        refers=refers,
        is_urgent=post.is_urgent,
    )


def _own(post: OwnPost) -> OwnPostOut:
    row, refusal = post.row, post.refusal
    return OwnPostOut(
        id=row.id,
        kind=row.kind,
        cell=row.cell,
        hour_ms=row.hour_ms,
        text=row.text,
        pictures=post.pictures,
        state=post.state,
        written_ms=row.written_ms,
        published_ms=row.published_ms if post.state == "published" else None,
        is_urgent=row.is_urgent and post.state == "published",
        reason=None if refusal is None else refusal.reason,
        words="" if refusal is None else refusal.words,
        is_appealed=post.appeal is not None,
        is_appeal_decided=post.appeal is not None and post.appeal.decided_ms is not None,
        appeal_until_ms=post.appeal_until_ms,
    )
