"""The local API of one doorbell for a smart home, such as Home Assistant's component.

Under /v1, each with the local token: `doorbell` (the state), `news` (server-sent events),
`picture.jpg` (with its age), `watch` (a touch), `clips` and `clips/ID.mp4`, and WHEP for live view
while it is open. Errors are texts for people, with the statuses of whep.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from firmware.companion.viewer.errors import NothingThere
from firmware.companion.viewer.guard import Guard
from firmware.companion.viewer.home_door import HomeDoor, News
from firmware.companion.viewer.whep import guarded_route, unauthorised, whep_routes

API_VERSION = 1
PREFIX = f"/v{API_VERSION}"
PING_S = 20.0

Endpoint = Callable[[Request], Awaitable[Response]]


def home_routes(home: HomeDoor, guard: Guard) -> list[Route]:
    """Return the routes."""

    async def doorbell(request: Request) -> Response:  # noqa: ARG001
        return JSONResponse(state_of(home))

    async def news(request: Request) -> Response:  # noqa: ARG001
        return StreamingResponse(_news(home, home.subscribe()), media_type="text/event-stream")

    async def picture(request: Request) -> Response:  # noqa: ARG001
        if home.picture is None:
            raise NothingThere("the doorbell has sent no picture yet")
        headers = {"X-Doorward-Taken-Ms": str(home.picture.taken_ms)}
        return Response(home.picture.jpeg, media_type="image/jpeg", headers=headers)

    async def watch(request: Request) -> Response:  # noqa: ARG001
        home.touch()
        return JSONResponse(state_of(home))

    async def clips(request: Request) -> Response:  # noqa: ARG001
        listed = await home.clips()
        return JSONResponse(
            {
                "clips": [
                    {
                        "id": one.clip_id,
                        "digest": one.manifest_digest,
                        "started_ms": one.started_ms,
                        "duration_ms": one.duration_ms,
                    }
                    for one in listed
                ]
            }
        )

    async def clip(request: Request) -> Response:
        params = request.path_params
        data = await home.clip(params["clip"], params["digest"])
        return Response(data, media_type="video/mp4")

    def route(path: str, method: str, endpoint: Endpoint) -> Route:
        return guarded_route(guard, PREFIX + path, {method: _with_token(guard, endpoint)}, {})

    return [
        route("/doorbell", "GET", doorbell),
        route("/news", "GET", news),
        route("/picture.jpg", "GET", picture),
        route("/watch", "POST", watch),
        route("/clips", "GET", clips),
        route("/clips/{clip}/{digest}.mp4", "GET", clip),
        *whep_routes(home, guard, PREFIX),
    ]


def state_of(home: HomeDoor) -> dict[str, Any]:  # Any: JSON
    """Return the doorbell's state; no secret is in it."""
    window, picture = home.window, home.picture
    return {
        "api": API_VERSION,
        "device": home.device,
        "is_connected": home.is_connected,
        "since_ms": home.since_ms,
        "problem": home.problem,
        "what": list(home.what),
        "picture": None
        if picture is None
        else {"event": picture.event, "taken_ms": picture.taken_ms},
        "live": None if window is None else {"why": window.why, "until_ms": window.until_ms},
    }


def _with_token(guard: Guard, endpoint: Endpoint) -> Endpoint:
    async def with_token(request: Request) -> Response:
        return unauthorised(guard, request) or await endpoint(request)

    return with_token


async def _news(home: HomeDoor, queue: "asyncio.Queue[News]") -> AsyncIterator[str]:
    try:
        yield _frame("state", state_of(home))
        while True:
            try:
                async with asyncio.timeout(PING_S):
                    news = await queue.get()
            except TimeoutError:
                yield ": ping\n\n"
                continue
            yield _told(home, news)
    finally:
        home.unsubscribe(queue)


def _told(home: HomeDoor, news: News) -> str:
    if news.event is None:
        return _frame("state", state_of(home))
    event = {"event": news.event.event, "kind": news.event.kind, "at_ms": news.event.at_ms}
    return _frame("event", event)


def _frame(name: str, data: dict[str, Any]) -> str:  # Any: JSON
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"
