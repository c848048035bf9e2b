"""The register's replay in this process: from the first entry, or from a saved state.

Each process replays for itself. What it came to is saved now and then in the relay's data folder,
where the next process begins with it. Nobody else's word is ever read there.
"""

import asyncio
import logging
from collections.abc import Sequence

from firmware.protocol.register.replay import Register
from firmware.protocol.register.saved import load_register, save_register
from firmware.protocol.register.saved_form import SavedUnusable, code_digest
from firmware.protocol.tlog.merkle import Frontier, Tree, leaf_hash
from relay.store.cache_file import CacheFile

SAVE_EVERY = 1000
"""Entries: as many are replayed in half a second."""
MANY = 200
"""More new entries than this are replayed beside the loop; that is at the start only."""
PIECE = 20
"""Of many that come later, so many are replayed before others have their turn."""

log = logging.getLogger(__name__)


class Replayed:
    """The register's state after some entries, and the edge of the tree over them."""

    def __init__(self, register: Register, edge: Frontier) -> None:
        self.register = register
        self._edge = edge

    def apply(self, entry: bytes) -> None:
        """Apply the next entry."""
        self._edge.append(leaf_hash(entry))
        self.register.apply(entry)

    def save(self, *, code: bytes) -> bytes:
        """Return the state as bytes."""
        return save_register(self.register, root=self._edge.root(), code=code)


class RegisterReplay:
    """Applies added entries in order; one call at a time."""

    def __init__(self, origin: str, saved: CacheFile | None) -> None:
        self._origin = origin
        self._saved = saved
        self._saved_size = 0
        self._code = code_digest()
        self._replayed = Replayed(Register(origin), Frontier())

    @property
    def register(self) -> Register:
        """The register after all entries that were applied."""
        return self._replayed.register

    async def take(self, entries: Sequence[bytes]) -> None:
        """Apply the next entries. Cancelled, it has taken some of them, or none."""
        if self.register.size == 0 and len(entries) > MANY:
            self._replayed = await asyncio.to_thread(self._from_the_first, entries)
        else:
            for number, entry in enumerate(entries, 1):
                self._replayed.apply(entry)
                if number % PIECE == 0:
                    await asyncio.sleep(0)
        if self._saved is not None and self.register.size - self._saved_size >= SAVE_EVERY:
            self._saved_size = self.register.size
            try:
                data = self._replayed.save(code=self._code)
            except SavedUnusable as error:
                log.warning("the register's state isn't saved: %s", error)
                return
            await asyncio.to_thread(self._saved.write, data)

    def _from_the_first(self, entries: Sequence[bytes]) -> Replayed:
        replayed = self._resumed(entries) or Replayed(Register(self._origin), Frontier())
        for entry in entries[replayed.register.size :]:
            replayed.apply(entry)
        return replayed

    def _resumed(self, entries: Sequence[bytes]) -> Replayed | None:
        data = None if self._saved is None else self._saved.read()
        if data is None:
            return None
        tree = Tree(map(leaf_hash, entries))
        try:
            register = load_register(
                data, origin=self._origin, tree=tree, entries=entries, code=self._code
            )
        except SavedUnusable as error:
            log.warning("the register's saved state isn't used, all is replayed: %s", error)
            return None
        self._saved_size = register.size
        edge = Frontier()
        edge.extend(tree.subtree_hashes(0, 0, register.size))
        return Replayed(register, edge)
