"""Checkpoints (c2sp.org/tlog-checkpoint) and their cosignatures (c2sp.org/tlog-cosignature, v1).

A checkpoint says a log's size and root; the log signs it, and each witness cosigns with the time
at which this was the largest tree that it had seen. Which witnesses suffice, `policy` says.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.lines import b64, decode_text, parse_hash, parse_size
from firmware.protocol.tlog.merkle import HASH_BYTES, MAX_SIZE
from firmware.protocol.tlog.signed_note import (
    MAX_NOTE_BYTES,
    SIGNATURE_BYTES,
    Note,
    NoteKey,
    NoteRefused,
    NoteSignature,
    NoteSigner,
    parse_note,
    sign_note,
)

MAX_ORIGIN_BYTES = 255
MAX_TIME_S = 253_402_300_799
"""The year 9999, as in `WallTimeMs`."""
_TIME = struct.Struct(">Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A log's checkpoint; `extensions` are lines that nobody audits, so Doorward writes none."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def encode(self) -> bytes:
        """Return the note's text."""
        lines = (self.origin, str(self.size), b64(self.root), *self.extensions)
        if any(not line or "\n" in line for line in lines) or len(self.root) != HASH_BYTES:
            raise ValueError("a checkpoint's lines are one line each, its root is a hash")
        if not 0 <= self.size <= MAX_SIZE:
            raise ValueError(f"a log has 0 to {MAX_SIZE} entries")
        return "".join(line + "\n" for line in lines).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A checkpoint that its log signed, and the times at which known witnesses cosigned it."""

    checkpoint: Checkpoint
    note: bytes
    times_ms: Mapping[str, int]
    """By the witness's name (as the caller named it)."""


def parse_checkpoint(text: bytes) -> Checkpoint:
    """Parse a note's text as a checkpoint; nothing is checked."""
    lines = decode_text(text, what="checkpoint", max_bytes=MAX_NOTE_BYTES).split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise WireError("a checkpoint has at least three lines, none of them empty")
    origin, size, root, *extensions = lines
    if len(origin.encode()) > MAX_ORIGIN_BYTES:
        raise WireError(f"a checkpoint's origin has at most {MAX_ORIGIN_BYTES} bytes")
    return Checkpoint(
        origin=origin,
        size=parse_size(size),
        root=parse_hash(root),
        extensions=tuple(extensions),
    )


def sign_checkpoint(checkpoint: Checkpoint, signer: NoteSigner) -> bytes:
    """Return the signed note; the signer's name is the log's origin."""
    if signer.key.name != checkpoint.origin:
        raise ValueError(f"{signer.key.name} can't sign for {checkpoint.origin}")
    return sign_note(checkpoint.encode(), [signer])


def sign_cosignature(note_text: bytes, signer: NoteSigner, time_s: int) -> NoteSignature:
    """Return a witness's cosignature over a checkpoint's text."""
    if signer.key.kind != "cosignature":
        raise ValueError("a log's key signs no cosignatures")
    if not 0 < time_s <= MAX_TIME_S:
        raise ValueError(f"no time for a cosignature: {time_s}")
    return signer.sign(_cosigned_message(note_text, time_s), prefix=_TIME.pack(time_s))


def cosignature_time_ms(text: bytes, signature: NoteSignature, witness: NoteKey) -> int:
    """Return when `witness` cosigned `text`, or raise NoteRefused if it didn't."""
    signed = signature.signature
    if witness.kind != "cosignature" or not signature.is_of(witness):
        raise NoteRefused(f"not a cosignature by {witness.name}")
    if len(signed) != _TIME.size + SIGNATURE_BYTES:
        raise NoteRefused(f"the cosignature of {witness.name} has {len(signed)} bytes")
    (time_s,) = _TIME.unpack_from(signed)
    if not 0 < time_s <= MAX_TIME_S:
        raise NoteRefused(f"the cosignature of {witness.name} has no time that could be")
    if not witness.verifies(signed[_TIME.size :], _cosigned_message(text, time_s)):
        raise NoteRefused(f"the cosignature of {witness.name} is wrong")
    return int(time_s) * 1000


def open_checkpoint(
    note: bytes, *, logs: Sequence[NoteKey], witnesses: Mapping[str, NoteKey]
) -> Cosigned:
    """Check that one of `logs` signed, and all signatures of known keys, or raise NoteRefused.

    `logs` are the keys of one origin. Unknown signatures are ignored; one wrong signature, or a
    second one by a known key, refuses the note. How many witnesses signed isn't judged here.
    """
    parsed = parse_note(note)
    try:
        checkpoint = parse_checkpoint(parsed.text)
    except NoteRefused:
        raise
    except WireError as error:
        raise NoteRefused(str(error)) from error
    if not any(_is_signed_by_log(parsed, key, checkpoint.origin) for key in logs):
        raise NoteRefused(f"{checkpoint.origin} isn't signed by a key that is known for it")
    times_ms = {}
    for name, key in witnesses.items():
        if (signature := _only(parsed, key)) is not None:
            times_ms[name] = cosignature_time_ms(parsed.text, signature, key)
    return Cosigned(checkpoint=checkpoint, note=note, times_ms=times_ms)


def _is_signed_by_log(note: Note, key: NoteKey, origin: str) -> bool:
    signature = _only(note, key)
    if signature is None or key.kind != "ed25519" or key.name != origin:
        return False
    if not key.verifies(signature.signature, note.text):
        raise NoteRefused(f"the signature of {key.name} is wrong")
    return True


def _only(note: Note, key: NoteKey) -> NoteSignature | None:
    """Return the signature by `key`, if there is one."""
    found = [signature for signature in note.signatures if signature.is_of(key)]
    if len(found) > 1:
        raise NoteRefused(f"{key.name} signed twice")
    return found[0] if found else None


def _cosigned_message(text: bytes, time_s: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % time_s + text
