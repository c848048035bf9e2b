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
from firmware.protocol.media.byte_source import ByteSource, RangeSource
from firmware.protocol.sealing import open_sealed, seal_to

MAGIC = b"DWPKG1\r\n"
PACKAGE_INFO = b"doorward/package/v1\x00"
CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
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
    plain = _in_chunks([len(index).to_bytes(4, "big"), index, *files.values()])
    yield from _seal_chunks(content_key, header, plain)


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
    plain = _OpenedChunks(content_key, prefix[12:begin], body)
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


class _OpenedChunks(ByteSource):
    """What is inside a package's chunks; each is decrypted when it is read."""

    def __init__(self, key: bytes, header: bytes, body: ByteSource) -> None:
        count = max(1, -(-body.size_bytes // SEALED_CHUNK_BYTES))
        super().__init__(body.size_bytes - count * TAG_BYTES)
        self._cipher = AESGCM(key)
        self._aad = bytes.fromhex(sha256_hex(header))
        self._body = body
        self._count = count
        self._number: int | None = None
        self._chunk = b""
        self._open(count - 1)  # a package that was cut off says so before it is read

    def _read(self, begin: int, size_bytes: int) -> bytes:
        found = bytearray()
        while len(found) < size_bytes:
            number, skipped = divmod(begin + len(found), CHUNK_BYTES)
            self._open(number)
            found += self._chunk[skipped : skipped + size_bytes - len(found)]
        return bytes(found)

    def _open(self, number: int) -> None:
        if number == self._number:
            return
        begin = number * SEALED_CHUNK_BYTES
        sealed = self._body.read(begin, min(SEALED_CHUNK_BYTES, self._body.size_bytes - begin))
        nonce = _nonce(number, number == self._count - 1)
        try:
            self._chunk = self._cipher.decrypt(nonce, sealed, self._aad)
        except InvalidTag as error:
            raise WireError("the package was altered or cut off") from error
        self._number = number


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
