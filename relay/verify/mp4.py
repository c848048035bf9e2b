"""Reader of a plain MP4's access units and sound (ISO/IEC 14496-12, -14 and -15).

Only what an exported clip needs: one H.264 track, 4-byte NAL lengths, samples in presentation
order, and at most one AAC track. Nothing is trusted: what comes out is hashed and compared with
the manifest. Times are those at which a player shows and plays it, so an edit that shifts a track
gives other hashes, and what has more tracks than these is refused. What is never hashed and yet
changes what is seen is looked at in shown.py.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from firmware.protocol.encoding import WireError
from firmware.protocol.nal_units import split_length_prefixed
from relay.verify.mp4_boxes import boxes, first, only

CLOCK_HZ = 90_000
MAX_SAMPLES = 200_000
MAX_EDITS = 2
IDR = 5
AUDIO_CONFIGS = (bytes.fromhex("1188"), bytes.fromhex("118856e500"))
"""AudioSpecificConfig (14496-3 1.6.2.1): AAC-LC, 48 kHz, one channel; the longer one adds that
there is no SBR."""
OBJECT_TYPE_AAC = 0x40


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


def access_units(file: bytes) -> list[ClipUnit]:
    """Return the access units of a plain MP4, or raise WireError."""
    try:
        return list(_access_units(file))
    except (struct.error, IndexError) as error:
        raise WireError("the clip's index is cut off") from error


def sound_units(file: bytes) -> list[SoundUnit] | None:
    """Return the units of the sound of a plain MP4, None if it has none, or raise WireError."""
    try:
        sound = tracks(file).get(b"soun")
        if sound is None:
            return None
        _check_sound_entry(only(sample_table(sound), b"stsd"))
        return [SoundUnit(pts_90k=pts_90k, data=data) for pts_90k, data in _samples(file, sound)]
    except (struct.error, IndexError) as error:
        raise WireError("the clip's index is cut off") from error


def _access_units(file: bytes) -> Iterator[ClipUnit]:
    film = tracks(file)[b"vide"]
    _check_entry(only(sample_table(film), b"stsd"))
    for pts_90k, sample in _samples(file, film):
        nal_units = split_length_prefixed(sample)
        is_key = any(unit[0] & 0x1F == IDR for unit in nal_units)
        yield ClipUnit(pts_90k=pts_90k, is_key=is_key, nal_units=nal_units)


def _samples(file: bytes, trak: memoryview) -> Iterator[tuple[int, bytes]]:
    """Yield each sample's presentation time, in ticks of 90 kHz, and its bytes."""
    mdhd = only(only(trak, b"mdia"), b"mdhd")
    (timescale,) = struct.unpack_from(">I", mdhd, 20 if mdhd[0] == 1 else 12)
    stbl = sample_table(trak)
    sizes = _sizes(only(stbl, b"stsz"))
    if not sizes or timescale == 0:
        raise WireError("a track of the clip is empty")
    begin = _begin(trak, timescale, movie_timescale_of(file))
    positions = _positions(stbl, sizes)
    for position, size_bytes, dts in zip(positions, sizes, _times(stbl, len(sizes)), strict=True):
        sample = file[position : position + size_bytes]
        if len(sample) != size_bytes:
            raise WireError("the clip is cut off")
        yield round((dts - begin) * CLOCK_HZ / timescale), sample


def _begin(trak: memoryview, timescale: int, movie_timescale: int) -> Fraction:
    """Return the media time of a track that is shown at the clip's begin (14496-12 8.6.6).

    A track that begins later than the clip has an empty edit first, counted in the movie's time.
    """
    edits = edits_of(trak)
    waits = Fraction(0)
    if len(edits) == 2 and edits[0].is_empty and movie_timescale:
        waits = Fraction(edits[0].duration * timescale, movie_timescale)
        edits = edits[1:]
    if not edits:
        return Fraction(0)
    if len(edits) != 1 or edits[0].begin < 0:
        raise WireError("the clip was cut or shifted by its edit list")
    return edits[0].begin - waits


def edits_of(trak: memoryview) -> list[Edit]:
    """Return a track's edit list, restricted to forms that clips use."""
    edts = first(trak, b"edts")
    if edts is None:
        return []
    elst = only(edts, b"elst")
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


def movie_timescale_of(file: bytes) -> int:
    """Return the movie's timescale in ticks a second, which edits are counted in."""
    mvhd = only(only(memoryview(file), b"moov"), b"mvhd")
    (timescale,) = struct.unpack_from(">I", mvhd, 20 if mvhd[0] == 1 else 12)
    return int(timescale)


