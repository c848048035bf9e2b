"""Makes mp4_bombs.json: MP4 files that claim more than they hold, and what readers say of each.

    python -m tests.vectors.make_bombs

Both readers, of Python and of JavaScript, are held against it. A file is what it has in
common with the clip of sound.json, and pieces between, each repeated so many times: some are
small only as such a list.
"""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware.protocol.encoding import b64u, unb64u
from tests.fakes.media import access_units, sound_units

FOLDER = Path(__file__).parent
CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")
SOUND = json.loads((FOLDER / "sound.json").read_text("utf-8"))
PLAIN = unb64u(SOUND["plain_mp4"])
MIB = 1024 * 1024
MANY = 90_000

Pieces = list[tuple[bytes, int]]


@dataclass
class Box:
    """A box; a container's content is in `inside`."""

    kind: bytes
    content: bytes = b""
    inside: list["Box"] | None = None

    def encode(self) -> bytes:
        body = self.content if self.inside is None else b"".join(b.encode() for b in self.inside)
        return (8 + len(body)).to_bytes(4, "big") + self.kind + body

    def find(self, *path: bytes) -> "Box":
        found = next(box for box in self.inside or [] if box.kind == path[0])
        return found.find(*path[1:]) if path[1:] else found


class Bare(Box):
    """Three bytes in the place of a box."""

    def __init__(self) -> None:
        super().__init__(b"bare")

    def encode(self) -> bytes:
        return bytes(3)


class File:
    """The golden clip, taken apart; `film` and `sound` are its sample tables."""

    def __init__(self, data: bytes = PLAIN) -> None:
        self.top = Box(b"file", inside=list(_parse(data)))
        self.moov = self.top.find(b"moov")
        self.traks = [box for box in self.moov.inside or [] if box.kind == b"trak"]
        self.film, self.sound = (t.find(b"mdia", b"minf", b"stbl") for t in self.traks)

    def encode(self) -> bytes:
        """Return the file, with its chunks where they are after what was changed before them."""
        return b"".join(box.encode() for box in self.top.inside or [])


def _parse(data: bytes) -> Iterator[Box]:
    position = 0
    while position < len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        kind, body = data[position + 4 : position + 8], data[position + 8 : position + size]
        inside = list(_parse(body)) if kind in CONTAINERS else None
        yield Box(kind, b"" if inside is not None else body, inside)
        position += size


