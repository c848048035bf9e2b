"""The sealed evidence package: one file that only the named agency can open.

    MAGIC ‖ header length (4 bytes) ‖ header (canonical `PackageHeader`) ‖ chunks

The content key (256 bits) is wrapped by HPKE to each recipient key with info = PACKAGE_INFO ‖
grant digest. The chunks are those of `firmware.protocol.sealed_chunks`.

Inside: index length (4 bytes) ‖ `ContentIndex` ‖ the files' bytes one after another.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from firmware.protocol.encoding import (
    AgencyId,
    B64u,
    DeviceId,
    Digest,
    Document,
    Id,
    WireError,
    X25519Key,
    b64u,
    decode,
    decode_canonical,
    sha256_hex,
    unb64u,
)
from firmware.protocol.media.byte_source import ByteSource, RangeSource
from firmware.protocol.sealed_chunks import OpenedChunks, seal_in_chunks
from firmware.protocol.sealing import open_sealed, seal_to

MAGIC = b"DWPKG1\r\n"
PACKAGE_INFO = b"doorward/package/v1\x00"
MAX_HEADER_BYTES = 32 * 1024
MAX_PREFIX_BYTES = 12 + MAX_HEADER_BYTES
MAX_INDEX_BYTES = 64 * 1024

FileName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]


class WrappedKey(Document, frozen=True, kw_only=True):
    """The content key, sealed to one recipient key (raw X25519)."""

    recipient: X25519Key
    wrapped: B64u


class PackageHeader(Document, frozen=True, kw_only=True):
    """The only readable part of a package."""

    v: Literal[1] = 1
    package_id: Id
    device: DeviceId
    agency: AgencyId
    grant_digest: Digest
    keys: Annotated[list[WrappedKey], msgspec.Meta(min_length=1, max_length=8)]


class ContentFile(Document, frozen=True, kw_only=True):
    """One file inside."""

    name: FileName
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**40)]
    sha256: Digest


class ContentIndex(Document, frozen=True, kw_only=True):
    """The index of the files inside, in order."""

    files: Annotated[list[ContentFile], msgspec.Meta(min_length=1, max_length=128)]


def seal_package_pieces(
    *,
    package_id: str,
    device: str,
    agency: str,
    grant_digest: str,
    recipients: list[str],
    files: Mapping[str, bytes],
) -> Iterator[bytes]:
    """Yield the sealed package of `files` for `recipients` (raw X25519 keys, base64url).

    Piece by piece, so that it is never in memory beside its files. Nothing is sealed
    before the first piece is taken.
    """
    content_key = AESGCM.generate_key(bit_length=256)
    info = PACKAGE_INFO + bytes.fromhex(grant_digest)
    header = PackageHeader(
        package_id=package_id,
        device=device,
        agency=agency,
        grant_digest=grant_digest,
        keys=[
            WrappedKey(recipient=key, wrapped=b64u(seal_to(unb64u(key), content_key, info)))
            for key in recipients
        ],
    ).encode()
    index = ContentIndex(
        files=[
            ContentFile(name=name, size_bytes=len(data), sha256=sha256_hex(data))
            for name, data in files.items()
        ]
    ).encode()
    yield MAGIC + len(header).to_bytes(4, "big") + header
    plain = [len(index).to_bytes(4, "big"), index, *files.values()]
    yield from seal_in_chunks(content_key, header, plain)


def read_header(sealed: bytes) -> tuple[PackageHeader, int]:
    """Return a package's readable header and where its chunks begin. Nothing is verified.

    `sealed` is the package, or as much of its begin as a header can take (`MAX_PREFIX_BYTES`).
    """
    if not sealed.startswith(MAGIC):
        raise WireError("not a Doorward evidence package")
    size = int.from_bytes(sealed[8:12], "big")
    if size > MAX_HEADER_BYTES or len(sealed) < 12 + size:
        raise WireError("the package's header is cut off or too large")
    return decode_canonical(PackageHeader, sealed[12 : 12 + size]), 12 + size


def open_package(
    sealed: ByteSource, private_key: bytes, public_key: bytes
) -> dict[str, ByteSource]:
    """Return a package's files by name, for one of its recipients' raw X25519 keys.

    All of it is checked before this returns, a chunk at a time. The files are decrypted again as
    they are read, so no more than one chunk of them is in memory and nothing is written.
    """
    prefix = sealed.read(0, min(MAX_PREFIX_BYTES, sealed.size_bytes))
    header, begin = read_header(prefix)
    mine = next((k for k in header.keys if k.recipient == b64u(public_key)), None)
    if mine is None:
        raise WireError("this package isn't sealed to this key")
    info = PACKAGE_INFO + bytes.fromhex(header.grant_digest)
    content_key = open_sealed(private_key, unb64u(mine.wrapped), info)
    body = RangeSource(sealed, begin, sealed.size_bytes - begin)
    plain = OpenedChunks(content_key, prefix[12:begin], body, what="the package")
    files: dict[str, ByteSource] = {}
    index, position = _read_index(plain)
    if sum(entry.size_bytes for entry in index.files) != plain.size_bytes - position:
        raise WireError("the package holds more or less than its index names")
    for entry in index.files:
        file = RangeSource(plain, position, entry.size_bytes)
        if entry.name in files or file.sha256_hex() != entry.sha256:
            raise WireError(f"{entry.name} inside the package is damaged")
        files[entry.name] = file
        position += entry.size_bytes
    return files


def _read_index(plain: ByteSource) -> tuple[ContentIndex, int]:
    """Return the list of files and where the first of them begins."""
    if plain.size_bytes < 4:
        raise WireError("the package has no index")
    size = int.from_bytes(plain.read(0, 4), "big")
    if size > MAX_INDEX_BYTES or 4 + size > plain.size_bytes:
        raise WireError("the package's index is cut off or too large")
    return decode(ContentIndex, plain.read(4, size)), 4 + size
