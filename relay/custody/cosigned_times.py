"""Cosigned times of one log, as far as this process has read its stamps.

Each stamp is a checkpoint with its signatures: a long log has thousands, and checking them all
takes seconds. What they said is saved now and then, for the next process to begin with
(firmware/protocol/register/saved_stamps.py says why that can be believed).
"""

import asyncio
import logging
from collections.abc import Sequence

from firmware.protocol.register.facts import Stamps
from firmware.protocol.register.saved_form import SavedUnusable, code_digest
from firmware.protocol.register.saved_stamps import NotesHash, load_stamps, save_stamps
from firmware.protocol.tlog.policy import Policy, Witnessed
from relay.store.cache_file import CacheFile

SAVE_EVERY = 1000
"""Stamps: as many are checked in a third of a second."""
MANY = 200
"""More new stamps than this are checked beside the loop; that is at the start only."""

log = logging.getLogger(__name__)


class CosignedTimes:
    """The parsed stamps of one log; one call at a time."""

    def __init__(self, *, origin: str, policy: Policy, saved: CacheFile | None) -> None:
        self._origin = origin
        self._policy = policy
        self._saved = saved
        self._saved_count = 0
        self._code = code_digest()
        self._stamps = Stamps()
        self._taken = NotesHash()

    @property
    def count(self) -> int:
        """The number of notes parsed so far."""
        return self._taken.count

    @property
    def stamps(self) -> Stamps:
        """The cosigned times so far. It grows; don't change it."""
        return self._stamps

    async def take(self, notes: Sequence[bytes]) -> None:
        """Parse the next notes of the list; raises WireError for an invalid one."""
        if self.count == 0 and len(notes) > MANY and self._saved is not None:
            resumed = await asyncio.to_thread(self._resumed, self._saved, notes)
            if resumed is not None:
                self._stamps, self._taken = resumed
                self._saved_count = self.count
                notes = notes[self.count :]
        if len(notes) > MANY:
            checked = await asyncio.to_thread(self._check_all, notes)
        else:
            checked = self._check_all(notes)
        for note, witnessed in zip(notes, checked, strict=True):
            self._stamps.add(witnessed.checkpoint.size, witnessed.aged_ms)
            self._taken.take(note)
        if self._saved is not None and self.count - self._saved_count >= SAVE_EVERY:
            await self._save(self._saved)

    def _check_all(self, notes: Sequence[bytes]) -> list[Witnessed]:
        return [self._policy.check(note, origin=self._origin) for note in notes]

    def _resumed(self, saved: CacheFile, notes: Sequence[bytes]) -> tuple[Stamps, NotesHash] | None:
        data = saved.read()
        if data is None:
            return None
        try:
            return load_stamps(
                data, notes, origin=self._origin, policy=self._policy, code=self._code
            )
        except SavedUnusable as error:
            log.warning("the log's saved stamps aren't used, all are checked: %s", error)
            return None

    async def _save(self, saved: CacheFile) -> None:
        self._saved_count = self.count
        try:
            data = save_stamps(
                self._stamps,
                self._taken,
                origin=self._origin,
                policy=self._policy,
                code=self._code,
            )
        except SavedUnusable as error:
            log.warning("the log's stamps aren't saved: %s", error)
            return
        await asyncio.to_thread(saved.write, data)
