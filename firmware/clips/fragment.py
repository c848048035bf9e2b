"""The format of fragments: up to half a second of access units, one sealed record's plaintext.

    count (4) ‖ count × [ pts_90k (8) ‖ is_key (1) ‖ size (4) ] ‖ the access units, Annex B

Its sound, if there is any, is a record of its own behind it (protocol.footage says what a unit
of sound is, and that each begins SOUND_UNIT_90K after the one before):

    first pts_90k (8, signed) ‖ lost_90k so far (4) ‖ count (4) ‖ count × size (2) ‖ the units

All numbers big endian; pts count from the clip's first access unit. A container would add
nothing here: fragments are read back by this module alone, and MP4 is made for players
when a clip leaves the vault (firmware.clips.mp4).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.footage import SOUND_UNIT_90K
from firmware.protocol.nal_units import split_annex_b
from firmware.vault.sealed_file import MAX_RECORD_BYTES

_COUNT = struct.Struct(">I")
_UNIT = struct.Struct(">QBI")
_SOUND = struct.Struct(">qII")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipUnit:
    """One access unit of a clip; `pts_90k` counts from the clip's first, `data` is Annex B."""

    pts_90k: int
    is_key: bool
    data: bytes

    @property
    def nal_units(self) -> list[bytes]:
        """The NAL units without their start codes."""
        return split_annex_b(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundUnit:
    """1,024 samples of a clip's sound, encoded; `pts_90k` counts from the first access unit."""

    pts_90k: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundPart:
    """The sound of one fragment; `lost_90k` is how much was missing from the clip's begin on."""

    units: list[SoundUnit]
    lost_90k: int


def encode_fragment(units: Sequence[ClipUnit]) -> bytes:
    """Return the units as one fragment."""
    head = [_COUNT.pack(len(units))]
    head += [_UNIT.pack(unit.pts_90k, unit.is_key, len(unit.data)) for unit in units]
    return b"".join(head + [unit.data for unit in units])


def decode_fragment(data: bytes) -> list[ClipUnit]:
    """Return the units of one fragment, or raise WireError."""
    try:
        (count,) = _COUNT.unpack_from(data)
        begin = _COUNT.size + count * _UNIT.size
        if len(data) > MAX_RECORD_BYTES or begin > len(data):
            raise WireError("a fragment is too short for its own table, or too long")
        units = []
        for index in range(count):
            pts_90k, is_key, size = _UNIT.unpack_from(data, _COUNT.size + index * _UNIT.size)
            end = begin + size
            if is_key > 1 or size == 0 or end > len(data):
                raise WireError(f"access unit {index} of a fragment doesn't fit it")
            units.append(ClipUnit(pts_90k=pts_90k, is_key=bool(is_key), data=data[begin:end]))
            begin = end
    except struct.error as error:
        raise WireError(f"not a fragment: {error}") from error
    if begin != len(data):
        raise WireError("a fragment has bytes that belong to no access unit")
    return units


def encode_sound(part: SoundPart) -> bytes:
    """Return one fragment's sound, which is not empty."""
    units = part.units
    head = _SOUND.pack(units[0].pts_90k, part.lost_90k, len(units))
    sizes = struct.pack(f">{len(units)}H", *(len(unit.data) for unit in units))
    return b"".join([head, sizes, *(unit.data for unit in units)])


def decode_sound(data: bytes) -> SoundPart:
    """Return one fragment's sound, or raise WireError."""
    try:
        pts_90k, lost_90k, count = _SOUND.unpack_from(data)
        begin = _SOUND.size + 2 * count
        if count == 0 or begin > len(data):
            raise WireError("a fragment's sound is too short for its own table")
        sizes = struct.unpack_from(f">{count}H", data, _SOUND.size)
    except struct.error as error:
        raise WireError(f"not a fragment's sound: {error}") from error
    if begin + sum(sizes) != len(data) or 0 in sizes:
        raise WireError("a fragment's sound doesn't fit its own table")
    units = []
    for number, size in enumerate(sizes):
        unit = SoundUnit(pts_90k=pts_90k + number * SOUND_UNIT_90K, data=data[begin : begin + size])
        units.append(unit)
        begin += size
    return SoundPart(units=units, lost_90k=lost_90k)
