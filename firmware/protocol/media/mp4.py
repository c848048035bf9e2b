"""The reader of a plain MP4's pictures and sound (ISO/IEC 14496-12, -14 and -15).

Only what a Doorward clip needs: one H.264 track, 4-byte NAL lengths, samples in presentation
order, and at most one AAC track. Nothing is trusted: what comes out is hashed and compared with
the manifest. Times are those at which a player shows and plays it, so an edit that shifts a track
gives other hashes, and what has more tracks than these is refused.

The index is read whole and bounded; pictures and sound are read one by one, so memory is bounded
by the index and the largest single sample, whatever the file claims. What is never hashed and yet
changes what is seen is for relay/verify/display_checks.py to look at.
"""

import heapq
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from firmware.protocol.encoding import WireError
from firmware.protocol.media.boxes import (
    boxes,
    file_boxes,
    first,
    full_box,
    only,
    only_in_file,
)
from firmware.protocol.media.byte_source import ByteSource
from firmware.protocol.media.rotation import Rotation, rotation_of
from firmware.protocol.media.sample_table import SampleTable
from firmware.protocol.nal_units import split_length_prefixed

CLOCK_HZ = 90_000
MAX_INDEX_BYTES = 8 * 1024 * 1024
"""The moov box; that of ten minutes with sound has about one MiB."""
MAX_EDITS = 2
IDR = 5
AUDIO_CONFIGS = (bytes.fromhex("1188"), bytes.fromhex("118856e500"))
"""AudioSpecificConfig (14496-3 1.6.2.1): AAC-LC, 48 kHz, one channel; the longer one adds that
there is no SBR."""
OBJECT_TYPE_AAC = 0x40

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Where one sample lies; `pts_90k` counts from the clip's begin."""

    pts_90k: int
    begin: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundUnit:
    """One unit of sound; `pts_90k` counts from the clip's begin, and the first lies before it."""

    pts_90k: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipUnit:
    """One access unit; `pts_90k` counts from the clip's first."""

    pts_90k: int
    is_key: bool
    nal_units: list[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One line of an edit list: so long (movie's time) from this moment on (track's time)."""

    duration: int
    begin: int

    @property
    def is_empty(self) -> bool:
        """Whether it is an empty edit, during which nothing is shown."""
        return self.begin == -1


class Mp4:
    """A plain MP4 whose index and sample tables hold together; WireError where they don't."""

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.boxes = file_boxes(source)
        index = only_in_file(self.boxes, b"moov")
        if index.size_bytes > MAX_INDEX_BYTES:
            raise WireError(f"the clip's index is larger than {MAX_INDEX_BYTES} bytes")
        self.moov = memoryview(source.read(index.begin, index.size_bytes))
        with_words(self._check_tracks)

    @property
    def movie_timescale(self) -> int:
        """The movie's ticks a second, which edits are counted in."""
        return with_words(lambda: _timescale_of(only(self.moov, b"mvhd"), "mvhd"))

    @property
    def rotation(self) -> Rotation:
        """By how many degrees clockwise a player turns the pictures."""
        return with_words(lambda: rotation_of(only(self.tracks[b"vide"], b"tkhd")))

    @property
    def has_sound(self) -> bool:
        """Whether there is a track of sound."""
        return b"soun" in self.tracks

    def picture_samples(self) -> Iterator[Sample]:
        """Yield where each picture lies, and its time."""
        yield from self._samples(b"vide")

    def sound_samples(self) -> Iterator[Sample]:
        """Yield where each unit of sound lies, and its time."""
        if self.has_sound:
            yield from self._samples(b"soun")

    def pictures(self) -> Iterator[ClipUnit]:
        """Yield the access units, each read when it is asked for."""
        with_words(lambda: _check_entry(only(sample_table(self.tracks[b"vide"]), b"stsd")))
        for sample in self.picture_samples():
            nal_units = split_length_prefixed(self._source.read(sample.begin, sample.size_bytes))
            is_key = any(unit[0] & 0x1F == IDR for unit in nal_units)
            yield ClipUnit(pts_90k=sample.pts_90k, is_key=is_key, nal_units=nal_units)

    def sound(self) -> Iterator[SoundUnit]:
        """Yield the units of sound, each read when it is asked for; none if there is no sound."""
        if self.has_sound:
            with_words(
                lambda: _check_sound_entry(only(sample_table(self.tracks[b"soun"]), b"stsd"))
            )
        for sample in self.sound_samples():
            data = self._source.read(sample.begin, sample.size_bytes)
            yield SoundUnit(pts_90k=sample.pts_90k, data=data)

    def _check_tracks(self) -> None:
        self.tracks = _tracks(self.moov)
        self._tables = {
            handler: SampleTable(sample_table(trak), file_bytes=self._source.size_bytes)
            for handler, trak in self.tracks.items()
        }
        media = iter([box for box in self.boxes if box.kind == b"mdat"])
        mdat = next(media, None)
        end = 0
        for begin, chunk_end in heapq.merge(*(table.chunks() for table in self._tables.values())):
            if begin < end:
                raise WireError("samples of the clip overlap, or don't lie in order")
            while mdat is not None and begin >= mdat.end:
                mdat = next(media, None)
            if mdat is None or begin < mdat.begin or chunk_end > mdat.end:
                raise WireError("a sample of the clip lies outside its media data")
            end = chunk_end

    def _samples(self, handler: bytes) -> Iterator[Sample]:
        trak, table = self.tracks[handler], self._tables[handler]
        timescale = with_words(lambda: _timescale_of(only(only(trak, b"mdia"), b"mdhd"), "mdhd"))
        begin = with_words(lambda: _begin(trak, timescale, self.movie_timescale))
        ticks, shift = timescale * begin.denominator, begin.numerator
        for dts, (position, size_bytes) in zip(table.times(), table.ranges(), strict=True):
            pts_90k = _rounded((dts * begin.denominator - shift) * CLOCK_HZ, ticks)
            yield Sample(pts_90k=pts_90k, begin=position, size_bytes=size_bytes)


def with_words(read: Callable[[], T]) -> T:
    """Return what is read of an index; where it is cut off, that is a WireError."""
    try:
        return read()
    except (struct.error, IndexError) as error:
        raise WireError("the clip's index is cut off") from error


def _rounded(numerator: int, denominator: int) -> int:
    """Return the nearest whole number, of two the even one: as `round`, without a Fraction each."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def edits_of(trak: memoryview) -> list[Edit]:
    """Return a track's edit list, restricted to forms that clips use."""
    edts = first(trak, b"edts")
    if edts is None:
        return []
    elst = full_box(only(edts, b"elst"), "elst", newest=1)
    (count,) = struct.unpack_from(">I", elst, 4)
    form = ">Qqhh" if elst[0] == 1 else ">Iihh"
    edits: list[Edit] = []
    for number in range(min(count, MAX_EDITS)):
        duration, begin, *rate = struct.unpack_from(form, elst, 8 + struct.calcsize(form) * number)
        if rate != [1, 0]:
            raise WireError("the clip was cut or shifted by its edit list")
        edits.append(Edit(duration=duration, begin=begin))
    if count > MAX_EDITS:
        raise WireError("the clip was cut or shifted by its edit list")
    return edits


def sample_table(trak: memoryview) -> memoryview:
    """Return the box that describes a track's samples."""
    return only(only(only(trak, b"mdia"), b"minf"), b"stbl")


def _tracks(moov: memoryview) -> dict[bytes, memoryview]:
    """Return the video track and, if there is one, the audio track, by their handlers."""
    tracks: dict[bytes, memoryview] = {}
    for trak in (body for kind, body in boxes(moov) if kind == b"trak"):
        handler = bytes(only(only(trak, b"mdia"), b"hdlr")[8:12])
        if handler not in (b"vide", b"soun") or handler in tracks:
            raise WireError("the clip has more in it than one film and its sound")
        tracks[handler] = trak
    if b"vide" not in tracks:
        raise WireError("the clip has no video")
    return tracks


def _timescale_of(header: memoryview, kind: str) -> int:
    """Return the ticks a second of an mvhd or mdhd box."""
    full_box(header, kind, newest=1)
    (timescale,) = struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)
    if timescale == 0:
        raise WireError("the clip counts its time in no unit")
    return int(timescale)


