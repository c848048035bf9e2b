"""Snapshots of the follower's state: when they are saved, and how a start uses them.

A snapshot is in the doorbell's own storage, signed by its identity (state_signature.py): nobody
else's is trusted, and none is read from a relay. If it is unusable, the entries are replayed, or,
where they aren't here any more, read anew from the log; the next save replaces it.

It is written at most once a day, or when the next start would need more than a second for the
entries since, or when these take much of the card: each write wears it, and a power cut leaves the
old one or the new one. Once it is written, entries and stamps before it may go (register_store.py).
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from firmware.protocol.register.saved_form import SavedUnusable, code_digest
from firmware.system.clock import Clock
from firmware.transparency.register_store import MAX_TAIL_BYTES, RegisterStore, SavedFile
from firmware.transparency.state import RegisterState
from firmware.transparency.state_signature import IdentitySigner, sign_state, verify_state

SAVE_EVERY_NS = 24 * 3600 * 10**9
MAX_REPLAY_NS = 10**9

log = logging.getLogger(__name__)


class StateSnapshots:
    """Saves and loads one follower's snapshots. All methods block."""

    def __init__(self, clock: Clock, signer: IdentitySigner | None) -> None:
        """`signer` is the doorbell's identity. Without one nothing is saved or loaded."""
        self._clock = clock
        self._signer = signer
        self.code = code_digest()
        self._saved_at_ns = clock.monotonic_ns()
        self._saved = (0, 0)  # entries, and stamps
        self._replay_ns = 0

    def state_in(self, file: SavedFile) -> memoryview | None:
        """Return the state that this doorbell saved; None if there is none.

        Raises SavedUnusable for one that can't be read, or that this doorbell didn't sign.
        """
        if self._signer is None:
            return None
        data = file.read()
        return None if data is None else verify_state(data, self._signer)

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """Note how long replaying takes: the next start would take as long for it."""
        begun_ns = self._clock.monotonic_ns()
        try:
            yield
        finally:
            self._replay_ns += self._clock.monotonic_ns() - begun_ns

    def save_if_due(
        self, store: RegisterStore, followed: RegisterState, *, is_long_read: bool = False
    ) -> None:
        """Save if it is time and something is new. A storage error only costs time.

        Within a long read only what the card has no room for makes it time.
        """
        now_ns = self._clock.monotonic_ns()
        is_large = store.tail_bytes > MAX_TAIL_BYTES
        is_old = now_ns - self._saved_at_ns >= SAVE_EVERY_NS
        is_late = not is_long_read and (is_old or self._replay_ns > MAX_REPLAY_NS)
        reached = (followed.size, followed.taken)
        if self._signer is None:
            if is_large:  # there is no next start
                store.begin_anew(entries=followed.size, stamps=followed.taken)
            return
        if not (is_late or is_large) or reached == self._saved:
            return
        try:
            store.saved_register.write(sign_state(followed.save(code=self.code), self._signer))
            if is_large:
                store.begin_anew(entries=followed.size, stamps=followed.taken)
        except (OSError, SavedUnusable) as error:
            log.warning(
                "the register's state isn't saved, so the next start takes longer: %s", error
            )
        self._saved, self._saved_at_ns, self._replay_ns = reached, now_ns, 0
