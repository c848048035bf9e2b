"""The guide's pictures of doorward-flash, made of its output (`make screenshots`).

It flashes a loop device (without root a file), as a person would, in a terminal; what `list` shows
is of a laptop with one card, from a canned `lsblk`. Writes docs/images/flash-*.svg.
"""

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape

from firmware.protocol.claims import Claim, Invitation
from provisioning.block_file import BlockFile
from provisioning.fat32.volume import Volume
from provisioning.first_boot.page import page_of
from provisioning.first_boot.status import Anchors, Status
from provisioning.first_boot.texts import TEXTS
from provisioning.image import boot_partition
from provisioning.partitions import read_partitions
from tests.fakes.lsblk import fake_lsblk
from tests.provisioning.card_images import LENGTH
from tests.provisioning.signed_bundles import make_bundle
from tests.provisioning.sound_card import make_base

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
COLUMNS = 96
CHARACTER, LINE, MARGIN = 7.3, 17, 14
NO_BREAK = "\u00a0"
"""Spaces in an SVG fall together."""
CLAIM_LIFE_S = 14 * 24 * 3600
WRONG_PASSWORD = json.dumps(
    {
        "v": 1,
        "step": "network",
        "state": "waiting",
        "text": TEXTS["en"]["wifi_wrong_password"].text,
        "advice": TEXTS["en"]["wifi_wrong_password"].advice,
    }
).encode()
"""What a doorbell wrote whose Wi-Fi password is wrong."""
WORKING = Status(
    step="install",
    state="working",
    code="working",
    detail="",
    address="192.168.1.40",
    name="front-door",
    anchors=Anchors(
        relay="https://relay.example",
        register_origin="relay.example/register",
        policy_digest=hashlib.sha256(b"").hexdigest(),
    ),
    board="Raspberry Pi Zero 2 W Rev 1.0",
    version="",
    notices=(),
    started_ms=0,
    changed_ms=0,
)
DISKS = [
    {
        "kname": "nvme0n1", "path": "/dev/nvme0n1", "type": "disk", "subsystems": "block:nvme:pci",
        "size": 512_110_190_592, "model": "SAMSUNG MZVL2512", "serial": "S64K",
        "mountpoints": [None],
        "children": [
            {"kname": "nvme0n1p2", "type": "part", "size": 511_000_000_000, "mountpoints": ["/"]}
        ],
    },
    {
        "kname": "sda", "path": "/dev/sda", "type": "disk", "subsystems": "block:scsi:usb:pci",
        "rm": True, "hotplug": True, "size": 2_000_398_934_016, "vendor": "WD", "model": "Elements",
        "serial": "57584A31", "mountpoints": [None],
        "children": [
            {"kname": "sda1", "type": "part", "size": 2_000_000_000_000, "mountpoints": ["/backup"]}
        ],
    },
    {
        "kname": "sdb", "path": "/dev/sdb", "type": "disk", "subsystems": "block:scsi:usb:pci",
        "rm": True, "hotplug": True, "size": 31_914_983_424, "vendor": "Generic",
        "model": "MassStorageClass", "serial": "000000001539", "mountpoints": [None],
    },
]  # fmt: skip


def main() -> int:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        shown = session(["list"], [], fake_lsblk(folder, DISKS))
        picture("flash-list", "doorward-flash list", shown)

        claim = Claim(
            relay_url="https://relay.example",
            secret="bm90IGEgc2VjcmV0",
            ca_sha256="0" * 64,
            expires_ms=(int(time.time()) + CLAIM_LIFE_S) * 1000,
        )
        (folder / "doorward.json").write_bytes(Invitation(claim=claim).encode())
        make_base(folder / "raspios-trixie.img")
        make_bundle(folder, wheel=os.urandom(5_000_000))
        card = stack.enter_context(loop_device(folder / "card"))
        os.chdir(folder)
        more = ["--invitation", "doorward.json"]
        more += ["--bundle", "bundle.tar", "--signers", "signers.txt"]
        words = ["flash", "raspios-trixie.img", str(card), "--allow-file"]
        shown = session(
            [*words, *more],
            ["front-door", "Home", "SE", "correct horse", "zero2w", "", "yes"],
            {},
        )
        command = f"sudo doorward-flash {' '.join(words)} {' '.join(more)}"
        picture("flash-card", command, shown)
        with BlockFile(card, is_writable=True) as blocks:
            volume = Volume(blocks, boot_partition(read_partitions(blocks)))
            volume.write({"doorward/provision-status.json": WRONG_PASSWORD}, at=datetime.now(UTC))
        broken = session(["doctor", str(card)], [], {})
        picture("flash-doctor", f"sudo doorward-flash doctor {card}", broken)
        page = folder / "first-boot.html"
        page.write_bytes(page_of(WORKING))
        photograph(page, IMAGES / "first-boot.png")
    return 0


def photograph(page: Path, picture_file: Path) -> None:
    """Take a picture of a page as a phone shows it."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    more = ["--window-size=500,578", f"--screenshot={picture_file}", page.as_uri()]
    subprocess.run([*command, *more], check=True, capture_output=True)


def session(words: Sequence[str], typed: Sequence[str], environment: dict[str, str]) -> str:
    """Run the command in a terminal, type each line when it asks, and return what was shown."""
    terminal, inner = pty.openpty()
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "provisioning", *words],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        env={
            **os.environ, **environment,
            "TERM": "dumb", "COLUMNS": str(COLUMNS), "PYTHONPATH": str(root),
        },
    )  # fmt: skip
    os.close(inner)
    shown, left = b"", list(typed)
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
        if left and shown.endswith(b": "):
            os.write(terminal, left.pop(0).encode() + b"\n")
    os.close(terminal)
    process.wait()
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode()).replace("\r", "")


def picture(name: str, command: str, shown: str) -> None:
    """Write a terminal's text as an SVG."""
    lines: list[str] = []
    for line in [f"$ {command}", *shown.rstrip().splitlines()]:
        lines += textwrap.wrap(line, COLUMNS, drop_whitespace=False) or [""]
    width = round(COLUMNS * CHARACTER + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN
    size = f'width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {size}>',
        f"<title>{escape(command)}</title>",
        f'<rect {size} rx="8" fill="#1f2328"/>',
        '<g font-family="monospace" font-size="12" fill="#e6edf3">',
    ]
    for number, line in enumerate(lines):
        y = MARGIN + 12 + number * LINE
        parts.append(f'<text x="{MARGIN}" y="{y}">{escape(line.replace(" ", NO_BREAK))}</text>')
    (IMAGES / f"{name}.svg").write_text("\n".join([*parts, "</g>", "</svg>"]) + "\n")


@contextmanager
def loop_device(backing: Path) -> Iterator[Path]:
    """Give a loop device over a file, or without root the file."""
    with backing.open("wb") as file:
        file.truncate(LENGTH * 2)
    done = subprocess.run(
        ["losetup", "--find", "--show", str(backing)], capture_output=True, check=False
    )
    if done.returncode:
        yield backing
        return
    device = Path(done.stdout.decode().strip())
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", str(device)], check=True)


if __name__ == "__main__":
    sys.exit(main())
