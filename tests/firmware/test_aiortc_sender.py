"""Shared pictures through real peer connections: ICE, DTLS and SRTP on this machine."""

import asyncio
import gc
import logging
import os
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from aioice.turn import TurnTransport
from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from aiortc.rtp import RtcpByePacket, RtcpPacket

from firmware.capture.unit_hub import UnitHub
from firmware.live.aiortc_sender import MOST_QUEUED_BYTES, SrtpTransport, attach
from firmware.live.link_estimate import LinkReport
from firmware.live.rtp_sender import RtpSender
from firmware.live.stream_source import StreamSource
from firmware.system.clock import SystemClock
from tests.fakes.sink import FunctionSink, PictureList
from tests.fakes.source import QuickSource
from tests.fakes.waiting import PATIENCE_S, eventually, in_time

VIEWERS = int(os.environ.get("DOORWARD_LIVE_VIEWERS", "20"))
"""How many come and leave; 500 in `make soak`."""
SO_NO_CHECK = 11


class Porch:
    """A camera, and the stream of it that is shared."""

    def __init__(self, fps: int = 60, key_frame_interval_s: float = 0.5) -> None:
        self.camera = QuickSource(fps=fps)
        self.hub = UnitHub(PictureList(), asyncio.get_running_loop())
        self.main = StreamSource(
            "main",
            self.hub,
            self.camera,
            key_frame_interval_s=key_frame_interval_s,
        )


class Connection:
    """One viewer: the doorbell's end and the app's, connected to each other."""

    def __init__(self, source: StreamSource, *, has_sound: bool = False) -> None:
        self.here = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.there = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.sender = self.here.addTransceiver("video", direction="sendonly").sender
        self.viewer = RtpSender(source, clock=SystemClock(), random_source=random.Random(1))
        attach(self.sender, self.viewer, random_source=random.Random(1))
        self.sound = self.here.addTrack(AudioStreamTrack()) if has_sound else None

    async def connect(self) -> None:
        there, here = self.there, self.here
        video = there.addTransceiver("video", direction="recvonly")
        capabilities = RTCRtpReceiver.getCapabilities("video")
        h264 = [c for c in capabilities.codecs if c.mimeType.lower() in ("video/h264", "video/rtx")]
        video.setCodecPreferences(h264)
        if self.sound is not None:
            there.addTransceiver("audio", direction="recvonly")
        self.receiver = video.receiver
        await there.setLocalDescription(await there.createOffer())
        here.getTransceivers()[0].setCodecPreferences(
            [
                c
                for c in RTCRtpSender.getCapabilities("video").codecs
                if c.mimeType.lower() in ("video/h264", "video/rtx")
            ]
        )
        await here.setRemoteDescription(
            RTCSessionDescription(sdp=there.localDescription.sdp, type="offer")
        )
        await here.setLocalDescription(await here.createAnswer())
        await there.setRemoteDescription(
            RTCSessionDescription(sdp=here.localDescription.sdp, type="answer")
        )

    async def frames(self, count: int) -> list:
        return [await in_time(self.receiver.track.recv()) for _ in range(count)]

    async def close(self) -> None:
        await self.here.close()
        await self.there.close()


@asynccontextmanager
async def porch(**settings: float) -> AsyncIterator[Porch]:
    here = Porch(**settings)
    here.camera.start(FunctionSink(here.hub.put))
    try:
        yield here
    finally:
        here.main.stop()
        await asyncio.to_thread(here.camera.stop)


@asynccontextmanager
async def connected(source: StreamSource, **settings: object) -> AsyncIterator[Connection]:
    connection = Connection(source, **settings)
    await connection.connect()
    try:
        yield connection
    finally:
        await connection.close()


def video_ssrc(one: Connection) -> int:
    """Return what names the doorbell's video, as its answer says."""
    video = one.here.localDescription.sdp.split("m=video")[1]
    return int(video.split("a=ssrc:")[1].split()[0])


def lose(one: Connection, part: float) -> None:
    """Lose so many of the RTP packets on their way to the app, those sent again as well."""
    transport, dice = one.receiver.transport, random.Random(3)
    take = transport._handle_rtp_data

    async def perhaps(data: bytes, arrival_time_ms: int) -> None:
        if dice.random() >= part:
            await take(data, arrival_time_ms)

    transport._handle_rtp_data = perhaps


