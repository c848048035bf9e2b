"""Clips as files: fragmented MP4 while recording, plain MP4 for export. Where clips meet PyAV.

A clip is written as fragments of at most half a second, each synced to disk before the next
begins, so what a killed process leaves behind is playable (plain MP4 would lose all). Nothing is
re-encoded and NAL units are never changed: all three forms of a clip give the same GOP leaves.
pts count from the clip's first access unit, time base 1/90000.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.container
import av.error
from av.stream import Stream
from av.video.stream import VideoStream

from firmware.capture.packets import TICKS_PER_S, AccessUnit
from firmware.errors import StoreError
from firmware.protocol.footage import split_length_prefixed

TIME_BASE = Fraction(1, TICKS_PER_S)
FRAGMENT_US = 450_000
"""A fragment ends with the first unit that is this far behind its beginning."""
_FRAGMENTED = "empty_moov+default_base_moof+skip_trailer"


class UnreadableClip(StoreError):
    """The file holds no video that can be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipUnit:
    """One access unit read back from a clip; `pts_90k` counts from the clip's first."""

    pts_90k: int
    is_key: bool
    nal_units: list[bytes]


class FragmentWriter:
    """Writes one clip; use it on a thread that may wait for the disk."""

    def __init__(self, path: Path, *, width: int, height: int) -> None:
        self._file = _SyncedFile(path)
        self._container = av.open(
            self._file,
            "w",
            format="mp4",
            options={
                "movflags": _FRAGMENTED,
                "frag_duration": str(FRAGMENT_US),
                "flush_packets": "1",
            },
        )
        self._stream = _add_h264(self._container, width=width, height=height)
        self._first_pts_90k: int | None = None

    @property
    def size_bytes(self) -> int:
        """How much was written so far."""
        return self._file.size_bytes

    def write(self, unit: AccessUnit) -> None:
        """Append one unit; returns once every finished fragment is on the disk."""
        if self._first_pts_90k is None:
            self._first_pts_90k = unit.pts_90k
        relative = unit.pts_90k - self._first_pts_90k
        self._container.mux(_packet(self._stream, relative, unit.is_key, unit.data))
        self._file.sync_if_written()

    def close(self) -> None:
        """Write the last fragment and sync it."""
        try:
            self._container.close()
            self._file.sync_if_written()
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Close the file after a failure, without writing anything more."""
        self._file.close()


class _SyncedFile:
    """What PyAV writes into: knows whether something is not synced yet."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._is_dirty = False
        self.size_bytes = 0
        sync_directory(path.parent)

    def write(self, data: bytes) -> int:
        if self._descriptor < 0:  # PyAV's container is destroyed after `abandon`
            return len(data)
        view = memoryview(data)
        while view:
            written = os.write(self._descriptor, view)
            view = view[written:]
        self.size_bytes += len(data)
        self._is_dirty = True
        return len(data)

    def sync_if_written(self) -> None:
        if self._is_dirty:
            os.fdatasync(self._descriptor)
            self._is_dirty = False

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_units(path: Path) -> Iterator[ClipUnit]:
    """Yield the access units of a fragmented or plain MP4, or raise UnreadableClip."""
    for packet in _packets(path):
        yield ClipUnit(
            pts_90k=packet.pts_90k,
            is_key=packet.is_key,
            nal_units=split_length_prefixed(packet.sample),
        )


def remux_plain(path: Path) -> bytes:
    """Return the clip as plain MP4 with its index in front, for players and for export."""
    samples = list(_packets(path))
    if not samples:
        raise UnreadableClip(path, "no video in it")
    output = io.BytesIO()
    options = {"moov_size": str(4096 + 40 * len(samples))}
    with av.open(str(path)) as template, av.open(output, "w", "mp4", options=options) as plain:
        stream = plain.add_stream_from_template(template.streams.video[0])
        stream.time_base = TIME_BASE
        for sample in samples:
            plain.mux(_packet(stream, sample.pts_90k, sample.is_key, sample.sample))
    return output.getvalue()


def keep_whole_fragments(path: Path) -> int:
    """Cut off what a killed process left half written; return the size that is kept."""
    end = 0
    position = 0
    size = path.stat().st_size
    with path.open("r+b") as file:
        while position + 8 <= size:
            file.seek(position)
            header = file.read(8)
            box_bytes = int.from_bytes(header[:4], "big")
            if box_bytes < 8 or position + box_bytes > size:
                break
            position += box_bytes
            if header[4:] != b"moof":
                end = position
        file.truncate(end)
        os.fsync(file.fileno())
    return end


def sync_directory(path: Path) -> None:
    """Let the names of new and removed files in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    pts_90k: int
    is_key: bool
    sample: bytes


def _packets(path: Path) -> Iterator[_Sample]:
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UnreadableClip(path, "no video in it")
            for packet in container.demux(video=0):
                if packet.pts is not None and packet.size:
                    pts = Fraction(packet.pts) * (packet.time_base or TIME_BASE) * TICKS_PER_S
                    yield _Sample(pts_90k=int(pts), is_key=packet.is_keyframe, sample=bytes(packet))
    except (av.error.FFmpegError, OSError) as error:
        raise UnreadableClip(path, f"not a readable clip: {error}") from error


def _add_h264(container: av.container.OutputContainer, *, width: int, height: int) -> VideoStream:
    stream = container.add_mux_stream("h264", width=width, height=height)
    if not isinstance(stream, VideoStream):
        raise TypeError("PyAV gave no video stream for h264")
    stream.time_base = TIME_BASE
    return stream


def _packet(stream: VideoStream, pts_90k: int, is_key: bool, data: bytes) -> "av.Packet[Stream]":
    packet = av.Packet(data)
    packet.pts = packet.dts = pts_90k
    packet.time_base = TIME_BASE
    packet.is_keyframe = is_key
    packet.stream = stream
    return packet
