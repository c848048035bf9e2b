"""Bytes under one content key, in chunks that can't be cut, swapped or appended (STREAM).

A chunk is AES-256-GCM over up to 64 KiB; nonce = chunk number (11 bytes, big endian) ‖ 1 if it is
the last, else 0; aad = SHA-256 of the header before the chunks (the construction of Hoang,
Reyhanitabar, Rogaway and Vizár 2015). A key is for one header only.
"""

from collections.abc import Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from firmware.protocol.encoding import WireError, sha256_hex
from firmware.protocol.media.byte_source import ByteSource

CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES


def seal_in_chunks(key: bytes, header: bytes, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the sealed chunks of all pieces, one after another."""
    aad = bytes.fromhex(sha256_hex(header))
    cipher = AESGCM(key)
    chunks = _in_chunks(pieces)
    chunk = next(chunks)
    number = 0
    for following in chunks:
        yield cipher.encrypt(_nonce(number, False), chunk, aad)
        chunk, number = following, number + 1
    yield cipher.encrypt(_nonce(number, True), chunk, aad)


class OpenedChunks(ByteSource):
    """What is inside sealed chunks; each is decrypted when it is read. WireError if altered.

    `what` names the file in that error.
    """

    def __init__(self, key: bytes, header: bytes, body: ByteSource, *, what: str) -> None:
        count = max(1, -(-body.size_bytes // SEALED_CHUNK_BYTES))
        super().__init__(body.size_bytes - count * TAG_BYTES)
        self._cipher = AESGCM(key)
        self._aad = bytes.fromhex(sha256_hex(header))
        self._body = body
        self._what = what
        self._count = count
        self._number: int | None = None
        self._chunk = b""
        self._open(count - 1)  # a file that was cut off says so before it is read

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
            raise WireError(f"{self._what} was altered or cut off") from error
        self._number = number


def _nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


def _in_chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces' bytes in chunks, all of full size but the last."""
    chunk = bytearray()
    for data in pieces:
        view = memoryview(data)
        for begin in range(0, len(view), CHUNK_BYTES):
            chunk += view[begin : begin + CHUNK_BYTES]
            if len(chunk) > CHUNK_BYTES:
                yield bytes(chunk[:CHUNK_BYTES])
                del chunk[:CHUNK_BYTES]
    yield bytes(chunk)
