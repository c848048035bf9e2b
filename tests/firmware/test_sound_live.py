"""firmware.sound.opus and firmware.live.audio_tracks: sound to and from viewers, without a
network."""

import asyncio
import fractions
import random
from array import array
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCPeerConnection
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtcpSrPacket
from av import AudioFrame

from firmware.config.settings import SoundConfig
from firmware.live.audio_tracks import MicrophoneTrack, read_voice, stamp_by_capture
from firmware.sound.frames import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_RATE
from firmware.sound.opus import LOOKAHEAD_SAMPLES, OpusEncoder, OpusFeed, OpusPacket
from firmware.sound.sound_system import SoundWiring
from tests.fakes.clock import ManualClock
from tests.fakes.peers import ListedVoice
from tests.fakes.sound import FakeCard, tone
from tests.fakes.waiting import eventually, in_time


class Door:
    """The whole sound side on a fake card."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.clock = ManualClock()
        self.card = FakeCard(self.clock)
        values = {"card": "system", "is_microphone_on": True, "echo": "none"} | settings
        self.sounding = SoundWiring(
            SoundConfig(**values),
            folder,
            clock=self.clock,
            source=random.Random(1),
            card=self.card,
        )
        self.running = asyncio.create_task(self.sounding.run())

    async def hear(self, count: int, samples: bytes | None = None) -> None:
        for number in range(count):
            self.clock.advance(0.02)
            start = number * FRAME_SAMPLES
            self.card.hear(samples or tone(440, FRAME_SAMPLES, start=start))
            await asyncio.sleep(0)
            await asyncio.sleep(0)


@pytest.fixture
async def door(tmp_path: Path):
    made = Door(tmp_path)
    yield made
    made.running.cancel()
    await asyncio.gather(made.running, return_exceptions=True)
    await made.sounding.aclose()


async def test_a_listener_gets_opus_that_sounds_as_the_door_does(door: Door) -> None:
    assert door.sounding.opus is not None
    track = MicrophoneTrack(door.sounding.opus)
    track.listen(True)
    hearing = asyncio.create_task(track.recv())
    await eventually(lambda: door.card.open_now("microphone"))
    decoder, heard, packets = OpusDecoder(), b"", []
    for _ in range(60):
        await door.hear(1)
    packets.append(await hearing)
    while len(packets) < 8:
        packets.append(await in_time(track.recv()))
    for packet in packets:
        (frame,) = decoder.decode(JitterFrame(data=bytes(packet), timestamp=packet.pts))
        heard += bytes(frame.planes[0])[: FRAME_BYTES * 2]
    left = np.frombuffer(heard, np.int16)[FRAME_SAMPLES * 2 :: 2].astype(float)
    peak = np.argmax(np.abs(np.fft.rfft(left * np.hanning(len(left))))) * SAMPLE_RATE / len(left)
    assert peak == pytest.approx(440, abs=10)
    assert {b.pts - a.pts for a, b in pairwise(packets[1:])} == {FRAME_SAMPLES}
    assert packets[0].time_base == fractions.Fraction(1, SAMPLE_RATE)
    track.stop()


async def test_the_time_of_a_packet_counts_the_codecs_own_delay() -> None:
    encoder = OpusEncoder()
    click = bytes(200 * 2) + tone(2000, 100, level=0.9) + bytes((FRAME_SAMPLES - 300) * 2)
    frames = [bytes(FRAME_BYTES)] * 5 + [click] + [bytes(FRAME_BYTES)] * 3
    decoder, line = OpusDecoder(), array("h")
    first_pts = None
    for number, samples in enumerate(frames):
        packet = encoder.encode(number * 1800, samples)
        assert packet is not None
        first_pts = packet.pts_48k if first_pts is None else first_pts
        for frame in decoder.decode(JitterFrame(data=packet.data, timestamp=packet.pts_48k)):
            line.frombytes(bytes(frame.planes[0])[: frame.samples * 4])
    loud = next(n for n, value in enumerate(line[::2]) if abs(value) > 5_000)
    assert first_pts == -LOOKAHEAD_SAMPLES
    assert abs(first_pts + loud - (5 * FRAME_SAMPLES + 200)) < 100


async def test_one_encoder_serves_all_and_rests_when_nobody_listens(tmp_path: Path) -> None:
    made = []

    class Counted(OpusEncoder):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    door = Door(tmp_path)
    feed = OpusFeed(door.sounding.microphone, clock=door.clock, make_encoder=Counted)
    tracks = [MicrophoneTrack(feed) for _ in range(3)]
    await asyncio.sleep(0.02)
    assert made == []
    for track in tracks:
        track.listen(True)
    hearing = [asyncio.create_task(track.recv()) for track in tracks]
    await eventually(lambda: door.card.open_now("microphone"))
    await door.hear(20)
    first = [await in_time(task) for task in hearing]
    assert len(made) == 1
    assert len({bytes(packet) for packet in first}) == 1
    for track in tracks:
        track.listen(False)
    await eventually(lambda: not door.card.open_now("microphone"))
    door.running.cancel()


async def test_an_encoder_that_fails_is_told_and_made_anew_for_the_next_listener(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(OpusEncoder):
        def encode(self, *_: object) -> OpusPacket | None:
            raise ValueError("no more")

    door = Door(tmp_path)
    encoders = iter([Broken(), OpusEncoder()])
    feed = OpusFeed(door.sounding.microphone, clock=door.clock, make_encoder=lambda: next(encoders))
    with feed.subscribe("first", max_packets=10):
        await eventually(lambda: door.card.open_now("microphone"))
        await door.hear(20)
        await eventually(lambda: "viewers get no sound" in caplog.text)
        await eventually(lambda: not door.card.open_now("microphone"))
    with feed.subscribe("second", max_packets=10) as packets:
        await eventually(lambda: door.card.open_now("microphone"))
        await door.hear(20)
        assert (await in_time(anext(packets))).data
    door.running.cancel()


async def test_a_track_that_stops_while_it_waits_ends(door: Door) -> None:
    assert door.sounding.opus is not None
    for is_listening in (False, True):
        track = MicrophoneTrack(door.sounding.opus)
        track.listen(is_listening)
        waiting = asyncio.create_task(track.recv())
        await asyncio.sleep(0.02)
        track.stop()
        with pytest.raises(MediaStreamError):
            await in_time(waiting)
        track.listen(True)
    await eventually(lambda: not door.card.open_now("microphone"))


async def test_live_view_without_sound_has_no_track_to_give(tmp_path: Path) -> None:
    door = Door(tmp_path, is_in_live_view=False)
    assert not door.sounding.opus.is_allowed
    door.running.cancel()


async def test_reports_say_when_a_sound_was_in_the_air(tmp_path: Path) -> None:
    """Between two real peers: what the report maps a packet to is its capture, not its sending."""
    door = Door(tmp_path)
    assert door.sounding.opus is not None
    track = MicrophoneTrack(door.sounding.opus)
    here, there = RTCPeerConnection(), RTCPeerConnection()
    sender = here.addTrack(track)
    stamp_by_capture(sender, track)
    sent: list[tuple[RtcpSrPacket, int]] = []  # with the time stamp of the last packet before it
    stamped = sender._send_rtcp

    async def noted(packets: list) -> None:
        last_sent = sender._RTCRtpSender__rtp_timestamp
        await stamped(packets)
        sent.extend((p, last_sent) for p in packets if isinstance(p, RtcpSrPacket))

    sender._send_rtcp = noted  # type: ignore[method-assign]
    await here.setLocalDescription(await here.createOffer())
    await there.setRemoteDescription(here.localDescription)
    await there.setLocalDescription(await there.createAnswer())
    await here.setRemoteDescription(there.localDescription)
    track.listen(True)
    await eventually(lambda: door.card.open_now("microphone"))
    while not sent or sent[-1][0].sender_info.packet_count < 10:
        await door.hear(1)
        await asyncio.sleep(0.02)
    report, last_sent = sent[-1]
    late = (report.sender_info.rtp_timestamp - last_sent) % 2**32
    assert late % FRAME_SAMPLES == pytest.approx(
        (FRAME_SAMPLES + LOOKAHEAD_SAMPLES) % FRAME_SAMPLES, abs=2
    )
    assert late >= FRAME_SAMPLES
    await here.close()
    await there.close()
    door.running.cancel()


class RemoteTrack(MediaStreamTrack):
    """What aiortc would decode of a viewer's voice."""

    kind = "audio"

    def __init__(self, frames: list[AudioFrame]) -> None:
        super().__init__()
        self._frames = list(frames)
        self.read = 0

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(0)
        if self.read == len(self._frames):
            raise MediaStreamError
        self.read += 1
        return self._frames[self.read - 1]


