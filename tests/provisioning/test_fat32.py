"""The FAT32 writer against mtools and fsck.vfat."""

import contextlib
import random
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning.block_file import BlockFile, Blocks
from provisioning.errors import CardDamaged, CardFull
from provisioning.fat32.volume import Volume
from provisioning.partitions import read_partitions
from tests.provisioning.card_images import (
    SIZE,
    START,
    check,
    make_image,
    needs_fat_tools,
    read_by_mtools,
    run,
)

AT = datetime(2026, 11, 30, 12, 34, 56)  # noqa: DTZ001 - FAT knows local times only
NAMES = st.text(
    st.characters(codec="utf-8", categories=("L", "N"), max_codepoint=0x2FFF)
    | st.sampled_from(" .-_+,;=[]~'"),
    min_size=1,
    max_size=40,
).map(lambda name: name.strip(" ."))

pytestmark = needs_fat_tools


@pytest.fixture(scope="session")
def fresh_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("card") / "fresh.img"
    make_image(image, {"cmdline.txt": b"console=tty1 root=PARTUUID=1234-02 rootwait\n"})
    run("mmd", "-i", f"{image}@@{START}", "::overlays")
    return image


@pytest.fixture
def image(fresh_image: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(fresh_image, tmp_path / "card.img"))


def volume_of(blocks: Blocks) -> Volume:
    (partition,) = read_partitions(blocks)
    assert (partition.start, partition.size, partition.may_be_fat32) == (START, SIZE, True)
    return Volume(blocks, partition)


def write(image: Path, files: dict[str, bytes]) -> None:
    with BlockFile(image, is_writable=True) as blocks:
        volume_of(blocks).write(files, at=AT)


def test_a_card_of_mtools_is_read(image: Path):
    with BlockFile(image) as blocks:
        volume = volume_of(blocks)
        assert volume.names() == ["cmdline.txt", "overlays"]
        assert volume.read("CMDLINE.TXT").startswith(b"console=tty1")


