"""The vault: sealed files in storage. Clips are written only through it.

    file    = MAGIC ‖ header size (4) ‖ header (canonical JSON, in the clear) ‖ record …
    record  = size of what follows the kind (4) ‖ kind (1) ‖ ciphertext ‖ tag (16)

One record is one fragment of a clip (firmware.clips.fragment), closed every 0.25–0.5 s; the
first describes the clip, the last holds its signed manifest and so says that nothing is missing.
Each file has a data key of its own, wrapped by the storage key and sealed to the owner's
recovery keys. The nonce is the record's number, from 0, and AAD is SHA-256 of the header ‖ kind,
so records can't be moved, swapped or taken to another file. A file is only ever appended to by
the process that made it: after a restart a new file with a new key begins, so no nonce is used
for two plain texts. What couldn't be written or synced is written again with the very same bytes,
at the same place.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from firmware.errors import VaultError
from firmware.protocol.encoding import (
    Digest,
    Document,
    Id,
    ShortB64u,
    WireError,
    b64u,
    decode_canonical,
    sha256_hex,
    unb64u,
)
from firmware.protocol.sealing import open_sealed, seal_to
from firmware.system.durable_files import sync_folder
from firmware.vault import storage_key
from firmware.vault.storage_key import StorageKey

MAGIC = b"DWVAULT1"
MAX_HEADER_BYTES = 16 * 1024
MAX_RECOVERY_KEYS = 4
MAX_RECORD_BYTES = 32 * 1024 * 1024
TAG_BYTES = 16
RECOVERY_INFO = b"doorward/recovery/v1\x00"
_HEAD_BYTES = 5

Cipher = Literal["aes-256-gcm", "chacha20-poly1305"]
Purpose = Literal["clip", "thumbnail"]


class Kind(IntEnum):
    """The type of a record's content."""

    START = 0  # record.ClipStart: what is known when the recording begins
    FRAGMENT = 1
    END = 2  # the signed manifest; the last record of a file that is whole
    PICTURE = 3  # a JPEG
    SOUND = 4  # what was heard with the fragment before it


class RecoveryWrap(Document, frozen=True, kw_only=True):
    """The data key, sealed to one recovery key (HPKE; `firmware.protocol.sealing`)."""

    key_digest: Digest
    sealed: ShortB64u


class VaultHeader(Document, frozen=True, kw_only=True):
    """The cleartext header of a sealed file."""

    v: Literal[1] = 1
    domain: Literal["doorward/vault/v1"] = "doorward/vault/v1"
    clip_id: Id
    purpose: Purpose
    cipher: Cipher
    storage_key: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
    wrapped_key: ShortB64u
    recovery: Annotated[list[RecoveryWrap], msgspec.Meta(max_length=MAX_RECOVERY_KEYS)]

    @property
    def context(self) -> bytes:
        """The context to which this file's key-encryption key is bound."""
        return f"{self.purpose}\x00{self.clip_id}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One opened record; `end` is the file's size up to and including it."""

    number: int
    kind: Kind
    plain: bytes
    end: int


def fastest_cipher(cpu_info: Path = Path("/proc/cpuinfo")) -> Cipher:
    """Return AES-256-GCM where the CPU computes AES by itself (not on Pi 3, 4, Zero 2 W)."""
    try:
        lines = cpu_info.read_text("ascii", "replace").splitlines()
    except OSError:
        return "chacha20-poly1305"
    flags = (line.split(":", 1)[-1].split() for line in lines if line.startswith(("flags", "Feat")))
    return "aes-256-gcm" if any("aes" in some for some in flags) else "chacha20-poly1305"


