"""An SD card that can be pulled out: ext4 in an image whose blocks can be cloned at any moment.

The image lies on a small btrfs, which clones a file in no time (FICLONE). A clone is what is on
the card when the power goes: all that the kernel had written out, nothing that it only held in
memory. Mounted, it replays ext4's journal as a doorbell does at its next start. What this can't
show: writes that a card's own controller reorders, and torn sectors.

Needs root, loop devices and btrfs-progs; `reason_against` says what is missing.
"""

import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FICLONE = 0x40049409
OUTER_BYTES = 1_200_000_000
CARD_BYTES = 160_000_000
UNMOUNT_TRIES = 20
UNMOUNT_EVERY_S = 0.1


def reason_against() -> str:
    """Return why this machine can't do it, or nothing."""
    if os.geteuid() != 0:
        return "power cuts need root, to mount an image"
    missing = [name for name in ("mkfs.btrfs", "mkfs.ext4") if shutil.which(name) is None]
    if missing:
        return f"power cuts need {', '.join(missing)}: apt install btrfs-progs e2fsprogs"
    if not Path("/dev/loop-control").exists():
        return "power cuts need loop devices"
    return ""


class Card:
    """A mounted card, and what was on it at each cut."""

    def __init__(self, folder: Path) -> None:
        self.mounted = folder / "card"
        self._outer = folder / "outer"
        self._cuts = 0

    @property
    def _image(self) -> Path:
        return self._outer / "card.img"

    def cut(self) -> Path:
        """Return an image of the card as it is at this moment."""
        self._cuts += 1
        image = self._outer / f"cut-{self._cuts}.img"
        with self._image.open("rb") as source, image.open("wb") as clone:
            fcntl.ioctl(clone.fileno(), FICLONE, source.fileno())
        return image


@contextmanager
def inserted_card(folder: Path) -> Iterator[Card]:
    """Make an empty card in `folder` and mount it; unmount it afterwards."""
    card = Card(folder)
    outer_image = folder / "outer.img"
    _truncate(outer_image, OUTER_BYTES)
    _run("mkfs.btrfs", "--quiet", outer_image)
    with mounted(outer_image, folder / "outer"):
        _truncate(folder / "outer" / "card.img", CARD_BYTES)
        _run("mkfs.ext4", "-q", folder / "outer" / "card.img")
        with mounted(folder / "outer" / "card.img", card.mounted):
            yield card


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """Mount an image through a loop device."""
    at.mkdir(exist_ok=True)
    _run("mount", "-o", "loop", image, at)
    try:
        yield at
    finally:
        _unmount(at)


def _unmount(at: Path) -> None:
    """Unmount; a program that is just being started has our files open until it runs."""
    for _ in range(UNMOUNT_TRIES):
        if subprocess.run(["umount", at], capture_output=True, timeout=60).returncode == 0:
            return
        time.sleep(UNMOUNT_EVERY_S)
    _run("umount", at)


def _truncate(path: Path, size_bytes: int) -> None:
    with path.open("xb") as file:
        file.truncate(size_bytes)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)
