"""Evidence to check: a sealed package, or the files that were opened from one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.protocol.encoding import WireError, b64u, unb64u
from firmware.protocol.media.byte_source import ByteSource
from firmware.protocol.packages import MAX_PREFIX_BYTES, PackageHeader, open_package, read_header
from relay.verify.agency_key import AgencyKey, OpeningKey
from relay.verify.errors import AlteredPackage, UnreadablePackage

PARTS_OF_EVIDENCE = re.compile(
    r"(clip|manifest|part|trim|capture)-[1-9][0-9]?\.(mp4|json)"
    r"|(contents|device|grant|identity|request|release|register)\.(json|pem)"
)
"""Names that mean something in evidence; others may lie beside opened files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Files by name; `header` and `sealed_sha256` only of a package that was opened just now."""

    files: Mapping[str, ByteSource]
    header: PackageHeader | None = None
    sealed_sha256: str | None = None
    beside: tuple[str, ...] = ()
    """Files in the folder or package that aren't part of the evidence, and weren't looked at."""


def is_part_of_evidence(name: str) -> bool:
    """Return whether a file name belongs to evidence."""
    return PARTS_OF_EVIDENCE.fullmatch(name) is not None


def open_sealed_evidence(sealed: ByteSource, key: AgencyKey | OpeningKey) -> Evidence:
    """Open a package with the agency's key, or raise UnreadablePackage or AlteredPackage.

    Its files stay sealed where they lie: each is decrypted as it is read.
    """
    try:
        header, _ = read_header(sealed.read(0, min(MAX_PREFIX_BYTES, sealed.size_bytes)))
    except WireError as error:
        raise UnreadablePackage(str(error)) from error
    private = unb64u(key.sealing_private_key)
    public = _public_of(private)
    if b64u(public) not in {wrapped.recipient for wrapped in header.keys}:
        raise UnreadablePackage("this package isn't sealed to this key")
    try:
        files = open_package(sealed, private, public)
    except WireError as error:
        raise AlteredPackage(str(error)) from error
    return Evidence(
        files={name: file for name, file in files.items() if is_part_of_evidence(name)},
        header=header,
        sealed_sha256=sealed.sha256_hex(),
        beside=tuple(name for name in files if not is_part_of_evidence(name)),
    )


def evidence_of_folder(files: Mapping[str, ByteSource], beside: tuple[str, ...] = ()) -> Evidence:
    """Return evidence made of opened files."""
    if not any(name.endswith(".mp4") for name in files):
        raise UnreadablePackage("there is no clip-1.mp4: not a folder of opened evidence")
    return Evidence(files=files, beside=beside)


def _public_of(private: bytes) -> bytes:
    try:
        return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
    except ValueError as error:
        raise UnreadablePackage("the key file's sealing key isn't an X25519 key") from error
