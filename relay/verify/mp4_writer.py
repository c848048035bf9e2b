"""Writer of a plain MP4 from another one's pictures and sound (ISO/IEC 14496-12, -14 and -15).

For trimmed copies. The same samples always give the same bytes, and nothing else is in them, so
whoever checks a trimmed file writes it once more and compares. Nothing is encoded or decoded.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from firmware.protocol.encoding import WireError
from firmware.protocol.media.byte_source import (
    ByteSource,
    JoinedSource,
    MemorySource,
    RangeSource,
)
from firmware.protocol.media.mp4 import CLOCK_HZ, Sample
from firmware.protocol.media.rotation import Rotation, matrix_of
from firmware.protocol.media.tags import Tags
from firmware.protocol.nal_units import split_length_prefixed

SOUND_HZ = 48_000
MOVIE_HZ = 720_000
"""The least common multiple of the film's and the sound's clocks: what edits are counted in."""
SOUND_UNIT_SAMPLES = 1024
SOUND_UNIT_90K = 1920
SPS, PPS = 7, 8
LONE_PICTURE_90K = 9000
SOUND_BITRATE_BPS = 64_000
_UNTURNED = matrix_of(0, width=0, height=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Track:
    """The data of one track's boxes; times in its own timescale."""

    number: int
    timescale: int
    durations: list[int]
    samples: Sequence[Sample]
    keys: list[int] | None
    """Which samples can be begun with, from 1; None: any."""
    waits_90k: int
    """How much later than the film it begins; less than nothing: so much of it isn't played."""
    handler: bytes
    header: bytes
    entry: bytes
    size: tuple[int, int]
    matrix: bytes
    volume: int


def plain_mp4(
    source: ByteSource,
    pictures: Sequence[Sample],
    sound: Sequence[Sample] = (),
    *,
    keys: Sequence[int],
    width: int,
    height: int,
    rotation: Rotation = 0,
    tags: Tags,
) -> ByteSource:
    """Return the MP4 of samples that lie in `source`; they are read when it is.

    Times count from the first picture; sound follows itself without a gap. `keys` are the places
    of the key frames among the pictures, from 0.
    """
    matrix = matrix_of(rotation, width=width, height=height)
    tracks = [_film(source, pictures, keys, matrix, width=width, height=height)]
    if sound:
        tracks.append(_sound(sound))
    ftyp = _box(b"ftyp", b"isom", b"\x00\x00\x02\x00", b"isomiso2avc1mp41")
    media_bytes = sum(sample.size_bytes for track in tracks for sample in track.samples)
    size_bytes = len(ftyp) + len(_moov(tracks, [0] * len(tracks), tags)) + 8
    if size_bytes + media_bytes >= 1 << 32:
        raise WireError("the clip is too long to be written")
    offsets = []
    for track in tracks:
        offsets.append(size_bytes)
        size_bytes += sum(sample.size_bytes for sample in track.samples)
    head = ftyp + _moov(tracks, offsets, tags) + (8 + media_bytes).to_bytes(4, "big") + b"mdat"
    media = (RangeSource(source, *run) for track in tracks for run in _runs(track.samples))
    return JoinedSource([MemorySource(head), *media])


def _runs(samples: Sequence[Sample]) -> Iterator[tuple[int, int]]:
    """Yield the begin and size of each run of samples that lie one behind the other."""
    begin, end = samples[0].begin, samples[0].begin
    for sample in samples:
        if sample.begin != end:
            yield begin, end - begin
            begin = sample.begin
        end = sample.begin + sample.size_bytes
    yield begin, end - begin


