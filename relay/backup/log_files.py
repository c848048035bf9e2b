"""A log's public files, listed, saved beside a backup and put back into a bucket.

All of them follow from the database's entries and stamps: what a bucket has lost is made again.
"""

from collections.abc import Iterator
from pathlib import Path

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.merkle import Tree
from firmware.protocol.tlog.signed_note import parse_note
from firmware.protocol.tlog.tiles import (
    CHECKPOINT_PATH,
    MAX_BUNDLE_BYTES,
    bundles_grown,
    tiles_grown,
)
from relay.backup.errors import BackupDamaged, BackupError
from relay.backup.manifest import write_secret
from relay.backup.observed_trees import LogFileSource
from relay.custody.tile_store import (
    MAX_SMALL_BYTES,
    PARTIAL,
    STAMPS_COUNT_PATH,
    TileStore,
    is_path,
    stamps_path,
)
from relay.store import logs
from relay.store.database import Database


class SavedLogs:
    """The logs' files in a backup's folder, read as from a bucket."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def get(self, key: str, *, max_bytes: int) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        path = self._folder / key
        if not is_path(key) or not path.is_file():
            return None
        if path.stat().st_size > max_bytes:
            raise BackupDamaged(f"{path} has more than {max_bytes} bytes")
        return path.read_bytes()


async def newest_notes(name: str, shelf: LogFileSource) -> list[bytes]:
    """Return a bucket's published checkpoint, and its last cosigned one, which may be newer."""
    note = await shelf.get(f"{name}/{CHECKPOINT_PATH}", max_bytes=MAX_SMALL_BYTES)
    found = [] if note is None else [note]
    count = await count_stored_stamps(name, shelf)
    for bundle in list(bundles_grown(max(count - 1, 0), count))[-1:]:
        _, data = await _found(shelf, f"{name}/{stamps_path(bundle)}")
        try:
            found += [] if data is None else bundle.new_entries(data)
        except WireError as error:
            raise BackupError(f"the bucket's last stamps of {name} can't be read: {error}") from (
                error
            )
    return found


async def _found(shelf: LogFileSource, key: str) -> tuple[str, bytes | None]:
    """Return a file and its name: a partial one that has become full may be gone."""
    data = await shelf.get(key, max_bytes=MAX_BUNDLE_BYTES)
    full = key.partition(PARTIAL)[0]
    if data is not None or full == key:
        return key, data
    return full, await shelf.get(full, max_bytes=MAX_BUNDLE_BYTES)


async def count_stored_stamps(name: str, shelf: LogFileSource) -> int:
    """Return the number of stamps in a bucket."""
    data = await shelf.get(f"{name}/{STAMPS_COUNT_PATH}", max_bytes=32)
    if data is None:
        return 0
    if not data.strip().isdigit() or len(data) > 16:
        raise BackupError(f"the bucket's {name}/{STAMPS_COUNT_PATH} is no number")
    return int(data)


async def save_log(name: str, shelf: LogFileSource, folder: Path) -> int:
    """Copy a log's files out of its bucket; return how many.

    What checkpoint and stamps need is in the bucket before them, so it is there.
    """
    count = await count_stored_stamps(name, shelf)
    notes = await newest_notes(name, shelf)
    try:
        size = max((parse_checkpoint(parse_note(note).text).size for note in notes), default=0)
    except WireError as error:
        raise BackupError(f"the bucket's checkpoint of {name} can't be read: {error}") from error
    saved = 0
    for path in _paths(size, count):
        key, data = await _found(shelf, f"{name}/{path}")
        if data is None:
            raise BackupError(f"the bucket has no {key}, which its checkpoint needs")
        write_secret(folder / key, data)
        saved += 1
    if count:
        write_secret(folder / name / STAMPS_COUNT_PATH, f"{count}\n".encode())
    if notes:
        write_secret(folder / name / CHECKPOINT_PATH, notes[0])
    return saved


async def put_log(name: str, tree: Tree, database: Database, shelf: TileStore) -> None:
    """Upload those files of a published log that the bucket lacks.

    LogContradicts, ObjectStoreError.
    """
    async with database.read() as tx:
        head = await logs.get_head(tx, name)
        count = await logs.count_stamps(tx, name)
    if head.published is None:
        return
    for bundle in bundles_grown(0, head.published_size):
        async with database.read() as tx:
            end = bundle.start + bundle.width
            entries = await logs.entries(tx, name, bundle.start, end)
        await shelf.put_bundle(name, bundle, entries)
    for tile in tiles_grown(0, head.published_size):
        await shelf.put_tile(name, tile, tree)
    for bundle in bundles_grown(0, count):
        async with database.read() as tx:
            notes = await logs.stamps(tx, name, bundle.start, bundle.start + bundle.width)
        await shelf.put_stamps(name, bundle, notes)
    there = await shelf.stamps_count(name)
    if count > there and not await shelf.put_stamps_count(name, count, there=there):
        raise BackupError(f"another relay writes stamps of {name} into this bucket: stop it first")
    if await shelf.checkpoint(name) is None:
        await shelf.put_checkpoint(name, head.published.encode(), seen=None)


def _paths(size: int, stamps: int) -> Iterator[str]:
    """Yield the files that a log of this size needs."""
    for bundle in bundles_grown(0, size):
        yield bundle.path
    for tile in tiles_grown(0, size):
        yield tile.path
    for bundle in bundles_grown(0, stamps):
        yield stamps_path(bundle)
