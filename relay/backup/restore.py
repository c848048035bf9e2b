"""Restores a relay from a backup into an empty folder, or refuses with what to do.

relay.toml is written last: before every check has passed there is nothing that could be started. A
relay that signed on from an old backup would show the world two histories of one log, and nobody
could believe either; so bucket and witnesses are asked first what they have seen.
"""

import asyncio
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from firmware.protocol.custody import package_commitment
from relay.backup.errors import BackupDamaged, BackupError
from relay.backup.log_files import SavedLogs, newest_notes, put_log
from relay.backup.log_recovery import (
    NewerEntries,
    find_newer,
    put_back,
    put_back_published,
    put_back_stamps,
)
from relay.backup.manifest import (
    DATABASE,
    FILES,
    LOG,
    PACKAGES,
    Manifest,
    listed,
    read_manifest,
    write_secret,
)
from relay.backup.observed_trees import (
    LogFileSource,
    ObservedTree,
    ask_witnesses,
    check_consistency,
    largest_of,
    signed_by_log,
)
from relay.backup.online_backup import PackageBucket, Say
from relay.backup.owned_files import BROKER_FOLDER, moved, read_settings, settled
from relay.backup.stored_log import StoredLog, read_log
from relay.base.clock import Clock
from relay.config.settings import Config, LogConfig
from relay.custody.keys import read_key_file, read_policy_file
from relay.custody.log_entries import LOGS
from relay.custody.tile_store import Bucket, Retention, TileStore
from relay.custody.witnesses import Witnesses
from relay.errors import SchemaTooNew
from relay.store import database_copies, recovery
from relay.store.database import Database, Transaction
from relay.store.schema import SCHEMA_VERSION

SETTINGS = "relay.toml"
UNFINISHED = "relay.toml.not-checked"
"""So long as not everything was checked, nothing here can be started."""


class PackageObjects(PackageBucket, Protocol):
    """The operations on the package bucket that a restore needs."""

    async def has(self, key: str) -> bool:
        """Return whether there is an object of this name."""
        ...

    async def ensure_bucket(self, allowed_origin: str) -> None:
        """Make the bucket."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreParts:
    """The database and buckets that a restored relay's settings name."""

    packages: PackageObjects
    log_bucket: Bucket | None
    witnesses: Witnesses | None
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOptions:
    """A restore's parameters: the target, and what is allowed."""

    data_dir: Path
    database_url: str | None = None
    bucket_endpoint: str | None = None
    without: Collection[str] = ()


@dataclass(slots=True)
class RestoreResult:
    """A restore's result."""

    config: Config
    manifest: Manifest
    put_back: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


async def restore(
    source: Path,
    wanted: RestoreOptions,
    surround: Callable[[Config], RestoreParts],
    *,
    say: Say = lambda _line: None,
) -> RestoreResult:
    """Restore, or raise BackupError, StoreError, LogError, ObjectStoreError; then start nothing."""
    folder = wanted.data_dir.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} isn't empty: restore into a new folder")
    say("digests")
    manifest = await asyncio.to_thread(read_manifest, source)
    if manifest.schema_version > SCHEMA_VERSION:
        raise SchemaTooNew(manifest.schema_version, SCHEMA_VERSION)
    _check_database_kind(manifest, wanted)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return await _restore_into(folder, source, manifest, wanted, surround, say)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)  # it was empty; keys mustn't lie about
        raise


async def _restore_into(
    folder: Path,
    source: Path,
    manifest: Manifest,
    wanted: RestoreOptions,
    surround: Callable[[Config], RestoreParts],
    say: Say,
) -> RestoreResult:
    _write_files(source, manifest, folder, wanted)
    config = read_settings(folder / UNFINISHED)
    if wanted.bucket_endpoint not in (None, config.bucket.endpoint):
        raise BackupError("the bucket's endpoint isn't a line of its own in the backup's settings")
    say("database")
    database = await _load_database(source, config)
    restored = RestoreResult(config=config, manifest=manifest)
    try:
        await _restore_around(source, restored, wanted, surround(config), database, say)
    except BaseException:
        if config.database_url:
            await database_copies.empty_again(config.database_url)
        raise
    finally:
        await database.close()
    (folder / UNFINISHED).rename(folder / SETTINGS)
    return restored


async def _restore_around(
    source: Path,
    restored: RestoreResult,
    wanted: RestoreOptions,
    around: RestoreParts,
    database: Database,
    say: Say,
) -> None:
    """Restore database and buckets, consistent with what the logs have published."""
    if restored.config.log is not None:
        await _restore_logs(source, restored, wanted, around, database, say)
    await _restore_packages(source, restored, around, database, say)
    async with database.begin() as tx:
        await recovery.end_one_time_things(tx)


def _check_database_kind(manifest: Manifest, wanted: RestoreOptions) -> None:
    if manifest.database == "sqlite" and wanted.database_url is not None:
        raise BackupError("this backup is of an SQLite file: leave --database-url out")
    if manifest.database == "postgresql" and wanted.database_url is None:
        raise BackupError(
            "this backup is of a PostgreSQL database: give --database-url, an empty one"
        )


def _write_files(source: Path, manifest: Manifest, folder: Path, wanted: RestoreOptions) -> None:
    for file in listed(source / FILES):
        data = moved(file.name, file.read_bytes(), old_folder=manifest.folder, new_folder=folder)
        name = file.relative_to(source / FILES)
        if name == Path(SETTINGS):
            text = settled(
                data.decode(),
                database_url=wanted.database_url,
                bucket_endpoint=wanted.bucket_endpoint,
            )
            write_secret(folder / UNFINISHED, text.encode())
        else:
            write_secret(folder / name, data)
    if (folder / "nats.conf").exists():
        (folder / "broker").mkdir(mode=0o700, exist_ok=True)
    for broker in folder.iterdir():
        if BROKER_FOLDER.match(broker.name):
            (broker / "streams").mkdir(mode=0o700, exist_ok=True)
    if not (folder / UNFINISHED).exists():
        raise BackupDamaged("the backup holds no relay.toml")


