"""A base image without a fault, as the doctor looks at it, and a bundle that two have signed."""

import hashlib
import struct
from pathlib import Path

from firmware.protocol.tlog.signed_note import NoteSigner
from provisioning.release.bundle import BundleFile, BundleNote, write_bundle
from provisioning.release.signed_document import sign_document
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
ADA, BO, EVE = (
    NoteSigner(name=f"release.example/{name}", kind="ed25519", private_key=bytes([n]) * 32)
    for n, name in enumerate(("ada", "bo", "eve"), 1)
)
SIGNERS = f"quorum 2\n{ADA.key.vkey}\n{BO.key.vkey}\n"


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


def make_bundle(
    folder: Path, *, wheel: bytes = b"wheel", signers: tuple[NoteSigner, ...] = (ADA, BO)
) -> tuple[Path, Path]:
    """Write bundle.tar and signers.txt; return their paths."""
    contents = {
        "wheels/doorward-9.9-py3-none-any.whl": wheel,
        "requirements.txt": b"doorward==9.9 --hash=sha256:00\n",
        "first-boot.pyz": b"PK" + bytes(510),
    }
    files = {}
    for number, (name, data) in enumerate(contents.items()):
        files[name] = folder / f"bundled{number}"
        files[name].write_bytes(data)
    note = BundleNote(
        version="9.9",
        made_ms=1_800_000_000_000,
        target="aarch64-cp313",
        files=tuple(
            BundleFile(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in contents.items()
        ),
    )
    bundle, signed_by = folder / "bundle.tar", folder / "signers.txt"
    write_bundle(bundle, sign_document(note, "bundle", signers), files)
    signed_by.write_text(SIGNERS)
    return bundle, signed_by
