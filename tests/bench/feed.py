"""Access units and luma frames on their way to another process, by a pipe or a file.

    unit = pts_90k (8) ‖ is_key (1) ‖ size (4) ‖ the access unit, Annex B
    luma = width (2) ‖ height (2) ‖ the rows

Imported by the processes whose memory is measured, so nothing heavy belongs here.
"""

import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterable
from typing import IO, BinaryIO

from firmware.capture.camera_output import AccessUnit, LumaFrame

PIPE_BYTES = 1024 * 1024
_HEAD = struct.Struct(">QBI")
_LUMA = struct.Struct(">HH")


def write_unit(stream: IO[bytes], unit: AccessUnit) -> None:
    """Write one unit, at once."""
    stream.write(_HEAD.pack(unit.pts_90k, unit.is_key, len(unit.data)) + unit.data)


def read_unit(stream: BinaryIO) -> AccessUnit | None:
    """Return the next unit, in bytes of its own as from an encoder; None at the end."""
    head = stream.read(_HEAD.size)
    if not head:
        return None
    pts_90k, is_key, size = _HEAD.unpack(head)
    return AccessUnit(pts_90k=pts_90k, is_key=bool(is_key), data=stream.read(size))


def write_luma(stream: IO[bytes], frame: LumaFrame) -> None:
    """Write one luma frame whose rows have no padding."""
    stream.write(_LUMA.pack(frame.width, frame.height) + frame.data)


def read_luma(stream: BinaryIO, pts_90k: int) -> LumaFrame | None:
    """Return the next luma frame, as taken at that time; None at the end."""
    head = stream.read(_LUMA.size)
    if not head:
        return None
    width, height = _LUMA.unpack(head)
    return LumaFrame(
        pts_90k=pts_90k,
        width=width,
        height=height,
        stride=width,
        data=stream.read(width * height),
    )


class UnitPipe:
    """Reads units from a pipe with as few calls as can be: what the reading takes is measured."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = memoryview(bytearray(PIPE_BYTES + _HEAD.size))
        self._filled = 0

    def read(self) -> AccessUnit | None:
        """Return the next unit, in bytes of its own; None at the end."""
        if not self._fill(_HEAD.size):
            return None
        pts_90k, is_key, size = _HEAD.unpack_from(self._buffer)
        end = _HEAD.size + size
        if not self._fill(end):
            return None
        unit = AccessUnit(
            pts_90k=pts_90k, is_key=bool(is_key), data=bytes(self._buffer[_HEAD.size : end])
        )
        rest = self._filled - end
        self._buffer[:rest] = bytes(self._buffer[end : self._filled])
        self._filled = rest
        return unit

    def _fill(self, size: int) -> bool:
        """Read until so much is there; False if the pipe ends before."""
        while self._filled < size:
            count = os.readv(self._descriptor, [self._buffer[self._filled :]])
            if count == 0:
                return False
            self._filled += count
        return True


def widen(pipe: IO[bytes]) -> None:
    """Give a pipe room for a whole key frame, so that its reader wakes once for each unit."""
    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def in_real_time(
    units: Iterable[AccessUnit], fps: int, take: Callable[[AccessUnit], object]
) -> None:
    """Hand on the units one after the other, each when a camera would."""
    begin_s = time.monotonic()
    for number, unit in enumerate(units):
        time.sleep(max(0.0, begin_s + number / fps - time.monotonic()))
        take(unit)
