"""Trees of a log that others have seen: the bucket, the backup's copy of it, and each witness.

A checkpoint counts here as soon as the log's own key signed it, cosigned or not: it was decided on,
and another of its size must never be. That a witness is away proves nothing; it has to be named.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from firmware.protocol.tlog.policy import Policy
from firmware.protocol.tlog.signed_note import NoteSigner
from relay.backup.errors import BackupError, WouldFork
from relay.backup.stored_log import StoredLog
from relay.custody.witnesses import Witnesses, WitnessUnusable


class LogFileSource(Protocol):
    """A store of a log's files: a bucket, or a folder of the backup."""

    async def get(self, key: str, *, max_bytes: int) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedTree:
    """The largest tree seen by one source; without a checkpoint only its size is known."""

    where: str
    size: int
    checkpoint: Checkpoint | None = None
    note: bytes | None = None


def signed_by_log(note: bytes, where: str, signer: NoteSigner) -> ObservedTree:
    """Return a checkpoint if the log's own key signed it, or raise WouldFork."""
    try:
        opened = open_checkpoint(note, logs=[signer.key], witnesses={})
    except WireError as error:
        raise WouldFork(
            f"{where} shows a checkpoint that isn't this log's ({error}). Is it another relay's? "
            "Nothing is restored beside it"
        ) from error
    if opened.checkpoint.origin != signer.key.name:
        raise WouldFork(f"{where} holds the log {opened.checkpoint.origin}, not {signer.key.name}")
    checkpoint = opened.checkpoint
    return ObservedTree(where=where, size=checkpoint.size, checkpoint=checkpoint, note=note)


async def ask_witnesses(
    known: StoredLog,
    *,
    policy: Policy,
    signer: NoteSigner,
    witnesses: Witnesses,
    without: Collection[str],
) -> list[ObservedTree]:
    """Return each witness's last signed tree, or raise BackupError if one doesn't answer."""
    names = {witness.name for witness in policy.witnesses}
    if unknown := sorted(set(without) - names):
        raise BackupError(f"the policy names no witness {unknown[0]}: {', '.join(sorted(names))}")
    if policy.is_met_by(set(without)):
        raise BackupError(
            "the witnesses that you leave out are a quorum: they alone may have seen a larger tree"
        )
    note, size = known.published, known.published_size
    if note is None:
        size = known.size
        root = known.tree.root(size)
        note = sign_checkpoint(Checkpoint(origin=known.origin, size=size, root=root), signer)
    seen: list[ObservedTree] = []
    for witness in policy.witnesses:
        if witness.name in without:
            continue
        where = f"the witness {witness.name}"
        try:
            last_size = await witnesses.last_size(witness, note, known.tree, size)
            last = await witnesses.last_note(witness, known.origin) if last_size > size else None
        except WitnessUnusable as error:
            raise BackupError(
                f"{error}. It may have seen more of {known.origin} than this backup holds: bring "
                f"it back, or say --without-witness {witness.name} if it is gone for good"
            ) from error
        seen.append(ObservedTree(where=where, size=last_size))
        if last is not None:
            seen.append(signed_by_log(last, where, signer))
    return seen


def check_consistency(known: StoredLog, seen: Sequence[ObservedTree]) -> None:
    """Raise WouldFork if a source has seen another tree of a size than the database's."""
    for one in seen:
        if one.checkpoint is None or one.size > known.size:
            continue
        if one.checkpoint.root != known.tree.root(one.size):
            raise WouldFork(
                f"{known.origin}: {one.where} knows other entries for the first {one.size} than "
                "this backup: signing on would show two histories. Is it another relay's backup?"
            )
    largest: dict[int, Checkpoint] = {}
    for one in seen:
        if one.checkpoint is None:
            continue
        if largest.setdefault(one.size, one.checkpoint).root != one.checkpoint.root:
            raise WouldFork(f"{known.origin}: two trees of {one.size} entries were signed")


def largest_of(seen: Sequence[ObservedTree]) -> ObservedTree | None:
    """Return the largest tree that any source has seen, if possible with its checkpoint."""
    return max(seen, key=lambda one: (one.size, one.checkpoint is not None), default=None)
