"""One stream and its viewers without a network: who gets which picture, when, and at whose cost."""

import asyncio
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from firmware.live.drip import CATCH_UP_PACKETS
from firmware.live.keyframes import KEY_FRAME_EVERY_S, KEY_FRAMES_AT_ONCE
from firmware.live.line import LineReport
from firmware.live.repeats import AT_ONCE, FEW, TWICE_AT_ONCE
from firmware.live.rtp_stream import ntp_of
from firmware.live.source import CATCH_UP_S, Source
from firmware.live.viewer import Viewer
from tests.fakes.clock import ManualClock
from tests.fakes.fanout import PARAMETERS, FakeFeed, FakeUnit, FakeWire

FRAME_90K = 3000


class Room:
    """A clock, streams and viewers."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.feed = FakeFeed()
        self.main = self.source("main", self.feed)
        self.sources = [self.main]

    def source(self, name: str, feed: FakeFeed, *, is_live: bool = True) -> Source:
        return Source(
            name,
            feed,
            request_key_frame=feed.request_key_frame,
            is_live=is_live,
            key_frame_interval_s=0.05,
        )

    def viewer(self, source: Source | None = None) -> tuple[Viewer, FakeWire]:
        viewer = Viewer(source or self.main, clock=self.clock, random_source=random.Random(5))
        wire = FakeWire()
        viewer.start(PARAMETERS, wire)
        return viewer, wire

    def expected(self) -> tuple[Viewer, FakeWire]:
        viewer = Viewer(self.main, clock=self.clock, random_source=random.Random(7))
        viewer.expect()
        return viewer, FakeWire()

    def now_90k(self) -> int:
        return self.clock.monotonic_ns() * 9 // 100_000

    async def film(
        self, *, is_key: bool = False, size_bytes: int = 100, feed: FakeFeed | None = None
    ) -> None:
        """Let a frame's time pass and give the picture that was taken at its end."""
        self.clock.advance(1 / 30)
        unit = FakeUnit(self.now_90k(), is_key=is_key, size_bytes=size_bytes)
        await (feed or self.feed).give(unit)


@pytest.fixture
async def room() -> Iterator[Room]:
    here = Room()
    await asyncio.sleep(0)
    yield here
    here.main.stop()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110  # the packets of a fake wire set no event
            await asyncio.sleep(0.001)


def timestamps(wire: FakeWire) -> list[int]:
    return [struct.unpack_from("!I", packet, 4)[0] for packet in wire.packets]


def payloads(wire: FakeWire) -> list[bytes]:
    return [packet[12:] for packet in wire.packets]


def sequences(wire: FakeWire) -> list[int]:
    return [struct.unpack_from("!H", packet, 2)[0] for packet in wire.packets]


async def test_a_viewer_begins_at_a_key_frame_that_it_asks_for(room: Room) -> None:
    _, wire = room.viewer()
    await room.film()
    assert wire.packets == []
    assert room.feed.key_frame_requests == 1

    await room.film(is_key=True)
    await room.film()
    assert [payload[0] & 0x1F for payload in payloads(wire)] == [5, 1]


async def test_who_is_expected_finds_a_key_frame_that_was_asked_for_before(room: Room) -> None:
    viewer, wire = room.expected()
    await asyncio.sleep(0)
    assert room.feed.key_frame_requests == 1

    await room.film(is_key=True)
    await room.film()
    assert wire.packets == []
    viewer.start(PARAMETERS, wire)
    await asyncio.sleep(0.001)
    assert [payload[0] & 0x1F for payload in payloads(wire)] == [5, 1]
    assert room.feed.key_frame_requests == 1


async def test_who_joins_a_stream_begins_at_its_newest_key_frame_and_misses_nothing(
    room: Room,
) -> None:
    _, first = room.viewer()
    await room.film(is_key=True, size_bytes=100_000)
    await asyncio.sleep(0.02)
    for size_bytes in (15_000, 15_001, 15_002):
        await room.film(size_bytes=size_bytes)
    _, second = room.viewer()
    await room.film(size_bytes=15_003)  # while it catches up
    assert 0 < len(second.packets) < len(first.packets)
    await asyncio.sleep(0.03)
    await room.film(size_bytes=15_004)

    assert payloads(second) == payloads(first)
    assert timestamps(second) == sorted(timestamps(second))
    assert max(second.bursts) <= CATCH_UP_PACKETS
    assert room.feed.key_frame_requests == 1


