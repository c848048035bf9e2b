"""The sample table of one MP4 track (ISO/IEC 14496-12 8.5 to 8.7), checked before it is used.

A table is small and may claim anything, so every count is held against the bytes that are there
before anything is allocated, and the samples against the file: each is of bounded size, and
together they aren't larger than the file. That they rise without overlap is for Mp4, which has
both tracks.
"""

import struct
from collections.abc import Iterator

from firmware.protocol.encoding import WireError
from firmware.protocol.media.boxes import first, full_box, only

MAX_SAMPLES = 100_000
"""Samples of one track; ten minutes at 60 pictures a second are 36,000."""
MAX_SAMPLE_BYTES = 16 * 1024 * 1024
"""One picture; the largest that a doorbell's encoder makes is below one MiB."""


class SampleTable:
    """Where the samples of one track lie, and when they begin."""

    def __init__(self, stbl: memoryview, *, file_bytes: int) -> None:
        """Check the whole table against a file of this size; raises WireError or struct.error."""
        if first(stbl, b"ctts") is not None:
            raise WireError("the clip's pictures aren't in presentation order")
        stsz = full_box(only(stbl, b"stsz"), "stsz")
        self._same_bytes, self.count = struct.unpack_from(">II", stsz, 4)
        self._sizes = stsz[12:]
        self._check_sizes(file_bytes)
        self._durations = _entries(only(stbl, b"stts"), ">II", "stts")
        if sum(length for length, _ in self._runs()) != self.count:
            raise WireError("the clip's times don't add up")
        self._chunk_runs = _entries(only(stbl, b"stsc"), ">III", "stsc")
        self._chunks, self._chunk_form = _chunk_table(stbl)
        if sum(count for _, count in self._chunks_with_counts()) != self.count:
            raise WireError("the clip's sample table doesn't add up")

    def sizes(self) -> Iterator[int]:
        """Yield each sample's size in bytes."""
        if self._same_bytes:
            yield from (self._same_bytes for _ in range(self.count))
        else:
            yield from (size for (size,) in struct.iter_unpack(">I", self._sizes))

    def times(self) -> Iterator[int]:
        """Yield when each sample begins, in the track's timescale."""
        time = 0
        for length, duration in self._runs():
            for _ in range(length):
                yield time
                time += duration

    def ranges(self) -> Iterator[tuple[int, int]]:
        """Yield where each sample begins in the file, and its size."""
        sizes = self.sizes()
        for begin, count in self._chunks_with_counts():
            position = begin
            for _ in range(count):
                size = next(sizes)
                yield position, size
                position += size

    def chunks(self) -> Iterator[tuple[int, int]]:
        """Yield where each chunk begins and ends in the file."""
        sizes = self.sizes()
        for begin, count in self._chunks_with_counts():
            yield begin, begin + sum(next(sizes) for _ in range(count))

    def _check_sizes(self, file_bytes: int) -> None:
        if self.count == 0:
            raise WireError("a track of the clip is empty")
        if self.count > MAX_SAMPLES:
            raise WireError(f"the clip has more than {MAX_SAMPLES} pictures or units of sound")
        if len(self._sizes) != (0 if self._same_bytes else 4 * self.count):
            raise WireError("the clip's stsz box doesn't hold as many entries as it says")
        total = 0
        for size in self.sizes():
            if size == 0:
                raise WireError("a sample of the clip is empty")
            if size > MAX_SAMPLE_BYTES:
                raise WireError(f"a sample of the clip is larger than {MAX_SAMPLE_BYTES} bytes")
            total += size
        if total > file_bytes:
            raise WireError("the clip's samples are larger than its file")

    def _chunks_with_counts(self) -> Iterator[tuple[int, int]]:
        """Yield where each chunk begins, and how many samples it holds (stsc, 8.7.4)."""
        runs = struct.iter_unpack(">III", self._chunk_runs)
        first_chunk, count, _ = next(runs, (0, 0, 0))
        if first_chunk != 1:
            raise WireError("the clip's sample table doesn't begin with its first chunk")
        following = next(runs, None)
        for number, (begin,) in enumerate(struct.iter_unpack(self._chunk_form, self._chunks), 1):
            if following is not None and following[0] == number:
                count, following = following[1], next(runs, None)
            if count == 0:
                raise WireError("a chunk of the clip is empty")
            yield begin, count
        if following is not None:
            raise WireError("the clip's sample table names chunks that aren't there")

    def _runs(self) -> Iterator[tuple[int, int]]:
        yield from struct.iter_unpack(">II", self._durations)


def _chunk_table(stbl: memoryview) -> tuple[memoryview, str]:
    short, long = first(stbl, b"stco"), first(stbl, b"co64")
    if short is not None and long is not None:
        raise WireError("the clip has two tables of its chunks")  # players may take either
    if short is not None:
        return _entries(short, ">I", "stco"), ">I"
    return _entries(only(stbl, b"co64"), ">Q", "co64"), ">Q"


def _entries(box: memoryview, form: str, kind: str) -> memoryview:
    """Return a table's entries, of which there are exactly as many as it says."""
    (count,) = struct.unpack_from(">I", full_box(box, kind), 4)
    if count > MAX_SAMPLES or len(box) != 8 + count * struct.calcsize(form):
        raise WireError(f"the clip's {kind} box doesn't hold as many entries as it says")
    return box[8:]
