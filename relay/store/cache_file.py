"""A cache file: if it is lost or damaged, its content is computed again.

Several relays and their commands may share it: whoever writes puts a whole file in the place of
the one before. It isn't synced: what a power cut leaves of it is found out by its digest.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path

from firmware.protocol.register.saved_form import MAX_SAVED_BYTES

log = logging.getLogger(__name__)


class CacheFile:
    """One cache file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes | None:
        """Return the file's bytes; None if it can't be read. Blocks."""
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_SAVED_BYTES + 1)
        except OSError:
            return None

    def write(self, data: bytes) -> None:
        """Replace the file; a failing disk is only logged as a warning. Blocks."""
        beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        try:
            beside.unlink(missing_ok=True)
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            beside.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
            log.warning("%s can't be written, so the next start takes longer: %s", beside, error)
