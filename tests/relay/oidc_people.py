"""A relay whose agency lakeland has a sign-in of its own, and people who come that way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from relay.config_people import OidcConfig
from tests.fakes.clock import ManualClock
from tests.fakes.oidc_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    OidcProvider,
    run_oidc_provider,
)
from tests.relay.http_world import RELAY_URL, World, open_world

CALLBACK = f"{RELAY_URL}/agency/oidc/callback"


@dataclass
class Frost:
    """Somebody at the agency's sign-in, with a browser."""

    world: World
    provider: OidcProvider
    http: httpx2.AsyncClient

    async def begin(self, agency: str = "lakeland") -> str:
        """Follow the page's link; return the provider's page that it leads to."""
        answer = await self.http.get(f"/agency/oidc/start?agency={agency}")
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def at_provider(self, page: str) -> str:
        """Sign in there; return where the provider sends the browser back to."""
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.get(page)
        assert answer.status_code == 302
        return answer.headers["location"]

    async def come_back(self, address: str) -> httpx2.Response:
        return await self.http.get(address)

    async def sign_in(self, agency: str = "lakeland") -> httpx2.Response:
        """Go all the way."""
        return await self.come_back(await self.at_provider(await self.begin(agency)))

    @property
    def is_signed_in(self) -> bool:
        return "dw_agency" in self.http.cookies


def somebody(world: World, provider: OidcProvider) -> Frost:
    """Return one more person's browser."""
    return Frost(world, provider, world.browser(RELAY_URL))


@asynccontextmanager
async def open_oidc_world(folder: Path, **changes: Any) -> AsyncIterator[Frost]:
    """Open a relay with `changes` to lakeland's [[oidc]], and one person's browser."""
    clock = ManualClock()
    with run_oidc_provider(clock) as provider:
        secret = folder / "oidc.secret"
        secret.write_text(f"{CLIENT_SECRET}\n")
        fields: dict[str, Any] = {
            "agency": "lakeland",
            "issuer": provider.issuer,
            "client_id": CLIENT_ID,
            "client_secret_path": secret,
            "email_domain": "lakeland.example",
        }
        more = changes.pop("more", [])
        configs = (
            OidcConfig(**(fields | changes)),
            *(OidcConfig(**(fields | other)) for other in more),
        )
        async with open_world(folder, oidc=configs) as world:
            provider.clock = world.clock
            yield somebody(world, provider)
