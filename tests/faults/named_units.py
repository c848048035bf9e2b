"""Access units that carry a name, by which they are found again in whatever was recorded.

The name is a NAL unit of a type that H.264 leaves to applications (7.4.1, Table 7-1: 24 to 31
unspecified), after the picture's own; decoders pass it over.
"""

from dataclasses import replace

from firmware.capture.camera_output import AccessUnit

_MARK = b"\x00\x00\x00\x01\x1e"


def named(unit: AccessUnit, name: str) -> AccessUnit:
    """Return the unit with an ASCII name in it."""
    return replace(unit, data=unit.data + _MARK + name.encode("ascii"))


def name_of(data: bytes) -> str:
    """Return the name that an access unit carries; ValueError if it has none."""
    _, mark, name = data.rpartition(_MARK)
    if not mark:
        raise ValueError("an access unit without a name")
    return name.decode("ascii")
