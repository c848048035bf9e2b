"""Tables of the public logs: entries, the sequencer's lease, and signed checkpoints.

An entry waits until it has a place; the place, the tree's size and its root are committed together
and before anything is signed, so that no two trees of one size ever are. Which relay may place
entries is decided by `hold`, and again by the size in `place`: a relay that was asleep for a while
does no harm.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import (
    Column,
    Row,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from relay.store.database import Transaction, signal
from relay.store.schema import (
    log_checkpoints,
    log_entries,
    log_heads,
    slot_commitments,
    slot_trees,
)

Log = Literal["register", "custody"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A log's head: its sequenced entries and its published size."""

    size: int = 0
    published_size: int = 0
    published: str | None = None
    published_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry; `leaf_index` is None as long as it waits."""

    number: int
    entry: str
    leaf_hash: str
    leaf_index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """Size and root (hexadecimal) of a checkpoint that a quorum of witnesses signed."""

    size: int
    root: str


async def get_head(tx: Transaction, log: str) -> Head:
    """Return a log's head."""
    row = (await tx.execute(select(log_heads).where(log_heads.c.log == log))).first()
    if row is None:
        return Head()
    return Head(
        size=row.size,
        published_size=row.published_size,
        published=row.published,
        published_ms=row.published_ms,
    )


async def next_place_ms(tx: Transaction, log: str) -> int | None:
    """Return when the first of the waiting entries may get its place; None if none waits."""
    query = select(func.min(log_entries.c.not_before_ms)).where(
        log_entries.c.log == log, log_entries.c.leaf_index.is_(None)
    )
    found: int | None = (await tx.execute(query)).scalar_one_or_none()
    return found


async def ensure_head(tx: Transaction, log: str) -> None:
    """Insert a log's row if it isn't there."""
    if (await tx.execute(select(log_heads.c.log).where(log_heads.c.log == log))).first() is None:
        fresh = {"added": 0, "size": 0, "published_size": 0, "published_ms": 0, "held_until_ms": 0}
        await tx.execute(insert(log_heads).values(log=log, **fresh))


async def count_added(tx: Transaction) -> int:
    """Return how many entries were ever added to all logs."""
    query = select(func.coalesce(func.sum(log_heads.c.added), 0))
    return int((await tx.execute(query)).scalar_one())


async def find_by_key(tx: Transaction, log: str, key: str) -> Entry | None:
    """Return the entry that was added under a key."""
    query = select(log_entries).where(log_entries.c.log == log, log_entries.c.key == key)
    row = (await tx.execute(query)).first()
    return None if row is None else _entry(row)


async def find_by_number(tx: Transaction, log: str, number: int) -> Entry | None:
    """Return one entry by its number of arrival."""
    query = select(log_entries).where(log_entries.c.log == log, log_entries.c.number == number)
    row = (await tx.execute(query)).first()
    return None if row is None else _entry(row)


async def add_entry(
    tx: Transaction, log: Log, *, key: str, entry: str, leaf_hash: str, not_before_ms: int = 0
) -> int:
    """Insert an entry; return its number. Until the commit no other transaction adds one."""
    await ensure_head(tx, log)
    row = log_heads.c.log == log
    await tx.execute(update(log_heads).where(row).values(added=log_heads.c.added + 1))
    number = int((await tx.execute(select(log_heads.c.added).where(row))).scalar_one())
    await tx.execute(
        insert(log_entries).values(
            log=log,
            number=number,
            key=key,
            entry=entry,
            leaf_hash=leaf_hash,
            not_before_ms=not_before_ms,
        )
    )
    signal(tx, log)
    return number


async def hold(tx: Transaction, log: str, *, holder: str, now_ms: int, until_ms: int) -> bool:
    """Take or renew the sequencer's lease; False while another relay has it."""
    await ensure_head(tx, log)
    change = (
        update(log_heads)
        .where(
            log_heads.c.log == log,
            or_(
                log_heads.c.holder.is_(None),
                log_heads.c.holder == holder,
                log_heads.c.held_until_ms <= now_ms,
            ),
        )
        .values(holder=holder, held_until_ms=until_ms)
    )
    return (await tx.execute(change)).rowcount == 1


async def let_go(tx: Transaction, log: str, *, holder: str) -> None:
    """Release the lease."""
    mine = (log_heads.c.log == log) & (log_heads.c.holder == holder)
    await tx.execute(update(log_heads).where(mine).values(holder=None, held_until_ms=0))


async def waiting(tx: Transaction, log: str, *, now_ms: int, limit: int) -> list[Entry]:
    """Return the waiting entries that may get an index now, in the order of arrival."""
    query = (
        select(log_entries)
        .where(
            log_entries.c.log == log,
            log_entries.c.leaf_index.is_(None),
            log_entries.c.not_before_ms <= now_ms,
        )
        .order_by(log_entries.c.number)
        .limit(limit)
    )
    return [_entry(row) for row in await tx.execute(query)]


