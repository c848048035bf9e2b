"""The image of a card that only lacks an invitation: a base image, and a bundle in its boot folder.

Nothing is mounted and no root is needed: our own FAT writer puts the files into the unpacked image.
The same base image and bundle give the same bytes.
"""

import hashlib
import lzma
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from firmware.panel.pins import load_pins
from provisioning.block_file import BlockFile
from provisioning.boot_config import config_lines, with_block
from provisioning.bundle_on_card import CardBundle
from provisioning.cloud_init import CMDLINE, CONFIG, VENDOR_DATA, cmdline, vendor_data
from provisioning.customise import compare_files
from provisioning.errors import ImageRefused
from provisioning.fat32.volume import Content, Volume
from provisioning.image import Image, boot_partition, check_base
from provisioning.partitions import read_partitions

MAX_IMAGE_BYTES = 32 * 1024**3
PIECE = 4 * 1024 * 1024
ZSTD_LEVEL, XZ_PRESET = 9, 3
Progress = Callable[[str, int, float], None]
"""`progress(stage, bytes so far, part of the stage from 0 to 1)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedImage:
    """One image, as it is downloaded and as it is on a card."""

    path: Path
    packed_size: int
    packed_sha256: str
    size: int
    sha256: str


def make_image(
    base: Path, bundle: CardBundle, outs: list[Path], *, progress: Progress
) -> list[PackedImage]:
    """Make an image in each form (`.img`, `.img.zst`, `.img.xz`); raise ProvisioningError.

    An output is there whole, or not at all.
    """
    for out in outs:
        if out.suffix not in (".img", ".zst", ".xz"):
            raise ImageRefused(f"{out} ends neither with .img, .img.zst nor .img.xz")
    raw = outs[0].with_name(f".{outs[0].name}.unpacked")
    try:
        with Image(base) as image:
            check_base(image)
            _unpack(image, raw, progress)
        at = datetime.fromtimestamp(bundle.checked.note.made_ms / 1000, tz=UTC)
        with BlockFile(raw, is_writable=True) as blocks:
            volume = Volume(blocks, boot_partition(read_partitions(blocks)))
            files = _image_files(volume, bundle)
            volume.write(files, at=at)
            compare_files(blocks, files)
        return [_pack(raw, out, progress) for out in outs]
    except OSError as error:
        raise ImageRefused(f"the image can't be made: {error.strerror or error}") from error
    finally:
        raw.unlink(missing_ok=True)


def _image_files(volume: Volume, bundle: CardBundle) -> dict[str, Content]:
    present = {name.lower() for name in volume.names()}
    config = volume.read(CONFIG) if CONFIG in present else b""
    line = cmdline(volume.read(CMDLINE) if CMDLINE in present else None, None)
    return bundle.files() | {
        VENDOR_DATA: vendor_data(),
        CMDLINE: line,
        CONFIG: with_block(config, config_lines(load_pins(), has_sound=False)),
    }


def _unpack(image: Image, raw: Path, progress: Progress) -> None:
    """Write an image as it is on a card; pieces of zeros become holes."""
    with raw.open("wb") as file:
        size = 0
        for piece in image.pieces(limit=MAX_IMAGE_BYTES):
            size += len(piece)
            if any(piece):
                file.write(piece)
            else:
                file.seek(size)
            progress("unpacking", size, image.packed_position / max(1, image.packed_bytes))
        file.truncate(size)


class _Writable(Protocol):
    def write(self, data: bytes, /) -> object: ...


def _pack(raw: Path, out: Path, progress: Progress) -> PackedImage:
    new = out.with_name(f".{out.name}.new")
    whole = raw.stat().st_size
    digest, done = hashlib.sha256(), 0
    try:
        with raw.open("rb") as source, new.open("wb") as file:
            with _packing(file, out.suffix, whole) as packed:
                while piece := source.read(PIECE):
                    digest.update(piece)
                    packed.write(piece)
                    done += len(piece)
                    progress(f"packing {out.suffix}", done, done / whole)
            file.flush()
            os.fsync(file.fileno())
        with new.open("rb") as file:
            packed_digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = new.stat().st_size
        new.replace(out)
    finally:
        new.unlink(missing_ok=True)
    return PackedImage(
        path=out,
        packed_size=size,
        packed_sha256=packed_digest,
        size=whole,
        sha256=digest.hexdigest(),
    )


@contextmanager
def _packing(file: BinaryIO, suffix: str, size: int) -> Iterator[_Writable]:
    if suffix == ".zst":
        import zstandard

        packer = zstandard.ZstdCompressor(level=ZSTD_LEVEL, threads=-1, write_checksum=True)
        with packer.stream_writer(file, size=size, closefd=False) as packed:
            yield packed
    elif suffix == ".xz":
        with lzma.LZMAFile(file, "w", preset=XZ_PRESET) as packed:
            yield packed
    else:
        yield file
