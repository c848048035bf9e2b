"""The count of wrong words tapped at pairing: after two in a day this machine pairs no more.

One wrong word may be a slip. Two are a reason to look at the doorbell's own page before anything
else, since each further try is another chance for a side that stands between.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.companion.owner.errors import OwnerError
from firmware.protocol.encoding import Document, WallTimeMs, WireError, decode
from firmware.system.durable_files import write_atomic

DAY_MS = 24 * 3600 * 1000
MAX_WRONG = 2


class _File(Document, frozen=True, kw_only=True):
    v: Literal[1] = 1
    wrong_ms: Annotated[list[WallTimeMs], msgspec.Meta(max_length=MAX_WRONG)]


class WrongTaps:
    """The times of the last wrong taps, in a file."""

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._now_ms = now_ms

    @property
    def is_too_many(self) -> bool:
        """Return whether two wrong words were tapped within a day."""
        return len(self._recent()) >= MAX_WRONG

    def add(self) -> None:
        """Count one; OwnerError if it can't be written."""
        times = [*self._recent(), self._now_ms()][-MAX_WRONG:]
        try:
            write_atomic(self._path, _File(wrong_ms=times).encode())
        except OSError as error:
            raise OwnerError(f"{self._path} can't be written: {error.strerror}") from error

    def _recent(self) -> list[int]:
        now_ms = self._now_ms()
        return [at_ms for at_ms in self._load() if abs(now_ms - at_ms) < DAY_MS]

    def _load(self) -> list[int]:
        try:
            return decode(_File, self._path.read_bytes()).wrong_ms
        except FileNotFoundError:
            return []
        except (OSError, WireError) as error:
            raise OwnerError(f"{self._path} can't be used: {error}") from error
