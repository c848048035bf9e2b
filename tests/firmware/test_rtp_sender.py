"""One stream and its viewers without a network: who gets which picture, and when."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from firmware.live.pacer import CATCH_UP_PACKETS
from firmware.live.rtp_sender import RtpSender
from firmware.live.stream_source import CATCH_UP_S
from tests.fakes.own_time import own_time
from tests.fakes.rtp_room import FRAME_90K, Room, payloads, sequences, timestamps
from tests.fakes.rtp_sender import PARAMETERS, FakeFeed, FakeUnit, FakeWire
from tests.fakes.waiting import eventually


@pytest.fixture
async def room() -> Iterator[Room]:
    with own_time():
        here = Room()
        await asyncio.sleep(0)
        yield here
        here.main.stop()


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
    assert room.main.sink_count == 1
    viewer.close()
    await asyncio.sleep(0)

    assert room.feed.streams == []
    assert room.main.sink_count == 0


async def test_who_is_expected_can_be_given_another_stream_before_they_come(room: Room) -> None:
    small = FakeFeed()
    other = room.source("small", small)
    viewer, wire = room.expected()
    viewer.use(other)
    await room.film(is_key=True, feed=small)
    viewer.start(PARAMETERS, wire)
    await asyncio.sleep(0.001)

    assert len(wire.packets) == 1
    assert room.main.sink_count == 0


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
    other = RtpSender(room.main, clock=room.clock, random_source=random.Random(6))
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
    assert room.main.sink_count == 0


async def test_a_second_viewer_can_come_after_the_first_has_left(room: Room) -> None:
    room.viewer()[0].close()
    _, wire = room.viewer()
    await room.film(is_key=True)

    assert len(wire.packets) == 1


async def test_a_large_key_frame_leaves_in_bursts_over_some_ms(room: Room) -> None:
    _, wire = room.viewer()
    begin = asyncio.get_running_loop().time()
    await room.film(is_key=True, size_bytes=148_000)
    await eventually(lambda: len(wire.packets) == 124)

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


async def test_a_line_that_is_gone_ends_the_viewer_once(room: Room) -> None:
    viewer, wire = room.viewer()
    ended: list[bool] = []
    viewer.on_end(lambda: ended.append(True))
    wire.delivery = "gone"
    await room.film(is_key=True)
    await room.film(is_key=True)

    assert ended == [True]
    assert room.main.sink_count == 0


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
    assert room.main.sink_count == 1


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


async def test_closing_twice_and_hearing_more_afterwards_does_nothing(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True)
    sent, asked = len(wire.packets), room.feed.key_frame_requests
    viewer.close()
    viewer.close()
    viewer.on_nack(sequences(wire))
    viewer.on_pli()
    viewer.use(room.source("other", FakeFeed()))
    await asyncio.sleep(0.01)

    assert (len(wire.packets), room.feed.key_frame_requests) == (sent, asked)
