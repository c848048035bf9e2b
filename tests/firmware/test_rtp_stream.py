"""One viewer's RTP: what aiortc's own code reads in it, and what is sent once more."""

import struct
from dataclasses import replace

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import (
    HeaderExtensionsMap,
    RtcpByePacket,
    RtcpPacket,
    RtcpSdesPacket,
    RtcpSrPacket,
    RtpPacket,
    unwrap_rtx,
)
from hypothesis import given
from hypothesis import strategies as st

from firmware.live.aiortc_sender import ABS_SEND_TIME_URI, MID_URI
from firmware.live.packets_h264 import PackedUnit
from firmware.live.rtp_stream import (
    HISTORY_PACKETS,
    ExtensionBlock,
    RtpStream,
    StreamParameters,
    ntp_of,
)
from firmware.protocol.media.rotation import Rotation

PARAMETERS = StreamParameters(
    ssrc=0x11223344,
    payload_type=99,
    cname="{doorward}",
    rtx_ssrc=0x55667788,
    rtx_payload_type=100,
    mid="0",
    mid_id=1,
    abs_send_time_id=3,
)


def unit_of(*payloads: bytes) -> PackedUnit:
    return PackedUnit(pts_90k=0, is_key=False, payloads=payloads)


def stream_of(parameters: StreamParameters = PARAMETERS, first: int = 1000) -> RtpStream:
    return RtpStream(parameters, first_sequence=first, first_rtx_sequence=65_535)


def extensions_of(parameters: StreamParameters) -> HeaderExtensionsMap:
    known = HeaderExtensionsMap()
    known.configure(
        RTCRtpParameters(
            headerExtensions=[
                RTCRtpHeaderExtensionParameters(id=id_, uri=uri)
                for id_, uri in (
                    (parameters.mid_id, MID_URI),
                    (parameters.abs_send_time_id, ABS_SEND_TIME_URI),
                )
                if id_ is not None
            ]
        )
    )
    return known


def parsed(packet: bytes, parameters: StreamParameters = PARAMETERS) -> RtpPacket:
    return RtpPacket.parse(packet, extensions_of(parameters))


def test_a_packet_is_golden() -> None:
    (packet,) = stream_of().packets_of(unit_of(b"\x41ab"), 0, 1, timestamp=0x01020304, now_s=1.5)

    assert (
        packet
        == bytes.fromhex("90e303e801020304 11223344 bede0002 1030 32 060000 0000") + b"\x41ab"
    )


def test_only_the_last_packet_of_a_picture_has_the_marker() -> None:
    stream, unit = stream_of(first=65_534), unit_of(b"a", b"b", b"c", b"d")
    packets = stream.packets_of(unit, 0, 2, timestamp=5, now_s=0)
    packets += stream.packets_of(unit, 2, 4, timestamp=5, now_s=0)

    read = [parsed(packet) for packet in packets]
    assert [packet.marker for packet in read] == [0, 0, 0, 1]
    assert [packet.sequence_number for packet in read] == [65_534, 65_535, 0, 1]
    assert [packet.payload for packet in read] == [b"a", b"b", b"c", b"d"]
    assert {(packet.ssrc, packet.timestamp, packet.payload_type) for packet in read} == {
        (PARAMETERS.ssrc, 5, 99)
    }


@given(
    mid=st.text(alphabet="abc019", max_size=20),
    mid_id=st.one_of(st.none(), st.integers(1, 20)),
    abs_send_time_id=st.one_of(st.none(), st.integers(21, 30), st.integers(1, 14)),
    orientation_id=st.one_of(st.none(), st.integers(31, 40), st.integers(1, 14)),
)
def test_header_extensions_say_what_was_negotiated(
    mid: str, mid_id: int | None, abs_send_time_id: int | None, orientation_id: int | None
) -> None:
    ids = [one for one in (mid_id, abs_send_time_id, orientation_id) if one is not None]
    if len(ids) != len(set(ids)):
        return
    parameters = replace(
        PARAMETERS,
        mid=mid,
        mid_id=mid_id,
        abs_send_time_id=abs_send_time_id,
        orientation_id=orientation_id,
    )
    (packet,) = stream_of(parameters).packets_of(unit_of(b"x"), 0, 1, timestamp=5, now_s=2.25)

    read = parsed(packet, parameters)
    assert read.extensions.mid == (mid if mid and mid_id else None)
    assert read.extensions.abs_send_time == (9 << 16 if abs_send_time_id else None)
    assert read.payload == b"x"


TURNED = replace(PARAMETERS, orientation_id=4)


@pytest.mark.parametrize(("rotation", "byte"), [(0, "00"), (90, "01"), (180, "02"), (270, "03")])
def test_each_packet_says_by_how_many_quarters_its_picture_is_turned(
    rotation: Rotation, byte: str
) -> None:
    stream, unit = stream_of(TURNED), replace(unit_of(b"a", b"b"), rotation=rotation)
    packets = stream.packets_of(unit, 0, 2, timestamp=5, now_s=1.5)
    again = stream.rtx_packet(1001, 1.5)

    # No longer than without: the padding gives it room.
    element = bytes.fromhex(f"bede0002 1030 40{byte} 32060000")
    assert [packet[12:24] for packet in (*packets, again)] == [element] * 3


