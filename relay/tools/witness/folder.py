"""The witness's storage: one folder, with one small file for each log that it has signed.

A log's file is the last checkpoint that was signed, as a note with the log's signature and the
witness's own: on start-up both are checked again. A file is durable before a signature is given
away, for a witness that forgets could sign two histories. The folder belongs to one key, and one
process has it at a time.
"""

import fcntl
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.checkpoint import Checkpoint, open_checkpoint
from firmware.protocol.tlog.signed_note import (
    MAX_NOTE_BYTES,
    NoteKey,
    NoteRefused,
    NoteSigner,
    parse_key,
)
from relay.tools.witness.errors import WitnessError

KEY_FILE = "witness.vkey"
LOCK_FILE = "lock"
OWN = "witness"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastSignature:
    """The last checkpoint that was signed for a log, and when."""

    checkpoint: Checkpoint
    note: bytes
    time_s: int


class WitnessFolder:
    """Reads and writes the files; `open` gives one, and takes the folder for itself alone."""

    def __init__(self, path: Path, key: NoteKey, lock: int) -> None:
        self._path = path
        self._key = key
        self._lock = lock

    @classmethod
    def open(cls, path: Path, key: NoteKey) -> Self:
        """Take the folder of `key`, or raise WitnessError."""
        if folder_key(path) != key:
            raise WitnessError(f"{path} belongs to another witness's key")
        lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise WitnessError(f"{path} is in use by another doorward-witness") from error
        return cls(path, key, lock)

    def close(self) -> None:
        """Release the folder's lock."""
        os.close(self._lock)

    def read(self, origin: str, logs: Sequence[NoteKey]) -> LastSignature | None:
        """Return the last signed checkpoint of a log with these keys; None if there is none.

        Raise WitnessError if the file isn't what this witness wrote.
        """
        return read_signed(self._path, self._key, origin, logs)

    def write(self, origin: str, note: bytes) -> None:
        """Store `note` as the last signed checkpoint, durably."""
        _write_durably(self._path / file_name(origin), note)


def make_folder(path: Path, key: NoteKey) -> None:
    """Create the folder of a new key. A key that has signed must never begin again with none."""
    try:
        path.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise WitnessError(f"{path} can't be made: {error.strerror}") from error
    _write_durably(path / KEY_FILE, f"{key.vkey}\n".encode())
    _sync_folder(path.parent)


def folder_key(path: Path) -> NoteKey:
    """Return the key that a folder belongs to."""
    try:
        return parse_key((path / KEY_FILE).read_text().removesuffix("\n"))
    except OSError as error:
        raise WitnessError(
            f"{path} is no witness's folder ({error.strerror}). If it was lost, retire this key "
            "and make another with doorward-witness keygen: what it signed isn't known any more"
        ) from error
    except ValueError as error:
        raise WitnessError(f"{path / KEY_FILE} can't be read: {error}") from error


def read_key_file(path: Path) -> NoteSigner:
    """Read a witness's secret key, or raise WitnessError."""
    try:
        if path.stat().st_mode & 0o077:
            raise WitnessError(f"{path} can be read by others; do: chmod 600 {path}")
        signer = NoteSigner.parse(path.read_text().removesuffix("\n"))
    except OSError as error:
        raise WitnessError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise WitnessError(f"{path} isn't a witness's key: {error}") from error
    if signer.key.kind != "cosignature":
        raise WitnessError(f"{path} is a log's key, not a witness's")
    return signer


def write_key_file(path: Path, signer: NoteSigner) -> None:
    """Write a new secret key; one that is there is never overwritten."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise WitnessError(f"{path} can't be written: {error.strerror}") from error
    with os.fdopen(descriptor, "w") as file:
        file.write(signer.saved() + "\n")
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)


def read_signed(
    path: Path, key: NoteKey, origin: str, logs: Sequence[NoteKey]
) -> LastSignature | None:
    """Return the last checkpoint that `key` signed for a log with these keys; None if none."""
    file = path / file_name(origin)
    try:
        with file.open("rb") as opened:
            note = opened.read(MAX_NOTE_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        last = open_checkpoint(note, logs=logs, witnesses={OWN: key})
        if last.checkpoint.origin != origin or OWN not in last.times_ms:
            raise NoteRefused("it isn't what this witness signed for this log")
    except WireError as error:
        raise WitnessError(f"{file} was altered or damaged: {error}") from error
    return LastSignature(checkpoint=last.checkpoint, note=note, time_s=last.times_ms[OWN] // 1000)


def group_by_origin(keys: Sequence[NoteKey]) -> Mapping[str, Sequence[NoteKey]]:
    """Return the logs' keys by origin; a log may have several."""
    logs: dict[str, list[NoteKey]] = {}
    for key in keys:
        if key.kind != "ed25519":
            raise WitnessError(f"{key.name} is a witness's key, not a log's")
        logs.setdefault(key.name, []).append(key)
    return logs


def origin_hash(origin: str) -> str:
    """Return the hash that names a log in paths (C2SP tlog-witness)."""
    return hashlib.sha256(origin.encode()).hexdigest()


def file_name(origin: str) -> str:
    """Return the name of a log's file."""
    return f"{origin_hash(origin)}.checkpoint"


def _write_durably(path: Path, data: bytes) -> None:
    """Replace `path` atomically and durably."""
    beside = path.with_name(path.name + ".new")
    with beside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
