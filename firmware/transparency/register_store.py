"""Storage of what was read of the register, so that a restart needn't fetch it again.

    entries      each entry with its length before it, in order, only ever appended to
    stamps       witnessed checkpoints, in the same form
    checkpoint   the newest witnessed one: only the entries that it holds count
    contradictions.json   pairs of checkpoints that can't both be true, kept as proof
    unproved.json         checkpoints that the log's files haven't shown to be of it
    saved-register   state after entries and stamps (saved_state.py, snapshots.py)

Entries and stamps are all there are as long as they take little room. Once they take MAX_TAIL_BYTES
and the state after them is saved, they begin anew: `entries.20480` has those from 20,480 on.

Entries come first and the checkpoint last, so a power cut leaves entries beyond the checkpoint or
half a one at the end: both are cut off, or read further, and never trusted. All files are checked
when they are read again, by state.py, like the relay's. A saved state counts only if this doorbell
signed it (state_signature.py), and with what follows it leads to the checkpoint.
"""

import logging
import os
import re
import stat
import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Document, WallTimeMs, WireError, decode
from firmware.protocol.register.saved_form import SavedUnusable
from firmware.system.durable_files import sync_folder, write_atomic, write_atomic_pieces
from firmware.transparency.memory_limits import MAX_STATE_BYTES

MAX_CONTRADICTIONS = 8
MAX_UNPROVED = 32
MAX_TAIL_BYTES = 32 * 1024 * 1024
"""Entries and stamps that a state covers take no more of the card: some 10,000 requests."""
MAX_KEPT_NOTE_BYTES = 16 * 1024
_LENGTH = struct.Struct(">H")
_BASE = re.compile(r"(?:\.[1-9][0-9]{0,18})?")

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


class UnprovedFile(Document, frozen=True, kw_only=True):
    """Content of unproved.json: notes, oldest first."""

    v: Literal[1] = 1
    notes: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=MAX_KEPT_NOTE_BYTES)]],
        msgspec.Meta(max_length=MAX_UNPROVED),
    ]


class RecordFile:
    """A file of records, each with its length before it; only appended to, or cut off."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self.base = max(self._bases(), default=0)
        """The number of the file's first record: those before are gone."""

    @property
    def _path(self) -> Path:
        return self._folder / (f"{self._name}.{self.base}" if self.base else self._name)

    def _bases(self) -> list[int]:
        paths = self._folder.glob(f"{self._name}*")
        ends = [path.name.removeprefix(self._name) for path in paths]
        return [int(end[1:] or 0) for end in ends if _BASE.fullmatch(end)]

    def begin_at(self, base: int) -> None:
        """Begin a file with the record of this number; those that are here go."""
        self.base = base
        self._path.touch(mode=0o600)
        sync_folder(self._folder)
        self.drop_others()

    def drop_others(self) -> None:
        """Remove what a power cut left of earlier files."""
        for base in self._bases():
            if base != self.base:
                (self._folder / (f"{self._name}.{base}" if base else self._name)).unlink()

    def from_number(self, number: int) -> Iterator[bytes]:
        """Yield the records from this number on; none if it is before the first one here."""
        if number < self.base:
            return iter(())
        return islice(self.read(), number - self.base, None)

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
                return file.read(MAX_STATE_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SavedUnusable(f"it can't be read: {error}") from error

    def write(self, pieces: Iterable[bytes]) -> None:
        """Replace the file, whole or not at all."""
        write_atomic_pieces(self._path, pieces)

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
        self.entries = RecordFile(folder, "entries")
        self.stamps = RecordFile(folder, "stamps")
        self.saved_register = SavedFile(folder / "saved-register")
        SavedFile(folder / "saved-stamps").forget()  # versions before 0.4 wrote it
        self.counting_bytes = 0
        """How much of `entries` was accepted: what is beyond is on trial."""
        self._checkpoint = folder / "checkpoint"
        self._contradictions = folder / "contradictions.json"
        self._unproved = folder / "unproved.json"

    def pending(self) -> Iterator[bytes]:
        """Yield the entries that are on trial."""
        return self.entries.read(self.counting_bytes)

    def drop_pending(self) -> None:
        """Forget the entries that are on trial."""
        self.entries.cut(self.counting_bytes)

    @property
    def has_all(self) -> bool:
        """Whether no entry and no stamp is gone."""
        return self.entries.base == self.stamps.base == 0

    @property
    def tail_bytes(self) -> int:
        """How much of the card entries and stamps take."""
        return self.entries.size_bytes + self.stamps.size_bytes

    def begin_anew(self, *, entries: int, stamps: int) -> None:
        """Drop entries and stamps: the state after so many was saved. What is on trial goes too."""
        self.entries.begin_at(entries)
        self.stamps.begin_at(stamps)
        self.counting_bytes = 0

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

    def unproved(self) -> list[str]:
        """Return the notes of unproved checkpoints; WireError if the file is damaged."""
        try:
            data = self._unproved.read_bytes()
        except FileNotFoundError:
            return []
        return decode(UnprovedFile, data, max_bytes=1024 * 1024).notes

    def keep_unproved(self, notes: list[str]) -> None:
        """Store the notes of all unproved checkpoints."""
        write_atomic(self._unproved, UnprovedFile(notes=notes).encode())

    def forget_log(self) -> None:
        """Forget all but the checkpoint, which binds: something is damaged."""
        self.begin_anew(entries=0, stamps=0)
        self.entries.cut(0)
        self.stamps.cut(0)
        self.saved_register.forget()
