"""Reading the register: from the relay's files into the store, and from the store at a start.

Everything here blocks or fetches one file; the pieces are called by follower.py, which gives the
blocking ones to a thread. New entries go through a `PendingGrowth` first, bundle by bundle, so
that a long first read takes little memory; they count once they lead to the checkpoint, or, in a
long read, once the log's tiles show that they are the beginning of what does.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from firmware.protocol.register.saved_form import SavedUnusable
from firmware.protocol.tlog.policy import Policy, Witnessed
from firmware.protocol.tlog.tiles import TILE_WIDTH
from firmware.transparency.errors import LogContradicts, LogUnreadable
from firmware.transparency.register_store import RegisterStore, bytes_of
from firmware.transparency.snapshots import StateSnapshots
from firmware.transparency.state import PendingGrowth, RegisterState

MAX_STORED_BYTES = 512 * 1024 * 1024
"""Limit of the storage that a log may take whose state can't be saved."""
MAX_CHECKPOINT_BYTES = 16 * 1024
MAX_STAMP_BYTES = 4 * 1024
MAX_STAMPS_BYTES = TILE_WIDTH * (MAX_STAMP_BYTES + 2)
PART_ENTRIES = 1024
PART_BYTES = 8 * 1024 * 1024
"""A long read's entries are on trial up to so many; then the tiles have to show that they count."""

log = logging.getLogger(__name__)


def load(
    store: RegisterStore, *, policy: Policy, origin: str, saving: StateSnapshots
) -> RegisterState:
    """Return the stored register, with everything checked anew. Blocks.

    But for what this doorbell judged before and signed: of that, only whether it and what follows
    lead to the checkpoint. What is damaged is forgotten and read again, from after the state that
    is left, if any; the checkpoint binds all the same, unless it is itself damaged, or of another
    policy.
    """
    followed = RegisterState(policy=policy, origin=origin)
    note = store.checkpoint()
    witnessed = None
    if note is not None:
        try:
            witnessed = followed.check(note)
        except LogUnreadable as error:
            log.error("the stored register isn't used: %s", error)
            store.forget_log()
            return followed
    saved = _saved_state(store, saving, policy=policy, origin=origin)
    whole = followed if store.has_all else None
    for state in (saved, whole):
        if state is not None and _leads_to(store, state, witnessed):
            _replay(store, state, witnessed, saving)
            return state
    if witnessed is None:
        store.forget_log()
        return followed
    log.error("storage has lost entries of the register: they are read again")
    if saved is not None and saved.size >= witnessed.checkpoint.size:
        _not_used(store, "it is of other entries than those of the checkpoint")
        saved = None
    if saved is None and not store.has_all:
        store.forget_log()
    state = saved or followed
    _begin_after(store, state, witnessed)
    return state


def _saved_state(
    store: RegisterStore, saving: StateSnapshots, *, policy: Policy, origin: str
) -> RegisterState | None:
    """Return the state that this doorbell saved, if it can be used."""
    try:
        data = saving.state_in(store.saved_register)
        if data is None:
            return None
        # A newer version judges all entries anew, as long as they are here.
        code = saving.code if store.has_all else None
        return RegisterState.load(data, policy=policy, origin=origin, code=code)
    except SavedUnusable as error:
        _not_used(store, str(error))
        return None


def _not_used(store: RegisterStore, why: str) -> None:
    way = "all entries are replayed" if store.has_all else "all is read again"
    log.warning("the register's saved state isn't used, %s: %s", way, why)
    store.saved_register.forget()


def _leads_to(store: RegisterStore, state: RegisterState, witnessed: Witnessed | None) -> bool:
    """Return whether a state, with the entries after it, leads to the checkpoint."""
    if witnessed is None:
        return True
    growth, size = state.growth(), witnessed.checkpoint.size
    if growth.size > size:  # a long read was interrupted
        return state.root(size) in (None, witnessed.checkpoint.root)
    growth.add(islice(store.entries.from_number(state.size), size - state.size))
    return growth.matches(witnessed)


def _begin_after(store: RegisterStore, state: RegisterState, witnessed: Witnessed) -> None:
    """Let a read go on after a state that is older than the checkpoint, which binds it.

    Entries that are here, but too few, are what an interrupted read has left: they stay on trial.
    Others don't lead to the checkpoint: they are dropped.
    """
    bases = (store.entries.base - state.size, store.stamps.base - state.taken)
    beyond = islice(store.entries.from_number(state.size), witnessed.checkpoint.size - state.size)
    is_short = state.size + sum(1 for _ in beyond) < witnessed.checkpoint.size
    if max(bases) > 0 or not is_short:
        store.begin_anew(entries=state.size, stamps=state.taken)
        store.drop_pending()
        store.stamps.cut(0)
    store.entries.drop_others()
    store.stamps.drop_others()
    store.counting_bytes = bytes_of(islice(store.entries.read(), state.size - store.entries.base))
    store.stamps.cut(bytes_of(islice(store.stamps.read(), state.taken - store.stamps.base)))
    state.bind(witnessed)


