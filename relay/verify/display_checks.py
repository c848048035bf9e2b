"""Checks of an MP4's unhashed display metadata: a player must show all pictures unchanged.

The pictures can be the signed ones and yet be shown turned, cropped, slowed, with others behind
them, or decoded by other parameters. Files as the doorbell packed them are bound to the last byte
(contents.py); this holds for a clip that has been trimmed or re-wrapped as well.
"""

import struct
from collections.abc import Sequence

from firmware.protocol.encoding import WireError
from relay.verify.mp4 import (
    CLOCK_HZ,
    ClipUnit,
    edits_of,
    movie_timescale_of,
    sample_table,
    tracks,
)
from relay.verify.mp4_boxes import boxes, first, only

UNTURNED = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
KINDS = {b"ftyp", b"moov", b"mdat", b"free", b"uuid"}
"""uuid: where C2PA keeps its claim. No moof: players would go on with what it brings."""
DESCRIBES = {b"avcC", b"btrt", b"pasp", b"colr"}
SQUARE = struct.pack(">II", 1, 1)


def check_display(file: bytes, units: Sequence[ClipUnit], *, width: int, height: int) -> None:
    """Raise WireError if the metadata would make a player show the film altered."""
    try:
        _check_shown(file, units, width=width, height=height)
    except (struct.error, IndexError) as error:
        raise WireError("the clip's index is cut off") from error


def _check_shown(file: bytes, units: Sequence[ClipUnit], *, width: int, height: int) -> None:
    for kind, _ in boxes(memoryview(file)):
        if kind not in KINDS:
            raise WireError(f"the clip has a box that it mustn't have: {kind!r}")
    moov = only(memoryview(file), b"moov")
    if first(moov, b"mvex") is not None:
        raise WireError("the clip is made to go on with more pictures")
    mvhd = only(moov, b"mvhd")
    at = 32 if mvhd[0] == 1 else 20
    if (
        bytes(mvhd[at : at + 4]) != b"\x00\x01\x00\x00"
        or bytes(mvhd[at + 16 : at + 52]) != UNTURNED
    ):
        raise WireError("the clip is turned, stretched or played at another speed")
    found = tracks(file)
    for trak in found.values():
        tkhd = only(trak, b"tkhd")
        at = 52 if tkhd[0] == 1 else 40
        if bytes(tkhd[at : at + 36]) != UNTURNED:
            raise WireError("the clip is turned or stretched")
        if not tkhd[3] & 1:
            raise WireError("a track of the clip is switched off")
    film = found[b"vide"]
    _check_size(only(film, b"tkhd"), width=width, height=height)
    _check_entry(only(sample_table(film), b"stsd"), units, width=width, height=height)
    _check_all_is_shown(film, movie_timescale_of(file), units)


def _check_size(tkhd: memoryview, *, width: int, height: int) -> None:
    shown = struct.unpack_from(">II", tkhd, 88 if tkhd[0] == 1 else 76)
    if shown != (width << 16, height << 16):
        raise WireError("the clip is shown in another size than it was recorded in")


def _check_entry(stsd: memoryview, units: Sequence[ClipUnit], *, width: int, height: int) -> None:
    entries = list(boxes(stsd[8:]))
    if len(entries) != 1:
        raise WireError("the clip's video has more than one description")
    entry = entries[0][1]
    if struct.unpack_from(">HH", entry, 24) != (width, height):
        raise WireError("the clip is shown in another size than it was recorded in")
    inside = dict(boxes(entry[78:]))
    if not set(inside) <= DESCRIBES or len(inside) != len(list(boxes(entry[78:]))):
        raise WireError("the clip's video is described in more ways than it must be")
    if bytes(inside.get(b"pasp", SQUARE)) != SQUARE:
        raise WireError("the clip is stretched")
    if not set(_parameter_sets(inside[b"avcC"])) <= set(units[0].nal_units):
        raise WireError("the clip's index brings other parameters than its pictures")


def _parameter_sets(avcc: memoryview) -> list[bytes]:
    """Return SPS and PPS of an AVCDecoderConfigurationRecord (14496-15 5.3.3.1).

    Without zeros at the end, which muxers leave there from the next start code (H.264 B.1).
    """
    found: list[bytes] = []
    position = 5
    for mask in (0x1F, 0xFF):
        count = avcc[position] & mask
        position += 1
        for _ in range(count):
            size = int.from_bytes(avcc[position : position + 2], "big")
            found.append(bytes(avcc[position + 2 : position + 2 + size]).rstrip(b"\0"))
            position += 2 + size
    return found


def _check_all_is_shown(trak: memoryview, movie_timescale: int, units: Sequence[ClipUnit]) -> None:
    edits = edits_of(trak)
    last_s = units[-1].pts_90k / CLOCK_HZ
    if edits and edits[-1].duration / movie_timescale <= last_s:
        raise WireError("the clip's edit list leaves out its end")