async def test_a_key_frame_that_is_long_ago_is_not_shown_to_who_joins(room: Room) -> None:
    room.viewer()
    await room.film(is_key=True)
    room.clock.advance(CATCH_UP_S)
    await room.film()
    _, wire = room.viewer()
    await room.film()

    assert wire.packets == []


@pytest.mark.parametrize(("age_s", "requests"), [(0.2, 1), (0.5, 2)])
async def test_a_key_frame_is_made_for_who_is_expected_unless_there_was_one_just_now(
    room: Room, age_s: float, requests: int
) -> None:
    room.viewer()
    await room.film(is_key=True)
    await asyncio.sleep(0.06)
    room.clock.advance(age_s)
    room.expected()
    await asyncio.sleep(0)

    assert room.feed.key_frame_requests == requests


async def test_who_is_expected_and_does_not_come_leaves_nothing_behind(room: Room) -> None:
    viewer, _ = room.expected()
    await asyncio.sleep(0)
    assert room.main.takers == 1
    viewer.close()
    await asyncio.sleep(0)

    assert room.feed.streams == []
    assert room.main.takers == 0


async def test_who_is_expected_can_be_given_another_stream_before_they_come(room: Room) -> None:
    small = FakeFeed()
    other = room.source("small", small)
    viewer, wire = room.expected()
    viewer.use(other)
    await room.film(is_key=True, feed=small)
    viewer.start(PARAMETERS, wire)
    await asyncio.sleep(0.001)

    assert len(wire.packets) == 1
    assert room.main.takers == 0


async def test_nothing_filmed_before_a_new_mask_is_sent_to_who_joins_or_catches_up(
    room: Room,
) -> None:
    room.viewer()
    await room.film(is_key=True, size_bytes=148_000)
    await asyncio.sleep(0.02)
    await room.film()
    _, catching_up = room.viewer()
    await asyncio.sleep(0.001)
    room.main.discard()
    sent = len(catching_up.packets)
    assert 0 < sent < 124
    _, late = room.viewer()
    await asyncio.sleep(0.03)
    await room.film()

    assert len(catching_up.packets) == sent
    assert late.packets == []


async def test_a_line_that_is_full_while_catching_up_goes_on_at_a_key_frame(room: Room) -> None:
    room.viewer()
    await room.film(is_key=True, size_bytes=148_000)
    await asyncio.sleep(0.02)
    for _ in range(3):
        await room.film(size_bytes=148_000)
        await asyncio.sleep(0.01)
    _, wire = room.viewer()
    await asyncio.sleep(0.001)
    sent = len(wire.packets)
    wire.delivery = "full"
    await asyncio.sleep(0.004)
    wire.delivery = "sent"
    await room.film()
    assert len(wire.packets) == sent

    await room.film(is_key=True)
    assert len(wire.packets) == sent + 1


async def test_two_viewers_get_the_same_pictures_under_numbers_of_their_own(room: Room) -> None:
    first, second = room.viewer()[1], FakeWire()
    other = Viewer(room.main, clock=room.clock, random_source=random.Random(6))
    other.start(replace(PARAMETERS, ssrc=9), second)
    await room.film(is_key=True, size_bytes=20_000)
    await room.film(size_bytes=3000)
    await asyncio.sleep(0.02)

    assert payloads(first) == payloads(second) != []
    assert sequences(first) != sequences(second)
    assert len(room.feed.streams) == 1


async def test_nobody_reads_the_camera_when_nobody_watches(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True)
    viewer.close()
    await asyncio.sleep(0)

    assert room.feed.streams == []
    assert wire.is_closed
    assert room.main.takers == 0


async def test_a_second_viewer_can_come_after_the_first_has_left(room: Room) -> None:
    room.viewer()[0].close()
    _, wire = room.viewer()
    await room.film(is_key=True)

    assert len(wire.packets) == 1


async def test_a_large_key_frame_leaves_in_bursts_over_some_ms(room: Room) -> None:
    _, wire = room.viewer()
    begin = asyncio.get_running_loop().time()
    await room.film(is_key=True, size_bytes=148_000)
    await until(lambda: len(wire.packets) == 124)

    assert 0.005 <= asyncio.get_running_loop().time() - begin <= 0.1
    assert wire.bursts == [31, 31, 31, 31]


async def test_a_viewer_whose_line_is_full_hurts_nobody_and_goes_on_at_a_key_frame(
    room: Room,
) -> None:
    stalled, full = room.viewer()
    _, well = room.viewer()
    await room.film(is_key=True)
    full.delivery = "full"
    await room.film()
    full.delivery = "sent"
    await room.film()
    await room.film(is_key=True)
    await room.film()

    assert [payload[0] & 0x1F for payload in payloads(well)] == [5, 1, 1, 5, 1]
    assert [payload[0] & 0x1F for payload in payloads(full)] == [5, 5, 1]
    assert stalled.stats.skipped_units == 2


