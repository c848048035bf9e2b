"""The list of the caller's events: what each opening of the app asks for, at most of all.

`EventList` answers it before FastAPI is asked, with as much work as it needs: session, audience and
events are read in one snapshot, and written as JSON once. Whatever isn't such a request of somebody
signed in goes on to FastAPI, whose route describes this one and says what is wrong.
"""

import math
from typing import Annotated, Final

import msgspec
from starlette.datastructures import Headers, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from firmware.protocol.encoding import DEVICE_ID_PATTERN
from relay.api.audience import audience_in
from relay.api.errors import answer_known
from relay.api.services import ApiServices
from relay.base.allowances import MAX_REMEMBERED, RateExceeded, charge
from relay.base.clock import Clock
from relay.errors import StoreError
from relay.people.secrets import hash_of
from relay.store.database import AWAY, Snapshot
from relay.store.event_retention import since_in
from relay.store.events import PageEvent, page_in
from relay.store.people import Account
from relay.store.sessions import Session
from relay.store.thumbnails import LIFE_MS

PATH: Final = "/events"
BEFORE_DEVICE: Final = f"({DEVICE_ID_PATTERN})|^$"
MAX_SEQ: Final = 2**53
MAX_LISTED: Final = 200
USUALLY_LISTED: Final = 50

Seq = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]


class EventListAsked(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of the list."""

    before_seq: Seq | msgspec.UnsetType = msgspec.UNSET
    before_device: Annotated[str, msgspec.Meta(pattern=BEFORE_DEVICE)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LISTED)] = USUALLY_LISTED


class EventsListed(msgspec.Struct, frozen=True, kw_only=True):
    """The answer."""

    events: list[PageEvent]


def events_in(snapshot: Snapshot, account: Account, asked: EventListAsked, now_ms: int) -> bytes:
    """Return the answer for an account, as JSON."""
    audience = audience_in(snapshot, account, now_ms=now_ms)
    page = page_in(
        snapshot,
        audience.own,
        credential_ids=audience.credential_ids,
        guests=audience.guests,
        before_seq=None if asked.before_seq is msgspec.UNSET else asked.before_seq,
        before_device=asked.before_device,
        limit=asked.limit,
        since_ms=since_in(snapshot, account.id, now_ms=now_ms),
        pictures_since_ms=now_ms - LIFE_MS,
    )
    return msgspec.json.encode(EventsListed(events=page))


class Refusals:
    """The sessions that asked too often, until they may ask again: for them nothing is read."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times_ms: dict[str, tuple[int, int]] = {}

    def add(self, token: str, error: RateExceeded) -> None:
        """Take note of a refusal."""
        now_ms, token_hash = self._clock.wall_ms(), hash_of(token)
        self._times_ms.pop(token_hash, None)
        self._times_ms[token_hash] = (now_ms, now_ms + error.retry_after_s * 1000)
        if len(self._times_ms) > MAX_REMEMBERED:
            del self._times_ms[next(iter(self._times_ms))]  # the oldest

    def of(self, token: str) -> RateExceeded | None:
        """Return what is answered to a session now, if it still has to wait."""
        if not self._times_ms:
            return None
        now_ms, token_hash = self._clock.wall_ms(), hash_of(token)
        since_ms, until_ms = self._times_ms.get(token_hash, (0, 0))
        if since_ms <= now_ms < until_ms:  # the clock may be set back
            return RateExceeded(math.ceil((until_ms - now_ms) / 1000))
        self._times_ms.pop(token_hash, None)
        return None


class EventList:
    """ASGI middleware of the API that answers the list itself."""

    def __init__(self, app: ASGIApp, services: ApiServices, limits_clock: Clock) -> None:
        """`limits_clock` is the one by which requests are counted (relay/web/rate_limits.py)."""
        self._app = app
        self._services = services
        self._refusals = Refusals(limits_clock)
        self._route = Route(PATH, self._answer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        if scope["type"] == "http" and scope["method"] == "GET" and _path_of(scope) == PATH:
            request = Request(scope)
            try:
                response = await self._answer(request)
            except StoreError as error:  # it has waited for the database already
                response = await answer_known(request, error)
            except AWAY:  # FastAPI's route says so in its words
                response = None
            if response is not None:
                scope["route"] = self._route  # as a router does
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _answer(self, request: Request) -> Response | None:
        """Return the response to somebody signed in, None to anybody else."""
        token, asked = _bearer_token(request.headers), _asked(request.query_params)
        if not token or asked is None:
            return None
        if refusal := self._refusals.of(token):
            return await answer_known(request, refusal)
        now_ms = self._services.clock.wall_ms()

        def ask(snapshot: Snapshot, session: Session) -> bytes:
            return events_in(snapshot, session.account, asked, now_ms)

        found = await self._services.sessions.look_as_owner(token, ask)
        if found is None:
            return None
        session, body = found
        try:
            charge(request.state, session.account.id)
        except RateExceeded as error:
            self._refusals.add(token, error)
            return await answer_known(request, error)
        return Response(body, media_type="application/json")


def _path_of(scope: Scope) -> str:
    """Return the path within the API, wherever that is mounted."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


def _bearer_token(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _asked(params: QueryParams) -> EventListAsked | None:
    """Return the parameters; None for such as FastAPI refuses."""
    try:
        return msgspec.convert(dict(params), EventListAsked, strict=False)
    except msgspec.ValidationError:
        return None
