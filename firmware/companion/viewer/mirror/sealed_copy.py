"""The file of one copied clip, which only the owner's private key opens.

    MAGIC ‖ header length (4 bytes) ‖ header (canonical `CopyHeader`) ‖ chunks (sealed_chunks.py)

Inside is the clip as plain MP4. The content key (256 bits) is wrapped by HPKE with info =
COPY_INFO ‖ the manifest's digest. The manifest stands in the header in the clear, as on the
doorbell's own card: so a copy can be checked where it can't be opened. It tells when something
happened, and no picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from firmware.companion.viewer.clip_requests import MAX_CLIP_BYTES
from firmware.companion.viewer.mirror.errors import CopyRefused
from firmware.protocol.encoding import (
    Digest,
    Document,
    P256Key,
    ShortB64u,
    WireError,
    X25519Key,
    b64u,
    decode_canonical,
    device_id_of,
    sha256_hex,
    unb64u,
)
from firmware.protocol.footage import (
    MAX_MANIFEST_BYTES,
    ClipManifest,
    SignedManifest,
    check_manifest,
)
from firmware.protocol.media.byte_source import ByteSource, MemorySource, RangeSource
from firmware.protocol.media.mp4 import Mp4
from firmware.protocol.released_part import check_whole
from firmware.protocol.sealed_chunks import CHUNK_BYTES, TAG_BYTES, OpenedChunks, seal_in_chunks
from firmware.protocol.sealing import open_sealed, seal_to

MAGIC = b"DWCOPY1\n"
COPY_INFO = b"doorward/copy/v1\x00"
MAX_HEADER_BYTES = 2 * MAX_MANIFEST_BYTES + 16 * 1024
PREFIX_BYTES = len(MAGIC) + 4


class CopyHeader(Document, frozen=True, kw_only=True):
    """The readable part of a copy; `identity_key` is the doorbell's, which names its device."""

    v: Literal[1] = 1
    domain: Literal["doorward/copy/v1"] = "doorward/copy/v1"
    identity_key: P256Key
    manifest: SignedManifest
    mp4_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_CLIP_BYTES)]
    mp4_sha256: Digest
    recipient: X25519Key
    wrapped: ShortB64u


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCopy:
    """A copy whose header is signed by the doorbell that it names; nothing is opened."""

    header: CopyHeader
    header_bytes: bytes
    manifest: ClipManifest
    body: ByteSource

    @property
    def manifest_digest(self) -> str:
        """The clip's digest."""
        return sha256_hex(self.header.manifest.manifest.encode())


class FileSource(ByteSource):
    """A file of this machine, opened for each read; WireError if it can't be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            super().__init__(path.stat().st_size)
        except OSError as error:
            raise WireError(f"{path} can't be read: {error.strerror}") from error

    def _read(self, begin: int, size_bytes: int) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(begin)
                data = file.read(size_bytes)
        except OSError as error:
            raise WireError(f"{self._path} can't be read: {error.strerror}") from error
        if len(data) != size_bytes:
            raise WireError(f"{self._path} was changed while it was read")
        return data


def seal_copy(
    mp4: bytes, manifest: SignedManifest, *, identity_spki: bytes, recipient: bytes
) -> Iterator[bytes]:
    """Yield a clip's copy, sealed to the owner's public key (raw X25519), piece by piece."""
    content_key = AESGCM.generate_key(bit_length=256)
    header = CopyHeader(
        identity_key=b64u(identity_spki),
        manifest=manifest,
        mp4_bytes=len(mp4),
        mp4_sha256=sha256_hex(mp4),
        recipient=b64u(recipient),
        wrapped=b64u(seal_to(recipient, content_key, _info(manifest))),
    ).encode()
    yield MAGIC + len(header).to_bytes(4, "big") + header
    yield from seal_in_chunks(content_key, header, [mp4])


def copy_bytes(mp4_bytes: int, manifest: SignedManifest) -> int:
    """Return how large a clip's copy gets, or a little more."""
    chunks = mp4_bytes // CHUNK_BYTES + 1
    return mp4_bytes + chunks * TAG_BYTES + len(manifest.encode()) + PREFIX_BYTES + 1024


def read_copy(source: ByteSource) -> ReadCopy:
    """Return a copy's header once its manifest's signature holds, or raise CopyRefused."""
    try:
        return _read(source)
    except WireError as error:
        raise CopyRefused(str(error)) from error


def open_copy(copy: ReadCopy, private: bytes, public: bytes) -> bytes:
    """Return the clip as plain MP4 if it is, whole, what the doorbell signed; else CopyRefused."""
    header = copy.header
    if header.recipient != b64u(public):
        raise CopyRefused("this copy is sealed to another owner's key")
    try:
        wrapped, info = unb64u(header.wrapped), _info(header.manifest)
        key = open_sealed(private, wrapped, info)
        chunks = OpenedChunks(key, copy.header_bytes, copy.body, what="the copy")
        if chunks.size_bytes != header.mp4_bytes:  # before any of it is in memory
            raise WireError("the copy is of another size than its header says")
        mp4 = b"".join(chunks.pieces())
        if sha256_hex(mp4) != header.mp4_sha256:
            raise WireError("the copy holds another file than its header names")
        check_footage(copy.manifest, mp4)
    except WireError as error:
        raise CopyRefused(str(error)) from error
    return mp4


def check_footage(manifest: ClipManifest, mp4: bytes) -> None:
    """Raise WireError unless an MP4 holds exactly the pictures and sound that were signed."""
    file = Mp4(MemorySource(mp4))
    check_whole(manifest, file.pictures(), file.sound())


def _read(source: ByteSource) -> ReadCopy:
    prefix = source.read(0, min(PREFIX_BYTES, source.size_bytes))
    if not prefix.startswith(MAGIC) or len(prefix) < PREFIX_BYTES:
        raise WireError("not a copy that `doorward-view mirror` made")
    size = int.from_bytes(prefix[len(MAGIC) :], "big")
    if size > MAX_HEADER_BYTES or source.size_bytes < PREFIX_BYTES + size:
        raise WireError("the copy's header is cut off or too large")
    text = source.read(PREFIX_BYTES, size)
    header = decode_canonical(CopyHeader, text, max_bytes=MAX_HEADER_BYTES)
    spki = unb64u(header.identity_key)
    manifest = check_manifest(header.manifest, spki)
    if device_id_of(spki) != manifest.device:
        raise WireError("the manifest names another doorbell than the one that signed it")
    begin = PREFIX_BYTES + size
    body = RangeSource(source, begin, source.size_bytes - begin)
    return ReadCopy(header=header, header_bytes=text, manifest=manifest, body=body)


def _info(manifest: SignedManifest) -> bytes:
    return COPY_INFO + bytes.fromhex(sha256_hex(manifest.manifest.encode()))
