"""The interface of the storage key (KEK), and the key in a file.

Hardware that keeps a key off the card (a secure element, the Pi's one-time memory, a PKCS#11
token) has one operation in common: HMAC-SHA256. So a storage key is only ever asked for an HMAC;
from that comes a key-encryption key of its own for each sealed file, which wraps the file's data
key by RFC 3394. Who steals the card without the storage key reads nothing.
"""

import hmac
import logging
import os
import secrets
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from firmware.errors import StoreError, VaultError
from firmware.system.durable_files import sync_folder, write_atomic

log = logging.getLogger(__name__)

KEY_BYTES = 32
KEK_TAG = b"doorward/kek/v1\x00"
NAME_TAG = b"doorward/storage-key/v1\x00"


class StorageKey(Protocol):
    """The storage key: usable by this doorbell, not by somebody who has only its memory card."""

    @property
    def is_off_card(self) -> bool:
        """Return whether the key isn't on the memory card, so that a stolen card lacks it."""
        ...

    def hmac_sha256(self, message: bytes) -> bytes:
        """Return HMAC-SHA256(storage key, message); VaultError if the key can't be reached."""
        ...


class FileStorageKey:
    """A key in a file on the memory card itself: no protection once the card is stolen."""

    is_off_card = False

    def __init__(self, path: Path, *, may_make: bool = True) -> None:
        """Read the key, or make it if there is none and it may; VaultError if not."""
        if not path.exists():
            if not may_make:
                raise VaultError(f"{path.name} isn't there; the doorbell makes it when it records")
            _make(path)
        if path.stat().st_mode & 0o077:
            raise StoreError(path, f"others may read this key; run `chmod 600 {path}`")
        self._secret = path.read_bytes()
        if len(self._secret) != KEY_BYTES:
            raise StoreError(
                path,
                f"not a storage key ({len(self._secret)} bytes, not {KEY_BYTES}); put it back from "
                "a copy, or move it away: then a new one is made and older clips can't be read",
            )

    def hmac_sha256(self, message: bytes) -> bytes:
        """Return HMAC-SHA256(storage key, message)."""
        return hmac.digest(self._secret, message, "sha256")


def name_of(key: StorageKey) -> str:
    """Return the public name by which a sealed file identifies its storage key."""
    return key.hmac_sha256(NAME_TAG).hex()[:16]


def wrap(key: StorageKey, data_key: bytes, context: bytes) -> bytes:
    """Wrap a data key for the file that `context` names."""
    return aes_key_wrap(key.hmac_sha256(KEK_TAG + context), data_key)


def unwrap(key: StorageKey, wrapped: bytes, context: bytes) -> bytes:
    """Return the data key, or raise VaultError."""
    try:
        return aes_key_unwrap(key.hmac_sha256(KEK_TAG + context), wrapped)
    except (InvalidUnwrap, ValueError) as error:
        raise VaultError("its data key was wrapped by another storage key, or altered") from error


def _make(path: Path) -> None:
    """Make a key; of two processes that both find none, the second takes the first one's."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    write_atomic(fresh, os.urandom(KEY_BYTES))
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    sync_folder(path.parent)
    log.info("made a storage key in %s", path)
