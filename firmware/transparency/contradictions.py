"""Contradictions of the register: stored proofs of inconsistency, and whether one stands.

As long as one stands nothing is released. It ends when a later checkpoint of the log that was read
before is seen; the proof stays. Proofs that can't be read may hold one that stands, so they count
as one until the owner has put them elsewhere.
"""

import logging

import msgspec

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.policy import Witnessed
from firmware.transparency.errors import LogContradicts
from firmware.transparency.register_store import MAX_CONTRADICTIONS, Contradiction, RegisterStore

log = logging.getLogger(__name__)


class Contradictions:
    """The contradictions of one register. Methods that use the store block."""

    def __init__(self) -> None:
        self._found: list[Contradiction] = []
        self._is_proof_damaged = False

    @property
    def found(self) -> tuple[Contradiction, ...]:
        """The stored proofs."""
        return tuple(self._found)

    @property
    def is_any_standing(self) -> bool:
        """Whether the register contradicts itself, or may, so that nothing is released."""
        return self._is_proof_damaged or any(one.is_standing for one in self._found)

    def load(self, store: RegisterStore) -> None:
        """Load the stored proofs."""
        try:
            self._found = store.contradictions()
            self._is_proof_damaged = False
        except WireError as error:
            self._is_proof_damaged = True  # one that stands may be among them
            log.error("%s", error)

    def add(self, error: LogContradicts, store: RegisterStore, *, found_ms: int) -> None:
        """Store a new contradiction.

        Of one tree the note counts that was signed last. Of too many the first stays, and those
        that stand the longest.
        """
        log.error("%s; nothing is released until that is over", error)
        new = Contradiction(
            known=error.known.note.decode(),
            other=error.other.note.decode(),
            found_ms=found_ms,
            other_fresh_ms=error.other.fresh_ms,
            is_standing=True,
        )
        text = _text_of(new.other)
        same = [one for one in self._found if _text_of(one.other) == text and one.is_standing]
        newest = max([new, *same], key=_fresh_ms)
        found = [*(one for one in self._found if _text_of(one.other) != text), newest]
        if len(found) > MAX_CONTRADICTIONS:
            found.remove(min(found[1:], key=lambda one: (one.is_standing, _fresh_ms(one))))
        self._found = found
        self._keep(store)

    def end_before(self, witnessed: Witnessed, store: RegisterStore) -> None:
        """End the contradictions of the known log before its later checkpoint; they stay stored."""
        ended = [
            one
            for one in self._found
            if one.is_standing and one.other_fresh_ms < witnessed.fresh_ms
        ]
        if not ended:
            return
        self._found = [
            msgspec.structs.replace(one, is_standing=False) if one in ended else one
            for one in self._found
        ]
        if not self.is_any_standing:
            log.warning("the register is consistent again with the one that was read before")
        self._keep(store)

    def _keep(self, store: RegisterStore) -> None:
        if not self._is_proof_damaged:  # else what is left of the older proof stays as it is
            store.keep_contradictions(self._found)


def _text_of(note: str) -> str:
    """Return a note's signed text, without the signatures."""
    return note.partition("\n\n")[0]


def _fresh_ms(one: Contradiction) -> int:
    return one.other_fresh_ms