def _film(
    source: ByteSource,
    pictures: Sequence[Sample],
    keys: Sequence[int],
    matrix: bytes,
    *,
    width: int,
    height: int,
) -> _Track:
    durations = [later.pts_90k - one.pts_90k for one, later in pairwise(pictures)]
    durations.append(durations[-1] if durations else LONE_PICTURE_90K)
    if min(durations) < 0:
        raise WireError("the clip's pictures aren't in presentation order")
    first = split_length_prefixed(source.read(pictures[0].begin, pictures[0].size_bytes))
    return _Track(
        number=1,
        timescale=CLOCK_HZ,
        durations=durations,
        samples=pictures,
        keys=[key + 1 for key in keys],
        waits_90k=0,
        handler=b"vide",
        header=_full_box(b"vmhd", 1, bytes(8)),
        entry=_avc1(first, width=width, height=height),
        size=(width, height),
        matrix=matrix,
        volume=0,
    )


def _sound(sound: Sequence[Sample]) -> _Track:
    if any(b.pts_90k - a.pts_90k != SOUND_UNIT_90K for a, b in pairwise(sound)):
        raise WireError("the clip's sound has a gap")
    return _Track(
        number=2,
        timescale=SOUND_HZ,
        durations=[SOUND_UNIT_SAMPLES] * len(sound),
        samples=sound,
        keys=None,
        waits_90k=sound[0].pts_90k,
        handler=b"soun",
        header=_full_box(b"smhd", 0, bytes(4)),
        entry=_mp4a(),
        size=(0, 0),
        matrix=_UNTURNED,
        volume=0x0100,
    )


def _moov(tracks: Sequence[_Track], offsets: Sequence[int], tags: Tags) -> bytes:
    created_s = tags.created_1904_s
    longest = max(_shown(track) + _waits(track) for track in tracks)
    mvhd = _full_box(
        b"mvhd", 0, struct.pack(">IIIIIH10x", created_s, created_s, MOVIE_HZ, longest, 1 << 16,
                                1 << 8),
        _UNTURNED, bytes(24), struct.pack(">I", len(tracks) + 1),
    )  # fmt: skip
    traks = [_trak(track, offset, created_s) for track, offset in zip(tracks, offsets, strict=True)]
    return _box(b"moov", mvhd, *traks, _udta(tags.title))


def _udta(title: str) -> bytes:
    """Return the title where players look for it: iTunes' list, as FFmpeg writes it."""
    name = _box(b"\xa9nam", _box(b"data", struct.pack(">II", 1, 0), title.encode()))
    hdlr = _full_box(b"hdlr", 0, bytes(4), b"mdirappl", bytes(9))
    return _box(b"udta", _full_box(b"meta", 0, hdlr, _box(b"ilst", name)))


