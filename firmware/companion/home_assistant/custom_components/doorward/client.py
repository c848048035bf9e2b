"""The client of `doorward-view`'s local API. All HTTP out is here; answers are parsed strictly."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from .const import API_VERSION
from .errors import CannotConnect, InvalidToken, NotDoorward, Refused

TIMEOUT = aiohttp.ClientTimeout(total=20)
CLIP_TIMEOUT = aiohttp.ClientTimeout(total=300, sock_read=30)
NEWS_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
MAX_TEXT_BYTES = 256 * 1024
MAX_PICTURE_BYTES = 64 * 1024
MAX_CLIP_BYTES = 256 * 1024 * 1024
ID = re.compile(r"[a-z2-7]{20,52}")
DIGEST = re.compile(r"[0-9a-f]{64}")
RIGHTS = frozenset({"live", "rings", "history", "record"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorState:
    """What `doorward-view` knows; times are in ms since 1970."""

    device: str
    is_connected: bool
    since_ms: int
    problem: str
    what: frozenset[str]
    picture_event: str | None
    picture_taken_ms: int | None
    live_why: str | None
    live_until_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorEvent:
    """A press or motion."""

    event_id: str
    kind: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording in the doorbell's list."""

    clip_id: str
    digest: str
    started_ms: int | None
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A WHEP answer: the SDP, and the session's path."""

    sdp: str
    path: str


class Client:
    """Calls of one `doorward-view`. Each raises a DoorwardError."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}

    async def state(self) -> DoorState:
        """Return the doorbell's state."""
        return _state(_json(await self._text("GET", "/v1/doorbell")))

    async def watch(self) -> DoorState:
        """Open live view for ten minutes."""
        return _state(_json(await self._text("POST", "/v1/watch")))

    async def picture(self) -> bytes:
        """Return the last picture (JPEG)."""
        return await self._bytes("/v1/picture.jpg", MAX_PICTURE_BYTES, TIMEOUT)

    async def recordings(self) -> list[Recording]:
        """Return the newest recordings."""
        data = _json(await self._text("GET", "/v1/clips"))
        try:
            return [_recording(one) for one in data["clips"]]
        except (KeyError, TypeError, ValueError) as error:
            raise NotDoorward("it answered something else than expected") from error

    async def recording(self, clip_id: str, digest: str) -> bytes:
        """Return one recording as MP4."""
        if not ID.fullmatch(clip_id) or not DIGEST.fullmatch(digest):
            raise Refused(404, "there is no such recording")
        return await self._bytes(f"/v1/clips/{clip_id}/{digest}.mp4", MAX_CLIP_BYTES, CLIP_TIMEOUT)

    async def offer(self, sdp: str) -> Answer:
        """Offer live view; return the doorbell's answer."""
        headers = {"Content-Type": "application/sdp"}
        async with self._sent("POST", "/v1/whep", TIMEOUT, data=sdp, headers=headers) as response:
            path = response.headers.get("Location", "")
            if not re.fullmatch(r"/v1/sessions/[A-Za-z0-9_-]{10,60}", path):
                raise NotDoorward("it named no session")
            return Answer(sdp=(await _read(response, MAX_TEXT_BYTES)).decode(), path=path)

    async def trickle(self, path: str, candidates: Sequence[str], *, is_last: bool) -> None:
        """Bring more ICE candidates (RFC 8840)."""
        lines = [f"a={one}" for one in candidates] + ["a=end-of-candidates"] * is_last
        headers = {"Content-Type": "application/trickle-ice-sdpfrag"}
        body = "".join(f"{line}\r\n" for line in lines)
        async with self._sent("PATCH", path, TIMEOUT, data=body, headers=headers):
            return

    async def close(self, path: str) -> None:
        """End live view."""
        async with self._sent("DELETE", path, TIMEOUT):
            return

    async def news(self) -> AsyncIterator[DoorState | DoorEvent]:
        """Yield what changes, beginning with the state, until the connection ends."""
        async with self._sent("GET", "/v1/news", NEWS_TIMEOUT) as response:
            name, size = "", 0
            while line := await response.content.readline():
                size = 0 if line == b"\n" else size + len(line)
                if size > MAX_TEXT_BYTES:
                    raise NotDoorward("it sent too much at once")
                field, _, value = line.decode().rstrip("\n").partition(": ")
                if field == "event":
                    name = value
                elif field == "data":
                    yield _event(_json(value)) if name == "event" else _state(_json(value))

    def _sent(self, method: str, path: str, timeout: aiohttp.ClientTimeout, **more: Any) -> "_Sent":
        headers = {**self._headers, **more.pop("headers", {})}
        request = self._session.request(
            method,
            self._url + path,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
            **more,
        )
        return _Sent(request)

    async def _text(self, method: str, path: str) -> str:
        async with self._sent(method, path, TIMEOUT) as response:
            return (await _read(response, MAX_TEXT_BYTES)).decode()

    async def _bytes(self, path: str, max_bytes: int, timeout: aiohttp.ClientTimeout) -> bytes:
        async with self._sent("GET", path, timeout) as response:
            return await _read(response, max_bytes)


