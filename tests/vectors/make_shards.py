"""Writes shards.json: a directory of shards, the policy's line that names its signers, an answer.

    python -m tests.vectors.make_shards

Keys, numbers and times are fixed, so that each run writes the same file.
"""

import hashlib
import json
from pathlib import Path

from firmware.protocol.encoding import sha256_hex
from firmware.protocol.shards import (
    Elsewhere,
    ListedShard,
    ShardDirectory,
    arrival_secret,
    signers_line,
    unsigned_directory,
    with_signature,
)
from firmware.protocol.tlog.signed_note import NoteSigner

PATH = Path(__file__).parent / "shards.json"
MADE_MS = 1_800_000_000_000
DAY_MS = 24 * 3600 * 1000


def shard_vectors() -> dict[str, object]:
    """Return all of the file."""
    signers = [_signer(name) for name in ("ann", "bob", "cem")]
    directory = ShardDirectory(
        number=3,
        made_ms=MADE_MS,
        expires_ms=MADE_MS + 90 * DAY_MS,
        shards=(_listed("a", "closed"), _listed("b", "open")),
    )
    note = unsigned_directory(directory)
    for signer in signers[:2]:
        note = with_signature(note, signer)
    return {
        "signers": signers_line([signer.key for signer in signers], 2),
        "unsigned": unsigned_directory(directory).decode(),
        "note": note.decode(),
        "elsewhere": Elsewhere(shard="b", directory=note.decode()).encode().decode(),
        "number": directory.number,
        "expires_ms": directory.expires_ms,
        "device": "abcdefghijklmnop2345",
        "arrival_secret": arrival_secret("abcdefghijklmnop2345"),
    }


def _signer(name: str) -> NoteSigner:
    private = hashlib.sha256(f"shards/{name}".encode()).digest()
    return NoteSigner(name=f"shards.example/{name}", kind="ed25519", private_key=private)


def _listed(shard_id: str, state: str) -> ListedShard:
    return ListedShard(
        id=shard_id,
        relay_url=f"https://{shard_id}.example",
        ca_sha256=sha256_hex(f"ca {shard_id}".encode()),
        policy_sha256=sha256_hex(f"policy {shard_id}".encode()),
        state="open" if state == "open" else "closed",
    )


def main() -> None:
    """Write the file."""
    text = json.dumps(shard_vectors(), indent=1, sort_keys=True, ensure_ascii=False)
    PATH.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
