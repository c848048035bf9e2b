"""Saved stamps: the times of earlier checkpoints, so that a start needn't verify each again.

Each stamp has the signatures of the log and of its witnesses: for a long register they take longer
than its entries. Saved is what came of them, together with a hash over the very notes that it came
of, in their order: whoever loads has them there. Under another policy they would mean something
else, so it is that policy's alone.
"""

import hashlib
from collections.abc import Iterable

import msgspec

from firmware.protocol.register.facts import Stamps
from firmware.protocol.register.saved_form import SavedUnusable, frame, unframe
from firmware.protocol.tlog.policy import Policy

TAG = b"doorward/saved-stamps/v1\n"


class NotesHash:
    """A running hash over notes in their order."""

    def __init__(self, notes: Iterable[bytes] = ()) -> None:
        self._hash = hashlib.sha256()
        self.count = 0
        for note in notes:
            self.take(note)

    def take(self, note: bytes) -> None:
        """Take the next note."""
        self._hash.update(len(note).to_bytes(4) + note)
        self.count += 1

    def digest(self) -> bytes:
        """Return the hash over all that were taken."""
        return self._hash.digest()


class SavedStamps(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`notes` is the hash over the first `count` notes that the log lists."""

    origin: str
    policy: bytes
    count: int
    notes: bytes
    stamps: list[tuple[int, int]]


def save_stamps(
    stamps: Stamps, notes: NotesHash, *, origin: str, policy: Policy, code: bytes
) -> bytes:
    """Return the notes' stamps as bytes; `code` is `code_digest()`."""
    saved = SavedStamps(
        origin=origin,
        policy=_policy_digest(policy),
        count=notes.count,
        notes=notes.digest(),
        stamps=stamps.pairs(),
    )
    return frame(TAG, saved, code=code)


def load_stamps(
    data: bytes, notes: Iterable[bytes], *, origin: str, policy: Policy, code: bytes
) -> tuple[Stamps, NotesHash]:
    """Return what was saved, and the hash over the notes that it came of, or SavedUnusable.

    `notes` gives those that are here from the first on, and is read no further than what is saved.
    """
    saved = unframe(TAG, SavedStamps, data, code=code)
    if (saved.origin, saved.policy) != (origin, _policy_digest(policy)):
        raise SavedUnusable("it is of another log, or of another policy")
    taken = NotesHash(note for _, note in zip(range(saved.count), notes, strict=False))
    if (taken.count, taken.digest()) != (saved.count, saved.notes):
        raise SavedUnusable("it is of other checkpoints than those that are here")
    stamps = Stamps()
    for size, aged_ms in saved.stamps:
        stamps.add(size, aged_ms)
    return stamps, taken


def _policy_digest(policy: Policy) -> bytes:
    """Return SHA-256 over what the policy says, however its file puts it."""
    return hashlib.sha256(msgspec.msgpack.encode(policy)).digest()
