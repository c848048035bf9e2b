"""A doorbell on a porch, and `doorward-view` at home that reaches it by its own page alone."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
from aiortc import RTCConfiguration, RTCPeerConnection
from starlette.types import ASGIApp

from firmware.companion.viewer.connection import open_connection
from firmware.companion.viewer.gateway import Gateway
from firmware.companion.viewer.home_door import Gateways, HomeDoor
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.companion.viewer.relay_client import DoorClient, EitherWay, RelayClient
from firmware.live.ring_feed import DoorEvent, DoorEventKind
from firmware.local_page.guard import own_origins
from firmware.local_page.web_app import door_app
from firmware.notes.event_pictures import EventPicture
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.live import Purpose
from firmware.protocol.players import PlayerSetup
from firmware.protocol.rights import SELF_RENEWED_MS, Right, What
from tests.fakes.local_page import URL, Doorbell
from tests.fakes.porch import Porch, porch

NOBODY = "http://127.0.0.1:9"
NAME = "Home Assistant"


class HomeClock:
    """A player's clock that a test sets forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic() + self.ahead_s


@dataclass
class AtHome:
    """A doorbell, its page, and a smart home's gateway that no relay helps."""

    here: Porch
    home: HomeDoor
    live: Gateway
    keys: PlayerKeys
    clock: HomeClock
    page: ASGIApp

    @property
    def setup(self) -> PlayerSetup:
        return setup_of(self.here)

    def give(self, *what: What) -> None:
        """Give the player another right."""
        now_ms = self.clock.wall_ms()
        right = Right(
            holder="player",
            what=sorted(what),
            from_ms=0,
            until_ms=now_ms + SELF_RENEWED_MS,
        )
        owner = self.here.owners.owners[0].passkey.credential_id
        self.here.browsers.give(self.keys.public, owner, right, now_ms)

    def happen(self, kind: DoorEventKind, jpeg: bytes | None = None) -> DoorEvent:
        """Let something happen at the door."""
        now_ms = self.clock.wall_ms()
        event = DoorEvent(event_id=new_id(), kind=kind, at_ms=now_ms)
        self.here.rings.happened(event)
        if jpeg is not None:
            picture = EventPicture(
                event_id=event.event_id, pts_90k=0, taken_ms=now_ms, age_ms=0, jpeg=jpeg
            )
            self.here.rings.pictured(picture)
        return event


def setup_of(here: Porch) -> PlayerSetup:
    """Return a player's set-up whose relay nobody reaches."""
    return PlayerSetup(
        relay=NOBODY,
        device=here.keys.device,
        identity_key=b64u(here.keys.signer.spki),
        token="t" * 43,
    )


@asynccontextmanager
async def at_home(
    *, what: Sequence[What] = ("history", "live", "rings"), **doorbell: object
) -> AsyncIterator[AtHome]:
    """Run both; `doorbell` goes to `tests.fakes.porch.porch`."""
    async with porch(**doorbell) as here:  # type: ignore[arg-type]
        page = door_app(
            Doorbell(),
            origins=own_origins(URL, listen_host="127.0.0.1", listen_port=8402),
            live=here.viewing,
        )
        setup = setup_of(here)
        keys, clock = PlayerKeys.make(NAME), HomeClock()
        async with (
            httpx2.AsyncClient(transport=httpx2.ASGITransport(page)) as at_door,
            httpx2.AsyncClient(trust_env=False) as outside,
        ):

            def gateway(purpose: Purpose) -> Gateway:
                way = EitherWay(DoorClient(at_door, URL), RelayClient(outside, setup))
                return Gateway(keys=keys, setup=setup, relay=way, clock=clock, purpose=purpose)

            live = gateway("live")
            gateways = Gateways(live=live, rings=gateway("rings"), clips=gateway("clips"))
            home = HomeDoor(gateways, setup, clock=clock, open_connection=open_connection)
            at = AtHome(here, home, live, keys, clock, page)
            at.give(*what)
            running = asyncio.create_task(home.run(), name="rings")
            try:
                yield at
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await home.aclose()


@asynccontextmanager
async def a_players_offer() -> AsyncIterator[RTCPeerConnection]:
    """Yield a WebRTC peer with an offer to see and hear, as Home Assistant's frontend makes it."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    try:
        yield peer
    finally:
        await peer.close()
