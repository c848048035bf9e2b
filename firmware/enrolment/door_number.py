"""The door number (`door.json`): six digits, chosen at pairing, typed to confirm.

Five wrong tries lock it for an hour. A try is written down before it is judged, so that pulling
the plug gives no further one. The hour is monotonic and begins again at a restart: neither a
wrong wall clock nor a reboot shortens it.

The page calls from several threads: one at a time, so that a try that is being counted never puts
a number back that has just been replaced.
"""

import hashlib
import hmac
import re
import secrets
import threading
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.errors import (
    DoorNumberInvalid,
    DoorNumberLocked,
    DoorNumberWrong,
    StoreError,
)
from firmware.protocol.encoding import B64u, Document, WireError, b64u, decode, unb64u
from firmware.system.clock import MonotonicClock, monotonic_s
from firmware.system.durable_files import write_atomic

MAX_TRIES = 5
LOCK_S = 3600
SCRYPT_N = 2**14
"""With r = 8 and p = 1 (RFC 7914): 16 MB and about 0.05 s. Six digits don't resist a stolen
card whatever is chosen here; the tries are what protects them."""


class DoorFile(Document, frozen=True, kw_only=True):
    """The file's content."""

    v: Literal[1] = 1
    salt: B64u
    hash: B64u
    wrong_tries: Annotated[int, msgspec.Meta(ge=0, le=MAX_TRIES)]


class DoorNumber:
    """The door number's hash and its tries, durable."""

    def __init__(self, path: Path, *, clock: MonotonicClock) -> None:
        self._path = path
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self.changes = 0
        """How often a new number began to count, since the start."""
        self._file = self._load()
        is_locked = self._file is not None and self._file.wrong_tries >= MAX_TRIES
        self._locked_until_s = monotonic_s(clock) + LOCK_S if is_locked else None

    @property
    def is_set(self) -> bool:
        """Return whether a number was chosen."""
        return self._file is not None

    @property
    def tries_left(self) -> int:
        """How many wrong numbers are allowed before the hour's pause."""
        return MAX_TRIES - (0 if self._file is None else self._file.wrong_tries)

    def choose(self, number: str) -> None:
        """Set a new number; raise DoorNumberInvalid unless it is six digits."""
        self.put(hashed(number))

    def put(self, file: DoorFile) -> None:
        """Replace the door number by the one that was hashed into `file`."""
        with self._one_at_a_time:
            self._save(file)
            self._locked_until_s = None
            self.changes += 1

    def check(self, number: str) -> None:
        """Return if the number is right; else raise the DoorNumberError that says why."""
        with self._one_at_a_time:
            self._check(number)

    def _check(self, number: str) -> None:
        if self._file is None:
            raise StoreError(self._path, "no door number was chosen; pair the doorbell first")
        self._check_lock()
        _check_digits(number)
        tries = self._file.wrong_tries + 1
        self._save_tries(self._file, tries)
        is_right = hmac.compare_digest(
            _hash(number, unb64u(self._file.salt)), unb64u(self._file.hash)
        )
        if is_right:
            self._save_tries(self._file, 0)
            return
        if tries >= MAX_TRIES:
            self._locked_until_s = monotonic_s(self._clock) + LOCK_S
            raise DoorNumberLocked(LOCK_S)
        raise DoorNumberWrong(MAX_TRIES - tries)

    def _check_lock(self) -> None:
        if self._locked_until_s is None or self._file is None:
            return
        left_s = self._locked_until_s - monotonic_s(self._clock)
        if left_s > 0:
            raise DoorNumberLocked(max(1, int(left_s)))
        self._save_tries(self._file, 0)
        self._locked_until_s = None

    def _save_tries(self, file: DoorFile, wrong_tries: int) -> None:
        self._save(DoorFile(salt=file.salt, hash=file.hash, wrong_tries=wrong_tries))

    def _save(self, file: DoorFile) -> None:
        write_atomic(self._path, file.encode())
        self._file = file

    def _load(self) -> DoorFile | None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        try:
            file = decode(DoorFile, data)
            unb64u(file.salt), unb64u(file.hash)
        except WireError as error:
            raise StoreError(self._path, f"damaged ({error}); restore or reset") from error
        return file


def hashed(number: str) -> DoorFile:
    """Return a new number as it is kept; raise DoorNumberInvalid unless it is six digits."""
    _check_digits(number)
    salt = secrets.token_bytes(16)
    return DoorFile(salt=b64u(salt), hash=b64u(_hash(number, salt)), wrong_tries=0)


def _check_digits(number: str) -> None:
    if re.fullmatch("[0-9]{6}", number) is None:
        raise DoorNumberInvalid


def _hash(number: str, salt: bytes) -> bytes:
    return hashlib.scrypt(number.encode(), salt=salt, n=SCRYPT_N, r=8, p=1, dklen=32)
