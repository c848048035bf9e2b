"""P1: an image of 1 GB onto a loop device, read back, and customised.

The peers do the same bytes in turns with each run: `dd` with direct I/O, `bmaptool copy --nobmap`
(both write all of it, as Doorward does), and for reading back `dd` with direct I/O into `cmp`. The
image holds random bytes, so that no layer may leave any out. Doorward also makes a SHA-256 of what
it writes, which `dd` doesn't. Without root the target is a file.
"""

import os
import random
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from firmware.protocol.claims import Claim
from provisioning.block_file import BlockFile
from provisioning.cloud_init import Wishes
from provisioning.customise import write_files
from provisioning.image import PIECE, Image
from provisioning.writer import Card, Writer, Written
from tests.bench.measuring import Goal, NotHere, Result, Run, Size, timed

DD, BMAPTOOL, COMPARED = "dd, direct I/O", "bmaptool copy --nobmap", "dd, direct I/O, into cmp"
BOOT_AT, BOOT_BYTES = 8 * 1024 * 1024, 512 * 1024 * 1024
USED_BYTES = 70_000_000
FAT_GOAL_MS = 100.0
HASHED = (
    "Beside the writes a thread makes the SHA-256, which took 0.57 s of a core a GB (profiled on "
    "30 November): where other work has the cores it isn't hidden. Without it a loop "
    "of the same shape took 0.8 of `dd`'s time."
)
WISHES = Wishes(
    serial="bench",
    claim=Claim(
        relay_url="https://relay.example", secret="c2VjcmV0", ca_sha256="0" * 64, expires_ms=1
    ),
    policy=b"p" * 2000,
    network=None,
)


def measure(size: Size) -> list[Result]:
    """Write, read back and customise; `dd` and bmaptool in turns with it."""
    for program in ("dd", "bmaptool", "cmp", "mkfs.vfat", "mcopy"):
        if shutil.which(program) is None:
            raise NotHere(f"there is no {program}")
    with tempfile.TemporaryDirectory(prefix="doorward-bench-") as name:
        image, backing = Path(name) / "image", Path(name) / "card"
        for file in (image, backing):
            _fill(file, size.image_bytes)
        with _target(backing) as card:
            turns = _Turns(image, card)
            kind = "loop device" if card.is_block_device() else "file"
            for number in range(-1, size.runs):
                turns.take(is_kept=number >= 0)
        for file in (image, backing):
            file.unlink()
        edits = _edits(Path(name) / "boot", size)
    work = f"{size.image_bytes / 1e9:.3g} GB"
    return [
        Result(
            id=id_,
            what=f"write an image of {work} to a {kind}, with its SHA-256",
            unit="s",
            own_runs=turns.written,
            peer=peer,
            peer_runs=turns.peers[peer],
            goal=Goal(ratio=ratio),
            note=HASHED if id_ == "P1" else "",
        )
        for id_, peer, ratio in (("P1", DD, 1.3), ("P1 bmaptool", BMAPTOOL, 1.0))
    ] + [
        Result(
            id="P1 read back",
            what=f"read {work} back from a {kind}, and compare",
            unit="s",
            own_runs=turns.read,
            peer=COMPARED,
            peer_runs=turns.peers[COMPARED],
            note="Doorward compares SHA-256 sums; `cmp` compares with the image's bytes.",
        ),
        Result(
            id="P1 customise",
            what="write a first boot's files into pi-gen's boot partition, synced",
            unit="ms",
            own_runs=edits,
            goal=Goal(value=FAT_GOAL_MS),
            note="FAT32 of 512 MiB with clusters of 512 bytes, 70 MB of it used.",
        ),
    ]


class _Turns:
    """The times of each, taken in turns."""

    def __init__(self, image: Path, card: Path) -> None:
        self._image = image
        self._card = card
        self.written: list[Run] = []
        self.read: list[Run] = []
        self.peers: dict[str, list[Run]] = {DD: [], BMAPTOOL: [], COMPARED: []}

    def take(self, *, is_kept: bool) -> None:
        """Do all once."""
        written, read = self._own()
        blocks = (f"bs={PIECE}", "status=none")
        to, back = (f"if={self._image}", f"of={self._card}"), f"if={self._card}"
        dd = timed(lambda: _run("dd", *to, *blocks, "oflag=direct", "conv=fsync,notrunc"))
        compared = timed(lambda: self._compare("dd", back, *blocks, "iflag=direct"))
        copy = ("bmaptool", "--quiet", "copy", "--nobmap", self._image, self._card)
        bmaptool = timed(lambda: _run(*copy))
        if is_kept:
            self.written.append(written)
            self.read.append(read)
            for peer, run in ((DD, dd), (BMAPTOOL, bmaptool), (COMPARED, compared)):
                self.peers[peer].append(run)

    def _own(self) -> tuple[Run, Run]:
        parts: list[tuple[Written, bytes]] = []
        with Image(self._image) as image, Card(self._card) as card:
            writer = Writer(image, card, lambda *_: None)

            def write() -> None:
                parts.append(writer.write())
                writer.finish(parts[0][1])

            return timed(write), timed(lambda: writer.read_back(*parts[0]))

    def _compare(self, *command: str) -> None:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
            _run(
                "cmp", "--bytes", self._image.stat().st_size, "-", self._image, stdin=reader.stdout
            )


def _edits(image: Path, size: Size) -> list[Run]:
    """Customise the same card again and again, opened anew each time."""
    with image.open("wb") as file:
        file.truncate(BOOT_AT + BOOT_BYTES)
        file.seek(446)
        file.write(struct.pack("<B3xB3xII", 0, 0x0C, BOOT_AT // 512, BOOT_BYTES // 512))
        file.seek(510)
        file.write(b"\x55\xaa")
    at, blocks = BOOT_AT // 512, BOOT_BYTES // 1024
    _run("mkfs.vfat", "-F", 32, "-s", 1, "-n", "bootfs", "--offset", at, image, blocks)
    files = {"cmdline.txt": b"root=PARTUUID=1234-02", "used": os.urandom(USED_BYTES)}
    for name, data in files.items():
        source = image.with_name("source")
        source.write_bytes(data)
        _run("mcopy", "-i", f"{image}@@{BOOT_AT}", source, f"::{name}")

    def edit() -> None:
        with BlockFile(image, is_writable=True) as blocks:
            write_files(blocks, WISHES, None, at=datetime(2026, 1, 2, tzinfo=UTC))

    edit()
    return [timed(edit, min(size.repeats, 30)) for _ in range(size.runs)]


@contextmanager
def _target(backing: Path) -> Iterator[Path]:
    """A loop device over the file, or without root the file itself."""
    command = ["losetup", "--find", "--show", "--direct-io=on", str(backing)]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.SubprocessError):
        yield backing
        return
    device = Path(done.stdout.decode().strip())
    try:
        yield device
    finally:
        _run("losetup", "--detach", device)


def _fill(file: Path, size: int) -> None:
    chance = random.Random(1)
    with file.open("wb") as to:
        for at in range(0, size, PIECE):
            to.write(chance.randbytes(min(PIECE, size - at)))


def _run(*command: object, stdin: IO[bytes] | None = None) -> None:
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, check=False, stdin=stdin)
    if done.returncode != 0:
        raise RuntimeError(f"{words[0]}: {done.stderr.decode(errors='replace')[-300:]}")
