"""Walks the boxes of an MP4 (ISO/IEC 14496-12 section 4.2). Nothing in them is trusted."""

import struct
from collections.abc import Iterator

from firmware.protocol.encoding import WireError


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kind and the content of each box that lies in `data`."""
    position = 0
    while position + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        elif size == 0:
            size = len(data) - position
        if size < header or position + size > len(data):
            raise WireError("a box of the clip is cut off")
        yield kind, data[position + header : position + size]
        position += size
    if position != len(data):
        raise WireError("a box of the clip is cut off")


def only(data: memoryview, kind: bytes) -> memoryview:
    """Return the one box of this kind, or raise WireError."""
    found = first(data, kind)
    if found is None:
        raise WireError(f"the clip has no {kind.decode()} box")
    return found


def first(data: memoryview, kind: bytes) -> memoryview | None:
    """Return the box of this kind if there is one; of two, players may take either."""
    found = [body for name, body in boxes(data) if name == kind]
    if len(found) > 1:
        raise WireError(f"the clip has two {kind.decode()} boxes")
    return found[0] if found else None