def _replay(
    store: RegisterStore,
    state: RegisterState,
    witnessed: Witnessed | None,
    saving: StateSnapshots,
) -> None:
    """Replay the stored entries after a state up to the checkpoint, and the stamps with them."""
    store.entries.drop_others()
    store.stamps.drop_others()
    before = islice(store.entries.read(), max(0, state.size - store.entries.base))
    store.counting_bytes = bytes_of(before)
    stamps_bytes = bytes_of(islice(store.stamps.read(), max(0, state.taken - store.stamps.base)))
    notes = deque[bytes]()
    later = store.stamps.from_number(state.taken)
    with saving.replaying():
        if witnessed is not None and state.size <= witnessed.checkpoint.size:
            due = witnessed.checkpoint.size - state.size
            entries = _counting(store, islice(store.entries.from_number(state.size), due))
            while part := list(islice(entries, PART_ENTRIES)):
                state.take(_in_turns(part), now_ms=witnessed.fresh_ms)
                stamps_bytes += bytes_of(take_stamps(state, notes, later))
            state.accept(witnessed, ())
        elif witnessed is not None:
            state.bind(witnessed)
        stamps_bytes += bytes_of(take_stamps(state, notes, later))
    store.stamps.cut(stamps_bytes)


def take_stamps(
    followed: RegisterState, notes: deque[bytes], later: Iterator[bytes]
) -> Iterator[bytes]:
    """Take the cosigned times from the front that are of sizes that are here; yield them.

    `later` come after those in the queue, which keeps the first that is of a larger tree.
    """
    while True:
        if not notes:
            notes.extend(islice(later, 1))
        if not notes or not store_cosigned_time(followed, notes[0]):
            return
        note = notes.popleft()
        followed.taken += 1
        followed.stamps_end.add(note)
        yield note


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
    """Return the growth with what an interrupted read left in the store, one part of it. Blocks."""
    growth = followed.growth()
    end_byte = store.counting_bytes
    for entry in islice(store.pending(), min(size - followed.size, PART_ENTRIES)):
        growth.add([entry])
        end_byte += bytes_of([entry])
    if growth.size - followed.size < PART_ENTRIES:  # there is no further part
        store.entries.cut(end_byte)
    return growth


def is_part(store: RegisterStore, followed: RegisterState, growth: PendingGrowth) -> bool:
    """Return whether so much is on trial that it has to be shown to count before more is read."""
    bytes_on_trial = store.entries.size_bytes - store.counting_bytes
    return growth.size - followed.size >= PART_ENTRIES or bytes_on_trial >= PART_BYTES


def keep_pending(store: RegisterStore, growth: PendingGrowth, entries: list[bytes]) -> None:
    """Try entries, and store them in case they prove right. Blocks."""
    check_room(store, entries)
    growth.add(entries)
    store.entries.append(entries)


def check_room(store: RegisterStore, records: Iterable[bytes]) -> None:
    """Raise LogUnreadable if entries and cosigned times would exceed their limit of storage."""
    if store.tail_bytes + bytes_of(records) > MAX_STORED_BYTES:
        raise LogUnreadable("the register's state can't be saved, and the card has no more room")


def take_part(
    store: RegisterStore, followed: RegisterState, growth: PendingGrowth, witnessed: Witnessed
) -> None:
    """Take the entries on trial, which a later checkpoint's log was shown to begin with. Blocks."""
    due = growth.size - followed.size
    store.entries.sync()
    entries = _counting(store, islice(store.pending(), due))
    followed.take(_in_turns(entries), now_ms=witnessed.fresh_ms)


def accept(store: RegisterStore, followed: RegisterState, witnessed: Witnessed) -> None:
    """Let the entries in the store count up to this checkpoint, which they lead to. Blocks.

    What an interrupted read has left beyond it stays on trial.
    """
    store.entries.sync()
    due = witnessed.checkpoint.size - followed.size
    followed.accept(witnessed, _in_turns(_counting(store, islice(store.pending(), due))))
    store.keep_checkpoint(witnessed.note)


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
