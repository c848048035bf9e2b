"""Access units as RTP payloads: golden ones, and a round trip through aiortc's depacketiser."""

from dataclasses import dataclass

import pytest
from aiortc.codecs.h264 import h264_depayload
from hypothesis import given
from hypothesis import strategies as st

from firmware.live.packets_h264 import MAX_PAYLOAD_BYTES, pack_unit, payloads_of
from firmware.live.stream_source import BURST_MOST_PACKETS, bursts_of
from firmware.protocol.nal_units import split_annex_b

SPS, PPS = b"\x67\x42\xc0\x1f\x95", b"\x68\xce\x3c\x80"


@dataclass(frozen=True)
class Unit:
    data: bytes
    pts_90k: int = 7
    is_key: bool = True


def annex_b(*nals: bytes) -> bytes:
    return b"".join(b"\x00\x00\x00\x01" + nal for nal in nals)


def body(size: int) -> bytes:
    """So many bytes that hold no start code and don't end in zero."""
    return bytes(1 + index % 255 for index in range(size))


def test_a_small_nal_unit_is_a_payload_as_it_is() -> None:
    assert payloads_of(annex_b(b"\x41" + body(40))) == (b"\x41" + body(40),)


def test_sps_and_pps_go_together_with_the_highest_importance() -> None:
    assert payloads_of(annex_b(b"\x27\x42", b"\x68\xce\x3c")) == (
        bytes([0x60 | 24]) + b"\x00\x02\x27\x42" + b"\x00\x03\x68\xce\x3c",
    )


def test_a_large_nal_unit_becomes_parts_that_name_begin_and_end() -> None:
    first, second, third = payloads_of(annex_b(b"\x65" + body(25)), max_bytes=11)

    assert first == b"\x7c\x85" + body(25)[:9]
    assert second == b"\x7c\x05" + body(25)[9:18]
    assert third == b"\x7c\x45" + body(25)[18:]


def test_a_key_frame_has_its_parameter_sets_in_a_packet_of_their_own() -> None:
    packed = pack_unit(Unit(annex_b(SPS, PPS, b"\x65" + body(100_000))))

    assert packed.payloads[0][0] & 0x1F == 24
    assert {payload[0] & 0x1F for payload in packed.payloads[1:]} == {28}
    assert (packed.pts_90k, packed.is_key) == (7, True)


@pytest.mark.parametrize("size", [MAX_PAYLOAD_BYTES - 1, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES + 1])
def test_whole_up_to_the_largest_payload_and_in_two_parts_beyond(size: int) -> None:
    payloads = payloads_of(annex_b(b"\x41" + body(size - 1)))

    assert len(payloads) == (1 if size <= MAX_PAYLOAD_BYTES else 2)


@pytest.mark.parametrize("data", [b"", b"\x00\x00\x01", b"\x00\x00\x00\x01\x00\x00", b"no code"])
def test_what_holds_no_nal_unit_gives_no_payload(data: bytes) -> None:
    assert payloads_of(data) == ()


nal_units = st.builds(
    lambda kind, rest: bytes([kind]) + rest.replace(b"\x00", b"\x01"),
    st.sampled_from([0x09, 0x06, 0x67, 0x68, 0x65, 0x41, 0x01]),
    st.one_of(st.binary(min_size=1, max_size=50), st.integers(1, 6000).map(body)),
)


@given(nals=st.lists(nal_units, min_size=1, max_size=8), max_bytes=st.integers(60, 1400))
def test_what_is_unpacked_again_is_the_access_unit(nals: list[bytes], max_bytes: int) -> None:
    payloads = payloads_of(annex_b(*nals), max_bytes)

    unpacked = b"".join(h264_depayload(payload) for payload in payloads)
    assert split_annex_b(unpacked) == nals
    assert all(0 < len(payload) <= max_bytes for payload in payloads)


@given(size=st.integers(MAX_PAYLOAD_BYTES + 1, 300_000))
def test_parts_are_of_one_size_but_for_a_last_that_is_not_larger(size: int) -> None:
    sizes = [len(payload) for payload in payloads_of(annex_b(b"\x65" + body(size - 1)))]

    assert len(set(sizes[:-1])) == 1
    assert 2 < sizes[-1] <= sizes[0] <= MAX_PAYLOAD_BYTES


@given(packets=st.integers(0, 400))
def test_bursts_hold_every_packet_once_and_are_never_large(packets: int) -> None:
    bursts = list(bursts_of(packets))

    assert [index for begin, end in bursts for index in range(begin, end)] == list(range(packets))
    assert all(end - begin <= BURST_MOST_PACKETS for begin, end in bursts)


@pytest.mark.parametrize("packets", [14, 38])  # at 4.2 and at 9.2 Mbit/s
def test_the_usual_picture_is_one_burst(packets: int) -> None:
    assert list(bursts_of(packets)) == [(0, packets)]


def test_a_large_key_frame_takes_some_ms() -> None:
    assert len(list(bursts_of(124))) == 4
