"""A header on API responses: how far an example town's clock is ahead, for the owner's app."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from relay.base.clock import SimulatedClock

HEADER: Final = "x-town-ahead-ms"


class TownTime:
    """ASGI middleware that adds the header where there is such a clock."""

    def __init__(self, app: ASGIApp, clock: SimulatedClock | None) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        clock = self._clock
        if clock is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_time(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = str(clock.offset_ms())
            await send(message)

        await self._app(scope, receive, send_with_time)
