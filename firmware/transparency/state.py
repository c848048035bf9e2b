"""State of a followed register, as a pure state machine: bytes in, `RegisterFacts` out.

Of the entries it keeps those that something still rests on (`Register.needed_indexes`) with the
hashes that prove them, so that it takes no more memory for a longer log, but 16 bytes a request.

Invariants: the state is that of the newest witnessed checkpoint that was accepted; it never goes
back, and never becomes that of a log which doesn't begin with it. Not here: files and network.
"""

from collections.abc import Iterable, Mapping

from firmware.consent.request_rules import is_fresh
from firmware.protocol.encoding import WireError, b64u
from firmware.protocol.footage import MAX_WITNESSED_BYTES
from firmware.protocol.register.chain import ExtractPlaces, places_of
from firmware.protocol.register.extract import EarlierCheckpoint
from firmware.protocol.register.facts import (
    RegisterFacts,
    Stamps,
    agreement_in_force,
    facts_of,
    no_register,
    place_of_limits,
)
from firmware.protocol.register.records import EntryVoid
from firmware.protocol.register.replay import Register
from firmware.protocol.register.saved import restore_register, saved_form_of
from firmware.protocol.register.saved_form import SavedUnusable, frame_in_pieces, unframe
from firmware.protocol.register.succession import succession_of
from firmware.protocol.tlog.checkpoint import Checkpoint
from firmware.protocol.tlog.kept_tree import KeptTree
from firmware.protocol.tlog.merkle import EMPTY_ROOT, Frontier, leaf_hash
from firmware.protocol.tlog.policy import Policy, Witnessed
from firmware.protocol.tlog.proof import TlogProof
from firmware.protocol.tlog.tiles import TILE_WIDTH, encoded_bytes
from firmware.transparency.errors import LogContradicts, LogUnreadable
from firmware.transparency.memory_limits import MAX_KEPT_BYTES
from firmware.transparency.saved_state import TAG, SavedFollowing, policy_digest

LATER_BY_MS = 10 * 60 * 1000
"""A smaller checkpoint that was witnessed so much later than a larger one is no old copy."""
FORGET_EVERY = 512
KEPT_BESIDE = 64
"""So many entries stay after nothing rests on them: forgetting looks at all that is kept."""


class BundleEnd:
    """How many bytes of a log's last, partial bundle were read: what is new begins there."""

    def __init__(self, count: int = 0, size_bytes: int = 0) -> None:
        self._count = count
        self.size_bytes = size_bytes

    def add(self, record: bytes) -> None:
        """Note the next record."""
        if self._count % TILE_WIDTH == 0:
            self.size_bytes = 0
        self.size_bytes += encoded_bytes(record)
        self._count += 1

    def copy(self) -> "BundleEnd":
        """Return another that goes on from here."""
        return BundleEnd(self._count, self.size_bytes)


class PendingGrowth:
    """Entries on trial: taken one by one, and of no effect until their root is the right one.

    `bound` is a checkpoint that they must lead past, where the trial begins before it.
    """

    def __init__(self, frontier: Frontier, bound: Witnessed | None, known: "BundleEnd") -> None:
        self._frontier = frontier
        self.end = known.copy()
        """Where its last bundle goes on."""
        self._bound = None if bound is None else bound.checkpoint
        self._is_other = False

    @property
    def size(self) -> int:
        """Number of entries of the log with those on trial."""
        return self._frontier.size

    @property
    def frontier(self) -> Frontier:
        """The right edge of the log with those on trial."""
        return self._frontier

    @property
    def is_other(self) -> bool:
        """Whether they are another log than the one that was read before."""
        return self._is_other

    def add(self, entries: Iterable[bytes]) -> None:
        """Try the next entries."""
        for entry in entries:
            self._frontier.append(leaf_hash(entry))
            self.end.add(entry)
            bound = self._bound
            if bound is not None and self._frontier.size == bound.size:
                self._is_other = self._frontier.root() != bound.root

    def matches(self, witnessed: Witnessed) -> bool:
        """Return whether they make exactly the log of this checkpoint."""
        return (
            self._frontier.size == witnessed.checkpoint.size
            and self._frontier.root() == witnessed.checkpoint.root
        )


