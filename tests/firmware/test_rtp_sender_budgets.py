"""What one viewer may cause: key frames, repeats and their pace; and what it is told and tells."""

import asyncio
import struct
from collections.abc import Iterator

import pytest

from firmware.live.key_frame_gate import KEY_FRAME_EVERY_S, KEY_FRAMES_AT_ONCE
from firmware.live.link_estimate import LinkReport
from firmware.live.rtp_stream import ntp_of
from firmware.live.rtx import AT_FIRST, AT_ONCE, FEW, TWICE_AT_ONCE
from tests.fakes.own_time import own_time
from tests.fakes.rtp_room import Room, payloads, sequences, timestamps
from tests.fakes.rtp_sender import FakeFeed
from tests.fakes.waiting import eventually


@pytest.fixture
async def room() -> Iterator[Room]:
    with own_time():
        here = Room()
        await asyncio.sleep(0)
        yield here
        here.main.stop()


async def test_a_storm_of_picture_losses_costs_a_few_key_frames_and_then_one_now_and_then(
    room: Room,
) -> None:
    attacker, _ = room.viewer()
    await room.film(is_key=True)
    asked = room.feed.key_frame_requests
    for _ in range(200):  # a thousand a second
        for _ in range(5):
            attacker.on_pli()
        room.clock.advance(0.005)
        await asyncio.sleep(0.005)
    assert room.feed.key_frame_requests - asked <= KEY_FRAMES_AT_ONCE

    room.clock.advance(KEY_FRAME_EVERY_S)
    await asyncio.sleep(0.06)
    attacker.on_pli()
    attacker.on_pli()
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
            viewer.on_pli()
        await asyncio.sleep(0.005)

    assert 3 <= room.feed.key_frame_requests <= 0.3 / 0.05 + 2


async def test_a_viewer_who_asked_too_often_does_not_use_up_what_another_may_ask(
    room: Room,
) -> None:
    attacker, _ = room.viewer()
    victim, _ = room.viewer()
    await room.film(is_key=True)
    for _ in range(1000):
        attacker.on_pli()
    await asyncio.sleep(0.12)
    await room.film(is_key=True)
    asked = room.feed.key_frame_requests
    await asyncio.sleep(0.06)
    victim.on_pli()
    await asyncio.sleep(0.06)

    assert room.feed.key_frame_requests == asked + 1


async def test_what_found_no_room_keeps_its_number_and_can_be_asked_for(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True)
    wire.delivery = "full"
    await room.film()
    wire.delivery = "sent"
    await room.film(is_key=True)
    first, last = sequences(wire)
    assert last == first + 2

    viewer.on_nack([first + 1])
    assert wire.packets[-1][12:15] == struct.pack("!HB", first + 1, 0x41)


async def test_asking_for_everything_again_and_again_is_answered_within_a_budget(
    room: Room,
) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=100_000)
    await asyncio.sleep(0.03)
    sent = len(wire.packets)
    for _ in range(100):
        viewer.on_nack(sequences(wire)[:sent])
        await asyncio.sleep(0.002)
    await asyncio.sleep(0.2)

    assert 0 < len(wire.packets) - sent <= AT_ONCE
    assert viewer.stats.repeats == len(wire.packets) - sent
    assert viewer.stats.forgotten > 0
    assert max(wire.bursts[5:]) <= 16


async def test_repeats_are_half_of_what_is_sent_in_the_long_run(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=10_000)
    for _ in range(60):
        await room.film(size_bytes=10_000)
        room.clock.advance(1)
        viewer.on_nack(sequences(wire)[:9])
        await asyncio.sleep(0.003)
    await asyncio.sleep(0.03)

    fresh = 61 * 9
    assert viewer.stats.repeats <= fresh / 2 + AT_FIRST
    assert viewer.stats.repeats > fresh / 3


