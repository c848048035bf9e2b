"""The box structure of an MP4 (ISO/IEC 14496-12 4.2). Nothing in it is trusted.

A file's own boxes are found without reading what is in them; the index is small, and read whole.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.media.byte_source import ByteSource

MAX_BOXES = 256
"""Boxes in a file or in another box; a clip has about a dozen."""
_HEADER_BYTES = 8
_LONG_HEADER_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBox:
    """One of a file's own boxes, and where its content lies."""

    kind: bytes
    begin: int
    size_bytes: int

    @property
    def end(self) -> int:
        """Where the box ends."""
        return self.begin + self.size_bytes


def file_boxes(source: ByteSource) -> list[FileBox]:
    """Return a file's own boxes, or raise WireError."""
    found: list[FileBox] = []
    position = 0
    while position < source.size_bytes:
        left = source.size_bytes - position
        head = source.read(position, min(_LONG_HEADER_BYTES, left))
        kind, header, size = _header(head, left)
        found.append(FileBox(kind=kind, begin=position + header, size_bytes=size - header))
        _check_count(len(found))
        position += size
    return found


def boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield the kind and the content of each box that lies in `data`."""
    position = 0
    count = 0
    while position < len(data):
        left = len(data) - position
        kind, header, size = _header(bytes(data[position : position + _LONG_HEADER_BYTES]), left)
        count += 1
        _check_count(count)
        yield kind, data[position + header : position + size]
        position += size


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


def only_in_file(listed: list[FileBox], kind: bytes) -> FileBox:
    """Return the one box of this kind that a file itself has, or raise WireError."""
    found = [box for box in listed if box.kind == kind]
    if len(found) > 1:
        raise WireError(f"the clip has two {kind.decode()} boxes")
    if not found:
        raise WireError(f"the clip has no {kind.decode()} box")
    return found[0]


def full_box(box: memoryview, kind: str, *, newest: int = 0) -> memoryview:
    """Return a box that begins with its version and flags, or raise WireError if that is later.

    A later version has its fields elsewhere, so what is read of it would be something else.
    """
    if box[0] > newest:
        raise WireError(f"the clip's {kind} box is of a later version")
    return box


def _header(head: bytes, left: int) -> tuple[bytes, int, int]:
    """Return a box's kind, and the sizes of its header and of all of it."""
    if len(head) < _HEADER_BYTES:
        raise WireError("a box of the clip is cut off")
    size, kind = struct.unpack_from(">I4s", head)
    header = _HEADER_BYTES
    if size == 0:
        raise WireError("a box of the clip has no size")
    if size == 1:
        if len(head) < _LONG_HEADER_BYTES:
            raise WireError("a box of the clip is cut off")
        (size,) = struct.unpack_from(">Q", head, _HEADER_BYTES)
        header = _LONG_HEADER_BYTES
    if size < header or size > left:
        raise WireError("a box of the clip is cut off")
    return kind, header, size


def _check_count(count: int) -> None:
    if count > MAX_BOXES:
        raise WireError(f"the clip has more than {MAX_BOXES} boxes in one place")
