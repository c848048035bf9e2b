"""Checks of an MP4's unhashed display metadata: a player must show all pictures unchanged.

The pictures can be the signed ones and yet be shown turned, cropped, slowed, with others behind
them, or decoded by other parameters. Files as the doorbell packed them are bound to the last byte
(contents.py); this holds for a clip that has been trimmed or re-wrapped as well.
"""

import struct

from firmware.protocol.encoding import WireError
from firmware.protocol.media.boxes import boxes, first, full_box, only
from firmware.protocol.media.mp4 import CLOCK_HZ, Mp4, edits_of, sample_table, with_words
from firmware.protocol.media.rotation import Rotation, matrix_of, rotation_of

UNTURNED = matrix_of(0, width=0, height=0)
KINDS = {b"ftyp", b"moov", b"mdat", b"free", b"uuid"}
"""uuid: where C2PA keeps its claim. No moof: players would go on with what it brings."""
DESCRIBES = {b"avcC", b"btrt", b"pasp", b"colr"}
SQUARE = struct.pack(">II", 1, 1)


def check_display(
    mp4: Mp4, *, width: int, height: int, rotation: Rotation, created_1904_s: int
) -> None:
    """Raise WireError if the metadata would make a player show the film altered.

    `rotation` is by how much a player must turn it, `created_1904_s` what it may be told of when
    it was recorded; 0 says nothing.
    """
    with_words(lambda: _check_shown(mp4, width=width, height=height, rotation=rotation))
    with_words(lambda: _check_times(mp4, {0, created_1904_s}))


def _check_shown(mp4: Mp4, *, width: int, height: int, rotation: Rotation) -> None:
    for box in mp4.boxes:
        if box.kind not in KINDS:
            raise WireError(f"the clip has a box that it mustn't have: {box.kind!r}")
    moov = mp4.moov
    if first(moov, b"mvex") is not None:
        raise WireError("the clip is made to go on with more pictures")
    mvhd = only(moov, b"mvhd")
    at = 32 if mvhd[0] == 1 else 20
    if (
        bytes(mvhd[at : at + 4]) != b"\x00\x01\x00\x00"
        or bytes(mvhd[at + 16 : at + 52]) != UNTURNED
    ):
        raise WireError("the clip is turned, stretched or played at another speed")
    for handler, trak in mp4.tracks.items():
        tkhd = full_box(only(trak, b"tkhd"), "tkhd", newest=1)
        if rotation_of(tkhd) != (rotation if handler == b"vide" else 0):
            raise WireError("the clip is turned or stretched")
        if not tkhd[3] & 1:
            raise WireError("a track of the clip is switched off")
    film = mp4.tracks[b"vide"]
    _check_size(only(film, b"tkhd"), width=width, height=height)
    _check_entry(only(sample_table(film), b"stsd"), mp4, width=width, height=height)
    _check_all_is_shown(film, mp4)


def _check_times(mp4: Mp4, known: set[int]) -> None:
    """Check the creation and modification times of the movie and its tracks (14496-12 8.2.2)."""
    headers = [only(mp4.moov, b"mvhd")]
    for trak in mp4.tracks.values():
        headers += [only(trak, b"tkhd"), only(only(trak, b"mdia"), b"mdhd")]
    for header in headers:
        form = ">QQ" if header[0] == 1 else ">II"
        if not set(struct.unpack_from(form, header, 4)) <= known:
            raise WireError("the clip says that it was made at another time than was signed")


def _check_size(tkhd: memoryview, *, width: int, height: int) -> None:
    shown = struct.unpack_from(">II", tkhd, 88 if tkhd[0] == 1 else 76)
    if shown != (width << 16, height << 16):
        raise WireError("the clip is shown in another size than it was recorded in")


def _check_entry(stsd: memoryview, mp4: Mp4, *, width: int, height: int) -> None:
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
    if not set(_parameter_sets(inside[b"avcC"])) <= set(next(mp4.pictures()).nal_units):
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


def _check_all_is_shown(trak: memoryview, mp4: Mp4) -> None:
    edits = edits_of(trak)
    last_s = max(sample.pts_90k for sample in mp4.picture_samples()) / CLOCK_HZ
    if edits and edits[-1].duration / mp4.movie_timescale <= last_s:
        raise WireError("the clip's edit list leaves out its end")
