"""The HTTP server of the relay's apps."""

import uvicorn
from starlette.types import ASGIApp


def server_settings(app: ASGIApp, *, graceful_s: int | None = None) -> uvicorn.Config:
    """Return settings with which the server says nothing of its own and believes no header."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # relay/web/rate_limits.py knows whom to believe
        lifespan="off",
        timeout_graceful_shutdown=graceful_s,
    )
