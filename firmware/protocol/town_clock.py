"""The simulated clock of an example town: its offset ahead of the machine's clock.

Delays and batches of days can be seen in minutes where everybody's clock is wound together: relay,
witnesses and doorbell of one example town read one file on one machine. Only the file belongs here,
and to whom it may be given: `check_is_example`. Each program refuses it at its start for any other
log than an example's, so it can make nothing count earlier anywhere else.

Wall time alone is wound, and only forward. What others date (TLS, presigned URLs, TURN, Web Push)
stays on the machine's own clock.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document, WireError, decode
from firmware.protocol.register.entries import EXAMPLE_PREFIX

MAX_OFFSET_MS = 3 * 366 * 24 * 3600 * 1000
"""Three years: enough to see an agreement end twice."""
MAX_FILE_BYTES = 256


class TownClock(Document, frozen=True, kw_only=True):
    """The content of the clock's file."""

    v: Literal[1] = 1
    offset_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET_MS)] = 0


def check_is_example(names: Iterable[str]) -> None:
    """Raise WireError unless every log of these names is an invented town's."""
    found = list(names)
    if not found or not all(name.startswith(EXAMPLE_PREFIX) for name in found):
        raise WireError(
            f'only the clock of an example town may be wound: logs named "{EXAMPLE_PREFIX}…", '
            f"not {', '.join(found) or 'none'}"
        )


def read_offset_ms(path: Path) -> int:
    """Return by how much the town's clock is ahead; WireError or OSError if that isn't there.

    A file that isn't there yet says that nobody has wound it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return 0
    return decode(TownClock, data, max_bytes=MAX_FILE_BYTES).offset_ms


class Winding:
    """Follows the file's offset, never backwards: an unreadable file changes nothing."""

    def __init__(self, path: Path) -> None:
        """Read it once; WireError or OSError if it isn't a clock's file."""
        self.path = path
        self._seen = self._mark()
        self._offset_ms = read_offset_ms(path)

    def offset_ms(self) -> int:
        """Return by how much the clock is ahead now. Cheap: looks whether the file is another."""
        seen = self._mark()
        if seen != self._seen:
            try:
                self._offset_ms = max(self._offset_ms, read_offset_ms(self.path))
            except (OSError, WireError):
                return self._offset_ms
            self._seen = seen
        return self._offset_ms

    def _mark(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns
