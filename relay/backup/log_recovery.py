"""Recovery of log entries that were published after the backup: puts them into the database.

The entries are read from the log's own files, as anybody reads them, and have to give the root that
the log's key signed. Only the logs are known again this way, and what follows from them: events and
packages of that time are gone, but nothing is published twice or otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.policy import Policy
from firmware.protocol.tlog.tiles import MAX_BUNDLE_BYTES, Bundle, bundles_grown
from relay.backup.derived_rows import packages_in_log, restore_custody_rows, restore_request_rows
from relay.backup.entry_names import name_of
from relay.backup.errors import WouldFork
from relay.backup.log_files import count_stored_stamps
from relay.backup.observed_trees import LogFileSource, ObservedTree
from relay.backup.stored_log import StoredLog
from relay.custody.tile_store import stamps_path
from relay.store import logs, recovery
from relay.store.database import Transaction

ALL_TIMES_MS = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class NewerEntries:
    """The entries to put back, after the last known one, and the tree over all."""

    entries: Sequence[bytes]
    tree: Tree
    seen: ObservedTree


async def find_newer(
    known: StoredLog, largest: ObservedTree, shelves: Sequence[LogFileSource]
) -> NewerEntries:
    """Return the entries up to the largest tree that was signed, or raise WouldFork."""
    if largest.checkpoint is None:
        raise WouldFork(_ask_for_more(known, largest, "no checkpoint of that size is to be had"))
    tree = Tree(known.tree.subtree_hashes(0, 0, known.size))
    entries: list[bytes] = []
    for bundle in bundles_grown(known.size, largest.size):
        found = await _bundle(known.name, bundle, shelves)
        if found is None:
            why = f"the entries from {bundle.start + bundle.first} on are nowhere to be read"
            raise WouldFork(_ask_for_more(known, largest, why))
        for entry in found:
            entries.append(entry)
            tree.append(leaf_hash(entry))
    if tree.size != largest.size or tree.root() != largest.checkpoint.root:
        raise WouldFork(
            f"{known.origin}: the entries that lie in the bucket don't give the root of "
            f"{largest.size} that {largest.where} has: they aren't this log's"
        )
    return NewerEntries(entries=entries, tree=tree, seen=largest)


async def put_back(tx: Transaction, known: StoredLog, found: NewerEntries, now_ms: int) -> None:
    """Store the found entries at their published indexes."""
    waiting = {
        entry.entry: entry
        for entry in reversed(
            await logs.waiting(tx, known.name, now_ms=ALL_TIMES_MS, limit=1_000_000)
        )
    }
    stored = await packages_in_log(tx)
    numbers = []
    for index, data in enumerate(found.entries, known.size):
        entry = waiting.pop(data.decode(), None)
        if entry is not None:
            numbers.append(entry.number)
            continue
        key = name_of(known.name, data, stored)
        if key is None or await logs.find_by_key(tx, known.name, key) is not None:
            key = f"restored:{index}"
        numbers.append(await _add(tx, known.name, data, key=key, now_ms=now_ms))
    if known.name == "register" and numbers != list(
        range(known.size + 1, found.tree.size + 1)
    ):  # an entry of the register has the number of its place
        raise WouldFork(
            f"{known.origin}: entries wait in this backup that the world has never seen, before "
            "ones that it has. Use a newer backup"
        )
    root = found.tree.root().hex()
    await logs.place(tx, known.name, numbers, old_size=known.size, root=root)
    if known.name == "custody":
        await restore_custody_rows(tx, found.entries, stored, now_ms)
    else:
        await restore_request_rows(tx, found.entries, now_ms)


async def put_back_stamps(
    tx: Transaction, known: StoredLog, tree: Tree, shelves: Sequence[LogFileSource], policy: Policy
) -> int:
    """Store the cosigned checkpoints published since, or raise WouldFork; return how many."""
    count = known.stamp_count
    for shelf in shelves:
        there = await count_stored_stamps(known.name, shelf)
        for bundle in bundles_grown(count, max(count, there)):
            notes = await _read(shelf, known.name, stamps_path(bundle), bundle)
            if notes is None:
                break
            for note in notes:
                await _put_stamp(tx, known, tree, note, count, policy)
                count += 1
    return count - known.stamp_count


async def put_back_published(
    tx: Transaction, known: StoredLog, tree: Tree, seen: Sequence[ObservedTree], policy: Policy
) -> None:
    """Store the largest checkpoint that has a quorum as the published one."""
    best = known.published_size
    for one in sorted(seen, key=lambda one: one.size):
        if one.note is None or not best < one.size <= tree.size:
            continue
        try:
            witnessed = policy.check(one.note, origin=known.origin)
        except WireError:
            continue  # on its way still; the relay asks the witnesses again
        best = one.size
        await logs.publish(
            tx, known.name, size=best, note=one.note.decode(), now_ms=witnessed.fresh_ms
        )


async def _put_stamp(
    tx: Transaction, known: StoredLog, tree: Tree, note: bytes, number: int, policy: Policy
) -> None:
    try:
        checkpoint = policy.check(note, origin=known.origin).checkpoint
    except WireError as error:
        raise WouldFork(f"{known.origin}: stamp {number} in the bucket is no stamp: {error}") from (
            error
        )
    if checkpoint.size > tree.size or tree.root(checkpoint.size) != checkpoint.root:
        raise WouldFork(f"{known.origin}: stamp {number} in the bucket is of another tree")
    await recovery.put_stamp(
        tx,
        known.name,
        size=checkpoint.size,
        root=checkpoint.root,
        number=number,
        witnessed=note.decode(),
    )


async def _bundle(
    name: str, bundle: Bundle, shelves: Sequence[LogFileSource]
) -> list[bytes] | None:
    for shelf in shelves:
        for path in dict.fromkeys([bundle.path, bundle.full_path]):
            found = await _read(shelf, name, path, bundle)
            if found is not None:
                return found
    return None


async def _read(shelf: LogFileSource, name: str, path: str, bundle: Bundle) -> list[bytes] | None:
    data = await shelf.get(f"{name}/{path}", max_bytes=MAX_BUNDLE_BYTES)
    try:
        return None if data is None else bundle.new_entries(data)
    except WireError:
        return None  # another shelf may have it whole; the root decides


async def _add(tx: Transaction, log: logs.Log, entry: bytes, *, key: str, now_ms: int) -> int:
    """Store an entry; its first time isn't known, so it counts as added now."""
    hashed = leaf_hash(entry).hex()
    return await logs.add_entry(
        tx, log, key=key, entry=entry.decode(), leaf_hash=hashed, not_before_ms=now_ms
    )


def _ask_for_more(known: StoredLog, largest: ObservedTree, why: str) -> str:
    return (
        f"{known.origin}: {largest.where} has seen {largest.size} entries, and this backup has "
        f"{known.size}: {why}. Nothing was restored, since signing on would show the world two "
        "histories. Bring the old bucket back, or restore a newer backup; if neither is to be had, "
        "this log has ended: begin a new relay under a new log name (docs/guide/operate.md, "
        "The worst day)"
    )