async def test_what_found_no_room_keeps_its_number_and_can_be_asked_for(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True)
    wire.delivery = "full"
    await room.film()
    wire.delivery = "sent"
    await room.film(is_key=True)
    first, last = sequences(wire)
    assert last == first + 2

    viewer.hear_lost([first + 1])
    assert wire.packets[-1][12:15] == struct.pack("!HB", first + 1, 0x41)


async def test_a_line_that_is_gone_ends_the_viewer_once(room: Room) -> None:
    viewer, wire = room.viewer()
    ended: list[bool] = []
    viewer.on_end(lambda: ended.append(True))
    wire.delivery = "gone"
    await room.film(is_key=True)
    await room.film(is_key=True)

    assert ended == [True]
    assert room.main.takers == 0


async def test_a_stream_that_ends_ends_its_viewers(room: Room) -> None:
    viewer, _ = room.viewer()
    ended: list[bool] = []
    viewer.on_end(lambda: ended.append(True))
    await room.film(is_key=True)
    room.feed.end()
    await asyncio.sleep(0.01)

    assert ended == [True]


async def test_a_camera_that_fails_ends_its_viewers_and_nothing_else(room: Room) -> None:
    viewer, _ = room.viewer()
    ended: list[bool] = []
    viewer.on_end(lambda: ended.append(True))
    await asyncio.sleep(0)
    await room.feed.give("rubbish")  # type: ignore[arg-type]
    await asyncio.sleep(0.01)

    assert ended == [True]


async def test_goes_over_to_another_stream_at_its_key_frame_and_not_before(room: Room) -> None:
    viewer, wire = room.viewer()
    small_feed = FakeFeed()
    small = room.source("small", small_feed)
    await room.film(is_key=True)
    viewer.use(small)
    await asyncio.sleep(0)
    assert (viewer.stats.source, viewer.stats.next_source) == ("main", "small")
    assert small_feed.key_frame_requests == 1
    await room.film(feed=small_feed, size_bytes=40)
    await room.film()
    await room.film(is_key=True, feed=small_feed, size_bytes=50)
    await room.film()
    await room.film(feed=small_feed, size_bytes=60)

    assert [len(payload) for payload in payloads(wire)] == [101, 101, 51, 61]
    assert room.feed.streams == []
    assert (viewer.stats.source, viewer.stats.next_source) == ("small", None)
    small.stop()


async def test_changing_ones_mind_keeps_the_stream_that_one_has(room: Room) -> None:
    viewer, wire = room.viewer()
    small_feed = FakeFeed()
    small = room.source("small", small_feed)
    await room.film(is_key=True)
    viewer.use(small)
    await asyncio.sleep(0)
    viewer.use(room.main)
    await asyncio.sleep(0)
    await room.film(is_key=True, feed=small_feed)
    await room.film()

    assert [payload[0] & 0x1F for payload in payloads(wire)] == [5, 1]
    assert small_feed.streams == []
    assert room.main.takers == 1


async def test_a_picture_that_is_half_sent_is_finished_before_another_stream_takes_over(
    room: Room,
) -> None:
    viewer, wire = room.viewer()
    small_feed = FakeFeed()
    small = room.source("small", small_feed)
    viewer.use(small)
    await asyncio.sleep(0)
    await room.film(is_key=True, size_bytes=148_000)
    assert 0 < len(wire.packets) < 124
    await room.film(is_key=True, feed=small_feed, size_bytes=50)
    await asyncio.sleep(0.03)

    assert len(wire.packets) == 125
    assert len(set(timestamps(wire)[:124])) == 1
    assert len(payloads(wire)[124]) == 51
    small.stop()


async def test_times_never_go_back_from_live_to_a_clip_and_home_again(room: Room) -> None:
    viewer, wire = room.viewer()
    clip_feed = FakeFeed()
    clip = room.source("clip", clip_feed, is_live=False)
    await room.film(is_key=True)
    viewer.use(clip)
    await asyncio.sleep(0)
    for number in range(4):
        room.clock.advance(1 / 30)
        await clip_feed.give(FakeUnit(number * FRAME_90K, is_key=number == 0))
    room.clock.advance(1 / 30)
    await clip_feed.give(FakeUnit(20 * 90_000, is_key=True))  # somebody seeks
    viewer.use(room.main)
    await asyncio.sleep(0)
    await room.film(is_key=True)

    steps = [
        (after - before) & 0xFFFFFFFF
        for before, after in zip(timestamps(wire), timestamps(wire)[1:], strict=False)
    ]
    assert len(steps) == 6
    assert all(abs(step - FRAME_90K) <= 1 for step in steps)
    clip.stop()


