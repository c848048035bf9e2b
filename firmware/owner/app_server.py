"""`doorward app`: the owner's app from the owner's own machine, as `doorward-relay app` serves it.

Same bytes, same headers. It is reached on this machine only, and by this machine's own names.
"""

import socket
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from firmware.owner.errors import BundleRefused

NAMES = ("localhost", "127.0.0.1")


def build_app(relay_url: str, *, bundle: Path) -> Starlette:
    """Return the app for the relay at `relay_url`."""

    async def config(_request: Request) -> Response:
        return JSONResponse({"relay_url": relay_url}, headers={"Cache-Control": "no-store"})

    return Starlette(
        routes=[
            Route("/config.json", config),
            Mount("/", StaticFiles(directory=bundle, html=True)),
        ],
        middleware=[
            Middleware(_Headers, relay_url=relay_url),
            Middleware(TrustedHostMiddleware, allowed_hosts=list(NAMES), www_redirect=False),
        ],
    )


def headers_for(relay_url: str) -> dict[str, str]:
    """Return what every answer carries: the relay's app server sends the same."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        f"font-src 'self'; manifest-src 'self'; connect-src 'self' {relay_url}; "
        "media-src 'self' blob:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return {
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(self), geolocation=()",
        "content-security-policy": policy,
    }


async def serve(app: Starlette, port: int) -> None:
    """Serve on 127.0.0.1 until cancelled, or raise BundleRefused."""
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        text = f"port {port} can't be used ({error.strerror}); take another with --port"
        raise BundleRefused(text) from error
    config = uvicorn.Config(app, log_level="warning", server_header=False, lifespan="off")
    with listener:
        await uvicorn.Server(config).serve(sockets=[listener])


class _Headers:
    def __init__(self, app: ASGIApp, *, relay_url: str) -> None:
        self._app = app
        self._headers = [(k.encode(), v.encode()) for k, v in headers_for(relay_url).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)