async def _load_database(source: Path, config: Config) -> Database:
    """Load the database's copy, and migrate it if an older Doorward made it."""
    if not config.database_url:
        await database_copies.load_sqlite(
            source / DATABASE / database_copies.SQLITE_COPY, config.database_path
        )
    else:
        if await database_copies.holds_tables(config.database_url):
            raise BackupError(
                "the database of --database-url isn't empty: make a new one (createdb) for it"
            )
        dump = source / DATABASE / database_copies.POSTGRESQL_COPY
        await database_copies.load_postgresql(dump, config.database_url)
    try:
        return await Database.open(config.database, is_migrating=True)
    except BaseException:
        if config.database_url:
            await database_copies.empty_again(config.database_url)
        raise


# --- logs ---------------------------------------------------------------------------------------


async def _restore_logs(
    source: Path,
    restored: RestoreResult,
    wanted: RestoreOptions,
    around: RestoreParts,
    database: Database,
    say: Say,
) -> None:
    log = restored.config.log
    if log is None or around.log_bucket is None or around.witnesses is None:
        raise BackupError("these settings have a log, and nothing to reach its bucket with")
    shelf = TileStore(
        around.log_bucket,
        around.clock,
        Retention(mode=log.retention, days=log.retention_days),
    )
    await shelf.prepare()
    shelves: list[tuple[str, LogFileSource]] = [
        ("the bucket", around.log_bucket),
        ("the backup itself", SavedLogs(source / LOG)),
    ]
    known = {}
    for name in LOGS:
        async with database.read() as tx:
            known[name] = await read_log(tx, name, f"{log.name}/{name}")
        _check_manifest(restored.manifest, known[name])
    judged = {}
    for name in LOGS:  # both, before anything is written
        say(f"{name}: what bucket and witnesses have seen")
        judged[name] = await _judge(log, known[name], shelves, around.witnesses, wanted.without)
    plain = [one for _, one in shelves]
    for name, judgement in judged.items():
        restored.put_back[name] = judgement.count
        async with database.begin() as tx:
            await _go_on(tx, log, known[name], judgement, plain, around.clock.wall_ms())
    for name in LOGS:
        say(f"{name}: files")
        async with database.read() as tx:
            now = await read_log(tx, name, f"{log.name}/{name}")
        await put_log(name, now.tree, database, shelf)


def _check_manifest(manifest: Manifest, known: StoredLog) -> None:
    """Check that the database is the one that the manifest describes."""
    for state in manifest.logs:
        if state.origin == known.origin and (state.size, state.root) != (
            known.size,
            known.tree.root().hex(),
        ):
            raise BackupDamaged(f"{known.origin}: the database isn't the manifest's")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judgement:
    """The trees of a log that were seen, and the entries that the backup lacks."""

    seen: Sequence[ObservedTree]
    newer: NewerEntries | None

    @property
    def count(self) -> int:
        return 0 if self.newer is None else len(self.newer.entries)


async def _judge(
    log: LogConfig,
    known: StoredLog,
    shelves: Sequence[tuple[str, LogFileSource]],
    witnesses: Witnesses,
    without: Collection[str],
) -> _Judgement:
    """Determine whether the log can go on, or raise WouldFork."""
    policy = read_policy_file(log)
    path = log.register_key_path if known.name == "register" else log.custody_key_path
    signer = read_key_file(path, known.origin, policy)
    seen = [
        signed_by_log(note, where, signer)
        for where, shelf in shelves
        for note in await newest_notes(known.name, shelf)
    ]
    check_consistency(known, seen)  # before a witness is asked to sign anything
    seen += await ask_witnesses(
        known, policy=policy, signer=signer, witnesses=witnesses, without=without
    )
    check_consistency(known, seen)
    largest = largest_of(seen)
    if largest is None or largest.size <= known.size:
        return _Judgement(seen=seen, newer=None)
    newer = await find_newer(known, largest, [one for _, one in shelves])
    return _Judgement(seen=seen, newer=newer)


async def _go_on(
    tx: Transaction,
    log: LogConfig,
    known: StoredLog,
    judgement: _Judgement,
    shelves: Sequence[LogFileSource],
    now_ms: int,
) -> None:
    """Bring the database to the published state of the logs."""
    policy, tree = read_policy_file(log), known.tree
    if judgement.newer is not None:
        tree = judgement.newer.tree
        await put_back(tx, known, judgement.newer, now_ms)
    await put_back_stamps(tx, known, tree, shelves, policy)
    await put_back_published(tx, known, tree, judgement.seen, policy)


# --- packages -----------------------------------------------------------------------------------


async def _restore_packages(
    source: Path, restored: RestoreResult, around: RestoreParts, database: Database, say: Say
) -> None:
    """Upload the packages that aren't erased; `missing` are those found nowhere."""
    await around.packages.ensure_bucket(restored.config.public_url)
    async with database.read() as tx:
        kept = [one for one in await recovery.kept_packages(tx) if one.state != "erasing"]
    for number, package in enumerate(kept, 1):
        path = source / PACKAGES / package.object_key
        if path.is_file():
            if path.stat().st_size != package.size_bytes:
                raise BackupDamaged(f"{path} isn't as long as the database says")
            await around.packages.put_file(package.object_key, path)
        elif not await around.packages.has(package.object_key):
            restored.missing.append(package_commitment(package.package_id)[:12])
        if number % 50 == 0 or number == len(kept):
            say(f"packages: {number} of {len(kept)}")