class RegisterState:
    """The accepted entries and checkpoints of one register."""

    def __init__(self, *, policy: Policy, origin: str) -> None:
        self._policy = policy
        self.origin = origin
        self._register = Register(origin, charter=policy.charter_of(origin))
        self._stamps = Stamps()
        self._tree = KeptTree()
        self._end = BundleEnd()
        self.stamps_end = BundleEnd()
        """Where the last bundle of stamps goes on."""
        self._entries: dict[int, bytes] = {}
        self._last = b""
        self._notes: dict[int, bytes] = {}
        self._newest: Witnessed | None = None
        self._newest_note: str | None = None
        self._bound: Witnessed | None = None
        self._forget_beyond = (KEPT_BESIDE, KEPT_BESIDE)
        self.taken = 0
        """How many stamps of the log's list were read."""

    @property
    def size(self) -> int:
        """Number of accepted entries."""
        return self._tree.size

    @property
    def is_between(self) -> bool:
        """Whether there are more entries than the newest checkpoint's: a long read isn't over."""
        return self._newest is not None and self.size != self._newest.checkpoint.size

    @property
    def charter(self) -> str | None:
        """SHA-256 over the first entry, where the policy names it."""
        return self._policy.charter_of(self.origin)

    @property
    def newest(self) -> Witnessed | None:
        """The newest checkpoint that was accepted."""
        return self._newest

    @property
    def newest_note(self) -> str | None:
        """That checkpoint as text, with the signatures that count; None if it is too long."""
        return self._newest_note

    @property
    def known(self) -> Witnessed | None:
        """The newest checkpoint that was ever accepted, also if its entries were lost."""
        return self._newest or self._bound

    @property
    def lacks_entries(self) -> bool:
        """Whether entries were lost that lead to the checkpoint which was read before."""
        return self._bound is not None

    @property
    def freshness_ms(self) -> int:
        """Age of the newest checkpoint from which on nothing is released any more."""
        return self._register.delays.freshness_ms

    @property
    def slot_ms(self) -> int | None:
        """Length of a slot; None as long as the charter wasn't read."""
        return self._register.delays.slot_ms if self._register.limits else None

    def check(self, note: bytes) -> Witnessed:
        """Return a checkpoint of this register that a quorum signed, or raise LogUnreadable."""
        try:
            return self._policy.check(note, origin=self.origin)
        except WireError as error:
            raise LogUnreadable(f"the register's checkpoint doesn't count: {error}") from error

    def bind(self, witnessed: Witnessed) -> None:
        """Take a checkpoint that was accepted before, but whose entries are lost.

        Nothing is known then; and no log counts that doesn't lead past it.
        """
        self._bound = witnessed

    def save(self, *, code: bytes) -> list[bytes]:
        """Return all that is kept as bytes in pieces, or raise SavedUnusable if it is too much."""
        saved = SavedFollowing(
            policy=policy_digest(self._policy),
            register=saved_form_of(self._register, root=self._tree.root() or EMPTY_ROOT),
            tree=self._tree.save(),
            entries=sorted(self._entries.items()),
            last=self._last,
            stamps=self._stamps.pairs(),
            notes=sorted(self._notes.items()),
            taken=self.taken,
            ends=(self._end.size_bytes, self.stamps_end.size_bytes),
        )
        return frame_in_pieces(TAG, saved, code=code)

    @classmethod
    def load(
        cls, data: bytes | memoryview, *, policy: Policy, origin: str, code: bytes | None
    ) -> "RegisterState":
        """Return the state that was saved, or raise SavedUnusable.

        Its signature was checked. Without `code` that of another version of the program counts too.
        """
        saved = unframe(TAG, SavedFollowing, data, code=code)
        if saved.policy != policy_digest(policy):
            raise SavedUnusable("it was saved under another policy")
        state = cls(policy=policy, origin=origin)
        state._entries = dict(saved.entries)
        state._last = saved.last
        size = saved.register.size
        lasts = [] if size == 0 or size - 1 in state._entries else [(size - 1, saved.last)]
        try:
            state._register = restore_register(
                saved.register, [*saved.entries, *lasts], origin=origin, charter=state.charter
            )
            state._tree = KeptTree.load(saved.tree, [*state._entries, *_ends(dict(saved.notes))])
        except WireError as error:
            raise SavedUnusable(str(error)) from error
        if (state._tree.size, state._tree.root()) != (size, saved.register.root):
            raise SavedUnusable("its tree isn't that of its register")
        for stamp in saved.stamps:
            state._stamps.add(*stamp)
        state._notes = dict(saved.notes)
        state.taken = saved.taken
        state._end = BundleEnd(size, saved.ends[0])
        state.stamps_end = BundleEnd(saved.taken, saved.ends[1])
        return state

    def check_known(self, witnessed: Witnessed) -> None:
        """Raise LogContradicts if a checkpoint isn't larger and is of another log.

        Of one that is much smaller the root isn't known any more: see `is_too_old`.
        """
        size = witnessed.checkpoint.size
        if self._newest is None or size > self.size or self.is_too_old(witnessed):
            return
        if self._tree.root(size) != witnessed.checkpoint.root:
            raise LogContradicts(self._newest, witnessed)

    def check_successor(self, first: bytes, *, now_ms: int) -> Checkpoint | None:
        """Raise WireError unless the register that begins so succeeds this one, as it is here.

        It names a size of this register with its root, and those who signed for this one are its
        administrators still: so all of this one must be here, and witnesses signed it lately.
        Returns size and root if that root isn't known any more: the log's tiles are to prove it.
        """
        named = succession_of(first)
        if named is None or named.origin != self.origin:
            raise EntryVoid(f"its charter doesn't say that it succeeds {self.origin}")
        newest = self._newest
        if newest is None or self.lacks_entries or self.is_between:
            raise EntryVoid(f"{self.origin} isn't read whole yet: wait until it is")
        if not is_fresh(newest.fresh_ms, self._register.delays, now_ms):
            raise EntryVoid(
                f"what is known here of {self.origin} is too old to tell who its administrators "
                "are, or the time is wrong: its witnesses must sign, and its relay serve that"
            )
        if named.size > self.size:
            raise EntryVoid(f"{self.origin} has {self.size} entries here, and not {named.size} yet")
        for admin in named.by:
            known = self._register.admins.get(admin.id)
            if known is None or known.key != admin.key:
                raise EntryVoid(f"{admin.id!r} is no administrator of {self.origin}")
        root = self.root(named.size)
        if root is None:
            claimed = bytes.fromhex(named.root)
            return Checkpoint(origin=self.origin, size=named.size, root=claimed)
        if root.hex() != named.root:
            raise EntryVoid(f"it succeeds another {self.origin} than is known here")
        return None

    def is_too_old(self, witnessed: Witnessed) -> bool:
        """Return whether a checkpoint is so small that what is here can't tell if it is right."""
        return witnessed.checkpoint.size < self._tree.oldest_size

    def is_rolled_back(self, witnessed: Witnessed) -> bool:
        """Return whether witnesses signed a smaller tree after the larger one that was read."""
        newest = self._newest
        return (
            newest is not None
            and witnessed.checkpoint.size < newest.checkpoint.size
            and witnessed.fresh_ms > newest.fresh_ms + LATER_BY_MS
        )

    def root(self, size: int) -> bytes | None:
        """Return the root over the first entries; None if it isn't known any more."""
        return self._tree.root(size)

    def frontier(self) -> Frontier:
        """Return the right edge of the accepted entries."""
        return self._tree.frontier()

    def as_checkpoint(self) -> Checkpoint:
        """Return size and root of the accepted entries, which nobody signed."""
        return Checkpoint(origin=self.origin, size=self.size, root=self._tree.root() or EMPTY_ROOT)

    def emptied(self) -> "RegisterState":
        """Return a state without entries, which the same checkpoint binds."""
        state = RegisterState(policy=self._policy, origin=self.origin)
        state._bound = self.known
        return state

    def growth(self) -> PendingGrowth:
        """Return a `PendingGrowth` for entries beyond the accepted ones."""
        return PendingGrowth(self._tree.frontier(), self._bound, self._end)

    def accept(self, witnessed: Witnessed, entries: Iterable[bytes]) -> None:
        """Take the entries that lead to this checkpoint; whether they do was tried before.

        Raises LogUnreadable if they don't; then this object is of no use any more.
        """
        self.take(entries, now_ms=witnessed.fresh_ms)
        checkpoint = witnessed.checkpoint
        if (self._tree.size, self._tree.root()) != (checkpoint.size, checkpoint.root):
            raise LogUnreadable("the entries aren't those of the checkpoint")
        self._bound = None
        self._stamps.add(checkpoint.size, witnessed.aged_ms)
        if not self._is_known_fresher(witnessed):
            self._newest = witnessed
            note = self._policy.only_known(witnessed.note)
            self._newest_note = note.decode() if len(note) <= MAX_WITNESSED_BYTES else None

    def take(self, entries: Iterable[bytes], *, now_ms: int) -> None:
        """Take entries that are proved to be in the log of a checkpoint that was signed then.

        Raises LogUnreadable if more rests on them than this doorbell can hold.
        """
        self._register.forget_ended(now_ms)
        for number, entry in enumerate(entries, 1):
            index = self._tree.size
            self._tree.append(leaf_hash(entry))
            self._end.add(entry)
            self._last = entry
            if self._register.apply(entry) is None:
                self._entries[index] = entry
                self._tree.keep(index)
            if number % FORGET_EVERY == 0:
                self._forget()
        self._forget()
        self._check_room()

    def _check_room(self) -> None:
        """Raise LogUnreadable if more is kept than the board's memory has room for."""
        kept = (*self._entries.values(), *self._notes.values())
        if sum(map(len, kept)) > MAX_KEPT_BYTES:
            raise LogUnreadable(
                "more agencies, officers and requests stand than this doorbell holds"
            )

    def _forget(self) -> None:
        """Forget what nothing rests on any more."""
        most_entries, most_notes = self._forget_beyond
        if len(self._entries) <= most_entries and len(self._notes) <= most_notes:
            return
        needed = self._register.needed_indexes()
        self._entries = {index: self._entries[index] for index in sorted(needed)}
        self._stamps.keep_for(needed)
        shown = {self._stamps.seen_size(index) for index in self._register.aged_indexes()}
        self._notes = {size: note for size, note in self._notes.items() if size in shown}
        self._tree.keep_only({*needed, *_ends(self._notes)})
        many = len(self._entries) + len(self._entries) // 8 + KEPT_BESIDE
        self._forget_beyond = (many, 2 * len(self._notes) + KEPT_BESIDE)

    def add_cosigned_time(self, note: bytes) -> bool:
        """Add the time at which so many entries were witnessed; False if some aren't here yet.

        Raises LogUnreadable for one that doesn't count, LogContradicts for one of another log.
        """
        witnessed = self.check(note)
        size = witnessed.checkpoint.size
        if size > self.size:
            return False
        if 0 < size <= self._tree.oldest_size:  # its last entry is let go already
            raise LogUnreadable("a stamp comes too late to be compared with what was read")
        self.check_known(witnessed)
        self._stamps.add(size, witnessed.aged_ms)
        if size and self._stamps.seen_size(size - 1) == size:
            self._notes[size] = note
            self._tree.keep(size - 1)
            self._forget()
        return True

    def places(self, request_digest: str, *, now_ms: int) -> ExtractPlaces | None:
        """Return where the entries are that gave a request its right; None if it has none now."""
        facts = self.facts(requests_since_ms=now_ms)  # of it, only the agreements are needed
        record = self._register.requests.get(request_digest)
        if record is None:
            return None
        agreement = agreement_in_force(facts, record.request.agency, now_ms)
        if agreement is None:
            return None
        version = self._register.agreements[agreement.agency][agreement.version - 1]
        limits = self._register.limits[place_of_limits(self._register, self._stamps, now_ms)]
        return places_of(self._register, record, agreement=version.index, limits=limits.index)

    def entries_at(self, indices: Iterable[int]) -> Mapping[int, bytes]:
        """Return some of the kept entries, of which the last of all is one."""
        known = {**self._entries, self.size - 1: self._last}
        return {index: known[index] for index in indices}

    def proof(self, index: int) -> bytes:
        """Return the tlog-proof that an entry is in the log of the newest checkpoint."""
        if self._newest is None or self.is_between:
            raise LogUnreadable("nothing of the register is known, or it is being read")
        hashes = tuple(self._tree.inclusion_proof(index))
        return TlogProof(index=index, hashes=hashes, note=self._newest.note).encode()

    def earlier_checkpoints(self, places: ExtractPlaces) -> list[EarlierCheckpoint]:
        """Return the oldest checkpoints that show how old is what let a request in (R17, R20)."""
        sizes = {self._stamps.seen_size(index) for index in places.aged}
        return [self._earlier(size) for size in sorted(self._notes) if size in sizes]

    def _earlier(self, size: int) -> EarlierCheckpoint:
        """Return a checkpoint that was read before, with the proof that it is of this log."""
        hashes = [b64u(one) for one in self._tree.consistency_proof(size)]
        note = self._policy.only_known(self._notes[size]).decode()
        return EarlierCheckpoint(note=note, hashes=hashes)

    def facts(self, *, requests_since_ms: int) -> RegisterFacts:
        """Return the register's facts for the rules, without requests that ended before."""
        if self._newest is None:
            return no_register(self.origin)
        return facts_of(
            self._register,
            self._stamps,
            fresh_ms=self._newest.fresh_ms,
            requests_since_ms=requests_since_ms,
        )

    def _is_known_fresher(self, witnessed: Witnessed) -> bool:
        """Return whether this very tree was cosigned later, in a checkpoint that is here."""
        newest = self._newest
        return (
            newest is not None
            and newest.checkpoint.size == witnessed.checkpoint.size
            and newest.fresh_ms > witnessed.fresh_ms
        )


def _ends(notes: Mapping[int, bytes]) -> set[int]:
    """Return the last leaves of the trees that notes are of, which prove that those are earlier."""
    return {size - 1 for size in notes}
