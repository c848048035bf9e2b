"""Early presses: those that came before the outbox was open, durable until it has taken them.

A file of one document a line: loading the outbox takes longer than a person waits for a chime. Each
has the id of its event and its true time, so that it is told once, whatever dies in between. A line
that a power cut tore is dropped: nobody was told that it is safe.
"""

import logging
import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document, Id, WallTimeMs, WireError, decode
from firmware.system.durable_files import sync_folder

EARLY_PRESSES_FILE = "early-presses.jsonl"
MAX_BYTES = 64 * 1024
"""About 300 presses; a card that is full of them takes no more."""
READ_BYTES = 4 * MAX_BYTES

log = logging.getLogger(__name__)


class EarlyPress(Document, frozen=True, kw_only=True):
    """One press; both times are of the same moment."""

    v: Literal[1] = 1
    id: Id
    """Of its event."""
    boot: Annotated[str, msgspec.Meta(max_length=64)]
    """The kernel's id of the boot that `monotonic_ns` belongs to; "": not known."""
    monotonic_ns: Annotated[int, msgspec.Meta(ge=0)]
    time_ms: WallTimeMs
    is_clock_trusted: bool


class EarlyPresses:
    """The file. Its methods block, and are called by one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[EarlyPress]:
        """Return what earlier starts have left, in order; nothing if the card gives up nothing."""
        try:
            with self._path.open("rb") as file:
                lines = file.read(READ_BYTES).split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            log.error("early presses can't be read: %s", error)
            return []
        found: dict[str, EarlyPress] = {}
        for line in filter(None, lines):
            try:
                press = decode(EarlyPress, line)
            except WireError as error:
                log.warning("an early press is unreadable and isn't told: %s", error)
            else:
                found.setdefault(press.id, press)
        return list(found.values())

    def add(self, press: EarlyPress) -> None:
        """Return once the press survives a power cut; raise OSError if the card doesn't take it."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            size_bytes = os.fstat(descriptor).st_size
            if size_bytes > MAX_BYTES:
                raise OSError(f"{self._path} is full")
            # What a power cut tore ends here; an empty line is nothing.
            data = (b"\n" if size_bytes else b"") + press.encode() + b"\n"
            if os.write(descriptor, data) != len(data):
                raise OSError(f"{self._path}: the disk is full")
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
        if size_bytes == 0:
            sync_folder(self._path.parent)

    def forget(self) -> None:
        """Drop them all: they are in the outbox. What the card keeps is told no second time."""
        try:
            self._path.unlink(missing_ok=True)
            sync_folder(self._path.parent)
        except OSError as error:
            log.warning("early presses can't be removed: %s", error)