class Vault:
    """Makes and opens sealed files, with one storage key and the owner's recovery keys."""

    def __init__(
        self,
        key: StorageKey,
        *,
        recovery_keys: Sequence[bytes] = (),
        cipher: Cipher | None = None,
    ) -> None:
        """`recovery_keys` are raw X25519 public keys; `cipher` is chosen by the CPU if None.

        VaultError if nothing can be sealed to one of them: better now than at the first clip.
        """
        _check_recovery_keys(recovery_keys)
        self._key = key
        self._known_name = ""
        self._recovery_keys = tuple(recovery_keys)
        self._cipher: Cipher = cipher or fastest_cipher()

    def use_recovery_keys(self, recovery_keys: Sequence[bytes]) -> None:
        """Seal every file that begins from now on to these; VaultError if that can't be."""
        _check_recovery_keys(recovery_keys)
        self._recovery_keys = tuple(recovery_keys)

    @property
    def is_key_off_card(self) -> bool:
        """Return whether the key isn't on the memory card, so that a stolen card can't be read."""
        return self._key.is_off_card

    @property
    def _key_name(self) -> str:
        """The storage key's name, computed when first needed: the key may not be there yet."""
        if not self._known_name:
            self._known_name = storage_key.name_of(self._key)
        return self._known_name

    def create(self, path: Path, clip_id: str, purpose: Purpose = "clip") -> "SealedWriter":
        """Make a new file or raise FileExistsError; its header is written with the first record."""
        data_key = os.urandom(32)
        context = f"{purpose}\x00{clip_id}".encode()
        header = VaultHeader(
            clip_id=clip_id,
            purpose=purpose,
            cipher=self._cipher,
            storage_key=self._key_name,
            wrapped_key=b64u(storage_key.wrap(self._key, data_key, context)),
            recovery=[
                RecoveryWrap(
                    key_digest=sha256_hex(public),
                    sealed=b64u(_seal_to_recovery_key(public, data_key, context)),
                )
                for public in self._recovery_keys
            ],
        )
        return SealedWriter(path, header, data_key)

    def open(self, path: Path) -> "SealedFile":
        """Open a file with the storage key, or raise VaultError (or OSError)."""
        header, begin = read_header(path)
        if header.storage_key != self._key_name:
            raise VaultError(f"{path.name} was sealed under another storage key")
        wrapped = _bytes(header.wrapped_key)
        data_key = storage_key.unwrap(self._key, wrapped, header.context)
        return SealedFile(path, header, begin, data_key)


def open_with_recovery_key(path: Path, private_key: bytes) -> "SealedFile":
    """Open a file of a dead doorbell with the owner's recovery key (raw X25519)."""
    header, begin = read_header(path)
    for wrapped in header.recovery:
        try:
            info = RECOVERY_INFO + header.context
            data_key = open_sealed(private_key, _bytes(wrapped.sealed), info)
        except WireError:
            continue
        return SealedFile(path, header, begin, data_key)
    raise VaultError(f"{path.name} was not sealed to this recovery key")


def read_header(path: Path) -> tuple[VaultHeader, int]:
    """Return the header and where the records begin, or raise VaultError."""
    with open_plain(path) as file:
        begin = file.read(len(MAGIC) + 4)
        size = int.from_bytes(begin[len(MAGIC) :], "big")
        if begin[: len(MAGIC)] != MAGIC or not 0 < size <= MAX_HEADER_BYTES:
            raise VaultError(f"{path.name} is not a sealed file of Doorward")
        text = file.read(size)
    try:
        return decode_canonical(VaultHeader, text), len(begin) + size
    except WireError as error:
        raise VaultError(f"{path.name}: {error}") from error


