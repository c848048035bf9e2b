"""Offline proofs that an entry is in a witnessed log, as one text (c2sp.org/tlog-proof@v1).

c2sp.org/tlog-proof@v1
extra <base64>            (may be missing)
index <decimal>
<hash>...

<checkpoint, a signed note>
"""

from dataclasses import dataclass

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.lines import b64, decode_text, parse_hash, parse_size, unb64
from firmware.protocol.tlog.merkle import MAX_PROOF_HASHES, leaf_hash, verify_inclusion
from firmware.protocol.tlog.policy import Policy, Witnessed
from firmware.protocol.tlog.signed_note import MAX_NOTE_BYTES, parse_note

HEADER = "c2sp.org/tlog-proof@v1"
MAX_EXTRA_BYTES = 8 * 1024
MAX_PROOF_BYTES = MAX_NOTE_BYTES + 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """An entry's place, the path to the root, and the checkpoint; nothing is checked yet."""

    index: int
    hashes: tuple[bytes, ...]
    note: bytes
    extra: bytes | None = None
    """Not authenticated by anything."""

    def encode(self) -> bytes:
        """Return the text."""
        lines = [HEADER]
        if self.extra is not None:
            lines.append(f"extra {b64(self.extra)}")
        lines += [f"index {self.index}", *map(b64, self.hashes), ""]
        return "".join(line + "\n" for line in lines).encode() + self.note


def parse_proof(data: bytes) -> TlogProof:
    """Parse a proof; nothing is checked."""
    if len(data) > MAX_PROOF_BYTES:
        raise WireError(f"a proof has at most {MAX_PROOF_BYTES} bytes, not {len(data)}")
    head, gap, note = data.partition(b"\n\n")
    if not gap:
        raise WireError("a proof has an empty line before its checkpoint")
    text = decode_text(head + b"\n", what="proof", max_bytes=MAX_PROOF_BYTES)
    header, *lines = text.split("\n")[:-1]
    if header != HEADER:
        raise WireError(f"a proof begins with {HEADER}")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = unb64(lines.pop(0).removeprefix("extra "))
        if not 0 < len(extra) <= MAX_EXTRA_BYTES:
            raise WireError(f"a proof's extra data is 1 to {MAX_EXTRA_BYTES} bytes")
    if not lines or not lines[0].startswith("index "):
        raise WireError("a proof says the entry's index")
    index = parse_size(lines.pop(0).removeprefix("index "))
    if len(lines) > MAX_PROOF_HASHES:
        raise WireError(f"a proof has at most {MAX_PROOF_HASHES} hashes")
    parse_note(note)
    return TlogProof(index=index, hashes=tuple(map(parse_hash, lines)), note=note, extra=extra)


def check_proof(proof: bytes, *, entry: bytes, policy: Policy, origin: str) -> Witnessed:
    """Return the witnessed checkpoint of `origin` that holds `entry`, or raise.

    WireError if it is no proof, NoteRefused if the policy doesn't accept the checkpoint,
    ProofRefused if the entry isn't where the proof says.
    """
    parsed = parse_proof(proof)
    witnessed = policy.check(parsed.note, origin=origin)
    checkpoint = witnessed.checkpoint
    verify_inclusion(
        index=parsed.index,
        size=checkpoint.size,
        leaf_hash=leaf_hash(entry),
        proof=parsed.hashes,
        root=checkpoint.root,
    )
    return witnessed
