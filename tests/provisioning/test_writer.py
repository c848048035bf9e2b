"""Images are written whole, read back, and never left half-bootable."""

import hashlib
import lzma
import random
import threading
from pathlib import Path

import pytest
import zstandard

from provisioning.errors import Cancelled, CardFailed, ImageRefused
from provisioning.image import PIECE, Image
from provisioning.writer import Card, Medium, Writer, probe
from tests.fakes.card import FakeCard

DATA = random.Random(1).randbytes(3 * PIECE + 1000) + bytes(1000)
PACKED = {
    "card.img": DATA,
    "card.img.xz": lzma.compress(DATA[: 2 * PIECE]) + lzma.compress(DATA[2 * PIECE :]),
    "card.img.zst": zstandard.compress(DATA[:PIECE]) + zstandard.compress(DATA[PIECE:]),
}


def ignore(*_: object) -> None:
    pass


def image_of(folder: Path, data: bytes, name: str = "card.img") -> Image:
    path = folder / name
    path.write_bytes(data)
    return Image(path)


def flash(image: Image, card: Medium, sha256: str | None = None) -> None:
    writer = Writer(image, card, ignore)
    written, first = writer.write(sha256=sha256)
    writer.read_back(written, first)
    writer.finish(first)


def is_blank(card: FakeCard) -> bool:
    return not any(card.data[:PIECE])


@pytest.mark.parametrize("name", PACKED)
def test_an_image_in_each_form_is_on_the_card(tmp_path: Path, name: str):
    card = FakeCard(8 * PIECE)
    with image_of(tmp_path, PACKED[name], name) as image:
        flash(image, card, hashlib.sha256(DATA).hexdigest())
    assert card.data[: len(DATA)] == DATA
    assert set(card.data[4 * PIECE :]) == {0xEE}


def test_a_real_file_is_written_past_the_page_cache(tmp_path: Path):
    target = tmp_path / "card"
    target.write_bytes(bytes(8 * PIECE))
    with image_of(tmp_path, DATA) as image, Card(target) as card:
        assert card.size == 8 * PIECE
        flash(image, card)
    assert target.read_bytes()[: len(DATA)] == DATA


def test_the_partition_table_is_written_last(tmp_path: Path):
    places: list[int] = []
    card = FakeCard(8 * PIECE, on_write=places.append)
    with image_of(tmp_path, DATA) as image:
        flash(image, card)
    assert places == [0, PIECE, 2 * PIECE, 3 * PIECE, 0]


def test_an_image_larger_than_the_card_leaves_it_blank(tmp_path: Path):
    card = FakeCard(2 * PIECE)
    with image_of(tmp_path, DATA) as image, pytest.raises(ImageRefused, match="larger card"):
        flash(image, card)
    assert is_blank(card)
    assert "unpacking" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("name", ["card.img.xz", "card.img.zst"])
def test_a_bomb_ends_at_the_cards_size(tmp_path: Path, name: str):
    zeros = bytes(PIECE) * 16
    packed = lzma.compress(zeros, preset=0) if name.endswith("xz") else zstandard.compress(zeros)
    card = FakeCard(8 * PIECE)
    with (
        image_of(tmp_path, packed, name) as image,
        pytest.raises(ImageRefused, match="unpacks to more"),
    ):
        flash(image, card)
    assert is_blank(card)


@pytest.mark.parametrize("name", ["card.img.xz", "card.img.zst"])
@pytest.mark.parametrize("spoil", ["cut", "flip"])
def test_a_damaged_image_leaves_the_card_blank(tmp_path: Path, name: str, spoil: str):
    packed = bytearray(PACKED[name])
    if spoil == "cut":
        del packed[-5000:]
    else:
        packed[len(packed) // 2 + 7] ^= 0x10
    card = FakeCard(8 * PIECE)
    promised = hashlib.sha256(DATA).hexdigest()
    with image_of(tmp_path, bytes(packed), name) as image, pytest.raises(ImageRefused):
        flash(image, card, promised)
    assert is_blank(card)


def test_an_image_that_isnt_the_promised_one_leaves_the_card_blank(tmp_path: Path):
    card = FakeCard(8 * PIECE)
    with image_of(tmp_path, DATA) as image, pytest.raises(ImageRefused, match="manifest"):
        flash(image, card, "0" * 64)
    assert is_blank(card)


@pytest.mark.parametrize("name", ["a.zip", "a.gz", "a.bz2"])
def test_another_packing_is_refused(tmp_path: Path, name: str):
    head = {"a.zip": b"PK\3\4", "a.gz": b"\x1f\x8b\x08\x00", "a.bz2": b"BZh9"}[name]
    with pytest.raises(ImageRefused, match=r"take the \.xz"):
        image_of(tmp_path, head + DATA, name)


def test_no_image_and_an_empty_one_are_told(tmp_path: Path):
    with pytest.raises(ImageRefused, match="No such file"):
        Image(tmp_path / "none.img")
    with image_of(tmp_path, b"") as image, pytest.raises(ImageRefused, match="empty"):
        flash(image, FakeCard(PIECE))


@pytest.mark.parametrize("at", [PIECE + 1, 2 * PIECE + 1, 3 * PIECE + 1])
def test_a_pulled_card_is_blank(tmp_path: Path, at: int):
    card = FakeCard(8 * PIECE, pulled_at=at)
    with image_of(tmp_path, DATA) as image, pytest.raises(CardFailed, match="pulled"):
        flash(image, card)
    assert is_blank(card)


@pytest.mark.parametrize("at", [PIECE, 2 * PIECE + 5, len(DATA) - 2000])
def test_a_bit_that_the_card_doesnt_keep_is_found(tmp_path: Path, at: int):
    data = bytearray(DATA)
    data[at] &= 0xFE
    card = FakeCard(8 * PIECE, wrong_at=at)
    with image_of(tmp_path, bytes(data)) as image, pytest.raises(CardFailed, match="other bytes"):
        flash(image, card)
    assert is_blank(card)


def test_a_partition_table_that_the_card_doesnt_keep_is_found(tmp_path: Path):
    data = bytearray(DATA)
    data[512] &= 0xFE
    card = FakeCard(8 * PIECE, wrong_at=512)
    with image_of(tmp_path, bytes(data)) as image, pytest.raises(CardFailed, match="table"):
        flash(image, card)


def test_a_fake_card_is_found_before_anything_is_written():
    probe(FakeCard(16 * PIECE))
    with pytest.raises(CardFailed, match="less room"):
        probe(FakeCard(16 * PIECE, real_size=4 * PIECE))


def test_a_person_stops_the_probe():
    places: list[int] = []

    def stop_at_the_third() -> None:
        if len(places) == 2:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        probe(FakeCard(16 * PIECE, on_write=places.append), check=stop_at_the_third)
    assert len(places) == 2


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_a_person_stops_it_at_any_moment(tmp_path: Path, pieces: int):
    count = 0
    card = FakeCard(8 * PIECE)

    def stop_after(*_: object) -> None:
        nonlocal count
        count += 1
        if count == pieces:
            writer.cancel()

    with image_of(tmp_path, DATA) as image:
        writer = Writer(image, card, stop_after)
        with pytest.raises(Cancelled, match="blank"):
            writer.read_back(*writer.write())
    assert is_blank(card)
    assert "unpacking" not in {thread.name for thread in threading.enumerate()}


def test_what_isnt_there_or_in_use_is_told(tmp_path: Path):
    with pytest.raises(CardFailed, match="isn't there any more"):
        Card(tmp_path / "sdx")