def is_torn(path: Path) -> bool:
    """Return, without any key, whether a file is missing or lacks its first whole record."""
    try:
        _, begin = read_header(path)
        with open_plain(path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(begin)
            head = file.read(_HEAD_BYTES)
    except (OSError, VaultError):
        return True
    return size < begin + _HEAD_BYTES + int.from_bytes(head[:4], "big")


class SealedWriter:
    """Appends records to one new file. Not for more than one thread."""

    def __init__(self, path: Path, header: VaultHeader, data_key: bytes) -> None:
        text = header.encode()
        self._aead = _aead(header.cipher, data_key)
        self._aad = hashlib.sha256(text).digest()
        self._number = 0
        self._unsynced = bytearray(MAGIC + len(text).to_bytes(4, "big") + text)
        self._unsynced_written = 0  # how much of it is in the file already
        self._synced_bytes = 0
        self._folder = path.parent
        self._is_name_synced = False
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    @property
    def size_bytes(self) -> int:
        """The bytes of the file that are written."""
        return self._synced_bytes + self._unsynced_written

    def append(self, kind: Kind, plain: bytes) -> None:
        """Seal one record and write it; after an OSError, `write_rest` tries again."""
        if len(plain) > MAX_RECORD_BYTES:
            raise VaultError(f"a record holds at most {MAX_RECORD_BYTES} bytes, not {len(plain)}")
        nonce = self._number.to_bytes(12, "big")
        sealed = self._aead.encrypt(nonce, plain, self._aad + bytes([kind]))
        self._number += 1
        self._unsynced += len(sealed).to_bytes(4, "big") + bytes([kind]) + sealed
        self.write_rest()

    def write_rest(self) -> None:
        """Write the sealed bytes that aren't written yet."""
        with memoryview(self._unsynced) as unsynced:
            while self._unsynced_written < len(unsynced):
                rest = unsynced[self._unsynced_written :]
                self._unsynced_written += os.pwrite(self._descriptor, rest, self.size_bytes)

    def sync(self) -> None:
        """Sync the file to storage; its directory entry too, the first time.

        After a failed sync Linux calls the pages clean that never reached storage, and the next
        sync would lie. So everything since the last good one is unwritten again.
        """
        self.write_rest()
        if self._unsynced:
            try:
                os.fdatasync(self._descriptor)
            except OSError:
                self._unsynced_written = 0
                raise
            self._synced_bytes += len(self._unsynced)
            self._unsynced = bytearray()
            self._unsynced_written = 0
        if not self._is_name_synced:
            sync_folder(self._folder)
            self._is_name_synced = True

    def close(self) -> None:
        """Close the file without writing anything more; may be called twice.

        What `sync` has not promised is no concern of this, so failing storage raises nothing here.
        """
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with contextlib.suppress(OSError):  # Linux has closed it all the same
                os.close(descriptor)


class SealedFile:
    """Reads the records of one file, from the beginning or from the middle."""

    def __init__(self, path: Path, header: VaultHeader, begin: int, data_key: bytes) -> None:
        self.path = path
        self.header = header
        self._begin = begin
        self._aead = _aead(header.cipher, data_key)
        self._aad = hashlib.sha256(header.encode()).digest()

    def offsets(self) -> list[int]:
        """Return where each whole record begins, without opening any."""
        found = []
        position = self._begin
        with open_plain(self.path) as file:
            size = os.fstat(file.fileno()).st_size
            while position + _HEAD_BYTES <= size:
                file.seek(position)
                sealed_bytes = int.from_bytes(file.read(4), "big")
                end = position + _HEAD_BYTES + sealed_bytes
                if sealed_bytes < TAG_BYTES or end > size:
                    break
                found.append(position)
                position = end
        return found

    def read(self, number: int, offset: int) -> Record:
        """Open the record of this number at this offset (from `offsets`), or raise VaultError."""
        with open_plain(self.path) as file:
            file.seek(offset)
            record = self._next(file, number, offset)
        if record is None:
            raise VaultError(f"{self.path.name} ends within record {number}")
        return record

    def records(self) -> Iterator[Record]:
        """Yield whole records in order; a torn end is passed over, damage raises VaultError."""
        with open_plain(self.path) as file:
            file.seek(self._begin)
            offset, number = self._begin, 0
            while (record := self._next(file, number, offset)) is not None:
                yield record
                offset, number = record.end, number + 1

    def _next(self, file: BinaryIO, number: int, offset: int) -> Record | None:
        head = file.read(_HEAD_BYTES)
        if len(head) < _HEAD_BYTES:
            return None
        size = int.from_bytes(head[:4], "big")
        if not TAG_BYTES <= size <= MAX_RECORD_BYTES + TAG_BYTES:
            raise VaultError(f"{self.path.name}: record {number} has no possible size")
        sealed = file.read(size)
        if len(sealed) < size:
            return None
        try:
            nonce = number.to_bytes(12, "big")
            plain = self._aead.decrypt(nonce, sealed, self._aad + head[4:])
            kind = Kind(head[4])
        except (InvalidTag, ValueError) as error:
            raise VaultError(f"{self.path.name}: record {number} is damaged") from error
        return Record(number=number, kind=kind, plain=plain, end=offset + _HEAD_BYTES + size)


def _aead(cipher: Cipher, data_key: bytes) -> AESGCM | ChaCha20Poly1305:
    return AESGCM(data_key) if cipher == "aes-256-gcm" else ChaCha20Poly1305(data_key)


def open_plain(path: Path) -> BinaryIO:
    """Open a plain file to read; VaultError or OSError for a link, pipe, folder or device."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise VaultError(f"{path.name} is not a plain file")
    return os.fdopen(descriptor, "rb")


def _check_recovery_keys(recovery_keys: Sequence[bytes]) -> None:
    if len(recovery_keys) > MAX_RECOVERY_KEYS:
        raise VaultError(f"at most {MAX_RECOVERY_KEYS} recovery keys, not {len(recovery_keys)}")
    for public in recovery_keys:
        _seal_to_recovery_key(public, bytes(32), b"")


def _seal_to_recovery_key(public: bytes, data_key: bytes, context: bytes) -> bytes:
    try:
        return seal_to(public, data_key, RECOVERY_INFO + context)
    except WireError as error:
        raise VaultError(f"the recovery key can't be used: {error}") from error


def _bytes(text: str) -> bytes:
    try:
        return unb64u(text)
    except WireError as error:
        raise VaultError(str(error)) from error
