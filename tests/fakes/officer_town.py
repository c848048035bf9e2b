"""A relay over HTTP, an invitation to it, and an officer with a FIDO2 key at their own machine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from firmware.companion.authenticator.fido_device import Person, make_passkey
from firmware.companion.authenticator.passkey import Site
from firmware.companion.authenticator.relay_calls import RelayCalls
from relay.agency.keys import OfficerFile
from relay.tools.agency.officer_passkey import join
from tests.fakes.bent_relay import Change, as_it_is, carry
from tests.fakes.fido_device import FidoKeyFake
from tests.fakes.terminal import FakePrompts
from tests.flows.serving import behind_proxy, serving
from tests.relay.http_world import RELAY_URL, World, open_world

SITE = Site.of(RELAY_URL)
NAME = "Officer Berg"


@dataclass
class OfficerTown:
    """Everybody. `change` is the relay as an attacker would have it."""

    world: World
    relay: str
    invitation: str
    http: httpx2.Client
    fake: FidoKeyFake = field(default_factory=FidoKeyFake)
    change: Change = as_it_is
    sent: list[str] = field(default_factory=list)

    async def join(self, name: str = NAME, site: Site = SITE) -> OfficerFile:
        """Join as the program does, off the loop."""
        http = httpx2.Client(transport=httpx2.MockTransport(self._carry))
        person = Person(FakePrompts(self.fake.pin))
        return await asyncio.to_thread(
            join,
            RelayCalls(http, self.relay, under="agency", origin=site.origin),
            site,
            invitation=self.invitation,
            name=name,
            make=lambda wanted: make_passkey(
                site, wanted, person=person, devices=self.fake.plugged_in
            ),
        )

    def _carry(self, request: httpx2.Request) -> httpx2.Response:
        self.sent.append(request.read().decode())
        return carry(self.http, request, under="agency", change=self.change)


@asynccontextmanager
async def officer_town(folder: Path) -> AsyncIterator[OfficerTown]:
    """Open it."""
    async with open_world(folder) as world, serving(behind_proxy(world.app)) as port:
        with httpx2.Client(trust_env=False) as http:
            yield OfficerTown(
                world=world,
                relay=f"http://127.0.0.1:{port}",
                invitation=await world.invite_officer(),
                http=http,
            )