def test_the_time_of_sending_wraps_after_64_seconds() -> None:
    block = ExtensionBlock(PARAMETERS)

    assert block.at(3.5, 0) == block.at(67.5, 0) != block.at(4.5, 0)


def test_a_lost_packet_comes_again_on_its_own_stream() -> None:
    stream = stream_of()
    packets = stream.packets_of(unit_of(b"first", b"last"), 0, 2, timestamp=77, now_s=0)
    first, last = (parsed(stream.rtx_packet(number, 1.0) or b"") for number in (1000, 1001))

    assert (first.ssrc, first.payload_type) == (PARAMETERS.rtx_ssrc, 100)
    assert [first.sequence_number, last.sequence_number] == [65_535, 0]
    for repeat, packet in ((first, packets[0]), (last, packets[1])):
        original = unwrap_rtx(repeat, payload_type=99, ssrc=PARAMETERS.ssrc)
        sent = parsed(packet)
        assert original.payload == sent.payload
        assert original.sequence_number == sent.sequence_number
        assert (original.timestamp, original.marker) == (77, sent.marker)


def test_without_rtx_a_lost_packet_comes_again_to_the_last_bit() -> None:
    stream = stream_of(replace(PARAMETERS, rtx_payload_type=None))
    packets = stream.packets_of(unit_of(b"a", b"b"), 0, 2, timestamp=77, now_s=0)

    assert [stream.rtx_packet(number, 9.0) for number in (1000, 1001)] == packets


def test_lost_packets_are_found_on_both_sides_of_the_wrap() -> None:
    stream = stream_of(first=65_530)
    for number in range(12):
        stream.packets_of(unit_of(bytes([number])), 0, 1, timestamp=number, now_s=0)

    for number in range(12):
        packet = stream.rtx_packet((65_530 + number) & 0xFFFF, 0.0)
        assert packet is not None
        assert parsed(packet).payload[2:] == bytes([number])


def test_what_was_sent_a_whole_round_of_numbers_ago_is_not_taken_for_what_is_new() -> None:
    stream = stream_of(first=0)
    unit = unit_of(*[b"x"] * 64)
    for _ in range(65_536 // 64 + 1):
        stream.packets_of(unit, 0, 64, timestamp=1, now_s=0)

    assert stream.rtx_packet(63, 0.0) is not None
    assert stream.rtx_packet(64, 0.0) is None
    assert stream.rtx_packet((64 - HISTORY_PACKETS) & 0xFFFF, 0.0) is not None
    assert stream.rtx_packet((63 - HISTORY_PACKETS) & 0xFFFF, 0.0) is None


@pytest.mark.parametrize("number", [999, 1002, 0, 65_535, 1000 + 32_768])
def test_what_was_never_sent_is_not_known(number: int) -> None:
    stream = stream_of()
    stream.packets_of(unit_of(b"a", b"b"), 0, 2, timestamp=77, now_s=0)

    assert stream.rtx_packet(number, 0.0) is None


def test_nothing_that_is_forgotten_comes_again() -> None:
    stream = stream_of()
    stream.packets_of(unit_of(b"a"), 0, 1, timestamp=77, now_s=0)
    stream.forget()

    assert stream.rtx_packet(1000, 0.0) is None


def test_a_sender_report_counts_packets_and_payload_bytes_and_ties_both_clocks() -> None:
    stream = stream_of()
    stream.packets_of(unit_of(b"12345", b"678"), 0, 2, timestamp=77, now_s=0)
    stream.rtx_packet(1000, 0.0)
    ntp = ntp_of(1_790_000_000_250)
    report, name = RtcpPacket.parse(stream.report(ntp=ntp, timestamp=(1 << 32) + 9))

    assert isinstance(report, RtcpSrPacket)
    assert report.ssrc == PARAMETERS.ssrc
    assert (report.sender_info.packet_count, report.sender_info.octet_count) == (2, 8)
    assert report.sender_info.rtp_timestamp == 9
    assert report.sender_info.ntp_timestamp == ntp
    assert isinstance(name, RtcpSdesPacket)
    assert name.chunks[0].items == [(1, b"{doorward}")]


def test_ntp_counts_from_1900() -> None:
    assert ntp_of(0) == 2_208_988_800 << 32
    assert ntp_of(500) & 0xFFFFFFFF == 1 << 31


def test_goodbye_names_both_streams() -> None:
    (bye,) = RtcpPacket.parse(stream_of().bye_packet())

    assert isinstance(bye, RtcpByePacket)
    assert bye.sources == [PARAMETERS.ssrc, PARAMETERS.rtx_ssrc]


@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=30), first=st.integers(0, 65_535))
def test_every_packet_in_the_history_comes_again_as_it_was(counts: list[int], first: int) -> None:
    stream, sent = stream_of(first=first), []
    for number, count in enumerate(counts):
        unit = unit_of(*[struct.pack("!HH", number, index) for index in range(count)])
        sent += stream.packets_of(unit, 0, count, timestamp=number, now_s=0)

    for packet in sent[-HISTORY_PACKETS:]:
        original = parsed(packet)
        repeat = stream.rtx_packet(original.sequence_number, 0.0)
        assert repeat is not None
        assert parsed(repeat).payload[2:] == original.payload
