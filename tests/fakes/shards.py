"""The signers of a directory of shards, with real keys, and the directories that they sign."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from firmware.protocol.encoding import sha256_hex
from firmware.protocol.shards import (
    DirectorySigners,
    Elsewhere,
    ListedShard,
    ShardDirectory,
    parse_signers,
    signers_line,
    unsigned_directory,
    with_signature,
)
from firmware.protocol.tlog.signed_note import NoteSigner

NAMES = ("shards.example/ann", "shards.example/bob", "shards.example/cem")


def _three() -> list[NoteSigner]:
    return [NoteSigner.generate(name, "ed25519") for name in NAMES]


@dataclass
class DirectorySigning:
    """Three people of whom two must sign."""

    signers: list[NoteSigner] = field(default_factory=_three)

    def policy(self, text: bytes) -> bytes:
        """Return a policy's text with these signers in it, as it lies on a card."""
        line = signers_line([signer.key for signer in self.signers], 2)
        return text + line.encode() + b"\n"

    @property
    def directory_signers(self) -> DirectorySigners:
        """Return what a doorbell reads of them in its policy."""
        signers = parse_signers(self.policy(b""))
        assert signers is not None
        return signers

    def note(self, directory: ShardDirectory, *, by: int = 2) -> bytes:
        """Return a directory that so many of them have signed."""
        data = unsigned_directory(directory)
        for signer in self.signers[:by]:
            data = with_signature(data, signer)
        return data

    def elsewhere(self, directory: ShardDirectory, shard: str, *, by: int = 2) -> Elsewhere:
        """Return a relay's answer that leads to a shard."""
        return Elsewhere(shard=shard, directory=self.note(directory, by=by).decode())


def listed(
    shard_id: str, relay_url: str, *, ca_sha256: str, policy: bytes, **changes: Any
) -> ListedShard:
    """Return a shard that is open."""
    shard = ListedShard(
        id=shard_id,
        relay_url=relay_url,
        ca_sha256=ca_sha256,
        policy_sha256=sha256_hex(policy),
        state="open",
    )
    return msgspec.structs.replace(shard, **changes)