async def test_a_stream_that_lags_behind_does_not_turn_time_back(room: Room) -> None:
    viewer, wire = room.viewer()
    small_feed = FakeFeed()
    small = room.source("small", small_feed)
    await room.film(is_key=True)
    viewer.use(small)
    await asyncio.sleep(0)
    late_90k = room.now_90k() - 9000
    await small_feed.give(FakeUnit(late_90k, is_key=True))
    await small_feed.give(FakeUnit(late_90k + FRAME_90K))
    first, second, third = timestamps(wire)

    assert (second - first) & 0xFFFFFFFF == 1
    assert (third - second) & 0xFFFFFFFF == 1
    small.stop()


async def test_a_storm_of_picture_losses_costs_a_few_key_frames_and_then_one_now_and_then(
    room: Room,
) -> None:
    attacker, _ = room.viewer()
    await room.film(is_key=True)
    asked = room.feed.key_frame_requests
    for _ in range(200):  # a thousand a second
        for _ in range(5):
            attacker.hear_picture_loss()
        room.clock.advance(0.005)
        await asyncio.sleep(0.005)
    assert room.feed.key_frame_requests - asked <= KEY_FRAMES_AT_ONCE

    room.clock.advance(KEY_FRAME_EVERY_S)
    await asyncio.sleep(0.06)
    attacker.hear_picture_loss()
    attacker.hear_picture_loss()
    await asyncio.sleep(0.06)
    assert room.feed.key_frame_requests - asked <= KEY_FRAMES_AT_ONCE + 1


async def test_the_gate_lets_one_key_frame_through_per_interval_however_many_ask(
    room: Room,
) -> None:
    viewers = [room.viewer()[0] for _ in range(50)]
    begin = asyncio.get_running_loop().time()
    while asyncio.get_running_loop().time() < begin + 0.3:
        for viewer in viewers:
            room.clock.advance(0.01)
            viewer.hear_picture_loss()
        await asyncio.sleep(0.005)

    assert 3 <= room.feed.key_frame_requests <= 0.3 / 0.05 + 2


async def test_a_viewer_who_asked_too_often_does_not_use_up_what_another_may_ask(
    room: Room,
) -> None:
    attacker, _ = room.viewer()
    victim, _ = room.viewer()
    await room.film(is_key=True)
    for _ in range(1000):
        attacker.hear_picture_loss()
    await asyncio.sleep(0.12)
    await room.film(is_key=True)
    asked = room.feed.key_frame_requests
    await asyncio.sleep(0.06)
    victim.hear_picture_loss()
    await asyncio.sleep(0.06)

    assert room.feed.key_frame_requests == asked + 1


async def test_asking_for_everything_again_and_again_is_answered_within_a_budget(
    room: Room,
) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=100_000)
    await asyncio.sleep(0.03)
    sent = len(wire.packets)
    for _ in range(100):
        viewer.hear_lost(sequences(wire)[:sent])
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.2)

    assert 0 < len(wire.packets) - sent <= AT_ONCE
    assert viewer.stats.repeats == len(wire.packets) - sent
    assert viewer.stats.forgotten > 0
    assert max(wire.bursts[5:]) <= 16


async def test_few_lost_packets_are_sent_twice_under_numbers_of_their_own(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=10_000)
    sent, lost = len(wire.packets), sequences(wire)[2:4]
    viewer.hear_lost(lost)
    assert len(wire.packets) == sent + 2
    await asyncio.sleep(0.03)

    repeats = wire.packets[sent:]
    assert [struct.unpack_from("!H", packet, 12)[0] for packet in repeats] == [*lost, *lost]
    assert len(set(sequences(wire)[sent:])) == 4


async def test_many_lost_packets_are_sent_once(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=30_000)
    sent = len(wire.packets)
    viewer.hear_lost(sequences(wire)[: FEW + 1])
    await asyncio.sleep(0.03)

    assert len(wire.packets) == sent + FEW + 1


async def test_what_is_sent_twice_has_a_budget(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=10_000)
    sent, lost = len(wire.packets), sequences(wire)[:8]
    for _ in range(20):
        viewer.hear_lost(lost)
    await asyncio.sleep(0.03)

    assert len(wire.packets) - sent == 20 * 8 + TWICE_AT_ONCE


