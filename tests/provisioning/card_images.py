"""Images of cards as pi-gen lays them out, made and read by dosfstools and mtools."""

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

START = 4 * 1024 * 1024
SIZE = 40 * 1024 * 1024
LENGTH = START + SIZE + 1024 * 1024

TRIXIE = {
    "kernel8.img": b"kernel",
    "cmdline.txt": b"root=PARTUUID=1234-02",
    "config.txt": b"arm_64bit=1",
    "user-data": b"#cloud-config",
    "meta-data": b"instance-id: rpi-image",
    "network-config": b"{}",
}
"""A boot partition as Raspberry Pi OS Trixie has it, as far as anything looks at it."""
WITH_BUNDLE = {**TRIXIE, "doorward/bundle.tar": b"a bundle, which first boot would refuse"}
"""The same after `make image`, as far as the flasher looks at it."""

needs_fat_tools = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("mkfs.vfat", "fsck.vfat", "mcopy")),
    reason="mtools or dosfstools isn't installed",
)


def run(*command: object) -> bytes:
    """Run a program that must do well; return what it prints."""
    done = subprocess.run([str(word) for word in command], check=False, capture_output=True)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def make_image(image: Path, files: Mapping[str, bytes]) -> None:
    """Make an image: an MBR, and a FAT32 partition with clusters of one sector."""
    with image.open("wb") as file:
        file.truncate(LENGTH)
        file.seek(446)
        file.write(struct.pack("<B3xB3xII", 0, 0x0C, START // 512, SIZE // 512))
        file.seek(510)
        file.write(b"\x55\xaa")
    at, blocks = START // 512, SIZE // 1024
    run("mkfs.vfat", "-F", 32, "-s", 1, "-n", "bootfs", "--offset", at, image, blocks)
    for folder in sorted({name.rpartition("/")[0] for name in files} - {""}):
        run("mmd", "-i", f"{image}@@{START}", f"::{folder}")
    for name, data in files.items():
        source = image.with_suffix(".source")
        source.write_bytes(data)
        run("mcopy", "-i", f"{image}@@{START}", source, f"::{name}")


def read_by_mtools(image: Path, path: str) -> bytes:
    """Return a file of an image's partition."""
    return run("mcopy", "-n", "-i", f"{image}@@{START}", f"::{path}", "-")


def check(image: Path) -> None:
    """Assert that fsck.vfat finds nothing to mend, in a copy of the partition alone."""
    alone = image.with_suffix(".fat")
    with image.open("rb") as file:
        file.seek(START)
        alone.write_bytes(file.read(SIZE))
    run("fsck.vfat", "-n", alone)
