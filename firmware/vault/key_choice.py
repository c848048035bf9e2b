"""The choice of the storage key, by [storage] of doorbell.toml.

A key that is gone is made anew, because bell and recording come first; but loudly, because the
clips that it sealed can't be opened by this doorbell any more. A key that can't be *reached* (no
token, wrong PIN, no answer) is an error: nothing is sealed under another one in its place.
"""

import heapq
import logging
import threading
from pathlib import Path

from firmware.config.settings import StorageConfig
from firmware.errors import ConfigError, VaultError
from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.sealing import check_x25519
from firmware.vault.pi_key import PiStorageKey
from firmware.vault.sealed_file import read_header
from firmware.vault.storage_key import FileStorageKey, StorageKey, name_of

log = logging.getLogger(__name__)

STORAGE_KEY_FILE = "storage.key"
CLIPS_FOLDER = "clips"
LOOKED_AT = 20


class LateKey:
    """The storage key, opened when it is first needed, and retried while it can't be reached.

    So a token that is missing at start costs recordings, as failing storage does, but neither
    the bell nor live view. Implements `storage_key.StorageKey`; for any thread.
    """

    def __init__(self, settings: StorageConfig, data_dir: Path, *, may_make: bool = True) -> None:
        """`may_make`: whoever only looks at clips must not make a key."""
        self._settings = settings
        self._data_dir = data_dir
        self._may_make = may_make
        self._lock = threading.Lock()
        self._key: StorageKey | None = None

    @property
    def is_off_card(self) -> bool:
        """Return whether the key isn't on the memory card, so that a stolen card lacks it."""
        return self._settings.key != "file"

    def hmac_sha256(self, message: bytes) -> bytes:
        """Return HMAC-SHA256(storage key, message), or raise VaultError or StoreError."""
        with self._lock:  # of two threads that find no key, one makes it
            if self._key is None:
                self._key = storage_key_of(self._settings, self._data_dir, may_make=self._may_make)
        return self._key.hmac_sha256(message)


def storage_key_of(config: StorageConfig, data_dir: Path, *, may_make: bool = True) -> StorageKey:
    """Return the storage key; StoreError or VaultError if it is damaged or can't be reached."""
    key = _key(config, data_dir, may_make=may_make)
    if _has_clips_of_another_key(name_of(key), data_dir / CLIPS_FOLDER):
        log.error(
            "clips in storage were sealed under another storage key than the one that "
            "storage.key = %r gives now, and can't be opened with it. Put the former key back, or "
            "open them with the recovery words; new clips are sealed under the present key",
            config.key,
        )
    if not key.is_off_card:
        log.warning("the storage key is on the memory card: a thief of the card can read its clips")
    return key


def recovery_keys_of(config: StorageConfig) -> tuple[bytes, ...]:
    """Return the raw public keys that every clip is sealed to as well."""
    if not config.recovery_key:
        return ()
    try:
        key = unb64u(config.recovery_key)
        check_x25519(key)
    except WireError as error:
        expected = f"the public key that `doorward recovery` prints ({error})"
        raise ConfigError("storage.recovery_key", config.recovery_key, expected) from error
    return (key,)


def _key(config: StorageConfig, data_dir: Path, *, may_make: bool) -> StorageKey:
    if config.key == "pi":
        return PiStorageKey()
    if config.key == "pkcs11":
        from firmware.vault.token_key import TokenStorageKey  # loads a C library

        return TokenStorageKey(
            module=Path(config.pkcs11_module),
            token_label=config.pkcs11_token,
            pin_file=config.pkcs11_pin_path,
            may_make=may_make,
        )
    return FileStorageKey(data_dir / STORAGE_KEY_FILE, may_make=may_make)


def _has_clips_of_another_key(name: str, folder: Path) -> bool:
    """Return whether the newest clips need another key; files that aren't sealed are skipped."""
    newest = heapq.nlargest(LOOKED_AT, folder.glob("*.clip"), key=_changed_at)
    for path in newest:
        try:
            header, _ = read_header(path)
        except (VaultError, OSError):
            continue
        if header.storage_key != name:
            return True
    return False


def _changed_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:  # just removed
        return 0.0
