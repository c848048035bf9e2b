"""`doorward app`: serves the owner's app from the owner's own machine, as the relay's server does.

Same bytes, same headers. It is reached on this machine only, and by this machine's own names.
"""

import errno
import socket
from collections.abc import Mapping, Sequence
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

from firmware.companion.owner.errors import BundleRefused

NAMES = ("localhost", "127.0.0.1")
NO_IPV6 = {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}
"""This machine has no ::1, so nobody else can be there either."""


def build_app(
    relay_url: str, *, bundle: Path, policy: Mapping[str, str] | None = None
) -> Starlette:
    """Return the app for the relay at `relay_url`.

    `policy` is what the app compares the policy with that a doorbell says it follows.
    """
    known = {} if policy is None else {"policy": dict(policy)}

    async def config(_request: Request) -> Response:
        return JSONResponse(
            {"relay_url": relay_url, **known}, headers={"Cache-Control": "no-store"}
        )

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
        "permissions-policy": "camera=(), microphone=(self), geolocation=(self)",
        "content-security-policy": policy,
    }


def listen(port: int) -> list[socket.socket]:
    """Take the port on each address that "localhost" can mean here, or raise BundleRefused.

    Browsers try ::1 and 127.0.0.1 for that name: a program of somebody else on either would be the
    app's origin, with its keys and its passkey.
    """
    listeners: list[socket.socket] = []
    try:
        listeners.append(socket.create_server(("127.0.0.1", port)))
        try:
            listeners.append(socket.create_server(("::1", port), family=socket.AF_INET6))
        except OSError as error:
            if error.errno not in NO_IPV6:
                raise
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise BundleRefused(
            f"port {port} of localhost can't be used ({error.strerror}): another program may have "
            "it. Find out which, or take another port with --port"
        ) from error
    return listeners


async def serve(app: Starlette, listeners: Sequence[socket.socket]) -> None:
    """Serve there until cancelled."""
    config = uvicorn.Config(
        app, log_level="warning", server_header=False, proxy_headers=False, lifespan="off"
    )
    try:
        await uvicorn.Server(config).serve(sockets=list(listeners))
    finally:
        for listener in listeners:
            listener.close()


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
