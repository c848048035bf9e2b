"""A folder of copies: stores each whole or not at all, and removes the oldest by its limits.

A copy is written beside its name, synced and renamed, and then entered in the ledger; a removal is
entered first, and then its file goes. So whatever a power cut leaves says by itself what it is,
and the next start puts it right: a whole copy without an entry is entered, a copy that was removed
goes, half of one goes.
"""

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from firmware.companion.viewer.mirror.errors import CopyFolderError, CopyRefused, FolderFull
from firmware.companion.viewer.mirror.ledger import Copied, Ledger, Removed, folder_error
from firmware.companion.viewer.mirror.sealed_copy import (
    FileSource,
    ReadCopy,
    read_copy,
    seal_copy,
)
from firmware.protocol.encoding import (
    DeviceId,
    Document,
    P256Key,
    WireError,
    X25519Key,
    b64u,
    decode,
    device_id_of,
    sha256_hex,
    unb64u,
)
from firmware.protocol.footage import ClipManifest, SignedManifest
from firmware.system.durable_files import sync_folder, write_atomic, write_atomic_pieces

SETTINGS_NAME = "mirror.json"
LOCK_NAME = ".lock"
SUFFIX, UNFINISHED = ".dwcopy", ".new"
MAX_SETTINGS_BYTES = 4096
TICKS_PER_MS = 90
DAY_MS = 24 * 3600 * 1000


class MirrorSettings(Document, frozen=True, kw_only=True):
    """Whose recordings a folder holds, and to which owner's key new ones are sealed."""

    v: Literal[1] = 1
    device: DeviceId
    identity_key: P256Key
    recipient: X25519Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How old and how large all copies may get; None: no limit.

    Whoever asks says what time it is: this machine's clock alone could remove all copies at once.
    """

    keep_days: int | None = None
    max_bytes: int | None = None

    def is_too_old(self, started_ms: int, now_ms: int) -> bool:
        """Tell whether a clip of that beginning is kept no more."""
        return self.keep_days is not None and started_ms < now_ms - self.keep_days * DAY_MS


def read_settings(folder: Path) -> MirrorSettings:
    """Return a folder's settings, or raise CopyFolderError."""
    path = folder / SETTINGS_NAME
    try:
        data = path.read_bytes()
        settings = decode(MirrorSettings, data, max_bytes=MAX_SETTINGS_BYTES)
    except FileNotFoundError as error:
        raise CopyFolderError(f"{folder} isn't a folder of `doorward-view mirror`") from error
    except OSError as error:
        raise CopyFolderError(f"{path} can't be read: {error.strerror}") from error
    except WireError as error:
        raise CopyFolderError(f"{path} is damaged: {error}") from error
    if device_id_of(unb64u(settings.identity_key)) != settings.device:
        raise CopyFolderError(f"{path} names another doorbell than its key belongs to")
    return settings


