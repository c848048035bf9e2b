"""JSON over HTTP as the people's apps speak it, and the owner's stream of events."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import httpx2

from tests.story.settings import StoryError

Json = dict[str, Any]  # Any: whatever an answer holds
RECONNECT_S = 0.3
ASK_AGAIN_S, LAST_PAUSE_S = 0.1, 0.5
SLOWER = 4.0
"""A machine may be so many times slower than those on which the times to wait were measured."""
ANSWER_S = 60.0
AWAY_S = 60.0
"""So long a server may be away: it is started again where it was killed."""
T = TypeVar("T")
Missed = Callable[[], Awaitable[list[Json]]]


class Closes(Protocol):
    """Whoever has connections."""

    async def close(self) -> None:
        """Close them."""


class Api:
    """A client of one server: paths below `base_url`, JSON in, JSON out, errors in words."""

    def __init__(self, base_url: str, *, origin: str | None = None, away_s: float = AWAY_S) -> None:
        self._away_s = away_s
        headers = {"Accept": "application/json", **({"Origin": origin} if origin else {})}
        self.http = httpx2.AsyncClient(
            base_url=base_url, headers=headers, timeout=ANSWER_S, trust_env=False
        )

    async def get(self, path: str) -> Json:
        """GET `path`."""
        return await self._send("GET", path)

    async def post(self, path: str, body: Json | None = None) -> Json:
        """POST a JSON body."""
        return await self._send("POST", path, json={} if body is None else body)

    async def post_form(self, path: str, fields: dict[str, str]) -> Json:
        """POST a form, as a page does."""
        return await self._send("POST", path, data=fields)

    async def delete(self, path: str) -> Json:
        """DELETE `path`."""
        return await self._send("DELETE", path)

    async def close(self) -> None:
        """Close all connections."""
        await self.http.aclose()

    async def get_page(self, path: str) -> str:
        """Return a page as a browser gets it."""
        answer = await self.request("GET", path, headers={"Accept": "text/html"})
        if not answer.is_success:
            raise StoryError(f"GET {path}: {answer.status_code} {answer.text[:200]}")
        return answer.text

    async def request(
        self,
        method: str,
        path: str,
        **more: Any,  # Any: httpx2's own
    ) -> httpx2.Response:
        """Return the answer, whatever its status; a server that doesn't answer is a StoryError.

        One that is away is asked again, but for what it may have done already.
        """
        begun_s = time.monotonic()
        while True:
            try:
                return await self.http.request(method, path, **more)
            except httpx2.HTTPError as error:
                is_away = time.monotonic() - begun_s < self._away_s
                if not (is_away and _may_be_asked_again(method, error)):
                    raise StoryError(f"{method} {path}: {type(error).__name__} {error}") from error
            await asyncio.sleep(RECONNECT_S)

    async def _send(self, method: str, path: str, **body: Any) -> Json:  # Any: httpx2's own
        answer = await self.request(method, path, **body)
        if not answer.is_success:
            raise StoryError(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        with suppress(ValueError):
            parsed = answer.json()
            return parsed if isinstance(parsed, dict) else {"items": parsed}
        return {}


def _may_be_asked_again(method: str, error: httpx2.HTTPError) -> bool:
    is_unsent = isinstance(error, httpx2.ConnectError)
    return is_unsent or (
        method == "GET" and isinstance(error, httpx2.ReadError | httpx2.RemoteProtocolError)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a stream, and when it came (monotonic)."""

    kind: str
    data: Json
    at_s: float


class Inbox:
    """Everything that the owner's stream has said since it was opened, in order."""

    def __init__(self) -> None:
        self._said: list[Message] = []
        self._news = asyncio.Condition()

    @asynccontextmanager
    async def following(
        self, api: Api, path: str, missed: Missed | None = None
    ) -> AsyncIterator[None]:
        """Read the stream in the background; return once it is open.

        `missed` returns the newest events; it is asked after the stream was cut off.
        """
        is_open = asyncio.Event()
        reading = self._read_for_ever(api, path, is_open, missed)
        task = asyncio.create_task(reading, name="owner's stream")
        try:
            async with asyncio.timeout(ANSWER_S):
                await is_open.wait()
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def wait_for(
        self,
        what: str,
        pick: Callable[[Message], T | None],
        *,
        timeout_s: float,
        slower: float = SLOWER,
    ) -> T:
        """Return the first thing that `pick` takes from a message, past or to come.

        On a slow machine it is waited for longer than `timeout_s`, by `slower`.
        """
        longest_s = timeout_s * slower
        try:
            async with saying_late(what, timeout_s), asyncio.timeout(longest_s):
                position = 0
                while True:
                    async with self._news:
                        while len(self._said) == position:
                            await self._news.wait()
                    for message in self._said[position:]:
                        position += 1
                        picked = pick(message)
                        if picked is not None:
                            return picked
        except TimeoutError as error:
            raise StoryError(f"{what} didn't come in {longest_s:.0f} s") from error

    async def _read_for_ever(
        self, api: Api, path: str, is_open: asyncio.Event, missed: Missed | None
    ) -> None:
        while True:
            with suppress(httpx2.HTTPError, StoryError):
                await self._read(api, path, is_open, missed)
            await asyncio.sleep(RECONNECT_S)

    async def _read(
        self, api: Api, path: str, is_open: asyncio.Event, missed: Missed | None
    ) -> None:
        headers = {"Accept": "text/event-stream"}
        async with api.http.stream("GET", path, headers=headers, timeout=None) as answer:
            answer.raise_for_status()
            if is_open.is_set() and missed is not None:
                for one in await missed():
                    await self._take("event", one)
            is_open.set()
            kind = "message"
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    await self._take(kind, json.loads(value))

    async def _take(self, kind: str, data: Json) -> None:
        async with self._news:
            self._said.append(Message(kind=kind, data=data, at_s=time.monotonic()))
            self._news.notify_all()


async def ask_until(
    what: str, ask: Callable[[], Awaitable[T]], is_it: Callable[[T], bool], *, timeout_s: float
) -> T:
    """Ask again and again until the answer is the one; raise StoryError with the last one.

    On a slow machine it is waited for longer than `timeout_s`, by SLOWER.
    """
    answer: T | None = None
    begun_s, longest_s, pause_s = time.monotonic(), timeout_s * SLOWER, ASK_AGAIN_S
    async with saying_late(what, timeout_s):
        while answer is None or not is_it(answer):
            if time.monotonic() - begun_s > longest_s:
                raise StoryError(f"{what} not in {longest_s:.0f} s; last answer: {answer!r:.300}")
            if answer is not None:
                await asyncio.sleep(pause_s)
                pause_s = min(1.5 * pause_s, LAST_PAUSE_S)  # asking slows a slow machine too
            answer = await ask()
    return answer


@asynccontextmanager
async def saying_late(what: str, after_s: float) -> AsyncIterator[None]:
    """Say once, where the body takes longer, what is still waited for."""

    def say() -> None:
        print(f"  … still waiting: {what} ({after_s:.0f} s)", file=sys.stderr, flush=True)

    late = asyncio.get_running_loop().call_later(after_s, say)
    try:
        yield
    finally:
        late.cancel()


@asynccontextmanager
async def closing(person: Closes) -> AsyncIterator[None]:
    """Close a person's connections at the end."""
    try:
        yield
    finally:
        await person.close()