def _shown(track: _Track) -> int:
    """Return the track's duration in the movie's timescale."""
    ticks = sum(track.durations) * (MOVIE_HZ // track.timescale)
    return ticks + min(track.waits_90k, 0) * (MOVIE_HZ // CLOCK_HZ)


def _waits(track: _Track) -> int:
    """Return the delay of the track after the film, in the movie's timescale."""
    return max(track.waits_90k, 0) * (MOVIE_HZ // CLOCK_HZ)


def _trak(track: _Track, offset: int, created_s: int) -> bytes:
    tkhd = _full_box(
        b"tkhd", 3,
        struct.pack(">IIIII8xHHHH", created_s, created_s, track.number, 0,
                    _shown(track) + _waits(track), 0, 0, track.volume, 0),
        track.matrix, struct.pack(">II", track.size[0] << 16, track.size[1] << 16),
    )  # fmt: skip
    mdhd = _full_box(
        b"mdhd", 0, struct.pack(">IIIIHH", created_s, created_s, track.timescale,
                        sum(track.durations), 0x55C4, 0),
    )  # fmt: skip
    hdlr = _full_box(b"hdlr", 0, bytes(4), track.handler, bytes(13))
    url = _full_box(b"url ", 1)
    dinf = _box(b"dinf", _full_box(b"dref", 0, struct.pack(">I", 1), url))
    minf = _box(b"minf", track.header, dinf, _stbl(track, offset))
    return _box(b"trak", tkhd, _edts(track), _box(b"mdia", mdhd, hdlr, minf))


def _edts(track: _Track) -> bytes:
    """Return the edit list: an empty edit before the track, or the skipped part of its begin."""
    waits = _waits(track)
    edits = [struct.pack(">Iihh", waits, -1, 1, 0)] if waits else []
    skipped = -min(track.waits_90k, 0) * track.timescale
    if skipped % CLOCK_HZ:
        raise WireError("the sound can't be placed to the sample")
    edits.append(struct.pack(">Iihh", _shown(track), skipped // CLOCK_HZ, 1, 0))
    return _box(b"edts", _full_box(b"elst", 0, struct.pack(">I", len(edits)), *edits))


def _stbl(track: _Track, offset: int) -> bytes:
    count = len(track.samples)
    runs: list[list[int]] = []
    for duration in track.durations:
        if runs and runs[-1][1] == duration:
            runs[-1][0] += 1
        else:
            runs.append([1, duration])
    boxes = [
        _full_box(b"stsd", 0, struct.pack(">I", 1), track.entry),
        _full_box(b"stts", 0, _table(">II", runs)),
    ]
    if track.keys is not None:
        boxes.append(_full_box(b"stss", 0, _table(">I", ([key] for key in track.keys))))
    boxes += [
        _full_box(b"stsc", 0, _table(">III", [[1, count, 1]])),
        _full_box(
            b"stsz", 0, struct.pack(">I", 0), _table(">I", ([s.size_bytes] for s in track.samples))
        ),
        _full_box(b"stco", 0, _table(">I", [[offset]])),
    ]
    return _box(b"stbl", *boxes)


def _avc1(first: Sequence[bytes], *, width: int, height: int) -> bytes:
    """14496-15 5.4.2.1; the parameter sets are the first picture's own."""
    sets = {kind: [nal for nal in first if nal[0] & 0x1F == kind] for kind in (SPS, PPS)}
    if not sets[SPS] or not sets[PPS] or len(sets[SPS][0]) < 4:
        raise WireError("the clip's first picture brings no parameters")
    profile = sets[SPS][0][1:4]
    avcc = b"\x01" + profile + b"\xff" + bytes([0xE0 | len(sets[SPS])])
    avcc += b"".join(len(nal).to_bytes(2, "big") + nal for nal in sets[SPS])
    avcc += bytes([len(sets[PPS])])
    avcc += b"".join(len(nal).to_bytes(2, "big") + nal for nal in sets[PPS])
    if profile[0] in (100, 110, 122, 144):
        avcc += b"\xfd\xf8\xf8\x00"  # 4:2:0, 8 bit, no SPS extension
    return _box(
        b"avc1", bytes(6), struct.pack(">H16xHHIIIH32xHh", 1, width, height, 72 << 16, 72 << 16,
                                       0, 1, 0x18, -1), _box(b"avcC", avcc),
    )  # fmt: skip


def _mp4a() -> bytes:
    """14496-14 5.6: AAC-LC, 48 kHz, one channel."""
    config = _descriptor(0x05, b"\x11\x88")
    decoder = _descriptor(
        0x04,
        struct.pack(">BB3xII", 0x40, 0x15, SOUND_BITRATE_BPS, SOUND_BITRATE_BPS) + config,
    )
    stream = _descriptor(0x03, b"\x00\x02\x00" + decoder + _descriptor(0x06, b"\x02"))
    return _box(
        b"mp4a", bytes(6), struct.pack(">H8xHHHHI", 1, 1, 16, 0, 0, SOUND_HZ << 16),
        _full_box(b"esds", 0, stream),
    )  # fmt: skip


def _descriptor(tag: int, content: bytes) -> bytes:
    return bytes([tag, len(content)]) + content


def _table(form: str, rows: Iterable[Sequence[int]]) -> bytes:
    packed = [struct.pack(form, *row) for row in rows]
    return struct.pack(">I", len(packed)) + b"".join(packed)


def _full_box(kind: bytes, flags: int, *content: bytes) -> bytes:
    return _box(kind, flags.to_bytes(4, "big"), *content)


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return (8 + len(body)).to_bytes(4, "big") + kind + body
