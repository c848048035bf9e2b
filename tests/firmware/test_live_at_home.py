"""A player at home: signalling by the doorbell's own page, rings and recordings without a relay."""

import httpx2
import pytest
from aiortc import RTCSessionDescription

from firmware.companion.viewer.connection import open_connection
from firmware.companion.viewer.errors import NotNow, RelayRefused, RelayUnreachable
from firmware.companion.viewer.gateway import Gateway
from firmware.companion.viewer.player_keys import PlayerKeys
from firmware.companion.viewer.relay_client import DoorClient, EitherWay
from firmware.live.nonces import MAX_OPEN_NONCES
from firmware.local_page.live_signalling import BURST, EVERY_S, RequestRate
from firmware.protocol.live import NONCE_LIFE_S
from firmware.protocol.rights import What
from tests.fakes.clock import ManualClock
from tests.fakes.home_gateway import NOBODY, a_players_offer, at_home
from tests.fakes.local_page import URL
from tests.fakes.signed_clip import SignedShelf
from tests.fakes.waiting import eventually, in_time

JPEG = bytes(range(256)) * 90


async def test_rings_and_their_pictures_arrive_with_no_relay_in_reach() -> None:
    async with at_home() as at:
        await eventually(lambda: at.home.is_connected)
        news = at.home.subscribe()
        event = at.happen("pressed", JPEG)
        while (told := await in_time(news.get())).event is None:
            pass
        assert (told.event.event, told.event.kind) == (event.event_id, "pressed")
        await eventually(lambda: at.home.picture is not None)
        assert at.home.picture is not None
        assert at.home.picture.jpeg == JPEG
        assert at.here.live.watchers == ()


async def test_live_view_is_open_after_a_ring_and_a_touch_alone_and_then_ends() -> None:
    async with at_home() as at, a_players_offer() as peer:
        await eventually(lambda: at.home.is_connected)
        with pytest.raises(NotNow):
            await at.home.open(peer.localDescription.sdp)
        at.happen("pressed")
        await eventually(lambda: at.home.window is not None)
        opened = await in_time(at.home.open(peer.localDescription.sdp))
        await peer.setRemoteDescription(RTCSessionDescription(sdp=opened.sdp, type="answer"))
        await in_time(peer.getTransceivers()[0].receiver.track.recv())
        assert [one.who.browser_name for one in at.here.live.watchers] == ["Home Assistant"]
        at.clock.ahead_s = 61
        assert at.home.window is None
        at.home.touch()
        window = at.home.window
        assert window is not None
        assert window.why == "touch"


async def test_a_recording_is_fetched_and_must_be_the_signed_one() -> None:
    shelf = SignedShelf()
    async with at_home(shelf=shelf) as at:
        clip = shelf.record(at.here.keys, seconds=2.0, started_ms=1_790_000_000_000)
        (listed,) = await in_time(at.home.clips())
        assert await in_time(at.home.clip(listed.clip_id, listed.manifest_digest)) == clip.file.mp4
        with pytest.raises(Exception, match="another recording"):
            await in_time(at.home.clip(listed.clip_id, "0" * 64))


@pytest.mark.parametrize(
    ("what", "refused"), [(("rings",), "history"), (("history", "live"), "rings")]
)
async def test_the_doorbell_gives_only_what_the_right_has(
    what: tuple[What, ...], refused: What
) -> None:
    async with at_home(what=what, shelf=SignedShelf()) as at:
        if refused == "history":
            await eventually(lambda: at.home.is_connected)
            with pytest.raises(RelayRefused, match="history"):
                await in_time(at.home.clips())
        else:
            await eventually(lambda: "rings" in at.home.problem)
            assert not at.home.is_connected


async def test_a_right_that_is_narrowed_ends_the_line() -> None:
    async with at_home() as at:
        await eventually(lambda: at.home.is_connected)
        at.give("live")
        await eventually(lambda: not at.home.is_connected)


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
            thief = Gateway(keys=keys, setup=at.setup, relay=door, clock=at.clock, purpose="rings")
            with pytest.raises(Exception, match="isn't let in"):
                async with open_connection(thief, "rings"):
                    pass
        assert at.here.live.sessions <= 1


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