class _Sent:
    """A request whose refusals and failures are DoorwardErrors."""

    def __init__(self, request: Any) -> None:
        self._request = request

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            response = await self._request.__aenter__()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise CannotConnect("no answer; is the program running?") from error
        if 200 <= response.status < 300:
            return response
        try:
            raise await _refusal(response)
        finally:
            response.release()

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        await self._request.__aexit__(kind, error, trace)
        if isinstance(error, (aiohttp.ClientError, asyncio.TimeoutError)):
            raise CannotConnect("the connection to `doorward-view` broke") from error


async def _refusal(response: aiohttp.ClientResponse) -> Exception:
    if response.status == 401:
        return InvalidToken("this token isn't taken")
    if not response.content_type.startswith("text/plain"):
        return NotDoorward(f"what answers there isn't `doorward-view` (HTTP {response.status})")
    text = (await _read(response, 4096)).decode(errors="replace").strip()
    return Refused(response.status, text or f"it answered HTTP {response.status}")


async def _read(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    data = bytearray()
    async for chunk in response.content.iter_chunked(64 * 1024):
        data += chunk
        if len(data) > max_bytes:
            raise NotDoorward("it answered with far too much")
    return bytes(data)


def _json(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise NotDoorward("what answers there isn't `doorward-view`") from error
    if not isinstance(data, dict):
        raise NotDoorward("what answers there isn't `doorward-view`")
    return data


def _state(data: dict[str, Any]) -> DoorState:
    if data.get("api") != API_VERSION:
        raise NotDoorward("this `doorward-view` is of another version than this integration")
    try:
        picture, live = data["picture"], data["live"]
        return DoorState(
            device=_matched(data["device"], re.compile(r"[a-z2-7]{20}")),
            is_connected=data["is_connected"] is True,
            since_ms=int(data["since_ms"]),
            problem=str(data["problem"])[:500],
            what=RIGHTS & frozenset(data["what"]),
            picture_event=None if picture is None else _matched(picture["event"], ID),
            picture_taken_ms=None if picture is None else int(picture["taken_ms"]),
            live_why=None if live is None else str(live["why"])[:20],
            live_until_ms=None
            if live is None or live["until_ms"] is None
            else int(live["until_ms"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise NotDoorward("it answered something else than expected") from error


def _event(data: dict[str, Any]) -> DoorEvent:
    try:
        event_id, at_ms = _matched(data["event"], ID), int(data["at_ms"])
        return DoorEvent(event_id=event_id, kind=str(data["kind"])[:20], at_ms=at_ms)
    except (KeyError, TypeError, ValueError) as error:
        raise NotDoorward("it answered something else than expected") from error


def _recording(data: dict[str, Any]) -> Recording:
    started = data["started_ms"]
    return Recording(
        clip_id=_matched(data["id"], ID),
        digest=_matched(data["digest"], DIGEST),
        started_ms=None if started is None else int(started),
        duration_ms=int(data["duration_ms"]),
    )


def _matched(text: Any, pattern: re.Pattern[str]) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise ValueError
    return text
