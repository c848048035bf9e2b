"""Fragments: round trip, truncation, bit flip, and tables that lie."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.clips.fragment import (
    ClipUnit,
    SoundPart,
    SoundUnit,
    decode_fragment,
    decode_sound,
    encode_fragment,
    encode_sound,
)
from firmware.protocol.encoding import WireError
from firmware.protocol.footage import SOUND_UNIT_90K

UNITS = st.lists(
    st.builds(
        ClipUnit,
        pts_90k=st.integers(0, 2**64 - 1),
        is_key=st.booleans(),
        data=st.binary(min_size=1, max_size=80),
    ),
    max_size=8,
)
SOME = [
    ClipUnit(pts_90k=0, is_key=True, data=b"\x00\x00\x00\x01\x67abc\x00\x00\x01\x65" + bytes(40)),
    ClipUnit(pts_90k=3000, is_key=False, data=b"\x00\x00\x00\x01\x41xyz"),
]


@given(UNITS)
def test_a_fragment_survives_the_round_trip(units):
    assert decode_fragment(encode_fragment(units)) == units


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_or_are_just_what_they_say(data):
    try:
        units = decode_fragment(data)
    except WireError:
        return
    assert encode_fragment(units) == data


def test_every_truncated_fragment_is_refused():
    whole = encode_fragment(SOME)
    for end in range(len(whole)):
        with pytest.raises(WireError):
            decode_fragment(whole[:end])


def test_a_flipped_bit_is_refused_or_says_something_else():
    whole = encode_fragment(SOME)
    for position in range(len(whole) * 8):
        data = bytearray(whole)
        data[position // 8] ^= 1 << position % 8
        try:
            assert decode_fragment(bytes(data)) != SOME
        except WireError:
            continue


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x01" + bytes(13),  # an access unit of no bytes
        b"\x00\x00\x00\x00x",
        b"\x00\x00\x00\x01" + bytes(8) + b"\x02" + b"\x00\x00\x00\x01x",
    ],
)
def test_a_table_that_lies_is_refused(data):
    with pytest.raises(WireError):
        decode_fragment(data)


def test_a_unit_gives_its_nal_units_without_start_codes():
    assert SOME[0].nal_units == [b"\x67abc", b"\x65"]


SOUND_PARTS = st.builds(
    lambda pts_90k, datas, lost_90k: SoundPart(
        units=[
            SoundUnit(pts_90k=pts_90k + n * SOUND_UNIT_90K, data=data)
            for n, data in enumerate(datas)
        ],
        lost_90k=lost_90k,
    ),
    st.integers(-SOUND_UNIT_90K, 2**40),
    st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=8),
    st.integers(0, 2**32 - 1),
)
HEARD = SoundPart(
    units=[
        SoundUnit(pts_90k=-SOUND_UNIT_90K, data=b"\x01\x18\x20\x07"),
        SoundUnit(pts_90k=0, data=b"abc"),
    ],
    lost_90k=7,
)


@given(SOUND_PARTS)
def test_a_fragments_sound_survives_the_round_trip(part):
    assert decode_sound(encode_sound(part)) == part


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_as_sound_or_are_just_what_they_say(data):
    try:
        part = decode_sound(data)
    except WireError:
        return
    assert encode_sound(part) == data


def test_every_truncated_sound_is_refused():
    whole = encode_sound(HEARD)
    for end in range(len(whole)):
        with pytest.raises(WireError):
            decode_sound(whole[:end])


def test_a_flipped_bit_of_sound_is_refused_or_says_something_else():
    whole = encode_sound(HEARD)
    for position in range(len(whole) * 8):
        data = bytearray(whole)
        data[position // 8] ^= 1 << position % 8
        try:
            assert decode_sound(bytes(data)) != HEARD
        except WireError:
            continue
