"""Durable counter of wrong tries, with an hour's pause after too many.

A try is written down before it is judged, so that pulling the plug gives no further one. The hour
is monotonic and begins again at a restart: neither a wrong wall clock nor a reboot shortens it.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.errors import StoreError
from firmware.protocol.encoding import Document, WireError, decode
from firmware.system.clock import MonotonicClock, monotonic_s
from firmware.system.durable_files import write_atomic

MAX_TRIES = 5
LOCK_S = 3600


class AttemptsFile(Document, frozen=True, kw_only=True):
    """The file's content."""

    v: Literal[1] = 1
    wrong_tries: Annotated[int, msgspec.Meta(ge=0, le=MAX_TRIES)]


class AttemptCounter:
    """One counter. Its methods write to storage: not on the loop."""

    def __init__(self, path: Path, *, clock: MonotonicClock) -> None:
        self._path = path
        self._clock = clock
        self._wrong = self._load()
        self._locked_until_s = monotonic_s(clock) + LOCK_S if self._wrong >= MAX_TRIES else None

    @property
    def left(self) -> int:
        """How many wrong tries are allowed before the pause."""
        return MAX_TRIES - self._wrong

    def wait_s(self) -> int:
        """Return the seconds until the next try counts; 0: now."""
        if self._locked_until_s is None:
            return 0
        left_s = self._locked_until_s - monotonic_s(self._clock)
        if left_s > 0:
            return max(1, int(left_s))
        self.succeed()
        return 0

    def begin(self) -> None:
        """Count a try before it is judged. The caller has checked `wait_s`."""
        self._save(min(self._wrong + 1, MAX_TRIES))
        if self._wrong >= MAX_TRIES:
            self._locked_until_s = monotonic_s(self._clock) + LOCK_S

    def succeed(self) -> None:
        """Reset the count: the try was right, or the pause is over."""
        self._save(0)
        self._locked_until_s = None

    def _save(self, wrong: int) -> None:
        if wrong != self._wrong:
            write_atomic(self._path, AttemptsFile(wrong_tries=wrong).encode())
            self._wrong = wrong

    def _load(self) -> int:
        try:
            return decode(AttemptsFile, self._path.read_bytes()).wrong_tries
        except FileNotFoundError:
            return 0
        except WireError as error:
            raise StoreError(self._path, f"damaged ({error}); restore or reset") from error
