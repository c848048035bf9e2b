"""Live view over real UDP: an aiortc viewer on the other side of LiveSessions."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, rtcrtpsender
from aiortc.mediastreams import MediaStreamError

from firmware.capture.hub import UnitHub
from firmware.live.clip_channel import (
    CHUNK_BYTES,
    HIGH_WATER_BYTES,
    ClipChannel,
    parse_wish,
)
from firmware.live.errors import LiveError
from firmware.live.feed import ClipFile, ClipLine
from firmware.live.keyframes import KeyFrameGate
from firmware.live.session import LiveSessions, UnitTrack
from firmware.protocol.commands import IceServer
from firmware.protocol.encoding import WireError, new_id, sha256_hex
from firmware.protocol.footage import SignedManifest, split_annex_b
from tests.fakes.source import QuickSource

CLIP_ID = "a" * 26
MP4 = bytes(range(256)) * 8192 + b"end"


class Shelf:
    """One clip."""

    def newest(self, limit: int) -> list[ClipLine]:
        return [
            ClipLine(
                clip_id=CLIP_ID,
                started_ms=1,
                duration_ms=12_000,
                manifest_digest="d" * 64,
                pre_roll_ms=6000,
            )
        ][:limit]

    async def plain_mp4(self, clip_id: str) -> ClipFile | None:
        if clip_id != CLIP_ID:
            return None
        manifest = SignedManifest(manifest="{}", signature="AA")
        return ClipFile(mp4=MP4, manifest_digest="d" * 64, manifest=manifest)


@dataclass
class Porch:
    """A camera, its hub, and the sessions under test."""

    source: QuickSource
    hub: UnitHub
    live: LiveSessions


@asynccontextmanager
async def porch(**settings: float) -> AsyncIterator[Porch]:
    source = QuickSource()
    hub = UnitHub(ring_add=lambda _: None, loop=asyncio.get_running_loop())
    live = LiveSessions(hub, Shelf(), request_key_frame=source.request_key_frame, **settings)
    source.start(hub.put, lambda _: None)
    try:
        yield Porch(source, hub, live)
    finally:
        await live.aclose()
        await asyncio.to_thread(source.stop)


@dataclass
class Viewer:
    """What an owner's app is to the doorbell."""

    peer: RTCPeerConnection = field(
        default_factory=lambda: RTCPeerConnection(RTCConfiguration(iceServers=[]))
    )
    messages: asyncio.Queue[str | bytes] = field(default_factory=asyncio.Queue)

    async def offer(self) -> str:
        self.peer.addTransceiver("video", direction="recvonly")
        self.channel = self.peer.createDataChannel("clips")
        self.channel.on("message", self.messages.put_nowait)
        self.opened = asyncio.Event()
        self.channel.on("open", self.opened.set)
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def watch(self, live: LiveSessions, session_id: str) -> None:
        answer = await live.answer(session_id, await self.offer(), [])
        await self.peer.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    async def frames(self, count: int) -> list:
        track = self.peer.getReceivers()[0].track
        return [await track.recv() for _ in range(count)]

    async def said(self) -> dict:
        message = await self.messages.get()
        assert isinstance(message, str)
        return json.loads(message)


@asynccontextmanager
async def viewer() -> AsyncIterator[Viewer]:
    someone = Viewer()
    try:
        yield someone
    finally:
        await someone.peer.close()


async def eventually(is_so: Callable[[], bool], within_s: float = 5) -> None:
    end_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end_s, "it never came about"
        await asyncio.sleep(0.02)


async def in_time(work: Awaitable, seconds: float = 8) -> object:
    async with asyncio.timeout(seconds):
        return await work


async def offer_of_nobody() -> str:
    async with viewer() as someone:
        return await someone.offer()


async def test_a_viewer_sees_thirty_decoded_frames_over_udp() -> None:
    async with porch() as here, viewer() as someone:
        await someone.watch(here.live, new_id())
        frames = await in_time(someone.frames(30))

        assert [(frame.width, frame.height) for frame in frames] == [(320, 240)] * 30
        assert here.live.viewers == 1


async def test_access_units_pass_unchanged_and_the_first_is_a_key_frame() -> None:
    async with porch() as here:
        seen = here.hub.subscribe("test")
        gate = KeyFrameGate(here.source.request_key_frame)
        track = UnitTrack(here.hub, gate)
        packet = await in_time(track.recv())
        track.stop()
        unit = await in_time(anext(seen))
        while unit.pts_90k < packet.pts:
            unit = await in_time(anext(seen))

        assert bytes(packet) == unit.data
        kinds = {nal[0] & 0x1F for nal in split_annex_b(bytes(packet))}
        assert {5, 7, 8} <= kinds


