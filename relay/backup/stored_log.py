"""One log as a database holds it: every entry, hash and root checked against each other."""

import asyncio
from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.signed_note import parse_note
from relay.backup.errors import BackupDamaged
from relay.store import logs, recovery
from relay.store.database import Transaction

PIECE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLog:
    """A log that is consistent with itself; the tree has all placed entries."""

    name: logs.Log
    origin: str
    tree: Tree
    published_size: int
    published: bytes | None
    stamp_count: int

    @property
    def size(self) -> int:
        """The number of placed entries."""
        return self.tree.size


async def read_log(tx: Transaction, name: logs.Log, origin: str) -> StoredLog:
    """Read a whole log, or raise BackupDamaged if it is inconsistent."""
    head = await logs.get_head(tx, name)
    tree = Tree()
    for start in range(0, head.size, PIECE):
        entries = await logs.entries(tx, name, start, min(start + PIECE, head.size))
        said = await logs.leaf_hashes(tx, name, start, min(start + PIECE, head.size))
        hashes = await asyncio.to_thread(_hashes, entries)
        if hashes != said:
            raise BackupDamaged(f"{origin}: entries from {start} on aren't what was hashed")
        for hashed in hashes:
            tree.append(hashed)
    if tree.size != head.size:
        raise BackupDamaged(f"{origin}: the database has {tree.size} entries of {head.size}")
    trees = await recovery.signed_trees(tx, name)
    for one in trees:
        if one.size > tree.size or tree.root(one.size) != one.root:
            raise BackupDamaged(
                f"{origin}: the entries don't give the root of {one.size} that was signed"
            )
        if one.witnessed is not None:
            _check_note(origin, tree, one.witnessed, one.size)
    if head.published is not None:
        _check_note(origin, tree, head.published.encode(), head.published_size)
    return StoredLog(
        name=name,
        origin=origin,
        tree=tree,
        published_size=head.published_size,
        published=None if head.published is None else head.published.encode(),
        stamp_count=sum(one.stamp is not None for one in trees),
    )


def _hashes(entries: list[bytes]) -> list[bytes]:
    return [leaf_hash(entry) for entry in entries]


def _check_note(origin: str, tree: Tree, note: bytes, size: int) -> None:
    try:
        checkpoint = parse_checkpoint(parse_note(note).text)
    except WireError as error:
        raise BackupDamaged(f"{origin}: a kept checkpoint can't be read: {error}") from error
    if (checkpoint.origin, checkpoint.size) != (origin, size) or (
        checkpoint.root != tree.root(size)
    ):
        raise BackupDamaged(
            f"{origin}: the checkpoint of {size} entries that was published has another root than "
            "they have"
        )
