"""The door number (`door.json`): six digits, set at pairing, typed to confirm.

    5 wrong tries ─► 1 hour ─► 5 ─► 4 hours ─► 5 ─► 24 hours ─► 5 ─► 24 hours …
    50 wrong tries since the last right one ─► only after the service button

Addresses in a home network are free, so only this count limits guessing. A try is written down
before it is judged, so that pulling the plug gives no further one. A pause is monotonic and begins
again at a restart: neither a wrong wall clock nor a reboot shortens it.

Two ways lead past a pause, for owners whom somebody else keeps out: two minutes after the service
button, and a link that an enrolled browser asks for. Each has five tries of its own, which count
towards the fifty, and never works without the number. Neither survives a restart, and the link
doesn't replace the button after fifty.

The page calls from several threads: one at a time, so that a try that is being counted never puts
a number back that has just been replaced.
"""

import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.enrolment.number_choice import weakness_of
from firmware.errors import (
    DoorLinkRefused,
    DoorNumberInvalid,
    DoorNumberLocked,
    DoorNumberWeak,
    DoorNumberWrong,
    StoreError,
)
from firmware.protocol.encoding import (
    B64u,
    Document,
    WallTimeMs,
    WireError,
    b64u,
    decode,
    unb64u,
)
from firmware.system.clock import MonotonicClock, monotonic_s
from firmware.system.durable_files import write_atomic

MAX_TRIES = 5
PAUSES_S = (3600, 4 * 3600, 24 * 3600)
"""After the first five wrong tries, the second, and each further."""
MAX_WRONG = 50
BUTTON_S = 120
LINK_S = 600
TOLD_EVERY_MS = 24 * 3600 * 1000
SCRYPT_N = 2**14
"""With r = 8 and p = 1 (RFC 7914): 16 MB and about 0.05 s. Six digits don't resist a stolen
card whatever is chosen here; the tries are what protects them."""


HashNumber = Callable[[str, bytes], bytes]
"""Returns the hash of a number with a salt."""