def _begin(trak: memoryview, timescale: int, movie_timescale: int) -> Fraction:
    """Return the media time of a track that is shown at the clip's begin (14496-12 8.6.6).

    A track that begins later than the clip has an empty edit first, counted in the movie's time.
    """
    edits = edits_of(trak)
    waits = Fraction(0)
    if len(edits) == 2 and edits[0].is_empty:
        waits = Fraction(edits[0].duration * timescale, movie_timescale)
        edits = edits[1:]
    if not edits:
        return Fraction(0)
    if len(edits) != 1 or edits[0].begin < 0:
        raise WireError("the clip was cut or shifted by its edit list")
    return edits[0].begin - waits


def _check_sound_entry(stsd: memoryview) -> None:
    kind, entry = next(boxes(stsd[8:]), (b"", memoryview(b"")))
    if kind != b"mp4a" or _audio_config(only(entry[28:], b"esds")) not in AUDIO_CONFIGS:
        raise WireError("the clip's sound isn't AAC-LC, mono, 48 kHz")


def _audio_config(esds: memoryview) -> bytes:
    """Return the sound's AudioSpecificConfig; nothing if it isn't AAC (14496-1 7.2.6.5 on)."""
    decoder = _descriptor(_descriptor(esds[4:], 0x03)[3:], 0x04)
    config = _descriptor(decoder[13:], 0x05)
    return bytes(config) if decoder[0] == OBJECT_TYPE_AAC else b""


def _descriptor(data: memoryview, tag: int) -> memoryview:
    """Return the content of a descriptor; its size comes seven bits a byte (14496-1 8.3.3)."""
    if data[0] != tag:
        raise WireError("the clip's sound isn't described as it must be")
    size = 0
    for begin in range(1, 5):
        size = size << 7 | data[begin] & 0x7F
        if not data[begin] & 0x80:
            break
    if begin + 1 + size > len(data):
        raise WireError("the clip's sound isn't described as it must be")
    return data[begin + 1 : begin + 1 + size]


def _check_entry(stsd: memoryview) -> None:
    kind, entry = next(boxes(stsd[8:]), (b"", memoryview(b"")))
    if kind not in (b"avc1", b"avc3"):
        raise WireError("the clip's video isn't H.264")
    if only(entry[78:], b"avcC")[4] & 3 != 3:
        raise WireError("the clip's NAL units don't have 4-byte lengths")
