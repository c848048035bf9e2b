"""The HTTP server of the relay's apps."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class QuietServer(uvicorn.Server):
    """A server that wakes for requests and for its end only; uvicorn's own looks ten times a
    second whether it is to end, and what the date is."""

    def __init__(
        self, config: uvicorn.Config, *, drain: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """`drain` is awaited before the end, while requests are still answered."""
        super().__init__(config)
        self._drain = drain
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()
        self._hurry = asyncio.Event()

    def stop(self) -> None:
        """End: requests under way are finished first."""
        self.should_exit = True
        self._ending.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: a second one ends the drain, a second SIGINT requests under way too."""
        event = self._hurry if self.should_exit else self._ending
        super().handle_exit(sig, frame)
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed already
                self._loop.call_soon_threadsafe(event.set)

    async def main_loop(self) -> None:
        """Wait for the end."""
        self._loop = asyncio.get_running_loop()
        if not self.should_exit:
            await self._ending.wait()
        if self._drain is None:
            return
        tasks = {asyncio.ensure_future(self._drain()), asyncio.ensure_future(self._hurry.wait())}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Dated:
    """Adds the date to each answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(time.time(), usegmt=True).encode()
                message["headers"] = [(b"date", date), *message.get("headers", [])]
            await send(message)

        await self._app(scope, receive, send_dated)


def server_settings(app: ASGIApp, *, graceful_s: int | None = None) -> uvicorn.Config:
    """Return settings with which the server says nothing of its own and believes no header."""
    return uvicorn.Config(
        _Dated(app),
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,  # relay/web/rate_limits.py knows whom to believe
        lifespan="off",
        timeout_graceful_shutdown=graceful_s,
    )


def listen_on(host: str, port: int) -> socket.socket:
    """Return a listening socket whose connections send at once, or raise OSError.

    asyncio sees to that only where it made the socket itself. Without it the body of an answer,
    written after its head, waits until the client acknowledges the head: some 40 ms.
    """
    listener = socket.create_server((host, port))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
    return listener
