"""Reading the register: from the relay's files into the store, and from the store at a start.

Everything here blocks or fetches one file; the pieces are called by follower.py, which gives the
blocking ones to a thread. New entries go through a `PendingGrowth` first, bundle by bundle, so
that a long first read takes little memory; they count once their root is that of the checkpoint.
"""

import logging
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from itertools import islice

from firmware.protocol.encoding import WireError
from firmware.protocol.register.chain import ExtractPlaces
from firmware.protocol.register.extract import EarlierCheckpoint
from firmware.protocol.register.saved import load_register
from firmware.protocol.register.saved_form import SavedUnusable
from firmware.protocol.register.saved_stamps import NotesHash, load_stamps
from firmware.protocol.tlog.checkpoint import parse_checkpoint
from firmware.protocol.tlog.lines import parse_size
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.policy import Policy, Witnessed
from firmware.protocol.tlog.signed_note import parse_note
from firmware.protocol.tlog.tiles import TILE_WIDTH, Bundle
from firmware.transparency.errors import LogContradicts, LogUnreadable
from firmware.transparency.register_store import RegisterStore, bytes_of
from firmware.transparency.snapshots import StateSnapshots
from firmware.transparency.state import PendingGrowth, RegisterState

MAX_ENTRIES = 200_000
MAX_REGISTER_BYTES = 512 * 1024 * 1024
"""Limit of the storage that a hostile log may take."""
MAX_CHECKPOINT_BYTES = 16 * 1024
MAX_STAMP_BYTES = 4 * 1024
MAX_STAMPS_BYTES = TILE_WIDTH * (MAX_STAMP_BYTES + 2)

log = logging.getLogger(__name__)


def load(
    store: RegisterStore, *, policy: Policy, origin: str, saving: StateSnapshots
) -> RegisterState:
    """Return the stored register, with everything checked anew. Blocks.

    But for what this doorbell judged before and signed: of that, only whether it is still the same.
    Damaged entries are forgotten and read again; the checkpoint binds all the same, unless it is
    itself damaged, or of another policy.
    """
    followed = RegisterState(policy=policy, origin=origin)
    note = store.checkpoint()
    if note is None:
        store.stamps.cut(0)
        return followed
    try:
        witnessed = followed.check(note)
    except LogUnreadable as error:
        log.error("the stored register isn't used: %s", error)
        store.forget_log()
        return followed
    size = witnessed.checkpoint.size
    tree = Tree(map(leaf_hash, islice(store.entries.read(), size)))
    if (tree.size, tree.root()) != (size, witnessed.checkpoint.root):
        log.error("storage has lost entries of the register: they are read again")
        store.forget_log()
        followed.bind(witnessed)
        return followed
    entries = _resume(store, followed, tree, saving)
    with saving.replaying():
        followed.accept(witnessed, _in_turns(entries))
    known = _resume_stamps(store, followed, saving, policy=policy)
    with saving.replaying():
        _load_stamps(store, followed, known=known)
    return followed


def _resume(
    store: RegisterStore, followed: RegisterState, tree: Tree, saving: StateSnapshots
) -> Iterator[bytes]:
    """Begin with the saved state if there is one; return the entries that are to be replayed."""
    entries = _counting(store, islice(store.entries.read(), tree.size))
    try:
        data = saving.state_in(store.saved_register)
        if data is None:
            return entries
        register = load_register(
            data,
            origin=followed.origin,
            tree=tree,
            entries=entries,
            code=saving.code,
            charter=followed.charter,
        )
    except SavedUnusable as error:
        log.warning("the register's saved state isn't used, all entries are replayed: %s", error)
        store.saved_register.forget()
        store.counting_bytes = 0
        return _counting(store, islice(store.entries.read(), tree.size))
    followed.restore(register, tree)
    return entries


def _resume_stamps(
    store: RegisterStore, followed: RegisterState, saving: StateSnapshots, *, policy: Policy
) -> NotesHash:
    """Begin with the saved cosigned times if there are any; return the notes they came from."""
    try:
        data = saving.state_in(store.saved_stamps)
        if data is None:
            return NotesHash()
        stamps, known = load_stamps(
            data, store.stamps.read(), origin=followed.origin, policy=policy, code=saving.code
        )
    except SavedUnusable as error:
        log.warning("the register's saved cosigned times aren't used, each is checked: %s", error)
        store.saved_stamps.forget()
        return NotesHash()
    followed.restore_cosigned_times(stamps)
    return known