async def test_joining_asks_the_camera_for_a_key_frame() -> None:
    async with porch() as here, viewer() as someone:
        await asyncio.sleep(0.1)
        before = here.source.key_frame_requests
        await someone.watch(here.live, new_id())
        await in_time(someone.frames(1))

        assert here.source.key_frame_requests > before


async def test_a_picture_loss_indication_reaches_the_camera() -> None:
    async with porch() as here, viewer() as someone:
        await someone.watch(here.live, new_id())
        await in_time(someone.frames(3))
        await asyncio.sleep(0.6)
        before = here.source.key_frame_requests
        receiver = someone.peer.getReceivers()[0]
        (ssrc,) = receiver._RTCRtpReceiver__active_ssrc
        await receiver._send_rtcp_pli(ssrc)

        await eventually(lambda: here.source.key_frame_requests > before)


async def test_many_wishes_for_key_frames_become_few() -> None:
    asked: list[float] = []
    gate = KeyFrameGate(lambda: asked.append(time.monotonic()), interval_s=0.2)
    for _ in range(50):
        gate.ask()
        await asyncio.sleep(0.01)
    gate.stop()

    assert 2 <= len(asked) <= 4
    assert all(b - a >= 0.19 for a, b in pairwise(asked))


async def test_a_viewer_that_is_too_slow_goes_on_at_a_key_frame_that_it_asks_for() -> None:
    async with porch() as here:
        requests = []
        track = UnitTrack(here.hub, KeyFrameGate(lambda: requests.append(1)))
        first = await in_time(track.recv())
        await asyncio.sleep(1.5)  # 60 fps: more than the queue of 60 holds
        here.source.request_key_frame()
        late = await in_time(track.recv())
        while late.pts - first.pts < 90_000:
            late = await in_time(track.recv())
        await asyncio.sleep(0.6)
        track.stop()

        assert 5 in {nal[0] & 0x1F for nal in split_annex_b(bytes(late))}
        assert len(requests) == 2


async def test_a_clip_arrives_bit_for_bit() -> None:
    async with porch() as here, viewer() as someone:
        await someone.watch(here.live, new_id())
        await in_time(someone.opened.wait())
        someone.channel.send(json.dumps({"get": CLIP_ID}))
        head = await in_time(someone.said())
        chunks = []
        while isinstance(message := await in_time(someone.messages.get()), bytes):
            chunks.append(message)

        assert head["size"] == len(MP4)
        assert head["manifest"] == {"manifest": "{}", "signature": "AA"}
        assert sha256_hex(b"".join(chunks)) == sha256_hex(MP4)
        assert max(len(chunk) for chunk in chunks) == CHUNK_BYTES
        assert json.loads(message) == {"end": CLIP_ID}


async def test_the_list_and_errors_come_over_the_same_channel() -> None:
    async with porch() as here, viewer() as someone:
        await someone.watch(here.live, new_id())
        await in_time(someone.opened.wait())
        someone.channel.send('{"list":true}')
        someone.channel.send(json.dumps({"get": "b" * 26}))
        someone.channel.send("{")
        someone.channel.send(b"bytes")

        assert (await in_time(someone.said()))["clips"][0]["clip_id"] == CLIP_ID
        for _ in range(3):
            assert set(await in_time(someone.said())) == {"error"}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"list":false}', '{"get":"A"}', '{"list":true,"get":"' + "a" * 26 + '"}',
     '{"get":"../etc/passwd"}', '{"list":true,"more":1}', '{"list":true' + " " * 5000 + "}"],
)  # fmt: skip
def test_refuses_what_is_not_exactly_one_wish(text: str) -> None:
    with pytest.raises(WireError):
        parse_wish(text)


class StuckChannel:
    """A data channel whose peer takes nothing."""

    def __init__(self) -> None:
        self.bufferedAmount = 0
        self.bufferedAmountLowThreshold = 0
        self.readyState = "open"
        self.handlers: dict[str, Callable] = {}

    def send(self, data: bytes | str) -> None:
        self.bufferedAmount += len(data)

    def on(self, event: str, f: Callable) -> None:
        self.handlers[event] = f


async def test_a_peer_that_takes_nothing_costs_bounded_memory() -> None:
    channel = StuckChannel()
    clips = ClipChannel(Shelf())
    clips.attach(channel)
    serving = asyncio.create_task(clips.serve())
    for _ in range(100):
        channel.handlers["message"](json.dumps({"get": CLIP_ID}))
    await asyncio.sleep(0.1)

    assert channel.bufferedAmount < HIGH_WATER_BYTES + 2 * CHUNK_BYTES
    channel.readyState = "closed"
    channel.handlers["close"]()
    await in_time(serving)