def record(one: Connection) -> list[bytes]:
    """Return what will have come to the app, decrypted."""
    transport, arrived = one.receiver.transport, []
    take = transport._handle_rtp_data

    async def also(data: bytes, arrival_time_ms: int) -> None:
        arrived.append(data)
        await take(data, arrival_time_ms)

    transport._handle_rtp_data = also
    return arrived


async def test_two_viewers_decode_shared_pictures() -> None:
    async with porch() as here, connected(here.main) as one, connected(here.main) as other:
        seen: tuple[set[int], set[int]] = (set(), set())

        async def watch(connection: Connection, numbers: set[int]) -> None:
            while len(seen[0] & seen[1]) < 10:
                (frame,) = await connection.frames(1)
                assert (frame.width, frame.height) == (320, 240)
                numbers.add(int(frame.to_ndarray()[0, 0]))

        await in_time(asyncio.gather(watch(one, seen[0]), watch(other, seen[1])))


def _as_seen(taken: list[int], times: list[int]) -> int:
    """Return the time under which the first of these pictures was seen: the steps tell."""
    steps = [after - before for before, after in pairwise(taken)][:5]
    seen = [after - before for before, after in pairwise(times)]
    return next(times[n] for n in range(len(seen)) if seen[n : n + len(steps)] == steps)


async def test_lost_packets_come_again_and_every_picture_is_seen() -> None:
    async with porch() as here, connected(here.main) as one:
        await one.frames(1)
        lose(one, 0.05)
        filmed = here.hub.subscribe("test", max_units=1000)
        here.camera.request_key_frame()
        times = [frame.pts for frame in await one.frames(180)]
        taken = [(await in_time(anext(filmed))).pts_90k for _ in range(100)]
        filmed.close()

        first = times.index(_as_seen(taken, times))
        shift = times[first] - taken[0]
        assert times[first : first + 100] == [pts_90k + shift for pts_90k in taken]
        assert one.viewer.stats.repeats > 0


async def test_a_picture_loss_indication_reaches_the_camera() -> None:
    async with porch(key_frame_interval_s=0.05) as here, connected(here.main) as one:
        await one.frames(3)
        await asyncio.sleep(0.1)
        before = here.camera.key_frame_requests
        await one.receiver._send_rtcp_pli(video_ssrc(one))

        await eventually(lambda: here.camera.key_frame_requests > before)
        assert one.viewer.stats.picture_losses == 1


async def test_receivers_tell_of_their_line() -> None:
    reports: list[LinkReport] = []
    async with porch() as here, connected(here.main) as one:
        one.viewer.on_report(reports.append)
        await one.frames(1)
        await eventually(lambda: one.viewer.stats.rtt_s is not None)
        await eventually(lambda: one.viewer.stats.remb_bps is not None)

        assert 0 <= one.viewer.stats.rtt_s < 5
        assert one.viewer.stats.lost == 0
        assert any(report.sent_bps > 0 for report in reports)


async def test_sender_reports_reach_the_app() -> None:
    async with porch() as here, connected(here.main) as one:
        await one.frames(10)
        stats = None
        async with asyncio.timeout(PATIENCE_S):
            while stats is None:
                known = await one.receiver.getStats()
                stats = next((s for s in known.values() if s.type == "remote-outbound-rtp"), None)
                await asyncio.sleep(0.05)

        assert 0 < stats.packetsSent <= one.viewer.stats.packets
        assert 0 < stats.bytesSent <= one.viewer.stats.octets


async def test_the_app_is_told_when_it_is_over() -> None:
    async with porch() as here, connected(here.main) as one:
        await one.frames(1)
        heard: list[bytes] = []
        transport = one.receiver.transport
        take = transport._handle_rtcp_data

        async def also(data: bytes) -> None:
            heard.append(data)
            await take(data)

        transport._handle_rtcp_data = also
        await one.here.close()
        with pytest.raises(MediaStreamError):
            await one.frames(1000)

        (goodbye,) = RtcpPacket.parse(heard[-1])
        assert isinstance(goodbye, RtcpByePacket)
        assert video_ssrc(one) in goodbye.sources
        assert here.main.sink_count == 0


async def test_sound_and_data_of_the_same_connection_are_left_alone() -> None:
    async with porch() as here:
        one = Connection(here.main, has_sound=True)
        heard: list[str] = []
        opened = asyncio.Event()
        channel = one.there.createDataChannel("words")
        channel.on("open", opened.set)
        one.here.on("datachannel", lambda c: c.on("message", heard.append))
        await one.connect()
        frames = await one.frames(5)
        sound = one.there.getReceivers()[1].track
        samples = [(await in_time(sound.recv())).samples for _ in range(20)]
        await in_time(opened.wait())
        channel.send("hello")
        await eventually(lambda: heard == ["hello"])
        await one.close()

        assert len(frames) == 5
        assert samples == [960] * 20


