"""A file whose pictures are the signed ones, and that a player would show other than they are."""

import struct
from collections.abc import Callable

import pytest

from firmware.protocol.encoding import WireError
from firmware.protocol.media.rotation import ROTATIONS, Rotation, matrix_of
from relay.verify.display_checks import check_display
from tests.fakes.footage import HEIGHT, WIDTH
from tests.fakes.media import access_units, mp4_of
from tests.relay.evidence_files import Film

FILM = Film()
PLAIN = FILM.mp4()
TURNED = matrix_of(90, width=WIDTH, height=HEIGHT)
UNTURNED = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def show(mp4: bytes, rotation: Rotation = 0) -> None:
    opened = mp4_of(mp4)
    list(opened.pictures())
    check_display(opened, width=WIDTH, height=HEIGHT, rotation=rotation, created_1904_s=CREATED)


def at(mp4: bytes, kind: bytes, offset: int, data: bytes) -> bytes:
    """Return the file with other bytes behind the first box of a kind (from its name on)."""
    begin = mp4.index(kind, len("....ftypisom....isomiso2avc1mp41")) + 4 + offset
    return mp4[:begin] + data + mp4[begin + len(data) :]


def other_parameters(mp4: bytes) -> bytes:
    sps = mp4.index(b"avcC") + 4 + 8
    return mp4[: sps + 5] + bytes([mp4[sps + 5] ^ 1]) + mp4[sps + 6 :]


def grown(mp4: bytes, box: bytes) -> bytes:
    """Return the file with a box more at its end."""
    return mp4 + (8 + len(box) - 4).to_bytes(4, "big") + box


def in_moov(mp4: bytes, box: bytes) -> bytes:
    """Return the file with a box in the place of `udta`, which is as large or larger."""
    begin = mp4.index(b"udta") - 4
    size = int.from_bytes(mp4[begin : begin + 4], "big")
    filled = size.to_bytes(4, "big") + box + bytes(size - 4 - len(box))
    return mp4[:begin] + filled + mp4[begin + size :]


def with_edits(mp4: bytes, *begins: int) -> bytes:
    """Return the film shown from other moments on, one after another; -1 is nothing at all."""
    begin = mp4.index(b"elst") - 4
    end = begin + int.from_bytes(mp4[begin : begin + 4], "big")
    (duration,) = struct.unpack_from(">I", mp4, begin + 16)
    edits = b"".join(struct.pack(">Iihh", duration, moment, 1, 0) for moment in begins)
    grown = struct.pack(">I4sII", 16 + len(edits), b"elst", 0, len(begins)) + edits
    mp4 = mp4[:begin] + grown + mp4[end:]
    for kind in (b"edts", b"trak", b"moov"):
        at_ = mp4.index(kind) - 4
        size = int.from_bytes(mp4[at_ : at_ + 4], "big") + len(grown) - (end - begin)
        mp4 = mp4[:at_] + size.to_bytes(4, "big") + mp4[at_ + 4 :]
    return moved(mp4, len(grown) - (end - begin))


def moved(mp4: bytes, by: int) -> bytes:
    """Return the file with its chunks so much further on."""
    data, at_ = bytearray(mp4), 0
    while (at_ := data.find(b"stco", at_) + 4) > 4:
        for place in range(
            at_ + 8, at_ + 8 + 4 * int.from_bytes(data[at_ + 4 : at_ + 8], "big"), 4
        ):
            (offset,) = struct.unpack_from(">I", data, place)
            struct.pack_into(">I", data, place, offset + by)
    return bytes(data)