def tracks(file: bytes) -> dict[bytes, memoryview]:
    """Return the video track and, if there is one, the audio track, by their handlers."""
    moov = only(memoryview(file), b"moov")
    tracks: dict[bytes, memoryview] = {}
    for trak in (body for kind, body in boxes(moov) if kind == b"trak"):
        handler = bytes(only(only(trak, b"mdia"), b"hdlr")[8:12])
        if handler not in (b"vide", b"soun") or handler in tracks:
            raise WireError("the clip has more in it than one film and its sound")
        tracks[handler] = trak
    if b"vide" not in tracks:
        raise WireError("the clip has no video")
    return tracks


def sample_table(trak: memoryview) -> memoryview:
    """Return the box that describes a track's samples."""
    return only(only(only(trak, b"mdia"), b"minf"), b"stbl")


def _check_sound_entry(stsd: memoryview) -> None:
    kind, entry = next(boxes(stsd[8:]), (b"", memoryview(b"")))
    if kind != b"mp4a" or _audio_config(only(entry[28:], b"esds")) not in AUDIO_CONFIGS:
        raise WireError("the clip's sound isn't AAC-LC, mono, 48 kHz")


def _audio_config(esds: memoryview) -> bytes:
    """Return the sound's AudioSpecificConfig; nothing if it isn't AAC (14496-1 7.2.6.5 on)."""
    decoder = _descriptor(_descriptor(esds[4:], 0x03)[3:], 0x04)
    return bytes(_descriptor(decoder[13:], 0x05)) if decoder[0] == OBJECT_TYPE_AAC else b""


def _descriptor(data: memoryview, tag: int) -> memoryview:
    """Return the content of a descriptor; its size comes seven bits a byte (14496-1 8.3.3)."""
    if data[0] != tag:
        raise WireError("the clip's sound isn't described as it must be")
    size = 0
    for begin in range(1, 5):
        size = size << 7 | data[begin] & 0x7F
        if not data[begin] & 0x80:
            break
    return data[begin + 1 : begin + 1 + size]


def _check_entry(stsd: memoryview) -> None:
    kind, entry = next(boxes(stsd[8:]), (b"", memoryview(b"")))
    if kind not in (b"avc1", b"avc3"):
        raise WireError("the clip's video isn't H.264")
    if only(entry[78:], b"avcC")[4] & 3 != 3:
        raise WireError("the clip's NAL units don't have 4-byte lengths")


def _sizes(stsz: memoryview) -> list[int]:
    same, count = struct.unpack_from(">II", stsz, 4)
    if count > MAX_SAMPLES:
        raise WireError("the clip has too many pictures")
    return [same] * count if same else list(struct.unpack_from(f">{count}I", stsz, 12))


def _times(stbl: memoryview, count: int) -> list[int]:
    if first(stbl, b"ctts") is not None:
        raise WireError("the clip's pictures aren't in presentation order")
    stts = only(stbl, b"stts")
    times: list[int] = []
    now = 0
    (runs,) = struct.unpack_from(">I", stts, 4)
    for run in range(runs):
        length, duration = struct.unpack_from(">II", stts, 8 + 8 * run)
        for _ in range(min(length, count - len(times))):
            times.append(now)
            now += duration
    if len(times) != count:
        raise WireError("the clip's times don't add up")
    return times


def _positions(stbl: memoryview, sizes: list[int]) -> list[int]:
    stsc = only(stbl, b"stsc")
    (run_count,) = struct.unpack_from(">I", stsc, 4)
    runs = [struct.unpack_from(">II", stsc, 8 + 12 * run) for run in range(run_count)]
    positions: list[int] = []
    run = 0
    for chunk, begin in enumerate(_chunks(stbl), start=1):
        while run + 1 < len(runs) and runs[run + 1][0] <= chunk:
            run += 1
        position = begin
        for _ in range(min(runs[run][1], len(sizes) - len(positions))):
            positions.append(position)
            position += sizes[len(positions) - 1]
    if len(positions) != len(sizes):
        raise WireError("the clip's sample table doesn't add up")
    return positions


def _chunks(stbl: memoryview) -> tuple[int, ...]:
    stco = first(stbl, b"stco")
    table = only(stbl, b"co64") if stco is None else stco
    (count,) = struct.unpack_from(">I", table, 4)
    return struct.unpack_from(f">{count}{'Q' if stco is None else 'I'}", table, 8)