@pytest.mark.parametrize("can_cut", [True, False])
async def test_a_burst_arrives_whether_or_not_the_kernel_can_cut_it(
    can_cut: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "firmware.live.aiortc_sender")
    async with porch() as here, connected(here.main) as one:
        await one.frames(1)
        transport = one.here.getTransceivers()[0].receiver.transport
        (pair,) = transport.transport._connection._nominated.values()
        shared = pair.protocol.transport.get_extra_info("socket")
        shared.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, not can_cut)  # cutting wants checksums
        arrived = record(one)
        head = struct.pack("!BBHII", 0x80, 97, 0, 0, 77)
        packets = [head[:2] + struct.pack("!H", n) + head[4:] + os.urandom(1200) for n in range(30)]
        packets.append(head[:2] + struct.pack("!H", 30) + head[4:] + b"last")
        wire = SrtpTransport(transport)
        delivery = wire.send(packets)
        wire.close()

        await eventually(lambda: [data for data in arrived if data[8:12] == head[8:]] == packets)
        assert delivery == "sent"
        assert ("one by one" in caplog.text) is not can_cut


class TurnServerFarAway:
    """Stands in for aioice's TURN client: a connection whose buffer is as full as a test says."""

    def __init__(self) -> None:
        self.transport = self
        self.queued_bytes = 0
        self.sent: list[tuple[bytes, tuple[str, int]]] = []

    def get_write_buffer_size(self) -> int:
        return self.queued_bytes

    def is_closing(self) -> bool:
        return False

    async def send_data(self, data: bytes, address: tuple[str, int]) -> None:
        self.sent.append((data, address))


@dataclass
class RelayedPair:
    """What is used of aioice's CandidatePair when it was chosen and is relayed."""

    protocol: object
    remote_addr: tuple[str, int] = ("192.0.2.9", 9)


async def test_over_turn_packets_go_through_its_client_and_a_full_one_takes_none() -> None:
    async with porch() as here, connected(here.main) as one:
        await one.frames(1)
        transport = one.here.getTransceivers()[0].receiver.transport
        server = TurnServerFarAway()
        one.viewer.close()
        nominated = transport.transport._connection._nominated
        direct = nominated[1]
        nominated[1] = RelayedPair(SimpleNamespace(transport=TurnTransport(server)))
        wire = SrtpTransport(transport)
        packet = struct.pack("!BBHII", 0x80, 97, 1, 0, 77) + b"x" * 1000
        server.queued_bytes = MOST_QUEUED_BYTES + 1
        assert wire.send([packet]) == "full"
        server.queued_bytes = 0
        assert wire.send([packet, packet[:2] + b"\x00\x02" + packet[4:]]) == "sent"
        nominated[1] = direct
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        assert [address for _, address in server.sent] == [("192.0.2.9", 9)] * 2
        assert all(data[8:12] == packet[8:12] and len(data) > 1012 for data, _ in server.sent)


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def living(kind: type) -> int:
    gc.collect()
    return sum(isinstance(thing, kind) for thing in gc.get_objects())


async def test_viewers_that_come_and_leave_leave_nothing_behind() -> None:
    async with porch() as here:
        async with connected(here.main) as one:
            await one.frames(1)
        await asyncio.sleep(0.1)
        files, tasks, viewers = open_files(), len(asyncio.all_tasks()), living(RtpSender)
        for _ in range(VIEWERS // 5):
            several = [Connection(here.main) for _ in range(5)]
            await asyncio.gather(*[one.connect() for one in several])
            await several[0].frames(1)
            await asyncio.gather(*[one.close() for one in several])
        del several, one

        await eventually(lambda: here.main.sink_count == 0)
        await eventually(lambda: open_files() <= files)
        await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
        await eventually(lambda: living(RtpSender) <= viewers)


async def test_a_viewer_whose_app_vanishes_ends_by_itself() -> None:
    async with porch() as here, connected(here.main) as one:
        ended = asyncio.Event()
        one.viewer.on_end(ended.set)
        await one.frames(1)
        connection = one.here.getTransceivers()[0].receiver.transport.transport._connection
        connection._nominated.clear()  # as aioice does when consent expires

        await in_time(ended.wait())
        assert here.main.sink_count == 0
