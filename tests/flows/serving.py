"""Serves an ASGI app on this machine, for a browser."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send


@asynccontextmanager
async def serving(
    app: Any, port: int = 0, *, kept: socket.socket | None = None
) -> AsyncIterator[int]:
    """Serve an ASGI app on a port, by itself a free one, or at a socket that stays open; yield
    the port.
    """
    with kept.dup() if kept else socket.create_server(("127.0.0.1", port)) as listener:
        settings = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(settings)
        running = asyncio.create_task(server.serve(sockets=[listener]), name="serving")
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await running


def behind_proxy(app: ASGIApp, host: str = "relay.test") -> ASGIApp:
    """Return the app behind a proxy that asks for it by its own name, whatever it was asked by."""

    async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            kept = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope = {**scope, "headers": [*kept, (b"host", host.encode())]}
        await app(scope, receive, send)

    return proxied
