"""A log with three witnesses, in memory, with real keys: entries, checkpoints, proofs, policy."""

from collections.abc import Iterable, Sequence

from firmware.protocol.tlog.checkpoint import Checkpoint, sign_checkpoint, sign_cosignature
from firmware.protocol.tlog.merkle import Tree, leaf_hash
from firmware.protocol.tlog.policy import Policy, parse_policy, policy_text
from firmware.protocol.tlog.proof import TlogProof
from firmware.protocol.tlog.signed_note import NoteSigner, parse_note
from firmware.protocol.tlog.witness import AddCheckpoint

ORIGIN = "log.example/register"
NOW_S = 1_790_000_000


class WitnessedLog:
    """A log that a test appends to; its witnesses sign whatever they are told to, whenever."""

    def __init__(self, entries: Iterable[bytes] = (), *, origin: str = ORIGIN) -> None:
        self.origin = origin
        self.signer = NoteSigner.generate(origin, "ed25519")
        self.witnesses = {
            name: NoteSigner.generate(f"{name}.example/w", "cosignature")
            for name in ("ann", "bea", "cem")
        }
        self.entries: list[bytes] = []
        self.tree = Tree()
        for entry in entries:
            self.append(entry)

    def append(self, entry: bytes) -> int:
        """Add an entry; return its index."""
        self.entries.append(entry)
        self.tree.append(leaf_hash(entry))
        return self.tree.size - 1

    def policy_text(self, *, threshold: int = 2) -> bytes:
        """Return the policy: so many of the three."""
        keys = {name: signer.key for name, signer in self.witnesses.items()}
        return policy_text(logs=[self.signer.key], witnesses=keys, threshold=threshold)

    def policy(self, *, threshold: int = 2) -> Policy:
        """Return the policy, parsed."""
        return parse_policy(self.policy_text(threshold=threshold))

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """Return the checkpoint at a size, of all without one."""
        size = self.tree.size if size is None else size
        return Checkpoint(origin=self.origin, size=size, root=self.tree.root(size))

    def signed(self, size: int | None = None) -> bytes:
        """Return the log's own note."""
        return sign_checkpoint(self.checkpoint(size), self.signer)

    def cosigned(self, *, size: int | None = None, **times_s: int) -> bytes:
        """Return the note cosigned by the named witnesses at their times (`ann=…, bea=…`)."""
        note = parse_note(self.signed(size))
        lines = [
            sign_cosignature(note.text, self.witnesses[name], time_s)
            for name, time_s in times_s.items()
        ]
        return note.with_signatures(*lines).encode()

    def proof(self, index: int, *, size: int | None = None, note: bytes | None = None) -> bytes:
        """Return the tlog-proof of an entry; by default ann and bea cosigned just now."""
        note = self.cosigned(size=size, ann=NOW_S, bea=NOW_S) if note is None else note
        hashes = self.tree.inclusion_proof(index, size)
        return TlogProof(index=index, hashes=tuple(hashes), note=note).encode()

    def request(
        self, old_size: int, size: int | None = None, *, hashes: Sequence[bytes] | None = None
    ) -> bytes:
        """Return what the log posts to a witness."""
        proof = self.tree.consistency_proof(old_size, size) if hashes is None else hashes
        return AddCheckpoint(
            old_size=old_size, hashes=tuple(proof), note=self.signed(size)
        ).encode()
