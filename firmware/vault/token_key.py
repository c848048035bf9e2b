"""The storage key in a PKCS#11 token: a secure element, a USB token. The only importer of pkcs11.

The key is made inside the token, can't be read out of it, and only computes HMAC-SHA256
(CKM_SHA256_HMAC). Tried with SoftHSM, whose tokens are files: one that lies on the card itself
protects nothing.
"""

import logging
import threading
from pathlib import Path
from typing import Any

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.exceptions import (
    MultipleObjectsReturned,
    MultipleTokensReturned,
    NoSuchKey,
    NoSuchToken,
    PinExpired,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    UserAlreadyLoggedIn,
)

from firmware.errors import StoreError, VaultError
from firmware.vault.storage_key import KEY_BYTES, NAME_TAG

log = logging.getLogger(__name__)

KEY_LABEL = "doorward-storage"
MAX_PIN_CHARACTERS = 256
PIN_ERRORS = (PinExpired, PinIncorrect, PinInvalid, PinLenRange, PinLocked)


class TokenStorageKey:
    """A key in a token, used from any thread."""

    is_off_card = True

    def __init__(
        self, *, module: Path, token_label: str, pin_file: Path | None, may_make: bool = True
    ) -> None:
        """Find the key in the token, or make it there; VaultError if the token can't be used."""
        self._token_label = token_label
        self._pin = None if pin_file is None else _read_pin(pin_file)
        self._lock = threading.Lock()
        self._pin_refusal: VaultError | None = None
        try:
            self._library = pkcs11.lib(str(module))
        except (PKCS11Error, RuntimeError, OSError) as error:
            raise VaultError(f"storage.pkcs11_module can't be loaded: {error}") from error
        try:
            self._key = self._open(may_make=may_make)
            self._proof = _ask(self._key, NAME_TAG)
        except (PKCS11Error, RuntimeError) as error:
            raise self._problem(error) from error

    def hmac_sha256(self, message: bytes) -> bytes:
        """Return HMAC-SHA256 as the token computes it; VaultError if it can't be reached."""
        with self._lock:
            if self._key is not None:
                try:
                    return _ask(self._key, message)
                except PKCS11Error:
                    self._key = None
                    log.warning("the token %s lost its session", self._token_label)
            if self._pin_refusal:  # a token locks itself after a few wrong ones
                raise self._pin_refusal
            try:
                self._key = self._open_again()
                return _ask(self._key, message)
            except (PKCS11Error, RuntimeError) as error:
                raise self._problem(error) from error

    def _open_again(self) -> Any:  # Any: see _find
        self._library.reinitialize()  # the key's old handle may name another object from here on
        key = self._open(may_make=False)
        if _ask(key, NAME_TAG) != self._proof:
            raise VaultError(f"the token {self._token_label} now holds another key")
        return key

    def _open(self, *, may_make: bool) -> Any:  # Any: see _find
        token = self._library.get_token(token_label=self._token_label)
        session = self._session(token)
        try:
            key = _find(session)
        except NoSuchKey:
            session.close()
            if not may_make:  # clips of this run name the key that was there at its start
                raise
            session = self._session(token, may_write=True)
            key = _make(session)
            log.info("made a storage key in the token %s", self._token_label)
        if not _is_kept_inside(key):
            session.close()
            raise VaultError(
                f"the key {KEY_LABEL} in the token {self._token_label} could be read out of it; "
                "delete it there, and Doorward makes one that can't"
            )
        return key

    def _session(self, token: pkcs11.Token, *, may_write: bool = False) -> pkcs11.Session:
        try:
            return token.open(rw=may_write, user_pin=self._pin)
        except UserAlreadyLoggedIn:  # a login holds for the whole process
            return token.open(rw=may_write)

    def _problem(self, error: Exception) -> VaultError:
        what = f"the token {self._token_label}"
        if isinstance(error, PIN_ERRORS):
            self._pin_refusal = VaultError(
                f"{what} refuses the PIN ({type(error).__name__}); put the right one into "
                "storage.pkcs11_pin_file and start again. A few wrong ones lock a token for good"
            )
            return self._pin_refusal
        if isinstance(error, NoSuchToken):
            return VaultError(f"{what} isn't there; plug it in, or correct storage.pkcs11_token")
        if isinstance(error, NoSuchKey):
            return VaultError(f"{what} no longer holds the key {KEY_LABEL}; put the right one back")
        if isinstance(error, MultipleTokensReturned | MultipleObjectsReturned):
            return VaultError(f"{what} or its key {KEY_LABEL} is there twice; remove one")
        return VaultError(f"{what} can't be used: {type(error).__name__} {error}".rstrip())


def _ask(key: Any, message: bytes) -> bytes:  # Any: see _find
    return bytes(key.sign(message, mechanism=Mechanism.SHA256_HMAC))


def _find(session: pkcs11.Session) -> Any:  # Any: a key's abilities are known at run time only
    return session.get_key(object_class=ObjectClass.SECRET_KEY, label=KEY_LABEL)


def _make(session: pkcs11.Session) -> Any:  # Any: as above
    return session.generate_key(
        KeyType.GENERIC_SECRET,
        KEY_BYTES * 8,
        label=KEY_LABEL,
        store=True,
        mechanism=Mechanism.GENERIC_SECRET_KEY_GEN,
        capabilities=MechanismFlag.SIGN,
        template={
            Attribute.PRIVATE: True,
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
        },
    )


def _is_kept_inside(key: Any) -> bool:  # Any: as above
    return bool(key[Attribute.SENSITIVE]) and not key[Attribute.EXTRACTABLE]


def _read_pin(path: Path) -> str:
    try:
        if path.stat().st_mode & 0o077:
            raise StoreError(path, f"others may read this PIN; run `chmod 600 {path}`")
        pin = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(path, f"the token's PIN can't be read from it ({error})") from error
    if not 0 < len(pin) <= MAX_PIN_CHARACTERS:
        raise StoreError(path, "must hold the token's PIN and nothing else")
    return pin