def words(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


def put(box: Box, at: int, data: bytes) -> None:
    box.content = box.content[:at] + data + box.content[at + len(data) :]


def changed(change: Callable[[File], None]) -> Pieces:
    file = File()
    change(file)
    return [(file.encode(), 1)]


def set_content(kind: bytes, content: bytes) -> Callable[[File], None]:
    """Give a box of the film's table another content of the same size, or of the last place."""

    def change(file: File) -> None:
        file.film.find(kind).content = content

    return change


def written(kind: bytes, at: int, data: bytes) -> Callable[[File], None]:
    """Write over a part of a box of the film's table."""

    def change(file: File) -> None:
        put(file.film.find(kind), at, data)

    return change


def in_header(kind: bytes, at: int, data: bytes) -> Callable[[File], None]:
    """Write over a part of the movie's header or of the film's."""

    def change(file: File) -> None:
        box = file.moov.find(kind) if kind == b"mvhd" else file.traks[0].find(b"mdia", kind)
        put(box, at, data)

    return change


def film_alone(*, sizes: Pieces, chunks: Pieces, media: Pieces, count: int) -> Pieces:
    """Return a film without sound whose sizes and chunks are pieces of a table."""
    file = File()
    (file.moov.inside or []).remove(file.traks[1])
    table = file.film.inside or []
    file.film.inside = [box for box in table if box.kind == b"stsd"]
    file.film.inside.append(Box(b"stts", words(0, 1, count, 3000)))
    file.film.inside.append(Box(b"stsc", words(0, 1, 1, 1, 1)))
    head = [box.encode() for box in file.top.inside or [] if box.kind == b"ftyp"]
    grown = [(b"stsz", sizes), (b"stco", chunks)]
    more = sum(8 + size_of(pieces) for _, pieces in grown)
    moov = bytearray(file.moov.encode())
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
        at = moov.index(kind) - 4
        size = int.from_bytes(moov[at : at + 4], "big") + more
        moov[at : at + 4] = size.to_bytes(4, "big")
    end = moov.index(b"stbl") - 4
    stbl_end = end + int.from_bytes(moov[end : end + 4], "big") - more
    pieces: Pieces = [(head[0] + bytes(moov[:stbl_end]), 1)]
    for kind, table_pieces in grown:
        pieces += [((8 + size_of(table_pieces)).to_bytes(4, "big") + kind, 1), *table_pieces]
    pieces.append((bytes(moov[stbl_end:]), 1))
    return [*pieces, ((8 + size_of(media)).to_bytes(4, "big") + b"mdat", 1), *media]


def size_of(pieces: Pieces) -> int:
    return sum(len(data) * times for data, times in pieces)


def joined(pieces: Pieces) -> bytes:
    return b"".join(data * times for data, times in pieces)


def many_samples(size_bytes: int, count: int) -> Pieces:
    """Return two megabytes that stand for `count` pictures of `size_bytes`, all in one place."""
    picture: Pieces = [(words(MIB - 4) + b"\x65", 1), (b"\0", MIB - 5)]

    def film(begin: int) -> Pieces:
        return film_alone(
            sizes=[(words(0, size_bytes, count), 1)],
            chunks=[(words(0, count), 1), (words(begin), count)],
            media=picture,
            count=count,
        )

    return film(size_of(film(0)) - MIB)


def many_pieces() -> Pieces:
    """Return a film of one picture of 70,000 NAL units, each of one byte."""
    media = [(b"\0\0\0\1\x65", 70_000)]

    def film(begin: int) -> Pieces:
        return film_alone(
            sizes=[(words(0, 350_000, 1), 1)],
            chunks=[(words(0, 1, begin), 1)],
            media=media,
            count=1,
        )

    return film(size_of(film(0)) - size_of(media))


def overlapping() -> Pieces:
    """Return the clip with its second chunk of pictures where the first one lies."""
    file = File()
    stco = file.film.find(b"stco")
    put(stco, 12, stco.content[8:12])
    return [(file.encode(), 1)]


def sound_in_the_film() -> Pieces:
    """Return the clip whose sound's chunks lie where its film's do."""
    file = File()
    film, sound = file.film.find(b"stco").content, file.sound.find(b"stco")
    put(sound, 8, film[8:12])
    return [(file.encode(), 1)]


def with_both_chunk_tables(file: File) -> None:
    offsets = struct.iter_unpack(">I", file.film.find(b"stco").content[8:])
    long = [struct.pack(">Q", offset) for (offset,) in offsets]
    (file.film.inside or []).append(Box(b"co64", words(0, len(long)) + b"".join(long)))


def far_away(file: File) -> None:
    count = int.from_bytes(file.film.find(b"stco").content[4:8], "big")
    stco = file.film.find(b"stco")
    stco.kind = b"co64"
    begins = [struct.pack(">Q", (1 << 63) + number * MIB) for number in range(count)]
    stco.content = words(0, count) + b"".join(begins)


def backwards(file: File) -> None:
    stco = file.film.find(b"stco")
    stco.content = stco.content[:8] + b"".join(
        stco.content[at : at + 4] for at in range(len(stco.content) - 4, 4, -4)
    )


def one_chunk_less(file: File) -> None:
    stco = file.film.find(b"stco")
    count = int.from_bytes(stco.content[4:8], "big")
    stco.content = words(0, count - 1) + stco.content[8:-4]


def without(kind: bytes) -> Callable[[File], None]:
    def change(file: File) -> None:
        (file.film.inside or []).remove(file.film.find(kind))

    return change


def edited(content: bytes) -> Callable[[File], None]:
    """Give the film another edit list."""

    def change(file: File) -> None:
        elst = file.traks[0].find(b"edts", b"elst")
        more = len(content) - len(elst.content)
        elst.content = content
        for table in (file.film, file.sound):
            stco = table.find(b"stco")
            begins = [begin + more for (begin,) in struct.iter_unpack(">I", stco.content[8:])]
            stco.content = stco.content[:8] + words(*begins)

    return change


EDIT = words(3000, 0, 1 << 16)


def with_lengths_of(size_bytes: int) -> bytes:
    data = bytearray(PLAIN)
    data[PLAIN.index(b"avcC") + 8] = 0xFC | size_bytes - 1
    return bytes(data)


def with_nal_of(size_bytes: int) -> bytes:
    """Return the clip whose second picture begins with a NAL unit of this length."""
    stco = File().film.find(b"stco").content
    at = int.from_bytes(stco[12:16], "big")
    return PLAIN[:at] + size_bytes.to_bytes(4, "big") + PLAIN[at + 4 :]


def index_last() -> Pieces:
    """Return the clip with its index behind the media, as cameras write it: that is a clip."""
    file = File()
    top = file.top.inside or []
    before = sum(len(box.encode()) for box in top[: top.index(file.moov)])
    size = len(file.moov.encode())
    for table in (file.film, file.sound):
        stco = table.find(b"stco")
        begins = [begin - size for (begin,) in struct.iter_unpack(">I", stco.content[8:])]
        stco.content = stco.content[:8] + words(*begins)
    top.remove(file.moov)
    top.append(file.moov)
    assert before < size
    return [(file.encode(), 1)]


def top_boxes(*more: bytes) -> Pieces:
    return [(PLAIN + b"".join(more), 1)]


def deep() -> Pieces:
    """Return boxes in boxes, 10,000 deep, in the place of a clip."""
    depth = 10_000
    heads = b"".join((8 * (depth - n)).to_bytes(4, "big") + b"moov" for n in range(depth))
    return [(heads, 1)]


BOMBS: dict[str, tuple[Callable[[], Pieces], str]] = {
    "a clip": (lambda: [(PLAIN, 1)], ""),
    "its index behind its media": (index_last, ""),
    "90,000 pictures of a megabyte in one place": (
        lambda: many_samples(MIB, MANY), "the clip's samples are larger than its file"),
    "200,000 pictures of a megabyte in one place": (
        lambda: many_samples(MIB, 200_000),
        "the clip has more than 100000 pictures or units of sound"),
    "pictures in one place": (overlapping, "samples of the clip overlap, or don't lie in order"),
    "sound where the pictures lie": (
        sound_in_the_film, "samples of the clip overlap, or don't lie in order"),
    "one picture of two gigabytes": (
        lambda: many_samples(1 << 31, 1), "a sample of the clip is larger than 16777216 bytes"),
    "one picture of 70,000 pieces": (many_pieces, "a picture is of too many pieces"),
    "four billion sizes that aren't there": (
        lambda: changed(written(b"stsz", 8, words(0xFFFFFFFF))),
        "the clip has more than 100000 pictures or units of sound"),
    "more sizes than there are": (
        lambda: changed(written(b"stsz", 8, words(99_999))),
        "the clip's stsz box doesn't hold as many entries as it says"),
    "no picture": (
        lambda: changed(set_content(b"stsz", words(0, 0, 0))), "a track of the clip is empty"),
    "a picture of no size": (
        lambda: changed(written(b"stsz", 12, words(0))), "a sample of the clip is empty"),
    "four billion pictures of one length": (
        lambda: changed(written(b"stts", 8, words(0xFFFFFFFF))), "the clip's times don't add up"),
    "one time less than there are pictures": (
        lambda: changed(set_content(b"stts", words(0, 1, 1, 3000))),
        "the clip's times don't add up"),
    "four billion runs of times": (
        lambda: changed(written(b"stts", 4, words(0xFFFFFFFF))),
        "the clip's stts box doesn't hold as many entries as it says"),
    "four billion runs of chunks": (
        lambda: changed(written(b"stsc", 4, words(0xFFFFFFFF))),
        "the clip's stsc box doesn't hold as many entries as it says"),
    "four billion pictures a chunk": (
        lambda: changed(set_content(b"stsc", words(0, 1, 1, 0xFFFFFFFF, 1))),
        "the clip's sample table doesn't add up"),
    "no picture in a chunk": (
        lambda: changed(set_content(b"stsc", words(0, 1, 1, 0, 1))),
        "a chunk of the clip is empty"),
    "chunks from the second on": (
        lambda: changed(set_content(b"stsc", words(0, 1, 2, 1, 1))),
        "the clip's sample table doesn't begin with its first chunk"),
    "a run of chunks that aren't there": (
        lambda: changed(set_content(b"stsc", words(0, 2, 1, 1, 1, 99_999, 1, 1))),
        "the clip's sample table names chunks that aren't there"),
    "four billion chunks": (
        lambda: changed(written(b"stco", 4, words(0xFFFFFFFF))),
        "the clip's stco box doesn't hold as many entries as it says"),
    "two tables of chunks": (
        lambda: changed(with_both_chunk_tables), "the clip has two tables of its chunks"),
    "chunks beyond eight exabytes": (
        lambda: changed(far_away), "a sample of the clip lies outside its media data"),
    "chunks from the last to the first": (
        lambda: changed(backwards), "samples of the clip overlap, or don't lie in order"),
    "a chunk less than there are pictures": (
        lambda: changed(one_chunk_less), "the clip's sample table doesn't add up"),
    "two pictures a chunk, and one a chunk there": (
        lambda: changed(set_content(b"stsc", words(0, 1, 1, 2, 1))),
        "the clip's sample table doesn't add up"),
    "a chunk of no picture before one of two": (
        lambda: changed(set_content(b"stsc", words(0, 3, 1, 0, 1, 2, 2, 1, 3, 1, 1))),
        "a chunk of the clip is empty"),
    "no sizes": (lambda: changed(without(b"stsz")), "the clip has no stsz box"),
    "two tables of sizes": (
        lambda: changed(lambda file: (file.film.inside or []).append(file.film.find(b"stsz"))),
        "the clip has two stsz boxes"),
    "three edits": (
        lambda: changed(edited(words(0, 3) + EDIT * 3)),
        "the clip was cut or shifted by its edit list"),
    "an empty edit and two": (
        lambda: changed(edited(words(0, 3, 3000, 0xFFFFFFFF, 1 << 16) + EDIT * 2)),
        "the clip was cut or shifted by its edit list",
    ),
    "four billion edits": (
        lambda: changed(edited(words(0, 0xFFFFFFFF) + EDIT * 2)),
        "the clip was cut or shifted by its edit list"),
    "two edits": (
        lambda: changed(edited(words(0, 2) + EDIT * 2)),
        "the clip was cut or shifted by its edit list"),
    "half the speed": (
        lambda: changed(edited(words(0, 1, 3000, 0, 1 << 15))),
        "the clip was cut or shifted by its edit list"),
    "an edit that isn't there": (
        lambda: changed(edited(words(0, 1))), "the clip's index is cut off"),
    "a later version of an edit list": (
        lambda: changed(edited(words(2 << 24, 1) + EDIT)),
        "the clip's elst box is of a later version"),
    "two films": (
        lambda: [(PLAIN.replace(b"soun", b"vide"), 1)],
        "the clip has more in it than one film and its sound"),
    "subtitles": (
        lambda: [(PLAIN.replace(b"soun", b"text"), 1)],
        "the clip has more in it than one film and its sound"),
    "no film": (
        lambda: [(PLAIN.replace(b"vide", b"xxxx"), 1)],
        "the clip has more in it than one film and its sound"),
    "another codec": (
        lambda: [(PLAIN.replace(b"avc1\0", b"hvc1\0", 1), 1)], "the clip's video isn't H.264"),
    "lengths of two bytes": (
        lambda: [(with_lengths_of(2), 1)], "the clip's NAL units don't have 4-byte lengths"),
    "sound of another codec": (
        lambda: [(PLAIN.replace(b"mp4a", b"Opus", 1), 1)],
        "the clip's sound isn't AAC-LC, mono, 48 kHz"),
    "sound without its description": (
        lambda: [(PLAIN.replace(b"esds\0\0\0\0\3", b"esds\0\0\0\0\2", 1), 1)],
        "the clip's sound isn't described as it must be",
    ),
    "a description of sound that is cut off": (
        lambda: [(PLAIN.replace(b"esds\0\0\0\0\3\x80\x80\x80", b"esds\0\0\0\0\3\0\x80\x80", 1), 1)],
        "the clip's index is cut off",
    ),
    "a description of sound that goes on": (
        lambda: [(PLAIN.replace(b"\5\x80\x80\x80\5", b"\5\x80\x80\xff\x7f", 1), 1)],
        "the clip's sound isn't described as it must be",
    ),
    "a shorter description of sound": (
        lambda: [(PLAIN.replace(b"\5\x80\x80\x80\5", b"\5\x80\x80\x80\4", 1), 1)],
        "the clip's sound isn't AAC-LC, mono, 48 kHz",
    ),
    "a NAL unit longer than its picture": (
        lambda: [(with_nal_of(0xFFFFFFFF), 1)], "a NAL unit's length doesn't fit its sample"),
    "a NAL unit of no length": (
        lambda: [(with_nal_of(0), 1)], "a NAL unit's length doesn't fit its sample"),
    "a chunk in the index": (
        lambda: changed(written(b"stco", 8, words(40))),
        "a sample of the clip lies outside its media data"),
    "its media cut off": (lambda: [(PLAIN[:-1000], 1)], "a box of the clip is cut off"),
    "its index cut off": (lambda: [(PLAIN[:600], 1)], "a box of the clip is cut off"),
    "a table cut off": (
        lambda: changed(set_content(b"stsz", b"\0\0")), "the clip's index is cut off"),
    "nothing": (lambda: [(b"", 1)], "the clip has no moov box"),
    "a second index": (
        lambda: top_boxes(Box(b"moov", bytes(8)).encode()), "the clip has two moov boxes"),
    "a box without a size": (
        lambda: top_boxes(b"\0\0\0\0free"), "a box of the clip has no size"),
    "a box of sixteen exabytes": (
        lambda: top_boxes(b"\0\0\0\1free" + b"\xff" * 8), "a box of the clip is cut off"),
    "a box smaller than its header": (
        lambda: top_boxes(b"\0\0\0\7free"), "a box of the clip is cut off"),
    "a box of three bytes": (lambda: top_boxes(b"\0\0\0"), "a box of the clip is cut off"),
    "three bytes in its index": (
        lambda: changed(lambda file: (file.moov.inside or []).append(Bare())),
        "a box of the clip is cut off",
    ),
    "a long box of twelve bytes": (
        lambda: top_boxes(b"\0\0\0\1free\0\0\0\0"), "a box of the clip is cut off"),
    "a box of four bytes": (lambda: top_boxes(b"free"), "a box of the clip is cut off"),
    "1,000 boxes": (
        lambda: [(PLAIN + b"\0\0\0\x08free" * 1_000, 1)],
        "the clip has more than 256 boxes in one place"),
    "10,000 boxes in its index": (
        lambda: [(PLAIN[:32], 1), ((8 + 80_000).to_bytes(4, "big") + b"moov", 1),
                 (b"\0\0\0\x08free", 10_000)],
        "the clip has more than 256 boxes in one place"),
    "10,000 boxes in one another": (deep, "the clip has no video"),
    "an index of nine megabytes": (
        lambda: [(PLAIN[:32], 1), ((8 + 9 * MIB).to_bytes(4, "big") + b"moov", 1),
                 (b"\0", 9 * MIB)],
        "the clip's index is larger than 8388608 bytes"),
    "no unit of time": (
        lambda: changed(in_header(b"mdhd", 12, words(0))), "the clip counts its time in no unit"),
    "no unit of the movie's time": (
        lambda: changed(in_header(b"mvhd", 12, words(0))), "the clip counts its time in no unit"),
    "a later version of a header": (
        lambda: changed(in_header(b"mdhd", 0, b"\2")),
        "the clip's mdhd box is of a later version"),
    "a later version of a table": (
        lambda: changed(written(b"stts", 0, b"\1")), "the clip's stts box is of a later version"),
    "pictures out of order": (
        lambda: changed(lambda file: (file.film.inside or []).append(
            Box(b"ctts", words(0, 1, 20, 0)))),
        "the clip's pictures aren't in presentation order"),
}  # fmt: skip
"""Each with what is said of it; nothing where it is a clip."""


def bombs() -> list[dict[str, Any]]:
    """Return the corpus as it is written down."""
    return [
        {"name": name, **_parts(make()), "error": error} for name, (make, error) in BOMBS.items()
    ]


def _parts(pieces: Pieces) -> dict[str, Any]:
    """Return a file as so many bytes of the clip, pieces, and so many bytes of the clip's end."""
    first = last = 0
    if len(pieces) == 1:
        data = pieces[0][0]
        most = min(len(data), len(PLAIN))
        first = next((at for at in range(most) if data[at] != PLAIN[at]), most)
        most -= first
        last = next((at for at in range(most) if data[-1 - at] != PLAIN[-1 - at]), most)
        pieces = [(data[first : len(data) - last], 1)]
    listed = [{"bytes": b64u(data), "times": times} for data, times in pieces]
    return {"first": first, "pieces": listed, "last": last}


def main() -> None:
    """Write the file."""
    assert len(access_units(PLAIN)) > 10
    assert sound_units(PLAIN)
    text = json.dumps({"about": "see make_bombs.py", "bombs": bombs()}, indent=1)
    (FOLDER / "mp4_bombs.json").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
