"""Reads access units and sound out of a plain MP4 (ISO/IEC 14496-12, -14 and -15).

Only what an exported clip needs: one H.264 track, 4-byte NAL lengths, samples in presentation
order, and at most one AAC track. Nothing is trusted: what comes out is hashed and compared with
the manifest. Times are those at which a player shows and plays it, so an edit that shifts a track
gives other hashes, and what has more tracks than these is refused.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.footage import split_length_prefixed

CLOCK_HZ = 90_000
MAX_SAMPLES = 200_000
IDR = 5
NORMAL_RATE = 1 << 16
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


def access_units(file: bytes) -> list[ClipUnit]:
    """Return the access units of a plain MP4, or raise WireError."""
    try:
        return list(_access_units(file))
    except (struct.error, IndexError) as error:
        raise WireError("the clip's index is cut off") from error


def sound_units(file: bytes) -> list[SoundUnit] | None:
    """Return the units of the sound of a plain MP4, None if it has none, or raise WireError."""
    try:
        sound = _tracks(file).get(b"soun")
        if sound is None:
            return None
        _check_sound_entry(_only(_table(sound), b"stsd"))
        return [SoundUnit(pts_90k=pts_90k, data=data) for pts_90k, data in _samples(file, sound)]
    except (struct.error, IndexError) as error:
        raise WireError("the clip's index is cut off") from error


def _access_units(file: bytes) -> Iterator[ClipUnit]:
    film = _tracks(file)[b"vide"]
    _check_entry(_only(_table(film), b"stsd"))
    for pts_90k, sample in _samples(file, film):
        nal_units = split_length_prefixed(sample)
        is_key = any(unit[0] & 0x1F == IDR for unit in nal_units)
        yield ClipUnit(pts_90k=pts_90k, is_key=is_key, nal_units=nal_units)


def _samples(file: bytes, trak: memoryview) -> Iterator[tuple[int, bytes]]:
    """Yield when each sample is shown or played, in ticks of 90 kHz, and its bytes."""
    mdhd = _only(_only(trak, b"mdia"), b"mdhd")
    (timescale,) = struct.unpack_from(">I", mdhd, 20 if mdhd[0] == 1 else 12)
    stbl = _table(trak)
    sizes = _sizes(_only(stbl, b"stsz"))
    if not sizes or timescale == 0:
        raise WireError("a track of the clip is empty")
    begin = _begin(trak)
    positions = _positions(stbl, sizes)
    for position, size_bytes, dts in zip(positions, sizes, _times(stbl, len(sizes)), strict=True):
        sample = file[position : position + size_bytes]
        if len(sample) != size_bytes:
            raise WireError("the clip is cut off")
        yield round((dts - begin) * CLOCK_HZ / timescale), sample


def _begin(trak: memoryview) -> int:
    """Return which moment of a track is shown at the clip's begin (14496-12 8.6.6)."""
    edts = _first(trak, b"edts")
    if edts is None:
        return 0
    elst = _only(edts, b"elst")
    (count,) = struct.unpack_from(">I", elst, 4)
    form = ">Qqi" if elst[0] == 1 else ">Iii"
    _, begin, rate = struct.unpack_from(form, elst, 8)
    if count != 1 or begin < 0 or rate != NORMAL_RATE:
        raise WireError("the clip was cut or shifted by its edit list")
    return int(begin)


def _boxes(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
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


def _only(data: memoryview, kind: bytes) -> memoryview:
    found = _first(data, kind)
    if found is None:
        raise WireError(f"the clip has no {kind.decode()} box")
    return found


def _first(data: memoryview, kind: bytes) -> memoryview | None:
    return next((body for name, body in _boxes(data) if name == kind), None)


def _tracks(file: bytes) -> dict[bytes, memoryview]:
    """Return the one film and, if there is one, the one sound, by their handlers."""
    moov = _only(memoryview(file), b"moov")
    tracks: dict[bytes, memoryview] = {}
    for trak in (body for kind, body in _boxes(moov) if kind == b"trak"):
        handler = bytes(_only(_only(trak, b"mdia"), b"hdlr")[8:12])
        if handler not in (b"vide", b"soun") or handler in tracks:
            raise WireError("the clip has more in it than one film and its sound")
        tracks[handler] = trak
    if b"vide" not in tracks:
        raise WireError("the clip has no video")
    return tracks


def _table(trak: memoryview) -> memoryview:
    return _only(_only(_only(trak, b"mdia"), b"minf"), b"stbl")


def _check_sound_entry(stsd: memoryview) -> None:
    kind, entry = next(_boxes(stsd[8:]), (b"", memoryview(b"")))
    if kind != b"mp4a" or _audio_config(_only(entry[28:], b"esds")) not in AUDIO_CONFIGS:
        raise WireError("the clip's sound isn't AAC-LC, mono, 48 kHz")


def _audio_config(esds: memoryview) -> bytes:
    """Return what a player is told of the sound; nothing if it isn't AAC (14496-1 7.2.6.5 on)."""
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
    kind, entry = next(_boxes(stsd[8:]), (b"", memoryview(b"")))
    if kind not in (b"avc1", b"avc3"):
        raise WireError("the clip's video isn't H.264")
    if _only(entry[78:], b"avcC")[4] & 3 != 3:
        raise WireError("the clip's NAL units don't have 4-byte lengths")


def _sizes(stsz: memoryview) -> list[int]:
    same, count = struct.unpack_from(">II", stsz, 4)
    if count > MAX_SAMPLES:
        raise WireError("the clip has too many pictures")
    return [same] * count if same else list(struct.unpack_from(f">{count}I", stsz, 12))


def _times(stbl: memoryview, count: int) -> list[int]:
    if _first(stbl, b"ctts") is not None:
        raise WireError("the clip's pictures aren't in presentation order")
    stts = _only(stbl, b"stts")
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
    stsc = _only(stbl, b"stsc")
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
    stco = _first(stbl, b"stco")
    table = _only(stbl, b"co64") if stco is None else stco
    (count,) = struct.unpack_from(">I", table, 4)
    return struct.unpack_from(f">{count}{'Q' if stco is None else 'I'}", table, 8)
