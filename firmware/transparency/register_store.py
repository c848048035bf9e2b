"""Storage of the register's entries and checkpoints, so that a restart needn't fetch them again.

    entries      each entry with its length before it, in order, only ever appended to
    stamps       witnessed checkpoints, in the same form
    checkpoint   the newest witnessed one: only the entries that it holds count
    contradictions.json   pairs of checkpoints that can't both be true, kept as proof
    saved-register, saved-stamps   state after entries and stamps: caches, see snapshots.py

Entries come first and the checkpoint last, so a power cut leaves entries beyond the checkpoint or
half a one at the end: both are cut off, or read further, and never trusted. All files are checked
when they are read again, by state.py, like the relay's. A saved state counts only if this doorbell
signed it (state_signature.py), and it is of the very entries and stamps that are here.
"""

import logging
import os
import stat
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document, WallTimeMs, WireError, decode
from firmware.protocol.register.saved_form import MAX_SAVED_BYTES, SavedUnusable
from firmware.protocol.register.saved_stamps import NotesHash
from firmware.system.durable_files import sync_folder, write_atomic

MAX_CONTRADICTIONS = 8
MAX_KEPT_NOTE_BYTES = 16 * 1024
_LENGTH = struct.Struct(">H")

log = logging.getLogger(__name__)


class Contradiction(Document, frozen=True, kw_only=True):
    """Two witnessed checkpoints (notes) of one log that can't both be true.

    If both are of one size, they are the proof by themselves; else it also takes the entries that
    were served under each. It stands until a later checkpoint of the known log is seen.
    """

    known: Annotated[str, msgspec.Meta(max_length=MAX_KEPT_NOTE_BYTES)]
    other: Annotated[str, msgspec.Meta(max_length=MAX_KEPT_NOTE_BYTES)]
    found_ms: WallTimeMs
    other_fresh_ms: WallTimeMs
    is_standing: bool


class ContradictionsFile(Document, frozen=True, kw_only=True):
    """Content of contradictions.json, oldest first; the first ones are never pushed out."""

    v: Literal[1] = 1
    found: Annotated[list[Contradiction], msgspec.Meta(max_length=MAX_CONTRADICTIONS)]


class RecordFile:
    """A file of records, each with its length before it; only appended to, or cut off."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self._path.stat().st_size if self._path.exists() else 0

    def read(self, start_byte: int = 0) -> Iterator[bytes]:
        """Yield the records from there on, up to the first that isn't whole."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(start_byte)
            while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
                (size,) = _LENGTH.unpack(head)
                record = file.read(size)
                if len(record) != size:
                    return
                yield record

    def append(self, records: Iterable[bytes]) -> None:
        """Add records; call `sync` before anything is built on them."""
        is_new = not self._path.exists()
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(_LENGTH.pack(len(record)) + record for record in records)
        if is_new:
            sync_folder(self._path.parent)

    def cut(self, end_byte: int) -> None:
        """Truncate the file at this byte."""
        if self.size_bytes > end_byte:
            os.truncate(self._path, end_byte)
            self.sync()

    def sync(self) -> None:
        """Make the appended records durable."""
        if not self._path.exists():
            return
        descriptor = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class SavedFile:
    """A cache file, which may be lost at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes | None:
        """Return the file's content; None if there is none. SavedUnusable if it can't be read."""
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):  # a pipe would be waited for
                raise SavedUnusable("it isn't a file")
            with self._path.open("rb") as file:
                return file.read(MAX_SAVED_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SavedUnusable(f"it can't be read: {error}") from error

    def write(self, data: bytes) -> None:
        """Replace the file, whole or not at all."""
        write_atomic(self._path, data)

    def forget(self) -> None:
        """Remove the file; if storage fails it stays, and counts for nothing."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s can't be removed: %s", self._path, error)


def bytes_of(records: Iterable[bytes]) -> int:
    """Return the size of records in their file."""
    return sum(_LENGTH.size + len(record) for record in records)


class RegisterStore:
    """The stored files of one register. All methods block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        self.entries = RecordFile(folder / "entries")
        self.stamps = RecordFile(folder / "stamps")
        self.noted = NotesHash()
        """Which stamps of the relay's list were taken."""
        self.saved_register = SavedFile(folder / "saved-register")
        self.saved_stamps = SavedFile(folder / "saved-stamps")
        self.counting_bytes = 0
        """How much of `entries` the checkpoint holds: what is beyond is on trial."""
        self._checkpoint = folder / "checkpoint"
        self._contradictions = folder / "contradictions.json"

    def pending(self) -> Iterator[bytes]:
        """Yield the entries that are on trial."""
        return self.entries.read(self.counting_bytes)

    def drop_pending(self) -> None:
        """Forget the entries that are on trial."""
        self.entries.cut(self.counting_bytes)

    def checkpoint(self) -> bytes | None:
        """Return the newest witnessed checkpoint's note, if there is one."""
        try:
            return self._checkpoint.read_bytes()
        except FileNotFoundError:
            return None

    def keep_checkpoint(self, note: bytes) -> None:
        """Let the entries count that this checkpoint holds; they are synced already."""
        write_atomic(self._checkpoint, note)

    def contradictions(self) -> list[Contradiction]:
        """Return the stored proofs; WireError, with a remedy, if the file is damaged."""
        try:
            data = self._contradictions.read_bytes()
        except FileNotFoundError:
            return []
        try:
            return decode(ContradictionsFile, data, max_bytes=1024 * 1024).found
        except WireError as error:
            raise WireError(
                "the kept proofs that the register contradicted itself can't be read, so nothing "
                f"is released: move {self._contradictions} off the card, keep it, and restart the "
                f"doorbell ({error})"
            ) from error

    def keep_contradictions(self, found: list[Contradiction]) -> None:
        """Store all contradictions, durably."""
        write_atomic(self._contradictions, ContradictionsFile(found=found).encode())

    def forget_log(self) -> None:
        """Forget entries and stamps (they are damaged); the checkpoint stays, and binds."""
        self.counting_bytes = 0
        self.noted = NotesHash()
        self.entries.cut(0)
        self.stamps.cut(0)
        self.saved_register.forget()
        self.saved_stamps.forget()
