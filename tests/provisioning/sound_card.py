"""A base image without a fault, as the doctor looks at it."""

import struct
from pathlib import Path

from tests.provisioning.card_images import LENGTH, SIZE, START, TRIXIE, make_image

DISK_ID = 0x1234ABCD
ROOT_AT = START + SIZE
ROOT_BYTES = LENGTH - ROOT_AT
FILES = {
    **TRIXIE,
    "cmdline.txt": b"console=tty1 root=PARTUUID=1234abcd-02 rootwait\n",
    "bootcode.bin": b"x",
    "start.elf": b"x",
    "fixup.dat": b"x",
}


def make_base(image: Path) -> None:
    """Make an image with a boot partition, and the superblock of a system beside it."""
    make_image(image, FILES)
    with image.open("r+b") as file:
        file.seek(440)
        file.write(struct.pack("<I", DISK_ID))
        file.seek(446 + 16)
        file.write(struct.pack("<B3xB3xII", 0, 0x83, ROOT_AT // 512, ROOT_BYTES // 512))
        file.seek(ROOT_AT + 1024 + 0x38)
        file.write(struct.pack("<HH", 0xEF53, 1))
