"""The packetizer of H.264 access units into RTP payloads (RFC 6184), once for all viewers.

Pure: bytes in, payloads out. Single NAL units, STAP-A for small ones that follow each other (SPS
and PPS), FU-A for large ones, as packetization-mode=1 allows. The parts of a large one are of one
size but for the last, which is never larger: so the kernel can cut one long send into datagrams.
Headers, sequence numbers and encryption are each viewer's own (firmware.live.rtp_stream).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from firmware.live.feed import Unit
from firmware.protocol.media.rotation import Rotation

MAX_PAYLOAD_BYTES = 1200
"""With headers, SRTP's tag and a TURN channel it still fits what any path carries (1280 bytes)."""
START_CODE = b"\x00\x00\x01"
STAP_A, FU_A = 24, 28
_NRI, _TYPE, _FORBIDDEN_NRI = 0x60, 0x1F, 0xE0
_FU_START, _FU_END = 0x80, 0x40


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedUnit:
    """One access unit as the payloads of its RTP packets, in order; the last one ends it.

    `rotation` is by how many degrees clockwise its picture is turned to be shown.
    """

    pts_90k: int
    is_key: bool
    payloads: tuple[bytes, ...]
    rotation: Rotation = 0


def pack_unit(unit: Unit, rotation: Rotation = 0) -> PackedUnit:
    """Pack one access unit."""
    return PackedUnit(
        pts_90k=unit.pts_90k,
        is_key=unit.is_key,
        payloads=payloads_of(unit.data),
        rotation=rotation,
    )


def payloads_of(data: bytes, max_bytes: int = MAX_PAYLOAD_BYTES) -> tuple[bytes, ...]:
    """Return the payloads of one access unit in Annex B; none if it holds no start code."""
    payloads: list[bytes] = []
    small: list[memoryview] = []
    small_bytes = 1
    for nal in _nal_units(data):
        if small and small_bytes + 2 + len(nal) > max_bytes:
            payloads.append(_together(small))
            small, small_bytes = [], 1
        if len(nal) > max_bytes:
            payloads += _parts(nal, max_bytes)
        else:
            small.append(nal)
            small_bytes += 2 + len(nal)
    if small:
        payloads.append(_together(small))
    return tuple(payloads)


def _nal_units(data: bytes) -> Iterator[memoryview]:
    """Yield the NAL units between the start codes (H.264 annex B.1), without trailing zeros."""
    view = memoryview(data)
    begin = data.find(START_CODE)
    while begin >= 0:
        begin += len(START_CODE)
        following = data.find(START_CODE, begin)
        end = len(data) if following < 0 else following
        while end > begin and data[end - 1] == 0:
            end -= 1
        if end > begin:
            yield view[begin:end]
        begin = following


def _together(nals: Sequence[memoryview]) -> bytes:
    """Return a single NAL unit as it is, several as one STAP-A (RFC 6184 §5.7.1)."""
    if len(nals) == 1:
        return bytes(nals[0])
    forbidden = max(nal[0] & 0x80 for nal in nals)
    importance = max(nal[0] & _NRI for nal in nals)
    parts: list[bytes | memoryview] = [bytes([forbidden | importance | STAP_A])]
    for nal in nals:
        parts += (len(nal).to_bytes(2, "big"), nal)
    return b"".join(parts)


def _parts(nal: memoryview, max_bytes: int) -> Iterator[bytes]:
    """Yield one large NAL unit in parts of one size, FU-A (RFC 6184 §5.8)."""
    indicator, kind = nal[0] & _FORBIDDEN_NRI | FU_A, nal[0] & _TYPE
    body = nal[1:]
    count = -(-len(body) // (max_bytes - 2))
    size = -(-len(body) // count)
    for begin in range(0, len(body), size):
        is_first, is_last = begin == 0, begin + size >= len(body)
        header = kind | _FU_START * is_first | _FU_END * is_last
        yield b"".join((bytes([indicator, header]), body[begin : begin + size]))