class DoorFile(Document, frozen=True, kw_only=True):
    """The file's content; the counts are since the number was set or last right."""

    v: Literal[2] = 2
    salt: B64u
    hash: B64u
    wrong_tries: Annotated[int, msgspec.Meta(ge=0, le=MAX_TRIES)] = 0
    """Since the last pause, or towards it."""
    pauses: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 0
    wrong_total: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 0
    told_ms: WallTimeMs | None = None
    """When owners were last told that it is locked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockState:
    """What owners are told of a locked door number."""

    wrong_total: int
    wait_s: int
    needs_button: bool


@dataclass(slots=True, kw_only=True)
class _Way:
    """A way past a pause: how many tries are left in it, and until when."""

    until_s: float
    tries_left: int = MAX_TRIES
    token_digest: bytes = b""


class DoorNumber:
    """The door number's hash and its tries, durable."""

    def __init__(
        self,
        path: Path,
        *,
        clock: MonotonicClock,
        new_token: Callable[[], str] = lambda: secrets.token_urlsafe(24),
        hash_number: HashNumber | None = None,
    ) -> None:
        """`hash_number` is scrypt, but in tests that try hundreds of numbers."""
        self._hash = hash_number or scrypt_of
        self._path = path
        self._clock = clock
        self._new_token = new_token
        self._one_at_a_time = threading.Lock()
        self.changes = 0
        """How often a new number began to count, since the start."""
        self._file = self._load()
        self._button: _Way | None = None
        self._link: _Way | None = None
        is_locked = self._file is not None and self._file.wrong_tries >= MAX_TRIES
        self._locked_until_s = self._now_s() + self._pause_s if is_locked else None

    @property
    def is_set(self) -> bool:
        """Return whether a number was chosen."""
        return self._file is not None

    @property
    def tries_left(self) -> int:
        """How many wrong numbers are allowed before the next pause."""
        return MAX_TRIES - (0 if self._file is None else self._file.wrong_tries)

    def choose(self, number: str) -> None:
        """Set a new number; raise DoorNumberInvalid unless it is six digits that aren't weak."""
        self.put(hashed(number, self._hash))

    def put(self, file: DoorFile) -> None:
        """Replace the door number by the one that was hashed into `file`."""
        with self._one_at_a_time:
            self._save(file)
            self._unlock()
            self.changes += 1

    def check(self, number: str, *, link: str = "") -> None:
        """Return if the number is right; else raise the DoorNumberError that says why.

        `link` is the token of the link by which the page was opened, if it was.
        """
        with self._one_at_a_time:
            self._check(number, link, self._now_s())

    def allow_by_button(self) -> bool:
        """Open the way of the service button, if the number is locked; return whether it is."""
        with self._one_at_a_time:
            now_s = self._now_s()
            if self._lock_state(now_s) is None:
                return False
            self._button = _Way(until_s=now_s + BUTTON_S)
            return True

    def make_link(self) -> str:
        """Return the token of a new link, which replaces an earlier one; or DoorLinkRefused."""
        with self._one_at_a_time:
            now_s = self._now_s()
            state = self._lock_state(now_s)
            if state is None:
                raise DoorLinkRefused("unlocked")
            if state.needs_button:
                raise DoorLinkRefused("needs_button")
            token = self._new_token()
            self._link = _Way(until_s=now_s + LINK_S, token_digest=_digest(token))
            return token

    def lock_to_tell(self, now_ms: int) -> LockState | None:
        """Return what owners are to be told now, and remember that; None: nothing.

        They are told at the first lock since the number was right, and then once a day.
        """
        with self._one_at_a_time:
            state, file = self._lock_state(self._now_s()), self._file
            if state is None or file is None:
                return None
            if file.told_ms is not None and 0 <= now_ms - file.told_ms < TOLD_EVERY_MS:
                return None
            self._save(msgspec.structs.replace(file, told_ms=now_ms))
            return state

    def _check(self, number: str, link: str, now_s: float) -> None:
        """Judge one try; all of it at one time, so that no pause ends in between."""
        if self._file is None:
            raise StoreError(self._path, "no door number was chosen; pair the doorbell first")
        self._end_pause(now_s)
        locked = self._lock_state(now_s)
        way = None if locked is None else self._way_past(locked, link, now_s)
        _check_digits(number)
        self._count_try(self._file, way)
        if hmac.compare_digest(
            self._hash(number, unb64u(self._file.salt)), unb64u(self._file.hash)
        ):
            self._save(DoorFile(salt=self._file.salt, hash=self._file.hash))
            self._unlock()
            return
        if way is None and self._file.wrong_tries >= MAX_TRIES:
            self._locked_until_s = now_s + self._pause_s
        left = MAX_TRIES - self._file.wrong_tries if way is None else way.tries_left
        state = self._lock_state(now_s)
        if state is not None and (left == 0 or way is None):
            raise DoorNumberLocked(state.wait_s, needs_button=state.needs_button)
        raise DoorNumberWrong(left)

    def _count_try(self, file: DoorFile, way: _Way | None) -> None:
        """Write a try down before it is judged."""
        total = file.wrong_total + 1
        if way is not None:
            way.tries_left -= 1
            self._save(msgspec.structs.replace(file, wrong_total=total))
            return
        tries = file.wrong_tries + 1
        pauses = file.pauses + (tries >= MAX_TRIES)
        self._save(
            msgspec.structs.replace(file, wrong_tries=tries, pauses=pauses, wrong_total=total)
        )

    def _way_past(self, state: LockState, link: str, now_s: float) -> _Way:
        """Return the way by which this try is allowed; DoorNumberLocked: there is none."""
        ways = [self._button]
        if self._link is not None and not state.needs_button:
            is_its = hmac.compare_digest(self._link.token_digest, _digest(link))
            ways += [self._link] if is_its else []
        for way in ways:
            if way is not None and way.tries_left > 0 and now_s < way.until_s:
                return way
        raise DoorNumberLocked(state.wait_s, needs_button=state.needs_button)

    def _lock_state(self, now_s: float) -> LockState | None:
        if self._file is None:
            return None
        needs_button = self._file.wrong_total >= MAX_WRONG
        left_s = 0.0 if self._locked_until_s is None else self._locked_until_s - now_s
        if not needs_button and left_s <= 0:
            return None
        return LockState(
            wrong_total=self._file.wrong_total,
            wait_s=max(1, int(left_s)),
            needs_button=needs_button,
        )

    def _end_pause(self, now_s: float) -> None:
        if self._locked_until_s is None or self._file is None:
            return
        if now_s >= self._locked_until_s:
            self._save(msgspec.structs.replace(self._file, wrong_tries=0))
            self._locked_until_s = None

    def _unlock(self) -> None:
        self._locked_until_s = self._button = self._link = None

    def _now_s(self) -> float:
        return monotonic_s(self._clock)

    @property
    def _pause_s(self) -> int:
        pauses = 1 if self._file is None else max(1, self._file.pauses)
        return PAUSES_S[min(pauses, len(PAUSES_S)) - 1]

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


def hashed(number: str, hash_number: HashNumber | None = None) -> DoorFile:
    """Return a new number as it is kept; raise DoorNumberInvalid unless it may be chosen."""
    _check_digits(number)
    weakness = weakness_of(number)
    if weakness is not None:
        raise DoorNumberWeak(weakness)
    salt = secrets.token_bytes(16)
    return DoorFile(salt=b64u(salt), hash=b64u((hash_number or scrypt_of)(number, salt)))


def _check_digits(number: str) -> None:
    if re.fullmatch("[0-9]{6}", number) is None:
        raise DoorNumberInvalid


def scrypt_of(number: str, salt: bytes) -> bytes:
    """Return the slow hash of a door number (RFC 7914)."""
    return hashlib.scrypt(number.encode(), salt=salt, n=SCRYPT_N, r=8, p=1, dklen=32)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