def _load_stamps(store: RegisterStore, followed: RegisterState, *, known: NotesHash) -> None:
    end_byte = 0
    store.noted = known
    for number, stamp in enumerate(store.stamps.read()):
        end_byte += bytes_of([stamp])
        if number >= known.count:
            store_cosigned_time(followed, stamp)
            store.noted.take(stamp)
    store.stamps.cut(end_byte)


def store_cosigned_time(followed: RegisterState, note: bytes) -> bool:
    """Add a cosigned time; an invalid one is ignored. False if it is of a larger tree."""
    time.sleep(0)  # as between entries
    try:
        return followed.add_cosigned_time(note)
    except LogContradicts:
        raise
    except LogUnreadable as error:
        log.warning("an earlier checkpoint is ignored: %s", error)
        return True


def pending(store: RegisterStore, followed: RegisterState, *, size: int) -> PendingGrowth:
    """Return the growth with the entries that an interrupted read left in the store. Blocks."""
    growth = followed.growth()
    end_byte = store.counting_bytes
    for entry in islice(store.pending(), size - followed.size):
        growth.add([entry])
        end_byte += bytes_of([entry])
    store.entries.cut(end_byte)
    return growth


def new_entries(bundle: Bundle, data: bytes) -> list[bytes]:
    """Return the entries of a bundle that are new, or raise LogUnreadable."""
    try:
        return bundle.new_entries(data)
    except WireError as error:
        raise LogUnreadable(f"the register's entries can't be read: {error}") from error


def keep_pending(store: RegisterStore, growth: PendingGrowth, entries: list[bytes]) -> None:
    """Try entries, and store them in case they prove right. Blocks."""
    check_room(store, entries)
    growth.add(entries)
    store.entries.append(entries)


def check_room(store: RegisterStore, records: list[bytes]) -> None:
    """Raise LogUnreadable if entries and cosigned times would exceed their limit of storage."""
    if store.entries.size_bytes + store.stamps.size_bytes + bytes_of(records) > MAX_REGISTER_BYTES:
        raise LogUnreadable("the register is larger than this doorbell can follow")


def accept(store: RegisterStore, followed: RegisterState, witnessed: Witnessed) -> None:
    """Let the entries in the store count up to this checkpoint, which they lead to. Blocks.

    What an interrupted read has left beyond it stays on trial.
    """
    store.entries.sync()
    due = witnessed.checkpoint.size - followed.size
    followed.accept(witnessed, _in_turns(_counting(store, islice(store.pending(), due))))
    store.keep_checkpoint(witnessed.note)


def entries_at(store: RegisterStore, indices: Collection[int]) -> dict[int, bytes]:
    """Return some of the accepted entries. Blocks; it reads all that come before them."""
    upto = islice(store.entries.read(), max(indices) + 1)
    return {index: entry for index, entry in enumerate(upto) if index in indices}


def earlier_checkpoints(
    store: RegisterStore, followed: RegisterState, places: ExtractPlaces
) -> list[EarlierCheckpoint]:
    """Return the oldest checkpoints that show how old is what let a request in (R17, R20).

    Blocks.
    """
    wanted = {followed.seen_size(index) for index in places.aged}
    found: dict[int, EarlierCheckpoint] = {}
    for note in store.stamps.read():
        with suppress(WireError, LogUnreadable):  # one that doesn't count is in the store as well
            size = parse_checkpoint(parse_note(note).text).size
            if size in wanted and size not in found:
                found[size] = followed.earlier(note)
    return list(found.values())


def parse_count(data: bytes, *, most: int) -> int:
    """Return the number of cosigned times, or raise."""
    try:
        count = parse_size(data.decode("ascii").strip())
    except (WireError, UnicodeDecodeError) as error:
        raise LogUnreadable(f"the register's stamps can't be counted: {error}") from error
    if count > most:
        raise LogUnreadable("the register has more stamps than sizes")
    return count


def _counting(store: RegisterStore, entries: Iterable[bytes]) -> Iterator[bytes]:
    """Yield entries, and count their bytes as those that the checkpoint holds."""
    for entry in entries:
        yield entry
        store.counting_bytes += bytes_of([entry])


def _in_turns(entries: Iterable[bytes]) -> Iterator[bytes]:
    """Yield entries that are to be replayed.

    Each takes a signature check or five: between them the loop has its turn at once, and needn't
    wait until Python's own patience with a thread is over.
    """
    for entry in entries:
        yield entry
        time.sleep(0)
