"""Backups of a running relay.

The database comes first and decides: what the logs' files and the bucket have beyond it is newer,
never older. So every entry of the backup's database is in the backup, and what was published while
it was taken lies beside it in the logs' files, from which restoring reads it back.
"""

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from relay.backup.errors import BackupError
from relay.backup.log_files import save_log
from relay.backup.manifest import (
    DATABASE,
    FILES,
    LOG,
    PACKAGES,
    LogState,
    Manifest,
    described,
    is_safe_path,
    listed,
    write_manifest,
    write_secret,
)
from relay.backup.observed_trees import LogFileSource
from relay.backup.owned_files import list_owned_files, named_elsewhere, note_backup
from relay.backup.stored_log import read_log
from relay.base.clock import Clock
from relay.config.settings import Config
from relay.custody.log_entries import LOGS
from relay.store import recovery
from relay.store.database_copies import copied
from relay.store.recovery import KeptPackage
from relay.store.schema import SCHEMA_VERSION

Say = Callable[[str], None]


class PackageBucket(Protocol):
    """The operations on the package bucket that a backup needs."""

    async def save(self, key: str, path: Path) -> bool:
        """Write an object into a new file; False if there is none."""
        ...

    async def put_file(self, key: str, path: Path) -> None:
        """Store a file as an object, unless one of that name is there."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupParts:
    """The database and buckets outside of the relay's own folder."""

    packages: PackageBucket
    log_shelf: LogFileSource | None
    clock: Clock


async def back_up(
    config_path: Path,
    config: Config,
    out: Path,
    around: BackupParts,
    *,
    has_packages: bool = True,
    say: Say = lambda _line: None,
) -> Manifest:
    """Write a backup into an empty or missing folder, or raise BackupError, StoreError.

    Of one that fails nothing is left: it would hold keys, and nobody would look after it.
    """
    if out.resolve().is_relative_to(config.data_dir.resolve()):
        raise BackupError(
            f"{out} lies in {config.data_dir.resolve()}, which is to be backed up: what takes the "
            "one takes the other. Choose a folder elsewhere, best on another machine"
        )
    is_new = not out.exists()
    if not is_new and (not out.is_dir() or any(out.iterdir())):
        raise BackupError(f"{out} isn't empty: each backup has a folder of its own")
    try:
        manifest = await _write(config_path, config, out, around, has_packages, say)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        if not is_new:
            out.mkdir(mode=0o700, exist_ok=True)
        raise
    await asyncio.to_thread(note_backup, config, manifest.made_ms)
    return manifest


async def _write(
    config_path: Path,
    config: Config,
    out: Path,
    around: BackupParts,
    has_packages: bool,
    say: Say,
) -> Manifest:
    made_ms = around.clock.wall_ms()
    (out / DATABASE).mkdir(mode=0o700, parents=True, exist_ok=True)
    out.chmod(0o700)
    say("database")
    logs, kept = await _take_database(config, out)
    say("settings and keys (SECRET)")
    files = list_owned_files(config_path, config)
    for name, path in files.items():
        await asyncio.to_thread(write_secret, out / FILES / name, path.read_bytes())
    for path in named_elsewhere(config, list(files.values())):
        say(f"  left out, since it is large, lies elsewhere or isn't there: {path}")
    if around.log_shelf is not None:
        for name in LOGS:
            say(f"{name}: {await save_log(name, around.log_shelf, out / LOG)} files")
    missing = await _take_packages(kept, around.packages, out, say) if has_packages else []
    say("digests")
    manifest = Manifest(
        doorward=version("doorward"),
        schema_version=SCHEMA_VERSION,
        made_ms=made_ms,
        database="postgresql" if config.database_url else "sqlite",
        folder=str(config.data_dir.resolve()),
        has_packages=has_packages,
        missing=missing,
        logs=logs,
        files=await asyncio.to_thread(lambda: [described(out, path) for path in listed(out)]),
    )
    await asyncio.to_thread(write_manifest, out, manifest)
    return manifest


async def _take_database(config: Config, out: Path) -> tuple[list[LogState], list[KeptPackage]]:
    async with copied(config.database, out / DATABASE) as (_, tx):
        logs = []
        origins = [] if config.log is None else [(one, f"{config.log.name}/{one}") for one in LOGS]
        for name, origin in origins:
            known = await read_log(tx, name, origin)
            logs.append(
                LogState(
                    origin=known.origin,
                    size=known.size,
                    root=known.tree.root().hex(),
                    published_size=known.published_size,
                )
            )
        return logs, await recovery.kept_packages(tx)


async def _take_packages(
    kept: list[KeptPackage], bucket: PackageBucket, out: Path, say: Say
) -> list[str]:
    """Copy the objects; return those that are gone, such as those erased meanwhile."""
    missing = []
    for number, package in enumerate(kept, 1):
        if not is_safe_path(package.object_key):
            raise BackupError(f"the object {package.object_key!r} has no name for a file")
        path = out / PACKAGES / package.object_key
        if not await bucket.save(package.object_key, path):
            missing.append(package.object_key)
        elif path.stat().st_size != package.size_bytes:
            raise BackupError(
                f"{package.object_key} has {path.stat().st_size} bytes in the bucket, and the "
                f"database says {package.size_bytes}"
            )
        if number % 50 == 0 or number == len(kept):
            say(f"packages: {number} of {len(kept)}")
    return missing
