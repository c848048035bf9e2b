"""A viewer in Chromium for tests and benchmarks: joins a sender, and tells what it saw.

What the page does is in viewer.js. `served` gives it a server of its own, so that an offer costs
one local POST; `intercepted` answers it without any network, for a browser whose line is spoiled.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from playwright.async_api import Browser, Page, Route
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route as ServerRoute

from tests.flows.serving import serving

SCRIPT = Path(__file__).with_name("viewer.js")
PAGE = """\
<!doctype html><title>viewer</title>
<video autoplay muted playsinline style="width: 100%"></video>
<script type="module" src="/viewer.js"></script>
"""
ELSEWHERE = "https://door.test"
JOIN_TIMEOUT_S = 30.0
SHORTEST_FREEZE_MS = 150.0

Ask = Callable[[str], Awaitable[str]]
"""Takes an offer to the sender; returns its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """How a session began, in ms since the click; `number` is the first picture's."""

    first_frame_ms: float
    connected_ms: float
    width: int
    number: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One that was shown, and when (monotonic s); few have their number read."""

    rtp_90k: int
    at_s: float
    number: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one session showed so far: the browser's own count, and when (ms, its clock)."""

    at_ms: float
    shown_ms: Sequence[float]
    counted: dict[str, Any]  # Any: RTCInboundRtpStreamStats

    @property
    def frames_decoded(self) -> int:
        """Pictures that were decoded."""
        return int(self.counted.get("framesDecoded", 0))

    def frozen_s_since(self, before: Self) -> float:
        """Return how long the picture stood still since then.

        By the standard's definition (totalFreezesDuration of webrtc-stats), which counts a freeze
        once it has ended; one that goes on is added.
        """
        ended = float(self.counted.get("totalFreezesDuration", 0.0))
        ended -= float(before.counted.get("totalFreezesDuration", 0.0))
        still_ms = self.at_ms - max([before.at_ms, *self.shown_ms[-1:]])
        return ended + (still_ms / 1000 if still_ms > SHORTEST_FREEZE_MS else 0.0)


class Viewer:
    """One page that sees one session at a time."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def join(self) -> Joined:
        """Click, and wait for the first picture."""
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            seen = await self.page.evaluate("viewer.join()")
        return Joined(**seen)

    async def leave(self) -> None:
        """End the session."""
        await self.page.evaluate("viewer.leave()")

    async def shown(self) -> Shown:
        """Look at what was shown so far."""
        seen = await self.page.evaluate("viewer.facts()")
        return Shown(at_ms=seen["at"], shown_ms=seen["shown"], counted=seen.get("video") or {})

    async def said(self) -> list[dict[str, Any]]:  # Any: JSON's values
        """Return what the doorbell said over "control" in this session, oldest first."""
        return [json.loads(text) for text in await self.page.evaluate("viewer.said")]

    async def watch(self, seconds: float) -> list[Picture]:
        """Take down every picture for so long."""
        zero_s = await self._zero_s()
        seen = await self.page.evaluate("(ms) => viewer.watch(ms)", seconds * 1000)
        return [
            Picture(rtp_90k=rtp_90k, at_s=zero_s + at_ms / 1000, number=number)
            for rtp_90k, at_ms, number in seen
        ]

    async def _zero_s(self) -> float:
        """Return when the page's clock began, by the machine's monotonic clock, which it is."""
        devtools = await self.page.context.new_cdp_session(self.page)
        await devtools.send("Performance.enable", {"timeDomain": "timeTicks"})
        metrics = (await devtools.send("Performance.getMetrics"))["metrics"]
        await devtools.detach()
        return float(next(m["value"] for m in metrics if m["name"] == "NavigationStart"))


@asynccontextmanager
async def served(browser: Browser, ask: Ask) -> AsyncIterator[Viewer]:
    """Give a page that asks by one POST to a server on this machine."""

    async def offer(request: Request) -> Response:
        return PlainTextResponse(await ask((await request.body()).decode()))

    async def page(_: Request) -> Response:
        return HTMLResponse(PAGE)

    async def script(_: Request) -> Response:
        return Response(SCRIPT.read_text(), media_type="text/javascript")

    routes = [
        ServerRoute("/", page),
        ServerRoute("/viewer.js", script),
        ServerRoute("/offer", offer, methods=["POST"]),
    ]
    async with serving(Starlette(routes=routes)) as port:
        viewer = await _opened(browser)
        await viewer.page.goto(f"http://127.0.0.1:{port}/")
        yield viewer
        await viewer.page.close()


@asynccontextmanager
async def intercepted(browser: Browser, ask: Ask) -> AsyncIterator[Viewer]:
    """Give a page whose requests never leave the browser's own process."""

    async def fulfil(route: Route) -> None:
        path = route.request.url.removeprefix(ELSEWHERE)
        if path == "/offer":
            await route.fulfill(body=await ask(route.request.post_data or ""))
        elif path == "/viewer.js":
            await route.fulfill(body=SCRIPT.read_text(), content_type="text/javascript")
        else:
            await route.fulfill(body=PAGE, content_type="text/html")

    viewer = await _opened(browser)
    await viewer.page.route(f"{ELSEWHERE}/**", fulfil)
    await viewer.page.goto(f"{ELSEWHERE}/")
    yield viewer
    await viewer.page.close()


async def _opened(browser: Browser) -> Viewer:
    return Viewer(await browser.new_page())
