"""Which storage key this doorbell has, as [storage] of doorbell.toml says.

A key that is gone is made anew, because bell and recording come first; but loudly, because the
clips that it sealed can't be opened by this doorbell any more. A key that can't be *reached* (no
token, wrong PIN, no answer) is an error: nothing is sealed under another one in its place.
"""

import heapq
import logging
from pathlib import Path

from firmware.clips.pi_key import PiStorageKey
from firmware.clips.storage_key import FileStorageKey, StorageKey, name_of
from firmware.clips.vault import read_header
from firmware.config import StorageConfig
from firmware.errors import ConfigError, VaultError
from firmware.protocol.encoding import WireError, unb64u

log = logging.getLogger(__name__)

STORAGE_KEY_FILE = "storage.key"
CLIPS_FOLDER = "clips"
LOOKED_AT = 20


def storage_key_of(config: StorageConfig, data_dir: Path) -> StorageKey:
    """Return the storage key; StoreError or VaultError if it is damaged or can't be reached."""
    key = _key(config, data_dir)
    if _has_clips_of_another_key(name_of(key), data_dir / CLIPS_FOLDER):
        log.error(
            "clips on this card were sealed under another storage key than the one that "
            "storage.key = %r gives now, and can't be opened with it. Put the former key back, or "
            "open them with the recovery words; new clips are sealed under the present key",
            config.key,
        )
    if not key.is_off_card:
        log.warning("the storage key lies on the card: whoever steals the card can read its clips")
    return key


def recovery_keys_of(config: StorageConfig) -> tuple[bytes, ...]:
    """Return the raw public keys that every clip is sealed to as well."""
    if not config.recovery_key:
        return ()
    try:
        return (unb64u(config.recovery_key),)
    except WireError as error:
        expected = f"the public key that `doorward recovery` prints ({error})"
        raise ConfigError("storage.recovery_key", config.recovery_key, expected) from error


def _key(config: StorageConfig, data_dir: Path) -> StorageKey:
    if config.key == "pi":
        return PiStorageKey()
    if config.key == "pkcs11":
        from firmware.clips.token_key import TokenStorageKey  # loads a C library

        return TokenStorageKey(
            module=Path(config.pkcs11_module),
            token_label=config.pkcs11_token,
            pin_file=Path(config.pkcs11_pin_file) if config.pkcs11_pin_file else None,
        )
    return FileStorageKey(data_dir / STORAGE_KEY_FILE)


def _has_clips_of_another_key(name: str, folder: Path) -> bool:
    """Look at the newest clips; one that isn't a sealed file isn't judged here."""
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
