"""The ledger of a folder of copies: one JSON line for each copy and each removal, only appended.

A line counts once it is synced. A power cut may leave half a line at the end, which is cut off at
the next start; any other damage is an error, since what isn't known would be fetched again.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.companion.viewer.mirror.errors import CopyFolderError, FolderFull
from firmware.protocol.encoding import Digest, Id, WallTimeMs
from firmware.system.durable_files import sync_folder

LEDGER_NAME = "ledger.jsonl"
MAX_LINE_BYTES = 4096
NO_ROOM = 28, 122
"""ENOSPC and EDQUOT."""

_NAME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{6}Z-[a-z2-7]{26}\.dwcopy\Z"
FileName = Annotated[str, msgspec.Meta(pattern=_NAME)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class Copied(
    msgspec.Struct, frozen=True, kw_only=True, tag="copied", tag_field="type",
    forbid_unknown_fields=True,
):  # fmt: skip
    """One clip was copied; `sha256` and `size_bytes` are of the sealed file."""

    clip_id: Id
    counter: Count
    started_ms: WallTimeMs
    duration_ms: Count
    manifest_digest: Digest
    file: FileName
    size_bytes: Count
    sha256: Digest
    at_ms: WallTimeMs


class Removed(
    msgspec.Struct, frozen=True, kw_only=True, tag="removed", tag_field="type",
    forbid_unknown_fields=True,
):  # fmt: skip
    """One copy was removed, as it was too old, or to make room for newer ones."""

    clip_id: Id
    why: Literal["age", "size"]
    at_ms: WallTimeMs


class Ledger:
    """Reads the ledger when it is made, and appends. One process at a time (`Copies`)."""

    def __init__(self, folder: Path, *, is_writable: bool) -> None:
        """CopyFolderError if it is damaged, or can't be read."""
        self._path = folder / LEDGER_NAME
        self.copied: dict[str, Copied] = {}
        self.removed: dict[str, Copied] = {}
        self.torn_bytes = 0
        """What a power cut left of a last line."""
        self._size_bytes = 0
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise CopyFolderError(f"{self._path} can't be read: {error.strerror}") from error
        whole, _, torn = data.rpartition(b"\n")
        for number, line in enumerate(whole.split(b"\n") if whole else (), start=1):
            self._take(self._parsed(number, line))
        self.torn_bytes = len(torn)
        self._size_bytes = len(data) - len(torn)
        if is_writable:
            self._open()

    def append(self, *entries: Copied | Removed) -> None:
        """Append entries durably, all or none; FolderFull or CopyFolderError if that fails."""
        lines = b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)
        try:
            written = os.pwrite(self._descriptor, lines, self._size_bytes)
            if written != len(lines):
                raise OSError(NO_ROOM[0], os.strerror(NO_ROOM[0]))
            os.fsync(self._descriptor)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size_bytes)
            raise folder_error(self._path, error) from error
        self._size_bytes += len(lines)
        for entry in entries:
            self._take(entry)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            if self.torn_bytes:
                os.ftruncate(self._descriptor, self._size_bytes)
                os.fsync(self._descriptor)
            sync_folder(self._path.parent)
        except OSError as error:
            raise folder_error(self._path, error) from error

    def _parsed(self, number: int, line: bytes) -> Copied | Removed:
        try:
            if len(line) > MAX_LINE_BYTES:
                raise msgspec.DecodeError("too long")
            return msgspec.json.decode(line, type=Copied | Removed)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CopyFolderError(
                f"{self._path} is damaged in line {number}: {error}. Move the file away, and the "
                "mirror writes it anew from the copies; those that it had removed come again"
            ) from error

    def _take(self, entry: Copied | Removed) -> None:
        match entry:
            case Copied():
                self.removed.pop(entry.clip_id, None)
                self.copied[entry.clip_id] = entry
            case Removed() if entry.clip_id in self.copied:
                self.removed[entry.clip_id] = self.copied.pop(entry.clip_id)
            case Removed():
                pass


def folder_error(path: Path, error: OSError) -> CopyFolderError | FolderFull:
    """Return what a failure to write means to a person."""
    if error.errno in NO_ROOM:
        return FolderFull(path.parent)
    return CopyFolderError(f"{path} can't be written: {error.strerror}")
