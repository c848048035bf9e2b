"""Unproved checkpoints: what witnesses signed, and of which the log's files showed nothing.

Files may be out of reach for a while, or a relay hides them because they are another log's. So each
such checkpoint is kept until the log that is followed can tell: its tree has grown as large, or its
tiles are there again. Then it is how the log begins, and is forgotten, or it contradicts the log.

None is pushed out by others. When there is room for no more, nothing is released until the log has
told of some: what is served meanwhile couldn't be kept.
"""

import logging

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.policy import Witnessed
from firmware.transparency.errors import LogUnreadable
from firmware.transparency.register_store import MAX_UNPROVED, RegisterStore
from firmware.transparency.state import RegisterState

log = logging.getLogger(__name__)


class UnprovedCheckpoints:
    """The unproved checkpoints of one register. Methods that use the store block."""

    def __init__(self) -> None:
        self._kept: list[Witnessed] = []

    @property
    def is_full(self) -> bool:
        """Whether there is room for no more; this outlives a restart."""
        return len(self._kept) >= MAX_UNPROVED

    def load(self, store: RegisterStore, followed: RegisterState) -> None:
        """Load those that the policy still accepts."""
        self._kept = []
        try:
            notes = store.unproved()
        except WireError as error:
            log.warning("the kept checkpoints that nothing is known of can't be read: %s", error)
            return
        for note in notes:
            try:
                self._kept.append(followed.check(note.encode()))
            except LogUnreadable as error:
                log.warning("a kept checkpoint is ignored: %s", error)

    def add(self, witnessed: Witnessed, store: RegisterStore) -> None:
        """Keep a checkpoint, as long as there is room; of one tree the note that was signed last.

        One for which there is no room is logged.
        """
        same = [one for one in self._kept if _tree_of(one) == _tree_of(witnessed)]
        if any(one.fresh_ms >= witnessed.fresh_ms for one in same):
            return
        if self.is_full and not same:
            log.error(
                "%d checkpoints couldn't be compared with the register yet, so this one can't be "
                "kept:\n%s",
                MAX_UNPROVED,
                witnessed.note.decode(),
            )
            return
        self._kept = [*(one for one in self._kept if one not in same), witnessed]
        self._keep(store)
        if self.is_full and not same:
            log.error(
                "%d checkpoints of the register couldn't be compared with it yet: nothing is "
                "released until the relay serves the files that they are of",
                MAX_UNPROVED,
            )

    def remove(self, witnessed: Witnessed, store: RegisterStore) -> None:
        """Forget a checkpoint of which all is known."""
        self._kept = [one for one in self._kept if one is not witnessed]
        self._keep(store)

    def up_to(self, size: int) -> list[Witnessed]:
        """Return those of trees that aren't larger, the largest first."""
        smaller = [one for one in self._kept if one.checkpoint.size <= size]
        return sorted(smaller, key=lambda one: one.checkpoint.size, reverse=True)

    def _keep(self, store: RegisterStore) -> None:
        store.keep_unproved([one.note.decode() for one in self._kept])


def _tree_of(witnessed: Witnessed) -> tuple[int, bytes]:
    return witnessed.checkpoint.size, witnessed.checkpoint.root