async def test_who_went_over_to_another_stream_is_sent_nothing_more_of_the_one_before(
    room: Room,
) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=10_000)
    before = sequences(wire)
    viewer.on_nack(before)
    small = FakeFeed()
    other = room.source("small", small)
    viewer.use(other)
    await room.film(is_key=True, size_bytes=10_000, feed=small)
    sent = len(wire.packets)
    fresh = sequences(wire)[-9:]
    for _ in range(50):
        viewer.on_nack(before)
    await asyncio.sleep(0.03)
    assert len(wire.packets) == sent

    viewer.on_nack(fresh)  # asking for what is gone has cost nothing
    await asyncio.sleep(0.03)
    assert len(wire.packets) == sent + 2 * len(fresh)
    other.stop()


async def test_few_lost_packets_are_sent_twice_under_numbers_of_their_own(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=10_000)
    sent, lost = len(wire.packets), sequences(wire)[2:4]
    viewer.on_nack(lost)
    assert len(wire.packets) == sent + 2
    await asyncio.sleep(0.03)

    repeats = wire.packets[sent:]
    assert [struct.unpack_from("!H", packet, 12)[0] for packet in repeats] == [*lost, *lost]
    assert len(set(sequences(wire)[sent:])) == 4


async def test_many_lost_packets_are_sent_once(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=30_000)
    sent = len(wire.packets)
    viewer.on_nack(sequences(wire)[: FEW + 1])
    await asyncio.sleep(0.03)

    assert len(wire.packets) == sent + FEW + 1


async def test_what_is_sent_twice_has_a_budget(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=10_000)
    for _ in range(40):
        await room.film(size_bytes=10_000)  # enough for what is sent once
    sent, lost = len(wire.packets), sequences(wire)[:8]
    for _ in range(20):
        viewer.on_nack(lost)
    await asyncio.sleep(0.03)

    assert len(wire.packets) - sent == 20 * 8 + TWICE_AT_ONCE


async def test_nothing_filmed_before_a_new_mask_is_sent_the_second_time(room: Room) -> None:
    viewer, wire = room.viewer()
    await room.film(is_key=True, size_bytes=10_000)
    viewer.on_nack(sequences(wire)[:2])
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
    await eventually(lambda: len(wire.packets) == 12)
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
    viewer.on_nack(sequences(wire))
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
    reports: list[LinkReport] = []
    viewer.on_report(reports.append)
    await room.film(is_key=True, size_bytes=1000)
    report = viewer.sender_report()
    assert report is not None
    (ntp,) = struct.unpack_from("!Q", report, 8)
    room.clock.advance(0.5)
    viewer.on_remb(1_000_000)
    viewer.on_receiver_report(
        fraction_lost=64, lsr=ntp >> 16 & 0xFFFFFFFF, dlsr=round(0.4 * 65_536)
    )

    (heard,) = reports
    assert heard.lost == 0.25
    assert heard.rtt_s == pytest.approx(0.1, abs=0.001)
    assert heard.remb_bps == 1_000_000
    assert heard.sent_bps == pytest.approx(1013 * 8 / (0.5 + 1 / 30), rel=0.01)
    assert heard.silent_s == 0


async def test_reports_that_come_close_together_are_told_as_one(room: Room) -> None:
    viewer, _ = room.viewer()
    reports: list[LinkReport] = []
    viewer.on_report(reports.append)
    await room.film(is_key=True)
    for fraction_lost in (128, 128, 128, 0, 0, 0):
        room.clock.advance(0.1)
        viewer.on_receiver_report(fraction_lost=fraction_lost, lsr=0, dlsr=0)

    (heard,) = reports
    assert heard.lost == pytest.approx(0.3, abs=0.05)


async def test_who_stays_silent_is_reported_as_such(room: Room) -> None:
    viewer, _ = room.viewer()
    reports: list[LinkReport] = []
    viewer.on_report(reports.append)
    await room.film(is_key=True)
    room.clock.advance(5)
    viewer.sender_report()

    assert reports[0].silent_s == pytest.approx(5, abs=0.1)
    assert reports[0].lost is None
