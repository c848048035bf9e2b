"""Small bundles, signed by two of three, for tests of what takes one."""

import hashlib
from pathlib import Path

from firmware.protocol.tlog.signed_note import NoteSigner
from provisioning.release.bundle import BundleFile, BundleNote, Target, write_bundle
from provisioning.release.signed_document import sign_document

ADA, BO, CY, EVE = (
    NoteSigner(name=f"release.example/{name}", kind="ed25519", private_key=bytes([n]) * 32)
    for n, name in enumerate(("ada", "bo", "cy", "eve"), 1)
)
SIGNERS_TEXT = f"quorum 2\n{ADA.key.vkey}\n{BO.key.vkey}\n{CY.key.vkey}\n"
FIRST_BOOT = b"PK, the first boot's program"


def make_bundle(
    folder: Path,
    *,
    target: Target = "aarch64-cp313",
    signers: tuple[NoteSigner, ...] = (ADA, BO),
    wheel: bytes = bytes(range(256)) * 3000,
) -> tuple[Path, Path]:
    """Write a bundle and its signers' file; return both."""
    contents = {
        "wheels/doorward-9.9-py3-none-any.whl": wheel,
        "requirements.txt": b"doorward==9.9\n",
        "first-boot.pyz": FIRST_BOOT,
    }
    files = {}
    for number, (name, data) in enumerate(contents.items()):
        files[name] = folder / f"content{number}"
        files[name].write_bytes(data)
    note = BundleNote(
        version="9.9",
        made_ms=1_800_000_000_000,
        target=target,
        files=tuple(
            BundleFile(name=name, size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for name, data in contents.items()
        ),
    )
    path, text = folder / "bundle.tar", folder / "signers.txt"
    write_bundle(path, sign_document(note, "bundle", signers), files)
    text.write_text(SIGNERS_TEXT)
    return path, text
