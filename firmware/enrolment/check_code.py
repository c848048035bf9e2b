"""The four digits that open the check page (`check.json`): drawn anew each time, few tries.

    5 wrong tries ─► 1 hour ─► 5 ─► 4 hours ─► 5 ─► 24 hours ─► 5 ─► 24 hours …
    50 wrong tries since the last right one ─► only after the service button

The pauses are those of the door number. A try is written down before it is judged, so that pulling
the plug gives no further one; a pause is monotonic and begins again at a restart. The service
button ends a pause: whoever can press it is at the case. The digits themselves are in memory only,
count once, and a wrong try too many forgets them.
"""

import hmac
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.enrolment.door_number import MAX_TRIES, MAX_WRONG, PAUSES_S
from firmware.errors import CheckCodeLocked, CheckCodeWrong, StoreError
from firmware.protocol.encoding import Document, WireError, decode
from firmware.system.clock import MonotonicClock, monotonic_s
from firmware.system.durable_files import write_atomic

DIGITS = 4
MAX_FILE_BYTES = 1024


class CheckFile(Document, frozen=True, kw_only=True):
    """The file's content; counts are since the digits were last typed right."""

    v: Literal[1] = 1
    wrong_tries: Annotated[int, msgspec.Meta(ge=0, le=MAX_TRIES)] = 0
    """Since the last pause, or towards it."""
    pauses: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 0
    wrong_total: Annotated[int, msgspec.Meta(ge=0, le=10**6)] = 0


class CheckCode:
    """Draws the digits and judges tries. `check` and `allow_by_button` write: not on the loop."""

    def __init__(
        self,
        path: Path,
        *,
        clock: MonotonicClock,
        below: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        """`below` returns a random number below its argument."""
        self._path = path
        self._clock = clock
        self._below = below
        self._one_at_a_time = threading.Lock()
        self._file = self._load()
        self._digits: str | None = None
        self._locked_until_s: float | None = None
        if self._file.wrong_tries >= MAX_TRIES:
            self._locked_until_s = self._now_s() + self._pause_s

    @property
    def digits(self) -> str | None:
        """The digits to be typed now, for light, voice and log."""
        return self._digits

    def draw(self) -> None:
        """Draw new digits; raise CheckCodeLocked during a pause."""
        with self._one_at_a_time:
            self._refuse_if_locked()
            self._digits = f"{self._below(10**DIGITS):0{DIGITS}}"

    def forget(self) -> None:
        """Let no digits count until new ones are drawn."""
        self._digits = None

    def check(self, typed: str) -> None:
        """Return if these are the digits, which then count no more; else raise CheckCodeError."""
        with self._one_at_a_time:
            self._refuse_if_locked()
            digits = self._digits
            if digits is None:
                raise CheckCodeWrong(0)
            self._count_try()
            if hmac.compare_digest(typed.encode(), digits.encode()):
                self._digits = None
                self._save(CheckFile())
                return
            left = MAX_TRIES - self._file.wrong_tries
            if left == 0:
                self._digits = None
                self._locked_until_s = self._now_s() + self._pause_s
            self._refuse_if_locked()
            raise CheckCodeWrong(left)

    def allow_by_button(self) -> bool:
        """End a pause, because the service button was pressed; return whether there was one."""
        with self._one_at_a_time:
            if self._wait_s() == 0 and not self._needs_button:
                return False
            self._locked_until_s = None
            self._save(CheckFile(pauses=self._file.pauses))
            return True

    def _refuse_if_locked(self) -> None:
        wait_s = self._wait_s()
        if wait_s or self._needs_button:
            raise CheckCodeLocked(wait_s or 1, needs_button=self._needs_button)
        if self._locked_until_s is not None:  # the pause is over
            self._locked_until_s = None
            self._save(msgspec.structs.replace(self._file, wrong_tries=0))

    def _count_try(self) -> None:
        """Write a try down before it is judged."""
        tries = min(self._file.wrong_tries + 1, MAX_TRIES)
        pauses = self._file.pauses + (tries >= MAX_TRIES)
        total = self._file.wrong_total + 1
        self._save(CheckFile(wrong_tries=tries, pauses=pauses, wrong_total=total))

    @property
    def _needs_button(self) -> bool:
        return self._file.wrong_total >= MAX_WRONG

    def _wait_s(self) -> int:
        if self._locked_until_s is None:
            return 0
        left_s = self._locked_until_s - self._now_s()
        return max(1, int(left_s)) if left_s > 0 else 0

    @property
    def _pause_s(self) -> int:
        return PAUSES_S[min(max(1, self._file.pauses), len(PAUSES_S)) - 1]

    def _now_s(self) -> float:
        return monotonic_s(self._clock)

    def _save(self, file: CheckFile) -> None:
        if file != self._file:
            write_atomic(self._path, file.encode())
            self._file = file

    def _load(self) -> CheckFile:
        try:
            return decode(CheckFile, self._path.read_bytes(), max_bytes=MAX_FILE_BYTES)
        except FileNotFoundError:
            return CheckFile()
        except WireError as error:
            raise StoreError(self._path, f"damaged ({error}); restore or reset") from error
