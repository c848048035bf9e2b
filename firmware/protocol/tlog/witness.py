"""The request of a log to a witness (c2sp.org/tlog-witness, add-checkpoint).

    old <decimal>
    <hash>...

    <checkpoint, a signed note>

The answer is signature lines: `signed_note.parse_signatures`.
"""

from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.lines import b64, decode_text, parse_hash, parse_size
from firmware.protocol.tlog.merkle import MAX_PROOF_HASHES
from firmware.protocol.tlog.signed_note import MAX_NOTE_BYTES, parse_note

MAX_REQUEST_BYTES = MAX_NOTE_BYTES + 4 * 1024
PATH = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A checkpoint, and the consistency proof from the witness's last signed one."""

    old_size: int
    hashes: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """Return the request's body."""
        lines = [f"old {self.old_size}", *map(b64, self.hashes), ""]
        return "".join(line + "\n" for line in lines).encode() + self.note


def parse_add_checkpoint(body: bytes) -> AddCheckpoint:
    """Parse the request's body; nothing is checked."""
    if len(body) > MAX_REQUEST_BYTES:
        raise WireError(f"a request has at most {MAX_REQUEST_BYTES} bytes, not {len(body)}")
    head, gap, note = body.partition(b"\n\n")
    if not gap:
        raise WireError("a request has an empty line before its checkpoint")
    text = decode_text(head + b"\n", what="request", max_bytes=MAX_REQUEST_BYTES)
    old, *lines = text.split("\n")[:-1]
    if not old.startswith("old "):
        raise WireError("a request begins with the old size")
    if len(lines) > MAX_PROOF_HASHES:
        raise WireError(f"a consistency proof has at most {MAX_PROOF_HASHES} hashes")
    parse_note(note)
    return AddCheckpoint(
        old_size=parse_size(old.removeprefix("old ")),
        hashes=tuple(map(parse_hash, lines)),
        note=note,
    )