CREATED = 3_878_805_785
OTHER = struct.pack(">I", CREATED + 1)
ALTERED: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("turned", lambda mp4: mp4.replace(UNTURNED, TURNED), "turned"),
    ("one track turned", lambda mp4: at(mp4, b"tkhd", 40, TURNED), "turned"),
    ("faster", lambda mp4: at(mp4, b"mvhd", 20, b"\0\2\0\0"), "speed"),
    ("shown smaller", lambda mp4: at(mp4, b"tkhd", 76, b"\0\x20\0\0"), "another size"),
    ("coded smaller", lambda mp4: at(mp4, b"avc1", 24, b"\0\x20"), "another size"),
    ("switched off", lambda mp4: at(mp4, b"tkhd", 3, b"\0"), "switched off"),
    ("other parameters", other_parameters, "other parameters"),
    ("more pictures behind", lambda mp4: grown(mp4, b"moof" + bytes(8)), "mustn't have"),
    ("made to go on", lambda mp4: in_moov(mp4, b"mvex"), "go on"),
    ("a second index", lambda mp4: grown(mp4, b"moov" + bytes(8)), "two moov"),
    ("an end left out", lambda mp4: at(mp4, b"elst", 8, b"\0\0\0\x09"), "leaves out its end"),
    ("slowed by its edit", lambda mp4: at(mp4, b"elst", 16, b"\0\0\x80\0"), "edit list"),
    ("shown twice", lambda mp4: with_edits(mp4, 0, 0), "edit list"),
    ("waited for, and twice", lambda mp4: with_edits(mp4, -1, 0, 0), "edit list"),
    ("begun later", lambda mp4: at(mp4, b"elst", 12, b"\xff\xff\xff\xfe"), "edit list"),
    ("made at another time", lambda mp4: at(mp4, b"mvhd", 4, OTHER), "another time"),
    ("changed at another time", lambda mp4: at(mp4, b"tkhd", 8, OTHER), "another time"),
    ("a track of another time", lambda mp4: at(mp4, b"mdhd", 4, OTHER), "another time"),
    ("cropped", lambda mp4: mp4.replace(b"btrt", b"clap", 1), "more ways"),
    ("stretched", lambda mp4: mp4.replace(b"btrt", b"pasp", 1), "stretched"),
]


def test_a_plain_file_is_shown_as_it_is() -> None:
    show(PLAIN)


@pytest.mark.parametrize("signed", ROTATIONS)
@pytest.mark.parametrize("shown", ROTATIONS)
def test_a_film_is_turned_exactly_as_was_signed(shown: Rotation, signed: Rotation) -> None:
    film = FILM.turned(shown)
    if shown == signed:
        show(film.mp4(), signed)
        return
    with pytest.raises(WireError, match="turned"):
        show(film.mp4(), signed)


def test_only_the_film_is_turned_and_nothing_but_it() -> None:
    turned = FILM.turned(90).mp4()
    whole = turned.replace(UNTURNED, TURNED, 1)  # the movie's own matrix comes first
    with pytest.raises(WireError, match="turned"):
        show(whole, 90)
    begin = turned.index(b"tkhd", turned.index(b"tkhd") + 4) + 4 + 40
    heard = turned[:begin] + TURNED + turned[begin + 36 :]
    with pytest.raises(WireError, match="turned"):
        show(heard, 90)


@pytest.mark.parametrize(
    ("alter", "reason"), [case[1:] for case in ALTERED], ids=[case[0] for case in ALTERED]
)
def test_a_file_that_shows_something_else_is_found(
    alter: Callable[[bytes], bytes], reason: str
) -> None:
    altered = alter(PLAIN)
    assert altered != PLAIN
    with pytest.raises(WireError, match=reason):
        show(altered)


def test_any_cut_is_an_error_in_words() -> None:
    for size in range(0, len(PLAIN), 97):
        with pytest.raises(WireError):
            show(PLAIN[:size])


def test_a_box_is_never_read_twice_where_there_are_two() -> None:
    begin = PLAIN.index(b"stts") - 4
    size = int.from_bytes(PLAIN[begin : begin + 4], "big")
    stss = PLAIN.index(b"stss")
    assert size > 0
    doubled = PLAIN[:stss] + b"stts" + PLAIN[stss + 4 :]
    with pytest.raises(WireError, match="two stts"):
        access_units(doubled)
