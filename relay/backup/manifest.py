"""A backup's `manifest.json`: written last, so that a folder without it isn't whole.

    manifest.json
    database/   relay.sqlite3, or relay.pgdump (pg_dump's custom format)
    files/      settings and SECRET KEYS, as they lie beside relay.toml
    log/        the public logs' files
    packages/   sealed packages, by their names in the bucket

The digests tell damage from wholeness, not friend from foe: whoever can change a file can change
them too. What can't be faked is in the logs, and is checked against their keys.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.protocol.encoding import Digest, Document, WallTimeMs, WireError, decode
from relay.backup.errors import BackupDamaged

MANIFEST = "manifest.json"
DATABASE, FILES, LOG, PACKAGES = "database", "files", "log", "packages"
MAX_MANIFEST_BYTES = 256 * 1024 * 1024
PIECE_BYTES = 1024 * 1024
_SEGMENT = re.compile(r"[A-Za-z0-9_@+=-][A-Za-z0-9._@+=-]{0,199}\Z")

Size = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class BackupFile(Document, frozen=True, kw_only=True):
    """One file; `path` is beneath the backup's folder."""

    path: Annotated[str, msgspec.Meta(max_length=1024)]
    sha256: Digest
    size_bytes: Size


class LogState(Document, frozen=True, kw_only=True):
    """One log's size and root in the database."""

    origin: str
    size: Size
    root: Digest
    published_size: Size


class Manifest(Document, frozen=True, kw_only=True):
    """The list of a backup's files, and the state of its logs."""

    v: Literal[1] = 1
    domain: Literal["doorward/backup/v1"] = "doorward/backup/v1"
    doorward: str
    schema_version: Size
    made_ms: WallTimeMs
    database: Literal["sqlite", "postgresql"]
    folder: str
    """Where the relay's data was; settings that name it are moved along."""
    has_packages: bool
    missing: list[str]
    """Packages that were erased, or not to be had, while the backup was taken."""
    logs: list[LogState]
    files: list[BackupFile]


def is_safe_path(path: str) -> bool:
    """Return whether a path stays beneath the folder that it is looked up in."""
    return all(_SEGMENT.match(part) for part in path.split("/"))


def listed(folder: Path) -> Iterator[Path]:
    """Yield every file beneath a folder; a link among them is a BackupDamaged."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise BackupDamaged(f"{path} is a link: a backup holds files only")
        if path.is_file() and path != folder / MANIFEST:
            yield path


def described(folder: Path, path: Path) -> BackupFile:
    """Return a file's entry for the manifest. Blocks."""
    digest, size_bytes = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)
            size_bytes += len(piece)
    relative = path.relative_to(folder).as_posix()
    return BackupFile(path=relative, sha256=digest.hexdigest(), size_bytes=size_bytes)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest once all listed files are on the disk: now the backup is whole. Blocks."""
    for path in [*folder.rglob("*"), folder]:
        _sync(path)
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    beside = folder / f"{MANIFEST}.new"
    write_secret(beside, data)
    beside.replace(folder / MANIFEST)
    _sync(folder)
    with contextlib.suppress(PermissionError):  # not every folder above may be read
        _sync(folder.resolve().parent)


def read_manifest(folder: Path) -> Manifest:
    """Read a backup's manifest, and check every file against it, or raise BackupDamaged. Blocks."""
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise BackupDamaged(
            f"{folder / MANIFEST}: {error.strerror}. A backup without it was never finished"
        ) from error
    try:
        manifest = decode(Manifest, data, max_bytes=MAX_MANIFEST_BYTES)
    except WireError as error:
        raise BackupDamaged(f"{folder / MANIFEST}: {error}") from error
    _check_files(folder, manifest.files)
    return manifest


def _check_files(folder: Path, files: Sequence[BackupFile]) -> None:
    said = {file.path: file for file in files}
    if len(said) != len(files):
        raise BackupDamaged("the manifest names a file twice")
    if unsafe := [name for name in said if not is_safe_path(name)]:
        raise BackupDamaged(f"the manifest names {unsafe[0]!r}, which is no path of a backup")
    there = {path.relative_to(folder).as_posix(): path for path in listed(folder)}
    if missing := sorted(said.keys() - there.keys()):
        raise BackupDamaged(f"{len(missing)} files are missing from the backup: {missing[0]}")
    if foreign := sorted(there.keys() - said.keys()):
        raise BackupDamaged(f"{foreign[0]} isn't in the manifest: what else was put there?")
    for name, path in there.items():
        if described(folder, path) != said[name]:
            raise BackupDamaged(f"{name} isn't the file that was backed up: use another backup")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read, durably. Blocks."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
