"""State of a followed register, as a pure state machine: bytes in, `RegisterFacts` out.

Invariants: the state is that of the newest witnessed checkpoint that was accepted; it never goes
back, and never becomes that of a log which doesn't begin with it. Not here: files and network.
"""

from collections.abc import Iterable

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
from firmware.protocol.register.replay import Register
from firmware.protocol.register.saved import save_register
from firmware.protocol.register.saved_stamps import NotesHash, save_stamps
from firmware.protocol.tlog.merkle import Frontier, Tree, leaf_hash
from firmware.protocol.tlog.policy import Policy, Witnessed
from firmware.protocol.tlog.proof import TlogProof
from firmware.transparency.errors import LogContradicts, LogUnreadable


class PendingGrowth:
    """Entries on trial: taken one by one, and of no effect until their root is the right one.

    `bound` is a checkpoint that they must lead past, where the trial begins before it.
    """

    def __init__(self, frontier: Frontier, bound: Witnessed | None) -> None:
        self._frontier = frontier
        self._bound = None if bound is None else bound.checkpoint
        self._is_other = False

    @property
    def size(self) -> int:
        """Number of entries of the log with those on trial."""
        return self._frontier.size

    @property
    def is_other(self) -> bool:
        """Whether they are another log than the one that was read before."""
        return self._is_other

    def add(self, entries: Iterable[bytes]) -> None:
        """Try the next entries."""
        for entry in entries:
            self._frontier.append(leaf_hash(entry))
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
        self._tree = Tree()
        self._edge = Frontier()
        self._newest: Witnessed | None = None
        self._newest_note: str | None = None
        self._bound: Witnessed | None = None

    @property
    def size(self) -> int:
        """Number of accepted entries."""
        return self._tree.size

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

    def restore(self, register: Register, tree: Tree) -> None:
        """Begin with a state that was saved, in place of the entries that led to it.

        `tree` begins with these entries; `accept` comes next, with those that follow.
        """
        hashes = tree.subtree_hashes(0, 0, register.size)
        self._register, self._tree, self._edge = register, Tree(hashes), Frontier()
        self._edge.extend(hashes)

    def restore_cosigned_times(self, stamps: Stamps) -> None:
        """Restore cosigned times, which were checked when they were saved."""
        for size, aged_ms in stamps.pairs():
            self._stamps.add(size, aged_ms)

    def save_register(self, *, code: bytes) -> bytes:
        """Return the register's state as bytes."""
        return save_register(self._register, root=self._edge.root(), code=code)

    def save_cosigned_times(self, noted: NotesHash, *, code: bytes) -> bytes:
        """Return the cosigned times as bytes; `noted` are all added by `add_cosigned_time`."""
        return save_stamps(self._stamps, noted, origin=self.origin, policy=self._policy, code=code)

    def check_known(self, witnessed: Witnessed) -> None:
        """Raise LogContradicts if a checkpoint isn't larger and is of another log."""
        size = witnessed.checkpoint.size
        if self._newest is None or size > self.size:
            return
        if self._tree.root(size) != witnessed.checkpoint.root:
            raise LogContradicts(self._newest, witnessed)

    def growth(self) -> PendingGrowth:
        """Return a `PendingGrowth` for entries beyond the accepted ones."""
        return PendingGrowth(Frontier(self._edge.size, self._edge.hashes), self._bound)

    def whole(self) -> PendingGrowth:
        """Return a `PendingGrowth` that tries all entries anew, from the first."""
        return PendingGrowth(Frontier(), self.known)

    def accept(self, witnessed: Witnessed, entries: Iterable[bytes]) -> None:
        """Take the entries that lead to this checkpoint; whether they do was tried before.

        Raises LogUnreadable if they don't; then this object is of no use any more.
        """
        for entry in entries:
            hashed = leaf_hash(entry)
            self._tree.append(hashed)
            self._edge.append(hashed)
            self._register.apply(entry)
        checkpoint = witnessed.checkpoint
        if (self._tree.size, self._edge.root()) != (checkpoint.size, checkpoint.root):
            raise LogUnreadable("the entries aren't those of the checkpoint")
        self._bound = None
        self._stamps.add(checkpoint.size, witnessed.aged_ms)
        if not self._is_known_fresher(witnessed):
            self._newest = witnessed
            note = self._policy.only_known(witnessed.note)
            self._newest_note = note.decode() if len(note) <= MAX_WITNESSED_BYTES else None

    def add_cosigned_time(self, note: bytes) -> bool:
        """Add the time at which so many entries were witnessed; False if some aren't here yet.

        Raises LogUnreadable for one that doesn't count, LogContradicts for one of another log.
        """
        witnessed = self.check(note)
        if witnessed.checkpoint.size > self.size:
            return False
        self.check_known(witnessed)
        self._stamps.add(witnessed.checkpoint.size, witnessed.aged_ms)
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

    def proof(self, index: int) -> bytes:
        """Return the tlog-proof that an entry is in the log of the newest checkpoint."""
        if self._newest is None:
            raise LogUnreadable("nothing of the register is known")
        hashes = tuple(self._tree.inclusion_proof(index))
        return TlogProof(index=index, hashes=hashes, note=self._newest.note).encode()

    def seen_size(self, index: int) -> int | None:
        """Return the size of the tree in which witnesses first saw an entry."""
        return self._stamps.seen_size(index)

    def earlier(self, note: bytes) -> EarlierCheckpoint:
        """Return a checkpoint that was read before, with the proof that it is of this log."""
        size = self.check(note).checkpoint.size
        hashes = [b64u(one) for one in self._tree.consistency_proof(size)]
        return EarlierCheckpoint(note=self._policy.only_known(note).decode(), hashes=hashes)

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