async def place(
    tx: Transaction, log: str, numbers: Sequence[int], *, old_size: int, root: str
) -> bool:
    """Give entries the indexes from `old_size` on; False if the log is of another size.

    `root` is that of the tree with them: from here on it is the only one of its size.
    """
    size = old_size + len(numbers)
    change = (
        update(log_heads)
        .where(log_heads.c.log == log, log_heads.c.size == old_size)
        .values(size=size)
    )
    if (await tx.execute(change)).rowcount != 1:
        return False
    placing = (
        update(log_entries)
        .where(
            log_entries.c.log == log,
            log_entries.c.number == bindparam("at_number"),
            log_entries.c.leaf_index.is_(None),
        )
        .values(leaf_index=bindparam("at_index"))
    )
    places = [{"at_number": one, "at_index": old_size + i} for i, one in enumerate(numbers)]
    await tx.execute(placing, places)
    await tx.execute(insert(log_checkpoints).values(log=log, size=size, root=root))
    return True


async def leaf_hashes(
    tx: Transaction, log: str, from_index: int, to_index: int | None = None
) -> list[bytes]:
    """Return the hashes of the placed entries from an index on, or of a range."""
    query = (
        select(log_entries.c.leaf_hash)
        .where(log_entries.c.log == log, log_entries.c.leaf_index >= from_index)
        .order_by(log_entries.c.leaf_index)
    )
    if to_index is not None:
        query = query.where(log_entries.c.leaf_index < to_index)
    return [bytes.fromhex(text) for text in (await tx.execute(query)).scalars()]


async def entries(tx: Transaction, log: str, from_index: int, to_index: int) -> list[bytes]:
    """Return the placed entries of a range."""
    columns = log_entries.c
    query = select(columns.entry).where(columns.log == log)
    return await _texts(tx, query, columns.leaf_index, from_index, to_index)


async def added(tx: Transaction, log: str, since: int) -> list[bytes]:
    """Return the entries with a number above `since`, placed or not, in order.

    Numbers have no gaps, and places are given in their order: where none has to wait for a time of
    its own, as in the register, entry n gets the index n - 1.
    """
    query = (
        select(log_entries.c.entry)
        .where(log_entries.c.log == log, log_entries.c.number > since)
        .order_by(log_entries.c.number)
    )
    return [text.encode() for text in (await tx.execute(query)).scalars()]


async def last_key(tx: Transaction, log: str, first: str, last: str) -> str | None:
    """Return the alphabetically last key of a range; its keys must have one format."""
    query = select(func.max(log_entries.c.key)).where(
        log_entries.c.log == log, log_entries.c.key >= first, log_entries.c.key <= last
    )
    key = (await tx.execute(query)).scalar_one_or_none()
    return None if key is None else str(key)


async def root_of(tx: Transaction, log: str, size: int) -> bytes | None:
    """Return the one root stored for a size; None if the log never had that size."""
    query = select(log_checkpoints.c.root).where(
        log_checkpoints.c.log == log, log_checkpoints.c.size == size
    )
    root = (await tx.execute(query)).scalar_one_or_none()
    return None if root is None else bytes.fromhex(root)


async def stamp(tx: Transaction, log: str, size: int, witnessed: str) -> bool:
    """Store the first witnessed checkpoint of a size; False if a larger one is stored."""
    kept = (log_checkpoints.c.log == log) & log_checkpoints.c.stamp.is_not(None)
    query = select(func.max(log_checkpoints.c.size)).where(kept)
    if ((await tx.execute(query)).scalar_one_or_none() or 0) > size:
        return False
    number = await count_stamps(tx, log)
    change = (
        update(log_checkpoints)
        .where(
            log_checkpoints.c.log == log,
            log_checkpoints.c.size == size,
            log_checkpoints.c.witnessed.is_(None),
        )
        .values(witnessed=witnessed, stamp=number)
    )
    await tx.execute(change)
    return True


async def witnessed_after(tx: Transaction, log: str, size: int) -> Witnessed | None:
    """Return the first witnessed checkpoint of a tree larger than a size; None: there is none.

    Sizes rise from one witnessed checkpoint to the next, so it stays the first.
    """
    own = log_checkpoints.c
    query = (
        select(own.size, own.root)
        .where(own.log == log, own.stamp.is_not(None), own.size > size)
        .order_by(own.size)
        .limit(1)
    )
    row = (await tx.execute(query)).first()
    return None if row is None else Witnessed(size=row.size, root=row.root)


