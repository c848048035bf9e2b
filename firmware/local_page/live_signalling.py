"""Live view's signalling on the home network: the relay's routes, without relay and internet.

A program at home, such as `doorward-view`, brings the same signed offers here that it would bring
to the relay, and gets the same signed answers. Nothing is granted here: who may watch is decided by
the signatures (firmware.live.signature_checks), and the answer counts only by the doorbell's own.
So the lack of encryption on this way gives away what the relay sees as well, and no more.

Anybody on the home network may ask. What they ask for costs a nonce or a signature check, so the
rate is limited, for each address and in all; in all it is so low that nobody can drop other
programs' nonces by asking for more.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from firmware.protocol.commands import (
    Answer,
    Candidates,
    CloseSession,
    LiveCommand,
    LiveNonce,
    NonceWanted,
    Offer,
    Refused,
    ReplyBody,
)
from firmware.protocol.encoding import Document, Id, WireError, decode
from firmware.protocol.live import MAX_SIGNED_BYTES, SignedLive
from firmware.system.clock import Clock

PATH = "/live"
MAX_BODY_BYTES = 2 * MAX_SIGNED_BYTES
READ_S = 5.0
BURST, EVERY_S = 40, 1.0
"""In all: fewer in a nonce's life (NONCE_LIFE_S) than there may be open nonces."""
BURST_OF_ONE, EVERY_S_OF_ONE = 20, 2.0
MAX_ADDRESSES = 256

T = TypeVar("T", bound=Document)
Endpoint = Callable[[Request], Awaitable[Response]]


class LiveSignalling(Protocol):
    """Live view's commands (`firmware.live.live_view.LiveView`)."""

    async def on_command(self, command: LiveCommand) -> ReplyBody:
        """Answer one of live view's commands."""
        ...


class OfferIn(Document, frozen=True, kw_only=True):
    """A signed protocol.live.LiveOffer."""

    session_id: Id
    signed: SignedLive


class CandidatesIn(Document, frozen=True, kw_only=True):
    """A signed protocol.live.LiveCandidates."""

    signed: SignedLive


class _RequestRefused(Exception):
    """A request that isn't answered; `code` is an error code of the relay's API."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RequestRate:
    """Rate limit of requests: token buckets for each address and for all; memory is bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._all = _Bucket(BURST, EVERY_S, self._now_s())
        self._by_address: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Return whether this address may ask now, and count it if so."""
        now_s = self._now_s()
        bucket = self._by_address.pop(address, None) or _Bucket(BURST_OF_ONE, EVERY_S_OF_ONE, now_s)
        self._by_address[address] = bucket
        if len(self._by_address) > MAX_ADDRESSES:
            self._by_address.popitem(last=False)
        return bucket.take(now_s) and self._all.take(now_s)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9


class LiveSignallingPages:
    """The routes under /live."""

    def __init__(self, live: LiveSignalling, clock: Clock) -> None:
        self._live = live
        self._rate = RequestRate(clock)

    def routes(self) -> list[Route]:
        """Return the routes."""
        session = f"{PATH}/sessions/{{session_id}}"
        return [
            Route(f"{PATH}/nonce", self._answered(self._nonce), methods=["POST"]),
            Route(f"{PATH}/offer", self._answered(self._offer), methods=["POST"]),
            Route(f"{session}/candidates", self._answered(self._candidates), methods=["POST"]),
            Route(session, self._answered(self._close), methods=["DELETE"]),
        ]

    def _answered(self, endpoint: Endpoint) -> Endpoint:
        async def answered(request: Request) -> Response:
            try:
                if not self._rate.allows(request.client.host if request.client else ""):
                    raise _RequestRefused(429, "too_often", "too many requests; wait a little")
                return await endpoint(request)
            except _RequestRefused as error:
                said = {"error": {"code": error.code, "message": str(error)}}
                headers = {"Retry-After": "5"} if error.status == 429 else None
                return JSONResponse(said, error.status, headers)

        return answered

    async def _nonce(self, request: Request) -> Response:  # noqa: ARG002
        reply = await self._reply(NonceWanted())
        if not isinstance(reply, LiveNonce):
            raise _unexpected()
        return JSONResponse({"nonce": reply.nonce})

    async def _offer(self, request: Request) -> Response:
        asked = await _read(request, OfferIn)
        command = Offer(session_id=asked.session_id, signed=asked.signed, ice_servers=[])
        reply = await self._reply(command)
        if not isinstance(reply, Answer):
            raise _unexpected()
        return JSONResponse({"signed": msgspec.to_builtins(reply.signed)})

    async def _candidates(self, request: Request) -> Response:
        more = await _read(request, CandidatesIn)
        await self._reply(Candidates(session_id=_session_id(request), signed=more.signed))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _close(self, request: Request) -> Response:
        await self._reply(CloseSession(session_id=_session_id(request)))
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def _reply(self, command: LiveCommand) -> ReplyBody:
        reply = await self._live.on_command(command)
        if isinstance(reply, Refused):
            raise _RequestRefused(HTTPStatus.CONFLICT, reply.reason, reply.detail)
        return reply


class _Bucket:
    """A token bucket."""

    def __init__(self, burst: int, every_s: float, now_s: float) -> None:
        self._burst = burst
        self._every_s = every_s
        self._left = float(burst)
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """Take one token; False if there is none."""
        gained = (now_s - self._at_s) / self._every_s
        self._left, self._at_s = min(self._burst, self._left + gained), now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _session_id(request: Request) -> str:
    try:
        return msgspec.convert(request.path_params["session_id"], Id)
    except msgspec.ValidationError as error:
        raise _RequestRefused(HTTPStatus.BAD_REQUEST, "bad_form", str(error)) from error


async def _read(request: Request, kind: type[T]) -> T:
    """Return the body as a document, or raise _RequestRefused."""
    body = bytearray()
    try:
        async with asyncio.timeout(READ_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise _RequestRefused(413, "too_large", f"at most {MAX_BODY_BYTES} bytes")
        return decode(kind, bytes(body), max_bytes=MAX_BODY_BYTES)
    except TimeoutError as error:
        raise _RequestRefused(408, "timeout", "the request took too long to arrive") from error
    except ClientDisconnect as error:
        raise _RequestRefused(400, "bad_form", "the connection ended before the request") from error
    except WireError as error:
        raise _RequestRefused(400, "bad_form", str(error)) from error


def _unexpected() -> _RequestRefused:
    return _RequestRefused(500, "fault", "the doorbell failed at it; its log says why")
