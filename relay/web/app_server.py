"""The command `doorward-relay app`: serves the owner's app on its own origin, the same for all.

It knows no account and asks the relay for nothing; `config.json` tells the app where it is.
"""

from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from relay.base.clock import SystemClock
from relay.config.settings import NO_LIMITS, LimitsConfig
from relay.web.compressed_files import CompressedFiles
from relay.web.rate_limits import FILES, ClientAddress, RateLimits
from relay.web.security import OWNERS_APP_HEADERS, SecurityHeaders, page_policy

BUNDLE = Path(__file__).parents[1] / "owner_app"


def build_app_server(
    relay_url: str,
    *,
    other_relay_urls: Sequence[str] = (),
    bundle: Path = BUNDLE,
    is_https: bool = False,
    limits: LimitsConfig = NO_LIMITS,
) -> ASGIApp:
    """Return the app that serves `bundle` for the relay at `relay_url`, or others if one likes."""
    places: dict[str, object] = {"relay_url": relay_url}
    if other_relay_urls:
        places["other_relays"] = list(other_relay_urls)

    async def config(_request: Request) -> Response:
        return JSONResponse(places, headers={"Cache-Control": "no-store"})

    async def robots(_request: Request) -> Response:
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    app = Starlette(
        routes=[
            Route("/robots.txt", robots),
            Route("/config.json", config),
            Mount("/", CompressedFiles(directory=bundle, html=True)),
        ]
    )
    limited = RateLimits(
        app,
        clock=SystemClock(),
        pages=None,
        owner_origins=(),
        factor=limits.factor,
        class_of=lambda *_: FILES,
    )
    return SecurityHeaders(
        ClientAddress(limited, limits.trusted_proxies),
        policy=page_policy(connect=(relay_url, *other_relay_urls)),
        is_https=is_https,
        # The microphone is asked for when an owner first talks, and not before.
        headers={**OWNERS_APP_HEADERS, "referrer-policy": "no-referrer"},
    )
