"""Splitting of H.264 access units into NAL units: Annex B and length-prefixed."""

from firmware.protocol.encoding import WireError

MAX_NAL_UNITS = 0xFFFF
"""NAL units of one access unit; their count is hashed in two bytes."""


def split_annex_b(data: bytes | memoryview) -> list[bytes]:
    """Return the NAL units between the start codes (H.264 annex B.1), without them."""
    raw = bytes(data)
    units: list[bytes] = []
    begin = -1
    position = raw.find(b"\x00\x00\x01")
    if position < 0:
        raise WireError("no start code: not an Annex B access unit")
    while position >= 0:
        if begin >= 0:
            units.append(raw[begin:position].rstrip(b"\x00"))
        begin = position + 3
        position = raw.find(b"\x00\x00\x01", begin)
    units.append(raw[begin:].rstrip(b"\x00"))
    return [unit for unit in units if unit]


def split_length_prefixed(data: bytes | memoryview) -> list[bytes]:
    """Return the NAL units of one MP4 sample with 4-byte lengths (ISO/IEC 14496-15)."""
    raw = bytes(data)
    units: list[bytes] = []
    position = 0
    while position < len(raw):
        size = int.from_bytes(raw[position : position + 4], "big")
        unit = raw[position + 4 : position + 4 + size]
        if size == 0 or len(unit) != size:
            raise WireError("a NAL unit's length doesn't fit its sample")
        if len(units) == MAX_NAL_UNITS:
            raise WireError("a picture is of too many pieces")
        units.append(unit)
        position += 4 + size
    return units
