"""A relay whose agency lakeland has a sign-in of its own, and people who come that way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from relay.config.settings import OidcConfig
from relay.store import oidc
from tests.fakes.clock import ManualClock
from tests.fakes.oidc_provider import (
    CLIENT_ID,
    CLIENT_SECRET,
    OidcProvider,
    run_oidc_provider,
)
from tests.relay.http_people import Officer
from tests.relay.http_world import RELAY_URL, World, open_world
from tests.story.authenticator import SoftPasskey

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


@dataclass
class Linker:
    """An officer with a passkey, in one browser, at this agency's sign-in as `frost`."""

    officer: Officer
    frost: Frost

    async def prove(
        self, step: str = "link", *, passkey: SoftPasskey | None = None
    ) -> httpx2.Response:
        """Press the page's button, and prove a passkey: one's own, unless another is given."""
        http = self.officer.http
        begun = (await http.post(f"/agency/oidc/{step}/options", json={})).json()
        credential = (passkey or self.officer.passkey).log_in(begun["options"])
        body = {"session": begun["session"], "credential": credential}
        return await http.post(f"/agency/oidc/{step}/verify", json=body)

    async def answer(self) -> str:
        """Go to the provider and sign in there; return the address that it sends one back to."""
        proved = await self.prove()
        assert proved.status_code == 200, proved.text
        return await self.frost.at_provider(proved.json()["url"])

    async def confirm(self, step: str = "link") -> httpx2.Response:
        """Say yes as the page's plain form does."""
        http = self.officer.http
        form = {"csrf": http.headers["X-CSRF"]}
        return await http.post(f"/agency/oidc/{step}/confirm", data=form)

    async def merge(self, passkey: SoftPasskey) -> httpx2.Response:
        """Prove another account's passkey, and press *Yes, make one of both*."""
        proved = await self.prove("merge", passkey=passkey)
        assert proved.status_code == 200, proved.text
        return await self.confirm("merge")

    async def link(self) -> httpx2.Response:
        """Go all the way."""
        await self.frost.come_back(await self.answer())
        return await self.confirm()


async def linker(frost: Frost, name: str = "Officer Frost") -> Linker:
    """Return an officer of lakeland who came by invitation, signed in by passkey."""
    officer = Officer(frost.world, name)
    await officer.register()
    await officer.take_csrf()
    return Linker(officer, Frost(frost.world, frost.provider, officer.http))


async def owner_of(frost: Frost) -> str | None:
    """Return whose the subject is that is signed in at the provider."""
    async with frost.world.database.read() as tx:
        return await oidc.find_account_id(tx, frost.provider.issuer, frost.provider.claims["sub"])
