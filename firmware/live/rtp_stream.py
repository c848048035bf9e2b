"""One viewer's RTP stream: headers around shared payloads, retransmissions, sender reports.

Pure: no network, no cipher, no clock. The names are RFC 3550's. A payload is shared with all
viewers and never copied before it is sent; of each packet only where it lies is remembered, for
`HISTORY_PACKETS` packets, and a packet made again is the same to the last bit: SRTP's keystream
depends on the sequence number alone, so two different packets under one number would break it.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from firmware.live.packets_h264 import PackedUnit
from firmware.protocol.media.rotation import ROTATIONS, Rotation

HISTORY_PACKETS = 2048
"""A power of two; one 1080p key frame is about 130 packets."""
SEND_TIME_PER_S = 1 << 18
"""abs-send-time: 24 bits, 6 of them whole seconds."""
NTP_EPOCH_S = 2_208_988_800
"""From 1900 to 1970 (RFC 868)."""
_FIXED = struct.Struct("!BBHII")
_HAS_EXTENSION = 0x10
_VERSION = 0x80
_ONE_BYTE, _TWO_BYTES = 0xBEDE, 0x1000
_SR, _SDES, _BYE = 200, 202, 203
_CNAME = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamParameters:
    """The negotiated parameters of one viewer's video; None if not negotiated."""

    ssrc: int
    payload_type: int
    cname: str
    rtx_ssrc: int
    rtx_payload_type: int | None = None
    mid: str = ""
    mid_id: int | None = None
    abs_send_time_id: int | None = None
    orientation_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch of sent packets: the first one's sequence number and its payload's place."""

    first: int
    timestamp: int
    extension: bytes
    unit: PackedUnit
    begin: int


class ExtensionBlock:
    """The header extensions of a packet (RFC 8285), prebuilt except for the send time.

    Each packet has its picture's orientation, not the last of a key frame alone, as 3GPP TS 26.114
    7.4.5 allows: so all packets of a picture but the last stay of one size.
    """

    def __init__(self, parameters: StreamParameters) -> None:
        self._time_at: int | None = None
        self._blocks = {rotation: self._block(parameters, rotation) for rotation in ROTATIONS}

    def at(self, now_s: float, rotation: Rotation) -> bytes:
        """Return the extensions for a packet sent now, by the caller's clock."""
        block = self._blocks[rotation]
        if self._time_at is None:
            return block
        send_time = (int(now_s * SEND_TIME_PER_S) & 0xFFFFFF).to_bytes(3, "big")
        return block[: self._time_at] + send_time + block[self._time_at + 3 :]

    def _block(self, parameters: StreamParameters, rotation: Rotation) -> bytes:
        elements: list[tuple[int, bytes]] = []
        if parameters.mid_id is not None and parameters.mid:
            elements.append((parameters.mid_id, parameters.mid.encode()))
        if parameters.orientation_id is not None:
            # Camera and flip bits are 0; by how many quarters the receiver turns it clockwise.
            elements.append((parameters.orientation_id, bytes([rotation // 90])))
        if parameters.abs_send_time_id is not None:
            elements.append((parameters.abs_send_time_id, bytes(3)))
        is_short = all(0 < id_ < 15 and 0 < len(value) <= 16 for id_, value in elements)
        block = b""
        for id_, value in elements:
            block += bytes([id_ << 4 | len(value) - 1] if is_short else [id_, len(value)]) + value
        self._time_at = 4 + len(block) - 3 if parameters.abs_send_time_id is not None else None
        block += bytes(-len(block) % 4)
        head = struct.pack("!HH", _ONE_BYTE if is_short else _TWO_BYTES, len(block) // 4)
        return head + block if block else b""


class RtpStream:
    """Numbers, remembers and counts one viewer's packets; SSRCs and first numbers are given.

    Inside, sequence numbers are whole numbers that never wrap; on the wire they have 16 bits.
    """

    def __init__(
        self, parameters: StreamParameters, *, first_sequence: int, first_rtx_sequence: int
    ) -> None:
        self.parameters = parameters
        self._extensions = ExtensionBlock(parameters)
        self._sequence = self._first = first_sequence
        self._rtx_sequence = first_rtx_sequence
        self._history: list[_Sent | None] = [None] * HISTORY_PACKETS
        self.packets = 0
        self.octets = 0
        """Payload bytes, as a sender report counts them."""

    def packets_of(
        self, unit: PackedUnit, begin: int, end: int, *, timestamp: int, now_s: float
    ) -> list[bytes]:
        """Return the packets of a unit's payloads from `begin` to `end`, ready to be protected."""
        parameters, sequence = self.parameters, self._sequence
        extension = self._extensions.at(now_s, unit.rotation)
        first_byte = _VERSION | (_HAS_EXTENSION if extension else 0)
        kind, last, ssrc = parameters.payload_type, len(unit.payloads) - 1, parameters.ssrc
        sent = _Sent(sequence, timestamp, extension, unit, begin)
        packets = []
        for index in range(begin, end):
            payload = unit.payloads[index]
            marked = kind | 0x80 if index == last else kind
            head = _FIXED.pack(first_byte, marked, sequence & 0xFFFF, timestamp, ssrc)
            packets.append(head + extension + payload)
            self._history[sequence % HISTORY_PACKETS] = sent
            sequence += 1
            self.octets += len(payload)
        self._sequence = sequence
        self.packets += end - begin
        return packets

    def rtx_packet(self, wire_sequence: int, now_s: float) -> bytes | None:
        """Return a lost packet: as RTX (RFC 4588), or as it was; None if it is forgotten."""
        sequence = self._sequence_of(wire_sequence)
        sent = self._kept(sequence)
        if sent is None:
            return None
        index = sent.begin + sequence - sent.first
        payload = sent.unit.payloads[index]
        marker = 0x80 if index == len(sent.unit.payloads) - 1 else 0
        parameters = self.parameters
        if parameters.rtx_payload_type is None:
            kind, number, ssrc = parameters.payload_type, wire_sequence, parameters.ssrc
            extension, original = sent.extension, b""
        else:
            kind, ssrc = parameters.rtx_payload_type, parameters.rtx_ssrc
            number = self._rtx_sequence & 0xFFFF
            extension = self._extensions.at(now_s, sent.unit.rotation)
            original = wire_sequence.to_bytes(2, "big")
            self._rtx_sequence += 1
        first_byte = _VERSION | (_HAS_EXTENSION if extension else 0)
        head = _FIXED.pack(first_byte, marker | kind, number, sent.timestamp, ssrc)
        return head + extension + original + payload

    def has(self, wire_sequence: int) -> bool:
        """Return whether this packet can be retransmitted."""
        return self._kept(self._sequence_of(wire_sequence)) is not None

    def forget(self) -> None:
        """Drop the history of sent packets: none can be retransmitted."""
        self._history = [None] * HISTORY_PACKETS

    def highest_sequence(self) -> int | None:
        """Return the last sequence number, as on the wire; None before the first packet."""
        return None if self._sequence == self._first else self._sequence - 1 & 0xFFFF

    def report(self, *, ntp: int, timestamp: int) -> bytes:
        """Return a sender report with the CNAME (RFC 3550 §6.4.1 and §6.5), for one moment."""
        counted = (self.packets & 0xFFFFFFFF, self.octets & 0xFFFFFFFF)
        ssrc = self.parameters.ssrc
        sender = struct.pack("!IQIII", ssrc, ntp, timestamp & 0xFFFFFFFF, *counted)
        name = self.parameters.cname.encode()
        chunk = struct.pack("!IBB", ssrc, _CNAME, len(name)) + name + b"\x00"
        chunk += bytes(-len(chunk) % 4)
        return _rtcp(_SR, 0, sender) + _rtcp(_SDES, 1, chunk)

    def bye_packet(self) -> bytes:
        """Return the BYE for both SSRCs (RFC 3550 §6.6)."""
        sources: Sequence[int] = (self.parameters.ssrc, self.parameters.rtx_ssrc)
        if self.parameters.rtx_payload_type is None:
            sources = sources[:1]
        return _rtcp(_BYE, len(sources), struct.pack(f"!{len(sources)}I", *sources))

    def _sequence_of(self, wire_sequence: int) -> int:
        """Return the newest extended sequence number with these 16 bits."""
        return self._sequence - ((self._sequence - wire_sequence) & 0xFFFF or 0x10000)

    def _kept(self, sequence: int) -> _Sent | None:
        is_young = self._sequence - HISTORY_PACKETS <= sequence
        return self._history[sequence % HISTORY_PACKETS] if is_young else None


def ntp_of(wall_ms: int) -> int:
    """Return a wall time as NTP's 64 bits: seconds since 1900, and their fraction."""
    seconds, ms = divmod(wall_ms, 1000)
    return seconds + NTP_EPOCH_S << 32 | (ms << 32) // 1000


def _rtcp(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", _VERSION | count, kind, len(body) // 4) + body
