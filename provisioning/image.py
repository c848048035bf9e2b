"""Images: `.img`, `.xz` or `.zst`, told by their first bytes, read as the bytes of a card.

What an image unpacks to is bounded by the card, or by the size that a manifest promises: a bomb
ends there. `check_base` looks into the first part of it, before any disk is opened, whether it is
Raspberry Pi OS for 64 bits with cloud-init.
"""

import io
import lzma
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from provisioning.block_file import Blocks
from provisioning.errors import CardDamaged, ImageRefused
from provisioning.fat32.volume import Volume
from provisioning.partitions import Partition, read_partitions

XZ_END = b"YZ"
XZ, ZSTD = b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
PIECE = 4 * 1024 * 1024
LOOK_BYTES = 160 * 1024 * 1024
"""What is unpacked to look at the boot partition's tables and root folder: pi-gen's begin at 8 MiB
and have 8 MiB of tables."""
CLOUD_INIT_FILES = ("user-data", "meta-data", "network-config")
KERNELS = ("kernel8.img", "kernel_2712.img")


class _Unpacked(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Image:
    """One image file, opened; the context manager closes it."""

    def __init__(self, path: Path) -> None:
        """Raise ImageRefused if it can't be opened, or is packed in another way."""
        self.path = path
        try:
            self._file = path.open("rb")
            self.packed_bytes = path.stat().st_size
        except OSError as error:
            raise ImageRefused(f"the image {path} can't be read: {error.strerror}") from error
        head = self._file.read(6)
        self._form = "xz" if head == XZ else "zst" if head[:4] == ZSTD else "img"
        if self._form == "img" and head[:2] in (b"PK", b"\x1f\x8b", b"BZ"):
            self._file.close()
            raise ImageRefused(
                f"{path} is packed as zip, gzip or bzip2; unpack it, or take the .xz"
            )

    def __enter__(self) -> "Image":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def packed_position(self) -> int:
        """How much of the file was read: what progress is counted by."""
        return self._file.tell()

    def check_whole(self, size: int) -> None:
        """Raise ImageRefused if the file was visibly cut off; its partitions end at `size`.

        A `.zst` shows that only when all of it is unpacked.
        """
        end = os.pread(self._file.fileno(), 2, max(0, self.packed_bytes - 2))
        is_cut = end != XZ_END if self._form == "xz" else self.packed_bytes < size
        if self._form != "zst" and is_cut:
            raise ImageRefused(f"{self.path.name} was cut off; download it anew")

    def pieces(self, *, limit: int) -> Iterator[bytes]:
        """Yield the card's bytes from the start; raise ImageRefused beyond `limit` of them."""
        self._file.seek(0)
        stream = self._unpacked()
        total = 0
        while True:
            try:
                piece = _read_full(stream, PIECE)
            except (lzma.LZMAError, EOFError) as error:
                raise ImageRefused(f"{self.path.name} is damaged or not whole: {error}") from error
            except OSError as error:
                raise ImageRefused(
                    f"{self.path.name} can't be read on: {error.strerror}"
                ) from error
            except Exception as error:
                if type(error).__name__ != "ZstdError":
                    raise
                raise ImageRefused(f"{self.path.name} is damaged or not whole: {error}") from error
            if not piece:
                return
            total += len(piece)
            if total > limit:
                raise ImageRefused(
                    f"{self.path.name} unpacks to more than the {limit / 1e9:.1f} GB of the card; "
                    "take a larger card"
                )
            yield piece

    def _unpacked(self) -> _Unpacked:
        if self._form == "xz":
            return lzma.LZMAFile(self._file)
        if self._form == "zst":
            import zstandard

            reader = zstandard.ZstdDecompressor(max_window_size=128 * 1024 * 1024)
            return reader.stream_reader(self._file, read_across_frames=True, closefd=False)
        return self._file


class _Beginning:
    """The first bytes of an image, as far as they are needed, for the readers of partitions."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._data = io.BytesIO()
        self._length = 0

    def read(self, at: int, count: int) -> bytes:
        """Unpack up to there; nothing beyond LOOK_BYTES."""
        while self._length < min(at + count, LOOK_BYTES):
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._data.seek(self._length)
            self._length += self._data.write(piece)
        self._data.seek(at)
        return self._data.read(count)

    def write(self, at: int, data: bytes) -> None:  # noqa: ARG002
        """Refuse: an image is only read."""
        raise io.UnsupportedOperation("an image is only read")

    def sync(self) -> None:
        """Do nothing."""


def boot_partition(partitions: list[Partition]) -> Partition:
    """Return the first FAT32 partition, which the Pi boots from, or raise CardDamaged."""
    for partition in partitions:
        if partition.may_be_fat32:
            return partition
    raise CardDamaged("there is no FAT32 partition to boot from; use an image of Raspberry Pi OS")


def beginning(image: Image) -> Blocks:
    """Return an image's first bytes, which are unpacked as far as they are read."""
    return _Beginning(image.pieces(limit=LOOK_BYTES + PIECE))


def check_base(image: Image) -> None:
    """Raise ImageRefused unless a doorbell can be made of the image."""
    blocks = beginning(image)
    try:
        partitions = read_partitions(blocks)
        image.check_whole(max((one.start + one.size for one in partitions), default=0))
        names = Volume(blocks, boot_partition(partitions)).names()
    except CardDamaged as error:
        raise ImageRefused(f"{image.path.name} is no image that a Pi boots: {error}") from error
    have = {name.lower() for name in names}
    if not have.intersection(KERNELS):
        raise ImageRefused(
            f"{image.path.name} has no 64-bit kernel; take Raspberry Pi OS Lite (64-bit)"
        )
    missing = [name for name in CLOUD_INIT_FILES if name not in have]
    if missing:
        raise ImageRefused(
            f"{image.path.name} has no cloud-init ({', '.join(missing)} missing): it is older than "
            "Raspberry Pi OS Trixie of December 2025; take a newer one"
        )


def _read_full(stream: _Unpacked | BinaryIO, count: int) -> bytes:
    """Return `count` bytes; fewer only at the end."""
    piece = stream.read(count)
    if len(piece) in (0, count):
        return piece
    parts = [piece]
    length = len(piece)
    while length < count:
        more = stream.read(count - length)
        if not more:
            break
        parts.append(more)
        length += len(more)
    return b"".join(parts)
