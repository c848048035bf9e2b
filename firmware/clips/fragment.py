"""A fragment: the access units of up to half a second, as the plain text of one sealed record.

    count (4) ‖ count × [ pts_90k (8) ‖ is_key (1) ‖ size (4) ] ‖ the access units, Annex B

All numbers big endian; pts count from the clip's first access unit. A container would add
nothing here: fragments are read back by `decode_fragment` alone, and MP4 is made for players
when a clip leaves the vault (firmware.clips.mp4).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.footage import split_annex_b
from firmware.vault.sealed_file import MAX_RECORD_BYTES

_COUNT = struct.Struct(">I")
_UNIT = struct.Struct(">QBI")


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