def stereo(samples: bytes, *, rate: int = SAMPLE_RATE) -> AudioFrame:
    both = np.repeat(np.frombuffer(samples, np.int16), 2).reshape(1, -1)
    frame = AudioFrame.from_ndarray(both, format="s16", layout="stereo")
    frame.sample_rate = rate
    return frame


async def test_a_voice_comes_as_frames_of_20_ms_whatever_the_codec_gives() -> None:
    said = tone(440, FRAME_SAMPLES * 6)
    cuts = [0, 480, 960, 2880, 2880 + 1440, FRAME_SAMPLES * 6]
    frames = [stereo(said[a * 2 : b * 2]) for a, b in pairwise(cuts)]
    heard: list[bytes] = []
    await read_voice(RemoteTrack(frames), ListedVoice(heard.append))
    assert {len(frame) for frame in heard} == {FRAME_BYTES}
    got = array("h", b"".join(heard))
    want = array("h", said)[: len(got)]
    assert len(heard) >= 5
    assert max(abs(a - b) for a, b in zip(got, want, strict=True)) <= 2


async def test_a_voice_of_who_may_not_talk_is_read_and_dropped() -> None:
    track = RemoteTrack([stereo(tone(440, FRAME_SAMPLES))] * 10)
    heard: list[bytes] = []
    await read_voice(track, ListedVoice(heard.append, lambda: False))
    assert track.read == 10
    assert heard == []


async def test_a_picture_on_the_voices_track_is_not_heard() -> None:
    class Picture:
        samples = FRAME_SAMPLES

    voice = [stereo(tone(440, FRAME_SAMPLES))] * 3
    track = RemoteTrack([Picture(), *voice, Picture()])  # type: ignore[list-item]
    heard: list[bytes] = []
    await read_voice(track, ListedVoice(heard.append))
    assert track.read == 5
    assert {len(frame) for frame in heard} == {FRAME_BYTES}
