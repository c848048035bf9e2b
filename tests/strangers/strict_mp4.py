"""A strict reader of MP4 files, written from ISO/IEC 14496-12 alone.

It refuses what a player would forgive: boxes that don't end with their parent, tables whose counts
disagree, samples outside `mdat`, overlapping samples, times that don't rise, a first sample that
isn't a sync sample.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise

CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"udta", b"edts"}
EPOCH_1904_S = 2_082_844_800


class Wrong(Exception):
    """The file breaks the standard."""


@dataclass(frozen=True)
class Box:
    """One box: its kind, where its body lies, and what is in it if it is a container."""

    kind: bytes
    begin: int
    end: int
    inside: tuple["Box", ...] = ()

    def all(self, kind: bytes) -> list["Box"]:
        return [box for box in self.inside if box.kind == kind]

    def one(self, *path: bytes) -> "Box":
        box = self
        for kind in path:
            found = box.all(kind)
            if len(found) != 1:
                raise Wrong(f"{len(found)} boxes {kind!r} in {box.kind!r}")
            box = found[0]
        return box


@dataclass(frozen=True)
class Sample:
    """A sample: where it lies, and its decoding time in the track's timescale."""

    offset: int
    size: int
    time: int
    is_sync: bool


@dataclass(frozen=True)
class Track:
    """A track with its samples in decoding order."""

    handler: bytes
    timescale: int
    created_s: int
    samples: tuple[Sample, ...]


def boxes(data: bytes, begin: int, end: int) -> tuple[Box, ...]:
    """4.2: parse the boxes of a range, which they fill to its last byte."""
    found = []
    while begin < end:
        if begin + 8 > end:
            raise Wrong("a box's head is cut off")
        size, kind = struct.unpack_from(">I4s", data, begin)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, begin + 8)
            head = 16
        elif size == 0:
            size = end - begin
        if size < head or begin + size > end:
            raise Wrong(f"{kind!r} has {size} bytes, and its parent only {end - begin} more")
        body, last = begin + head, begin + size
        inside = boxes(data, body, last) if kind in CONTAINERS else ()
        found.append(Box(kind, body, last, inside))
        begin += size
    return tuple(found)


def tracks(data: bytes) -> list[Track]:
    """Read a whole file, or raise Wrong."""
    file = Box(b"file", 0, len(data), boxes(data, 0, len(data)))
    if file.inside[0].kind != b"ftyp":
        raise Wrong("it doesn't begin with ftyp (4.3)")
    moov = file.one(b"moov")
    _created(data, moov.one(b"mvhd"))
    media = [(box.begin, box.end) for box in file.all(b"mdat")]
    found = [_track(data, trak) for trak in moov.all(b"trak")]
    taken: list[tuple[int, int]] = []
    for track in found:
        for sample in track.samples:
            end = sample.offset + sample.size
            if not any(low <= sample.offset and end <= high for low, high in media):
                raise Wrong("a sample lies outside of mdat (8.1.1)")
            taken.append((sample.offset, end))
    taken.sort()
    if any(one[1] > other[0] for one, other in pairwise(taken)):
        raise Wrong("samples overlap")
    return found


def _created(data: bytes, header: Box) -> int:
    """mvhd and mdhd (8.2.2, 8.4.2): creation time, in seconds since 1970; 0 stays 0."""
    version = data[header.begin]
    form, at = (">Q", 4) if version == 1 else (">I", 4)
    (seconds,) = struct.unpack_from(form, data, header.begin + at)
    return int(seconds) - EPOCH_1904_S if seconds else 0


def _track(data: bytes, trak: Box) -> Track:
    mdhd = trak.one(b"mdia", b"mdhd")
    version = data[mdhd.begin]
    (timescale,) = struct.unpack_from(">I", data, mdhd.begin + (20 if version == 1 else 12))
    hdlr = trak.one(b"mdia", b"hdlr")
    stbl = trak.one(b"mdia", b"minf", b"stbl")
    sizes = _sizes(data, stbl)
    times = _times(data, stbl)
    offsets = _offsets(data, stbl, sizes)
    if not len(sizes) == len(times) == len(offsets):
        raise Wrong(f"{len(sizes)} sizes, {len(times)} times, {len(offsets)} places")
    sync = _sync(data, stbl, len(sizes))
    samples = tuple(
        Sample(offset, size, time, number + 1 in sync)
        for number, (offset, size, time) in enumerate(zip(offsets, sizes, times, strict=True))
    )
    if samples and not samples[0].is_sync:
        raise Wrong("the first sample is no sync sample")
    return Track(data[hdlr.begin + 8 : hdlr.begin + 12], timescale, _created(data, mdhd), samples)


def _full(data: bytes, box: Box, form: str, at: int = 4) -> list[tuple[int, ...]]:
    """A full box's table: a count, and rows that fill the box."""
    (count,) = struct.unpack_from(">I", data, box.begin + at)
    width = struct.calcsize(form)
    if box.begin + at + 4 + count * width != box.end:
        raise Wrong(f"{box.kind!r} says {count} rows and has room for others")
    return [
        struct.unpack_from(form, data, box.begin + at + 4 + row * width) for row in range(count)
    ]


def _sizes(data: bytes, stbl: Box) -> list[int]:
    box = stbl.one(b"stsz")
    (each,) = struct.unpack_from(">I", data, box.begin + 4)
    if each:
        (count,) = struct.unpack_from(">I", data, box.begin + 8)
        return [each] * count
    return [row[0] for row in _full(data, box, ">I", 8)]


def _times(data: bytes, stbl: Box) -> list[int]:
    times, now = [], 0
    for count, delta in _full(data, stbl.one(b"stts"), ">II"):
        if delta == 0 and count > 1:
            raise Wrong("samples share a time")
        for _ in range(count):
            times.append(now)
            now += delta
    return times


def _offsets(data: bytes, stbl: Box, sizes: list[int]) -> list[int]:
    wide = stbl.all(b"co64")
    chunks = [
        row[0]
        for row in _full(data, wide[0] if wide else stbl.one(b"stco"), ">Q" if wide else ">I")
    ]
    runs = _full(data, stbl.one(b"stsc"), ">III")
    if not runs or runs[0][0] != 1 or any(a[0] >= b[0] for a, b in pairwise(runs)):
        raise Wrong("stsc doesn't rise from 1 (8.7.4)")
    offsets: list[int] = []
    for number, chunk in enumerate(chunks, 1):
        count = next(run[1] for run in reversed(runs) if run[0] <= number)
        for _ in range(count):
            if len(offsets) == len(sizes):
                raise Wrong("chunks hold more samples than there are sizes")
            offsets.append(chunk)
            chunk += sizes[len(offsets) - 1]
    return offsets


def _sync(data: bytes, stbl: Box, count: int) -> set[int]:
    found = stbl.all(b"stss")
    if not found:
        return set(range(1, count + 1))
    numbers = [row[0] for row in _full(data, found[0], ">I")]
    if numbers != sorted(set(numbers)) or not all(1 <= number <= count for number in numbers):
        raise Wrong("stss doesn't rise within the samples (8.6.2)")
    return set(numbers)