class Copies:
    """One folder, locked for this process until `close`."""

    def __init__(
        self, folder: Path, *, identity_spki: bytes, recipient: bytes | None, now_ms: int
    ) -> None:
        """Make or open a folder, and put right what a power cut left.

        `recipient` None: the owner's key that the folder has already. CopyFolderError or FolderFull
        if it can't be used.
        """
        self.folder = folder
        self._identity_spki = identity_spki
        self._lock = _locked(folder)
        try:
            self._recipient = unb64u(self._settle(recipient).recipient)
            self._ledger = Ledger(folder, is_writable=True)
            self.put_right = self._put_right(now_ms)
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def count(self) -> int:
        """How many copies there are."""
        return len(self._ledger.copied)

    @property
    def total_bytes(self) -> int:
        """The size of all copies."""
        return sum(entry.size_bytes for entry in self._ledger.copied.values())

    @property
    def newest_ms(self) -> int:
        """When the newest clip here began; 0 if there is none."""
        return max((entry.started_ms for entry in self._ledger.copied.values()), default=0)

    def has(self, clip_id: str, manifest_digest: str) -> bool:
        """Tell whether a clip is complete here, or was and was removed."""
        entry = self._ledger.copied.get(clip_id) or self._ledger.removed.get(clip_id)
        return entry is not None and entry.manifest_digest == manifest_digest

    def store(
        self, mp4: bytes, signed: SignedManifest, manifest: ClipManifest, *, now_ms: int
    ) -> Copied:
        """Seal and keep one clip, durably; FolderFull or CopyFolderError if that can't be."""
        name = _name_of(manifest)
        sealed = seal_copy(
            mp4, signed, identity_spki=self._identity_spki, recipient=self._recipient
        )
        written = _Counted(sealed)
        path = self.folder / name
        try:
            write_atomic_pieces(path, written)
        except OSError as error:
            raise folder_error(path, error) from error
        entry = _entry(
            manifest,
            sha256_hex(signed.manifest.encode()),
            name,
            size_bytes=written.size_bytes,
            sha256=written.sha256,
            now_ms=now_ms,
        )
        try:
            self._ledger.append(entry)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return entry

    def remove_old(self, limits: Limits, *, now_ms: int) -> list[Removed]:
        """Remove what is too old, and return it."""
        return self._remove(
            [
                Removed(clip_id=one.clip_id, why="age", at_ms=now_ms)
                for one in self._oldest_first()
                if limits.is_too_old(one.started_ms, now_ms)
            ]
        )

    def make_room(
        self, limits: Limits, *, size_bytes: int, started_ms: int, now_ms: int
    ) -> list[Removed] | None:
        """Remove the oldest until `size_bytes` more are within the limit, and return what went.

        None, and nothing went, if that would take clips that are newer than `started_ms`.
        """
        if limits.max_bytes is None:
            return []
        excess = self.total_bytes + size_bytes - limits.max_bytes
        gone = list[Removed]()
        for one in self._oldest_first():
            if excess <= 0 or one.started_ms > started_ms:
                break
            gone.append(Removed(clip_id=one.clip_id, why="size", at_ms=now_ms))
            excess -= one.size_bytes
        return None if excess > 0 else self._remove(gone)

    def close(self) -> None:
        """Let another process use the folder."""
        self._ledger.close()
        os.close(self._lock)

    def _oldest_first(self) -> list[Copied]:
        return sorted(self._ledger.copied.values(), key=lambda one: (one.started_ms, one.counter))

    def _remove(self, gone: list[Removed]) -> list[Removed]:
        if not gone:
            return gone
        paths = [self.folder / self._ledger.copied[one.clip_id].file for one in gone]
        try:
            self._ledger.append(*gone)
        except FolderFull:  # not even the entry fits: the first file makes room for it
            paths[0].unlink(missing_ok=True)
            self._ledger.append(*gone)
        for path in paths:
            path.unlink(missing_ok=True)
        sync_folder(self.folder)
        return gone

    def _settle(self, recipient: bytes | None) -> MirrorSettings:
        path = self.folder / SETTINGS_NAME
        before = read_settings(self.folder) if path.exists() else None
        if before is not None and unb64u(before.identity_key) != self._identity_spki:
            raise CopyFolderError(
                f"{self.folder} holds the recordings of another doorbell, {before.device}: name "
                "another folder"
            )
        if recipient is None:
            if before is None:
                raise CopyFolderError(
                    "say to which key copies are sealed, with --to: on your own computer "
                    "`doorward-view key FILE` makes one, and prints what to give here"
                )
            return before
        settings = MirrorSettings(
            device=device_id_of(self._identity_spki),
            identity_key=b64u(self._identity_spki),
            recipient=b64u(recipient),
        )
        if settings != before:
            try:
                write_atomic(path, settings.encode() + b"\n")
            except OSError as error:
                raise folder_error(path, error) from error
        return settings

    def _put_right(self, now_ms: int) -> int:
        """Enter whole copies, drop halves and removed ones; return how many that were."""
        known = {one.file for one in self._ledger.copied.values()}
        gone = {one.file for one in self._ledger.removed.values()}
        count = 0
        for path in sorted(self.folder.iterdir()):
            is_half = path.name.endswith(SUFFIX + UNFINISHED)
            if is_half or (path.name in gone and path.name not in known):
                path.unlink()
                count += 1
            elif path.suffix == SUFFIX and path.name not in known:
                count += self._enter(path, now_ms)
        for one in list(self._ledger.copied.values()):
            if not (self.folder / one.file).exists():  # it is fetched again
                self._ledger.copied.pop(one.clip_id)
                count += 1
        return count

    def _enter(self, path: Path, now_ms: int) -> bool:
        """Enter a whole copy that has no entry; leave any other file alone, for `check`."""
        try:
            source = FileSource(path)
            copy = read_copy(source)
            is_ours = unb64u(copy.header.identity_key) == self._identity_spki
            if not is_ours or path.name != _name_of(copy.manifest):
                return False
            self._ledger.append(entry_of(copy, source, path.name, now_ms))
        except (CopyRefused, WireError):
            return False
        return True


class _Counted:
    """Pieces that are counted and hashed as they are taken."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._hash.update(piece)
            self.size_bytes += len(piece)
            yield piece

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def entry_of(copy: ReadCopy, source: FileSource, name: str, now_ms: int) -> Copied:
    """Return the entry of a copy that lies in the folder."""
    return _entry(
        copy.manifest,
        copy.manifest_digest,
        name,
        size_bytes=source.size_bytes,
        sha256=source.sha256_hex(),
        now_ms=now_ms,
    )


def _entry(
    manifest: ClipManifest,
    digest: str,
    name: str,
    *,
    size_bytes: int,
    sha256: str,
    now_ms: int,
) -> Copied:
    return Copied(
        clip_id=manifest.clip_id,
        counter=manifest.counter,
        started_ms=manifest.started_ms,
        duration_ms=manifest.duration_90k // TICKS_PER_MS,
        manifest_digest=digest,
        file=name,
        size_bytes=size_bytes,
        sha256=sha256,
        at_ms=now_ms,
    )


def _name_of(manifest: ClipManifest) -> str:
    """Return a copy's file name, which sorts by time (UTC)."""
    started = datetime.fromtimestamp(manifest.started_ms / 1000, UTC)
    return f"{started:%Y-%m-%dT%H%M%SZ}-{manifest.clip_id}{SUFFIX}"


def _locked(folder: Path) -> int:
    """Make the folder (0700) if need be, and return the descriptor of its lock."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if stat.S_IMODE(folder.stat().st_mode) & 0o077:
            raise CopyFolderError(
                f"others may read {folder}: chmod 700 {folder}, or name a folder inside it"
            )
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise CopyFolderError(f"{folder} can't be used: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise CopyFolderError(f"another `doorward-view mirror` writes to {folder}") from error
    return descriptor
