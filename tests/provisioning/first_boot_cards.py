"""Bundles and cards for tests of the first boot: small, and really signed."""

import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

from firmware.protocol.encoding import canonical
from firmware.protocol.tlog.signed_note import NoteSigner, sign_note

REPOSITORY = Path(__file__).resolve().parents[2]
UNITS = REPOSITORY / "provisioning/systemd"
TARGET = "x86_64-cp313"
MADE_MS = 1_790_000_000_000
SIGNERS = [NoteSigner.generate(f"release.example/{name}", "ed25519") for name in "abc"]
CLAIM = {
    "v": 1,
    "relay_url": "https://relay.example",
    "secret": "c2VjcmV0",
    "ca_sha256": "0" * 64,
    "expires_ms": 1_900_000_000_000,
}
POLICY = "log example.org/town/register+00000000+AAAA https://relay.example/log\n"
FILES = {
    "wheels/pip-26.0-py3-none-any.whl": b"pip",
    "wheels/doorward-0.2.0-py3-none-any.whl": b"doorward",
    "requirements.txt": b"doorward==0.2.0 --hash=sha256:00\n",
}


def signers_file(quorum: int = 2) -> bytes:
    lines = [signer.key.vkey for signer in SIGNERS]
    return "\n".join(["# who may sign", *lines, f"quorum {quorum}", ""]).encode()


def note_of(
    files: dict[str, bytes],
    *,
    signers: Any = None,
    purpose: str = "bundle",
    **changed: Any,
) -> bytes:
    document: dict[str, Any] = {
        "v": 1,
        "version": "0.2.0",
        "made_ms": MADE_MS,
        "target": TARGET,
        "files": [
            {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ],
        "debian": [],
        **changed,
    }
    text = b"doorward " + purpose.encode() + b"\n" + canonical(document) + b"\n"
    return sign_note(text, SIGNERS[:2] if signers is None else signers)


def bundle_of(files: dict[str, bytes] | None = None, **changed: Any) -> bytes:
    files = FILES if files is None else files
    return archive_of({"bundle.note": note_of(files, **changed), **files})


def archive_of(members: dict[str, bytes]) -> bytes:
    packed = b""
    for name, data in members.items():
        member = tarfile.TarInfo(name)
        member.size = len(data)
        packed += member.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)
    return packed + bytes(1024)


def invitation(**changed: Any) -> bytes:
    document = {
        "v": 1,
        "claim": CLAIM,
        "policy": POLICY,
        "network": {"ssid": "Home", "key": "a" * 64, "security": "wpa2", "country": "SE"},
        "name": "dw-7k2m",
        "ssh_key": None,
        **changed,
    }
    return json.dumps(document).encode()


def write_card(root: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = root / "boot/firmware" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def flashed(**changed: bytes) -> dict[str, bytes]:
    """A card as a flasher leaves it: with a cable, so without Wi-Fi."""
    return {
        "network-config": b'{"version": 2}\n',
        "doorward/bundle.tar": bundle_of(),
        "doorward/signers.txt": signers_file(),
        "doorward/claim.json": json.dumps(CLAIM).encode(),
        "doorward/policy.txt": POLICY.encode(),
        **changed,
    }
