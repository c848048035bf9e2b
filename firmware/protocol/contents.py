"""The table of contents of a package: every file's digest, signed by the doorbell.

Leaves bind pictures and sound; this binds every other byte, too: the container around them, the
owner's assertion, the proofs. It lies in the package as `contents.json` and names all files but
itself, so files that were opened and handed on can be checked without the sealed package.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import (
    B64u,
    DeviceId,
    Digest,
    Document,
    Id,
    WireError,
    decode_canonical,
    sha256_hex,
    unb64u,
)
from firmware.protocol.packages import ContentFile
from firmware.protocol.passkeys import verify_p256

CONTENTS_TAG = b"doorward/contents/v1\x00"
CONTENTS_NAME = "contents.json"
MAX_FILES = 128
MAX_CONTENTS_BYTES = 32 * 1024


class Contents(Document, frozen=True, kw_only=True):
    """The files of one package, in order of their names, without `contents.json`."""

    v: Literal[1] = 1
    domain: Literal["doorward/contents/v1"] = "doorward/contents/v1"
    package_id: Id
    device: DeviceId
    grant_digest: Digest
    files: Annotated[list[ContentFile], msgspec.Meta(min_length=1, max_length=MAX_FILES)]


class SignedContents(Document, frozen=True, kw_only=True):
    """`contents` is the canonical text, `signature` ECDSA P-256/SHA-256 (DER) by the doorbell.

    Signed is CONTENTS_TAG ‖ the canonical bytes.
    """

    contents: Annotated[str, msgspec.Meta(max_length=MAX_CONTENTS_BYTES)]
    signature: B64u


def contents_of(
    files: Mapping[str, bytes], *, package_id: str, device: str, grant_digest: str
) -> Contents:
    """Return the contents document of a package's files, which is to be signed."""
    return Contents(
        package_id=package_id,
        device=device,
        grant_digest=grant_digest,
        files=[
            ContentFile(name=name, size_bytes=len(data), sha256=sha256_hex(data))
            for name, data in sorted(files.items())
        ],
    )


def contents_message(text: bytes) -> bytes:
    """Return the bytes that the doorbell signs for the canonical text."""
    return CONTENTS_TAG + text


def check_contents(signed: SignedContents, identity_spki: bytes) -> Contents:
    """Return the list of files if the doorbell's key signed it, or raise WireError."""
    text = signed.contents.encode()
    if not verify_p256(identity_spki, unb64u(signed.signature), contents_message(text)):
        raise WireError("the list of files isn't signed by this doorbell")
    return decode_canonical(Contents, text, max_bytes=MAX_CONTENTS_BYTES)