async def test_nothing_filmed_before_a_new_mask_is_sent_the_second_time(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=10_000)
    viewer.hear_lost(sequences(wire)[:2])
    room.main.discard()
    sent = len(wire.packets)
    await asyncio.sleep(0.03)

    assert len(wire.packets) == sent
    assert viewer.stats.forgotten == 0


async def test_key_frames_only_sends_no_other_picture_and_paces_them(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True)
    viewer.key_frames_only(True, pace_bps=1_200_000)
    await room.film()
    begin = asyncio.get_running_loop().time()
    await room.film(is_key=True, size_bytes=12_000)
    await room.film(is_key=True, size_bytes=5_000)
    await room.film()
    await until(lambda: len(wire.packets) == 12)
    passed_s = asyncio.get_running_loop().time() - begin
    await asyncio.sleep(0.05)

    assert len(set(timestamps(wire)[1:])) == 1
    assert len(wire.packets) == 1 + 11
    assert 0.06 <= passed_s <= 0.3


async def test_after_key_frames_only_all_pictures_come_from_the_next_key_frame_on(
    room: Room,
) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True)
    viewer.key_frames_only(True)
    viewer.key_frames_only(False)
    await room.film()
    await room.film(is_key=True)
    await room.film()

    assert [payload[0] & 0x1F for payload in payloads(wire)] == [5, 5, 1]


async def test_nothing_filmed_before_a_new_mask_is_sent_or_sent_again(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=148_000)
    room.main.discard()
    sent = len(wire.packets)
    assert 0 < sent < 124
    await asyncio.sleep(0.03)
    viewer.hear_lost(sequences(wire))
    await room.film()

    assert len(wire.packets) == sent
    await room.film(is_key=True, size_bytes=50)
    assert len(wire.packets) == sent + 1


async def test_a_key_frame_that_is_still_being_paced_ends_at_a_new_mask(room: Room) -> None:
    viewer, wire = room.viewer()
    viewer.key_frames_only(True, pace_bps=500_000)
    await room.film(is_key=True, size_bytes=20_000)
    room.main.discard()
    sent = len(wire.packets)
    await asyncio.sleep(0.1)

    assert len(wire.packets) == sent < 17


async def test_a_sender_report_ties_the_moment_it_leaves_to_the_pictures_clock(room: Room) -> None:
    viewer, wire = room.viewer()
    assert viewer.sender_report() is None
    await room.film(is_key=True)
    room.clock.advance(0.5)
    report = viewer.sender_report()
    assert report is not None
    _, ntp, timestamp = struct.unpack_from("!IQI", report, 4)

    assert ntp == ntp_of(room.clock.wall_ms())
    assert (timestamp - timestamps(wire)[0]) & 0xFFFFFFFF == 45_000


async def test_a_report_tells_round_trip_loss_estimate_and_rate(room: Room) -> None:
    viewer, _ = room.viewer()
    reports: list[LineReport] = []
    viewer.on_report(reports.append)
    await room.film(is_key=True, size_bytes=1000)
    report = viewer.sender_report()
    assert report is not None
    (ntp,) = struct.unpack_from("!Q", report, 8)
    room.clock.advance(0.3)
    viewer.hear_estimate(1_000_000)
    viewer.hear_report(
        fraction_lost=64, jitter=900, lsr=ntp >> 16 & 0xFFFFFFFF, dlsr=round(0.2 * 65_536)
    )

    (heard,) = reports
    assert heard.lost == 0.25
    assert heard.rtt_s == pytest.approx(0.1, abs=0.001)
    assert heard.jitter_s == pytest.approx(0.01)
    assert heard.remb_bps == 1_000_000
    assert heard.sent_bps == pytest.approx(1013 * 8 / (0.3 + 1 / 30), rel=0.01)
    assert heard.silent_s == 0


async def test_who_stays_silent_is_reported_as_such(room: Room) -> None:
    viewer, _ = room.viewer()
    reports: list[LineReport] = []
    viewer.on_report(reports.append)
    await room.film(is_key=True)
    room.clock.advance(5)
    viewer.sender_report()

    assert reports[0].silent_s == pytest.approx(5, abs=0.1)
    assert reports[0].lost is None


async def test_closing_twice_and_hearing_more_afterwards_does_nothing(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True)
    sent, asked = len(wire.packets), room.feed.key_frame_requests
    viewer.close()
    viewer.close()
    viewer.hear_lost(sequences(wire))
    viewer.hear_picture_loss()
    viewer.use(room.source("other", FakeFeed()))
    await asyncio.sleep(0.01)

    assert (len(wire.packets), room.feed.key_frame_requests) == (sent, asked)