async def count_stamps(tx: Transaction, log: str) -> int:
    """Return the number of stamps."""
    query = select(func.count(log_checkpoints.c.stamp)).where(log_checkpoints.c.log == log)
    return int((await tx.execute(query)).scalar_one())


async def stamps(tx: Transaction, log: str, from_stamp: int, to_stamp: int) -> list[bytes]:
    """Return the stamps of a range, each a witnessed checkpoint."""
    columns = log_checkpoints.c
    query = select(columns.witnessed).where(columns.log == log)
    return await _texts(tx, query, columns.stamp, from_stamp, to_stamp)


async def publish(tx: Transaction, log: str, *, size: int, note: str, now_ms: int) -> bool:
    """Store a witnessed checkpoint as published; False if a larger tree is published."""
    signal(tx, "published")
    change = (
        update(log_heads)
        .where(log_heads.c.log == log, log_heads.c.published_size <= size, log_heads.c.size >= size)
        .values(published_size=size, published=note, published_ms=now_ms)
    )
    return (await tx.execute(change)).rowcount == 1


# --- slots -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedSlot:
    """The commitments of one slot, the seed of its tree, and where its root is logged."""

    slot: int
    seed: bytes
    commitments: tuple[str, ...]
    number: int


_AN_ENTRY, _COMMITTED = log_entries.c, slot_commitments.c
_PUT_COMMITMENT = insert(slot_commitments).from_select(
    ["slot", "device", "commitment"],
    select(
        bindparam("in_slot", type_=_COMMITTED.slot.type),
        bindparam("by_device", type_=_COMMITTED.device.type),
        bindparam("told", type_=_COMMITTED.commitment.type),
    ).where(
        ~exists().where(
            _COMMITTED.slot == bindparam("in_slot"), _COMMITTED.device == bindparam("by_device")
        ),
        ~exists().where(
            _AN_ENTRY.log == bindparam("log"),
            _AN_ENTRY.key.between(bindparam("first"), bindparam("last")),
        ),
    ),
)


async def put_commitment(
    tx: Transaction, *, slot: int, device: str, commitment: str, closed_by: tuple[str, str, str]
) -> None:
    """Store a doorbell's first commitment of a slot.

    Not if the slot is closed: a log (the first of `closed_by`) has an entry whose key lies between
    the other two. It is one statement, made once, because each doorbell needs it in each slot.
    """
    log, first, last = closed_by
    values = {"in_slot": slot, "by_device": device, "told": commitment}
    await tx.execute(_PUT_COMMITMENT, {**values, "log": log, "first": first, "last": last})


async def commitments(tx: Transaction, slot: int) -> dict[str, str]:
    """Return the commitments of a slot, by doorbell."""
    query = select(slot_commitments).where(slot_commitments.c.slot == slot)
    return {row.device: row.commitment for row in await tx.execute(query)}


async def committed_slots(tx: Transaction) -> list[int]:
    """Return the slots of which a commitment is kept, in order."""
    query = select(slot_commitments.c.slot).distinct().order_by(slot_commitments.c.slot)
    return list((await tx.execute(query)).scalars())


async def put_closed_slot(tx: Transaction, closed: ClosedSlot) -> None:
    """Store a closed slot."""
    leaves = json.dumps([closed.seed.hex(), *closed.commitments])
    await tx.execute(
        insert(slot_trees).values(slot=closed.slot, leaves=leaves, number=closed.number)
    )


async def list_closed_slots(tx: Transaction) -> list[ClosedSlot]:
    """Return the closed slots whose proofs aren't sent yet."""
    query = select(slot_trees).order_by(slot_trees.c.slot)
    found = []
    for row in await tx.execute(query):
        seed, *commitments = json.loads(row.leaves)
        found.append(
            ClosedSlot(
                slot=row.slot,
                seed=bytes.fromhex(seed),
                commitments=tuple(commitments),
                number=row.number,
            )
        )
    return found


async def forget_slots(tx: Transaction, *, up_to: int) -> None:
    """Delete the slots up to this one: their proofs were sent, or never will be."""
    await tx.execute(delete(slot_trees).where(slot_trees.c.slot <= up_to))
    await tx.execute(delete(slot_commitments).where(slot_commitments.c.slot <= up_to))


async def _texts(
    tx: Transaction, query: Select[str], place: Column[int], first: int, end: int
) -> list[bytes]:
    """Return a query's texts whose place is `first` or later and before `end`, in order."""
    ranged = query.where(place >= first, place < end).order_by(place)
    return [text.encode() for text in (await tx.execute(ranged)).scalars()]


def _entry(row: Row[tuple[object, ...]]) -> Entry:
    return Entry(
        number=row.number, entry=row.entry, leaf_hash=row.leaf_hash, leaf_index=row.leaf_index
    )
