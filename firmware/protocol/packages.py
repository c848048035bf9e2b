"""The sealed evidence package: one file that only the named agency can open.

    MAGIC ‖ header length (4 bytes) ‖ header (canonical `PackageHeader`) ‖ chunks

The content key (256 bits) is wrapped by HPKE to each recipient key with info = PACKAGE_INFO ‖
grant digest. A chunk is AES-256-GCM over up to 64 KiB; nonce = chunk number (11 bytes, big
endian) ‖ 1 if it is the last, else 0; aad = SHA-256 of the header (the STREAM construction of
Hoang, Reyhanitabar, Rogaway and Vizár 2015). So chunks can't be cut, swapped or appended.

Inside: index length (4 bytes) ‖ `ContentIndex` ‖ the files' bytes one after another.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag
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
from firmware.protocol.sealing import open_sealed, seal_to

MAGIC = b"DWPKG1\r\n"
PACKAGE_INFO = b"doorward/package/v1\x00"
CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16

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
    plain = _in_chunks([len(index).to_bytes(4, "big"), index, *files.values()])
    yield from _seal_chunks(content_key, header, plain)


def read_header(sealed: bytes) -> tuple[PackageHeader, int]:
    """Return a package's readable header and where its chunks begin. Nothing is verified."""
    if not sealed.startswith(MAGIC):
        raise WireError("not a Doorward evidence package")
    size = int.from_bytes(sealed[8:12], "big")
    if size > 32 * 1024 or len(sealed) < 12 + size:
        raise WireError("the package's header is cut off or too large")
    return decode_canonical(PackageHeader, sealed[12 : 12 + size]), 12 + size


def open_package(sealed: bytes, private_key: bytes, public_key: bytes) -> dict[str, bytes]:
    """Open a package with one of its recipients' raw X25519 keys; return its files by name."""
    header, begin = read_header(sealed)
    mine = next((k for k in header.keys if k.recipient == b64u(public_key)), None)
    if mine is None:
        raise WireError("this package isn't sealed to this key")
    info = PACKAGE_INFO + bytes.fromhex(header.grant_digest)
    content_key = open_sealed(private_key, unb64u(mine.wrapped), info)
    plain = _open_chunks(content_key, sealed[12:begin], sealed[begin:])
    size = int.from_bytes(plain[:4], "big")
    index = decode(ContentIndex, plain[4 : 4 + size])
    files: dict[str, bytes] = {}
    position = 4 + size
    for entry in index.files:
        data = plain[position : position + entry.size_bytes]
        if sha256_hex(data) != entry.sha256 or entry.name in files:
            raise WireError(f"{entry.name} inside the package is damaged")
        files[entry.name] = data
        position += entry.size_bytes
    if position != len(plain):
        raise WireError("the package holds more than its index names")
    return files


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


def _in_chunks(files: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the files' bytes in chunks, all of full size but the last."""
    chunk = bytearray()
    for data in files:
        view = memoryview(data)
        for begin in range(0, len(view), CHUNK_BYTES):
            chunk += view[begin : begin + CHUNK_BYTES]
            if len(chunk) > CHUNK_BYTES:
                yield bytes(chunk[:CHUNK_BYTES])
                del chunk[:CHUNK_BYTES]
    yield bytes(chunk)


def _seal_chunks(key: bytes, header: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    aad = bytes.fromhex(sha256_hex(header))
    cipher = AESGCM(key)
    chunk = next(chunks)
    number = 0
    for following in chunks:
        yield cipher.encrypt(_nonce(number, False), chunk, aad)
        chunk, number = following, number + 1
    yield cipher.encrypt(_nonce(number, True), chunk, aad)


def _open_chunks(key: bytes, header: bytes, body: bytes) -> bytes:
    aad = bytes.fromhex(sha256_hex(header))
    cipher = AESGCM(key)
    step = CHUNK_BYTES + TAG_BYTES
    count = max(1, -(-len(body) // step))
    try:
        return b"".join(
            cipher.decrypt(_nonce(i, i == count - 1), body[i * step : (i + 1) * step], aad)
            for i in range(count)
        )
    except InvalidTag as error:
        raise WireError("the package was altered or cut off") from error
