"""A sealed package in one piece, as only tests want it: the doorbell sends its pieces."""

import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.packages import (
    MAGIC,
    PACKAGE_INFO,
    PackageHeader,
    WrappedKey,
    seal_package_pieces,
)
from firmware.protocol.sealed_chunks import CHUNK_BYTES
from firmware.protocol.sealing import seal_to


def seal_package(
    *,
    package_id: str,
    device: str,
    agency: str,
    grant_digest: str,
    recipients: list[str],
    files: Mapping[str, bytes],
) -> bytes:
    """Return the sealed package of `files` for `recipients` (raw X25519 keys, base64url)."""
    return b"".join(
        seal_package_pieces(
            package_id=package_id,
            device=device,
            agency=agency,
            grant_digest=grant_digest,
            recipients=recipients,
            files=files,
        )
    )


def seal_plain(plain: bytes, public_key: bytes) -> bytes:
    """Return a package with this inside, whatever it is: what a hostile doorbell can seal."""
    content_key, digest = AESGCM.generate_key(bit_length=256), "12" * 32
    wrapped = seal_to(public_key, content_key, PACKAGE_INFO + bytes.fromhex(digest))
    header = PackageHeader(
        package_id=new_id(),
        device="a" * 20,
        agency="lakeland",
        grant_digest=digest,
        keys=[WrappedKey(recipient=b64u(public_key), wrapped=b64u(wrapped))],
    ).encode()
    begins = range(0, max(1, len(plain)), CHUNK_BYTES)
    cipher, aad = AESGCM(content_key), hashlib.sha256(header).digest()
    chunks = [
        cipher.encrypt(
            number.to_bytes(11, "big") + bytes([begin == begins[-1]]),
            plain[begin : begin + CHUNK_BYTES],
            aad,
        )
        for number, begin in enumerate(begins)
    ]
    return MAGIC + len(header).to_bytes(4, "big") + header + b"".join(chunks)
