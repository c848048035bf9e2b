"""The cosigner: signs only checkpoints consistent with the one it signed last.

The checks and their statuses are those of C2SP tlog-witness, in its order. One request is dealt
with after another: between looking up what was signed last and writing down what is signed now
nothing else may happen.
"""

import threading
from collections.abc import Mapping, Sequence

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.checkpoint import (
    Checkpoint,
    open_checkpoint,
    parse_checkpoint,
    sign_cosignature,
)
from firmware.protocol.tlog.merkle import EMPTY_ROOT, ProofRefused, verify_consistency
from firmware.protocol.tlog.signed_note import Note, NoteKey, NoteRefused, NoteSigner, parse_note
from firmware.protocol.tlog.witness import parse_add_checkpoint
from relay.base.clock import Clock
from relay.tools.witness.errors import CheckpointRefused, SizeConflict, WitnessError
from relay.tools.witness.folder import LastSignature, WitnessFolder


class WitnessSigner:
    """Signs checkpoints of the configured logs. All files are read and checked first."""

    def __init__(
        self,
        *,
        signer: NoteSigner,
        logs: Mapping[str, Sequence[NoteKey]],
        folder: WitnessFolder,
        clock: Clock,
    ) -> None:
        self._signer = signer
        self._logs = logs
        self._folder = folder
        self._clock = clock
        self._one_at_a_time = threading.Lock()
        self._signed = {origin: folder.read(origin, keys) for origin, keys in logs.items()}

    @property
    def key(self) -> NoteKey:
        """The witness's public key."""
        return self._signer.key

    def signed(self) -> Mapping[str, LastSignature | None]:
        """Return the last signed checkpoint of each log."""
        return dict(self._signed)

    def add_checkpoint(self, body: bytes) -> bytes:
        """Return the cosignature's line for a request's body, or raise CheckpointRefused."""
        try:
            request = parse_add_checkpoint(body)
            note = parse_note(request.note)
            checkpoint = parse_checkpoint(note.text)
        except WireError as error:
            raise CheckpointRefused(400, str(error)) from error
        keys = self._logs.get(checkpoint.origin)
        if keys is None:
            raise CheckpointRefused(404, f"this witness doesn't watch {checkpoint.origin}")
        try:
            open_checkpoint(request.note, logs=keys, witnesses={})
        except NoteRefused as error:
            raise CheckpointRefused(403, str(error)) from error
        with self._one_at_a_time:
            last = self._signed[checkpoint.origin]
            _check_growth(last, request.old_size, checkpoint, request.hashes)
            return self._sign(checkpoint, note, keys, last)

    def _sign(
        self,
        checkpoint: Checkpoint,
        note: Note,
        keys: Sequence[NoteKey],
        last: LastSignature | None,
    ) -> bytes:
        """Sign, store the checkpoint durably, and only then return the signature."""
        time_s = self._clock.wall_ms() // 1000
        if last is not None and time_s < last.time_s:
            raise CheckpointRefused(503, "this witness's clock is behind its last signature")
        line = sign_cosignature(note.text, self._signer, time_s)
        of_log = [signature for signature in note.signatures if any(map(signature.is_of, keys))]
        kept = Note(text=note.text, signatures=(*of_log, line)).encode()
        try:
            self._folder.write(checkpoint.origin, kept)
        except OSError as error:  # the old or the new may be there: no signature was given away
            raise WitnessError(f"the signature can't be written down: {error}") from error
        self._signed[checkpoint.origin] = LastSignature(
            checkpoint=checkpoint, note=kept, time_s=time_s
        )
        return line.line().encode()


def _check_growth(
    last: LastSignature | None, old_size: int, checkpoint: Checkpoint, hashes: Sequence[bytes]
) -> None:
    """Refuse a checkpoint that is inconsistent with the last signed one."""
    if old_size > checkpoint.size:
        raise CheckpointRefused(400, "the old size is above the checkpoint's")
    last_size, last_root = 0, EMPTY_ROOT
    if last is not None:
        last_size, last_root = last.checkpoint.size, last.checkpoint.root
    if old_size != last_size:
        raise SizeConflict(last_size)
    if checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT:
        raise CheckpointRefused(422, "an empty tree has another root")
    if old_size == 0:
        if hashes:
            raise CheckpointRefused(422, "from size 0 there is nothing to prove")
        return
    try:
        verify_consistency(
            old_size=last_size,
            old_root=last_root,
            size=checkpoint.size,
            root=checkpoint.root,
            proof=hashes,
        )
    except ProofRefused as error:
        raise CheckpointRefused(422, str(error)) from error