def test_what_is_written_is_read_by_mtools_and_clean(image: Path):
    files = {
        "cmdline.txt": b"console=tty1 ds=nocloud\n",
        "user-data": b"#cloud-config\n" * 100,
        "empty": b"",
        "doorward/claim.json": b"{}",
        "doorward/a rather long name.with dots.json": b"x" * 70_000,
    }
    write(image, files)
    check(image)
    for path, data in files.items():
        assert read_by_mtools(image, path) == data
    with BlockFile(image) as blocks:
        volume = volume_of(blocks)
        assert volume.names() == ["cmdline.txt", "overlays", "doorward", "user-data", "empty"]
        assert {path: volume.read(path) for path in files} == files


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rounds=st.lists(
        st.dictionaries(
            st.tuples(st.sampled_from(["", "doorward/"]), NAMES.filter(bool)).map("".join),
            st.binary(max_size=3000),
            max_size=8,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_any_files_over_any_others(fresh_image: Path, tmp_path: Path, rounds):
    image = Path(shutil.copy(fresh_image, tmp_path / "card.img"))
    expected: dict[str, tuple[str, bytes]] = {}
    for files in rounds:
        files = {path: data for path, data in files.items() if path.upper() != "DOORWARD"}
        write(image, files)
        expected |= {path.upper(): (path, data) for path, data in files.items()}
    check(image)
    with BlockFile(image, is_writable=True) as blocks:
        volume = volume_of(blocks)
        for path, data in expected.values():
            assert volume.read(path) == data
        for path, _ in expected.values():
            volume.remove(path)
    check(image)


class PulledCard:
    """A card that is pulled after so many writes; those since the last sync may be missing."""

    def __init__(self, path: Path, *, pulled_after: int, dice: random.Random) -> None:
        self._file = BlockFile(path, is_writable=True)
        self._left = pulled_after
        self._dice = dice
        self._unsynced: list[tuple[int, bytes, bytes]] = []

    def read(self, at: int, count: int) -> bytes:
        return self._file.read(at, count)

    def write(self, at: int, data: bytes) -> None:
        if self._left == 0:
            raise Pulled
        self._left -= 1
        self._unsynced.append((at, self._file.read(at, len(data)), data))
        self._file.write(at, data)

    def sync(self) -> None:
        self._unsynced.clear()

    def lose(self) -> None:
        """Take back those writes that didn't reach the card."""
        before = [(at, old) for at, old, _ in self._unsynced]
        kept = [(at, new) for at, _, new in self._unsynced if self._dice.random() < 0.5]
        for at, data in [*reversed(before), *kept]:
            self._file.write(at, data)


class Pulled(Exception):
    """The card is gone."""


def test_a_pulled_card_has_each_file_as_before_or_as_after(image: Path, tmp_path: Path):
    old = {"cmdline.txt": b"old " * 300, "doorward/claim.json": b"old", "user-data": b"o" * 5000}
    new = {
        "cmdline.txt": b"new " * 500,
        "doorward/claim.json": b"",
        "user-data": b"n" * 600,
        "doorward/another file of ours": b"new",
    }
    write(image, old)
    for writes in range(1000):
        card = Path(shutil.copy(image, tmp_path / "pulled.img"))
        blocks = PulledCard(card, pulled_after=writes, dice=random.Random(writes))
        try:
            volume_of(blocks).write(new, at=AT)
        except Pulled:
            blocks.lose()
        else:
            break
        for path, data in old.items():
            assert read_by_mtools(card, path) in (data, new[path]), (writes, path)
    assert writes > 12


def test_a_full_card_is_told_and_nothing_is_changed(image: Path):
    write(image, {"filling": bytes(30 * 1024 * 1024), "user-data": b"old"})
    before = image.read_bytes()
    with BlockFile(image, is_writable=True) as blocks, pytest.raises(CardFull, match="lacks"):
        volume_of(blocks).write({"user-data": b"new", "more": bytes(20 * 1024 * 1024)}, at=AT)
    assert image.read_bytes() == before
    write(image, {"user-data": b"new"})
    check(image)


@pytest.mark.parametrize("path", ["a/b/c", "", "a/", "a:b", "nul\0", "dot.", "x" * 256, "\ud800"])
def test_a_name_that_fat_has_not_is_refused(image: Path, path: str):
    with pytest.raises(ValueError, match=r"FAT|folder|names no file"):
        write(image, {path: b""})


def test_a_folder_grows(image: Path):
    files = {f"doorward/a file with a long name {n}.json": str(n).encode() for n in range(60)}
    for path, data in files.items():
        write(image, {path: data})
    check(image)
    with BlockFile(image) as blocks:
        assert {path: volume_of(blocks).read(path) for path in files} == files


@pytest.mark.parametrize(
    ("at", "what"),
    [
        (START + 22, "a 16-bit table size"),
        (START + 13, "the clusters' length"),
        (START + 36, "the tables' length"),
        (START + 46, "the root folder's cluster"),
        (START + 510, "the signature"),
        (510, "the partition table's signature"),
    ],
)
def test_a_damaged_card_is_told(image: Path, at: int, what: str):
    with image.open("r+b") as file:
        file.seek(at)
        file.write(b"\xff\xff")
    with BlockFile(image) as blocks, pytest.raises(CardDamaged):
        volume_of(blocks)


def test_any_rubbish_is_read_within_bounds(image: Path, tmp_path: Path):
    dice = random.Random(7)
    meta = 700 * 1024  # boot sector, tables and the root folder
    for _ in range(100):
        card = Path(shutil.copy(image, tmp_path / "rubbish.img"))
        with card.open("r+b") as file:
            for _ in range(30):
                file.seek(START + dice.choice([dice.randrange(96), dice.randrange(meta)]))
                file.write(dice.randbytes(dice.choice([1, 4, 64])))
        with BlockFile(card) as blocks, contextlib.suppress(CardDamaged, FileNotFoundError):
            volume = volume_of(blocks)
            for name in volume.names():
                with contextlib.suppress(FileNotFoundError, ValueError):
                    volume.read(name)
