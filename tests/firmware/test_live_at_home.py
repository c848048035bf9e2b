"""A player at home: signalling by the doorbell's own page, rings and recordings without a relay."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from starlette.types import ASGIApp

from firmware.companion.viewer.errors import NotNow, RelayUnreachable
from firmware.companion.viewer.gateway import Gateway
from firmware.companion.viewer.home_door import Gateways, HomeDoor
from firmware.companion.viewer.line import open_line
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.companion.viewer.relay_client import DoorClient, EitherWay, RelayClient
from firmware.live.nonces import MAX_OPEN_NONCES
from firmware.live.ring_feed import DoorEvent
from firmware.local_page.guard import own_origins
from firmware.local_page.live_signalling import BURST, EVERY_S, RequestRate
from firmware.local_page.web_app import door_app
from firmware.notes.event_pictures import EventPicture
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.live import NONCE_LIFE_S, Purpose
from firmware.protocol.players import PlayerSetup
from tests.fakes.clock import ManualClock
from tests.fakes.local_page import URL, Doorbell
from tests.fakes.porch import Porch, porch
from tests.fakes.signed_clip import SignedShelf
from tests.fakes.waiting import eventually, in_time

NOBODY = "http://127.0.0.1:9"
JPEG = bytes(range(256)) * 90


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
    keys: PlayerKeys
    clock: HomeClock
    page: ASGIApp


@asynccontextmanager
async def at_home(**doorbell: object) -> AsyncIterator[AtHome]:
    async with porch(**doorbell) as here:  # type: ignore[arg-type]
        page = door_app(
            Doorbell(),
            origins=own_origins(URL, listen_host="127.0.0.1", listen_port=8402),
            live=here.viewing,
        )
        setup = PlayerSetup(
            relay=NOBODY,
            device=here.keys.device,
            identity_key=b64u(here.keys.signer.spki),
            token="t" * 43,
        )
        keys, clock = PlayerKeys.make("Home Assistant"), HomeClock()
        owner = here.owners.owners[0].passkey.credential_id
        here.browsers.enrol(keys.public, owner, clock.wall_ms())
        transport = httpx2.ASGITransport(page)
        async with (
            httpx2.AsyncClient(transport=transport) as at_door,
            httpx2.AsyncClient(trust_env=False) as outside,
        ):

            def gateway(purpose: Purpose) -> Gateway:
                way = EitherWay(DoorClient(at_door, URL), RelayClient(outside, setup))
                return Gateway(keys=keys, setup=setup, relay=way, clock=clock, purpose=purpose)

            gateways = Gateways(
                live=gateway("live"), rings=gateway("rings"), clips=gateway("clips")
            )
            home = HomeDoor(gateways, setup, clock=clock, open_line=open_line)
            running = asyncio.create_task(home.run())
            try:
                yield AtHome(here, home, keys, clock, page)
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                await home.aclose()


def pressed() -> DoorEvent:
    return DoorEvent(event_id=new_id(), kind="pressed", at_ms=1_790_000_000_000)


def picture_of(event: DoorEvent) -> EventPicture:
    return EventPicture(
        event_id=event.event_id, pts_90k=0, taken_ms=event.at_ms, age_ms=0, jpeg=JPEG
    )


async def test_rings_and_their_pictures_arrive_with_no_relay_in_reach() -> None:
    async with at_home() as at:
        await eventually(lambda: at.home.is_connected)
        news, event = at.home.subscribe(), pressed()
        at.here.rings.happened(event)
        at.here.rings.pictured(picture_of(event))
        while (told := await in_time(news.get())).event is None:
            pass
        assert (told.event.event, told.event.kind) == (event.event_id, "pressed")
        await eventually(lambda: at.home.picture is not None)
        assert at.home.picture is not None
        assert at.home.picture.jpeg == JPEG
        assert at.here.live.watchers == ()


async def test_live_view_is_open_after_a_ring_and_a_touch_alone_and_then_ends() -> None:
    async with at_home() as at:
        await eventually(lambda: at.home.is_connected)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peer.addTransceiver("video", direction="recvonly")
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        with pytest.raises(NotNow):
            await at.home.open(peer.localDescription.sdp)
        at.here.rings.happened(pressed())
        await eventually(lambda: at.home.window is not None)
        opened = await in_time(at.home.open(peer.localDescription.sdp))
        await peer.setRemoteDescription(RTCSessionDescription(sdp=opened.sdp, type="answer"))
        await in_time(peer.getTransceivers()[0].receiver.track.recv())
        assert [one.who.browser_name for one in at.here.live.watchers] == ["Home Assistant"]
        at.clock.ahead_s = 61
        at.home.touch()
        window = at.home.window
        assert window is not None
        assert window.why == "touch"
        await peer.close()


async def test_a_recording_is_fetched_and_must_be_the_signed_one() -> None:
    shelf = SignedShelf()
    async with at_home(shelf=shelf) as at:
        clip = shelf.record(at.here.keys, seconds=2.0, started_ms=1_790_000_000_000)
        (listed,) = await in_time(at.home.clips())
        assert await in_time(at.home.clip(listed.clip_id, clip.digest)) == clip.file.mp4
        with pytest.raises(Exception, match="another recording"):
            await in_time(at.home.clip(listed.clip_id, "0" * 64))


async def test_strangers_get_no_answer_at_the_doorbells_page() -> None:
    async with at_home() as at:
        transport = httpx2.ASGITransport(at.page)
        async with httpx2.AsyncClient(transport=transport, base_url=URL) as web:
            assert (await web.post("/live/nonce")).status_code == 403
            headers = {"Origin": URL}
            large = await web.post("/live/offer", content=b"x" * 300_000, headers=headers)
            assert large.status_code == 413
            said = (await web.post("/live/offer", content=b"{}", headers=headers)).json()
            assert said["error"]["code"] == "bad_form"
        keys = PlayerKeys.make("Thief")
        async with httpx2.AsyncClient(transport=transport) as http:
            door = DoorClient(http, URL)
            thief = Gateway(
                keys=keys, setup=setup_of(at), relay=door, clock=at.clock, purpose="rings"
            )
            with pytest.raises(Exception, match="isn't let in"):
                async with open_line(thief, "rings"):
                    pass
        assert at.here.live.sessions <= 1


def setup_of(at: AtHome) -> PlayerSetup:
    return PlayerSetup(
        relay=NOBODY,
        device=at.here.keys.device,
        identity_key=b64u(at.here.keys.signer.spki),
        token="t" * 43,
    )


def test_nobody_at_home_can_use_up_all_nonces() -> None:
    clock = ManualClock()
    rate, given = RequestRate(clock), 0
    for second in range(int(NONCE_LIFE_S)):
        given += sum(rate.allows(f"10.0.{second}.{address}") for address in range(250))
        clock.advance(1.0)
    assert BURST < given <= BURST + NONCE_LIFE_S / EVERY_S < MAX_OPEN_NONCES


async def test_the_relay_is_used_where_the_door_is_out_of_reach() -> None:
    async with httpx2.AsyncClient(trust_env=False) as http:
        door, relay = DoorClient(http, NOBODY), DoorClient(http, NOBODY)
        with pytest.raises(RelayUnreachable, match="same network"):
            await EitherWay(door, relay).ice() and await EitherWay(door, relay).nonce()