async def test_a_fifth_viewer_is_refused_with_a_reason() -> None:
    async with porch(max_viewers=1) as here:
        await here.live.answer("a" * 26, await offer_of_nobody())
        with pytest.raises(LiveError, match="close one") as refused:
            await here.live.answer("b" * 26, await offer_of_nobody())

        assert refused.value.reason == "too_many_viewers"
        await here.live.close("a" * 26)
        assert here.live.viewers == 0


async def test_the_same_offer_twice_gets_the_same_answer() -> None:
    async with porch() as here:
        offer = await offer_of_nobody()
        session_id = new_id()
        first, again = await asyncio.gather(
            here.live.answer(session_id, offer), here.live.answer(session_id, offer)
        )

        assert first == again
        assert here.live.viewers == 1
        with pytest.raises(LiveError, match="another offer"):
            await here.live.answer(session_id, await offer_of_nobody())


def _sendonly(offer: str) -> str:
    return offer.replace("a=recvonly", "a=sendonly")


def _torn(offer: str) -> str:
    return offer.replace("a=ice-ufrag", "a=x").replace("a=mid:0", "a=mid")


BAD_OFFERS: list[Callable[[str], str]] = [
    lambda _: "",
    lambda _: "hello",
    lambda offer: offer.replace("H264", "VP8"),
    lambda offer: offer.replace("m=video", "m=audio"),
    lambda offer: offer[:300],
    lambda offer: offer + "a=x\r\n" * 70_000,
    lambda offer: offer.replace("profile-level-id=42", "profile-level-id=64"),
    _sendonly,
    _torn,
]


async def test_bad_offers_are_refused_and_leave_no_session() -> None:
    async with porch() as here:
        offer = await offer_of_nobody()
        for spoil in BAD_OFFERS:
            with pytest.raises(LiveError):
                await here.live.answer(new_id(), spoil(offer))

            assert here.live.viewers == 0


async def test_a_bad_ice_server_is_refused_and_leaves_no_session() -> None:
    async with porch() as here:
        with pytest.raises(LiveError):
            await here.live.answer(
                new_id(), await offer_of_nobody(), [IceServer(urls=["http://nowhere"])]
            )

        assert here.live.viewers == 0


async def test_thirty_offers_that_are_dropped_leave_nothing() -> None:
    async with porch(connect_s=0.05) as here:
        offer = await offer_of_nobody()
        tasks = len(asyncio.all_tasks())
        for _ in range(30):
            await here.live.answer(new_id(), offer)
            await eventually(lambda: here.live.viewers == 0)
        await asyncio.sleep(0.1)

        assert len(asyncio.all_tasks()) <= tasks


async def test_a_viewer_that_leaves_is_cleared_away() -> None:
    async with porch() as here:
        async with viewer() as someone:
            await someone.watch(here.live, new_id())
            await in_time(someone.frames(1))
        await eventually(lambda: here.live.viewers == 0)


async def test_a_session_ends_when_its_time_is_over() -> None:
    async with porch(session_s=0.3) as here, viewer() as someone:
        await someone.watch(here.live, new_id())
        with pytest.raises(MediaStreamError):
            await in_time(someone.frames(1000))

        await eventually(lambda: here.live.viewers == 0)


async def test_closing_while_the_answer_is_made_is_told_to_who_waits() -> None:
    async with porch() as here:
        session_id = new_id()
        waiting = asyncio.create_task(here.live.answer(session_id, await offer_of_nobody()))
        await asyncio.sleep(0)
        await here.live.close(session_id)
        with pytest.raises(LiveError):
            await waiting

        assert here.live.viewers == 0


async def test_the_answer_speaks_h264_only_and_takes_nothing_from_the_viewer() -> None:
    async with porch() as here, viewer() as someone:
        someone.peer.addTransceiver("audio", direction="sendrecv")
        answer = await here.live.answer(new_id(), await someone.offer())

        names = {line.split()[1] for line in answer.splitlines() if line.startswith("a=rtpmap:")}
        video = answer[answer.index("m=video") :]
        assert "H264/90000" in names
        assert not any(name.startswith("VP8") for name in names)
        assert "a=inactive" in answer[: answer.index("m=video")]
        assert "a=sendonly" in video


async def test_the_retransmission_history_holds_a_large_key_frame() -> None:
    async with porch():
        assert rtcrtpsender.RTP_HISTORY_SIZE == 2048
