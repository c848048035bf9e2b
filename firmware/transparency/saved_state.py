"""The saved form of a followed register: what stays of its entries and stamps once they are gone.

    register   what the replay decided
    tree       its right edge, and the hashes that prove the kept entries
    entries    the kept ones: changes, officers, and the requests that stand
    last       the log's last entry, which every package brings
    stamps     since when witnesses have seen the kept entries, and the notes that show it
    taken      how many of the log's stamps were read
    ends       how many bytes of the last bundles of entries and stamps were read

As long as all entries are on the card, this is a cache (saved_form.py). Once older ones are gone it
is what the doorbell knows, and only the doorbell's own signature makes it so; whatever is wrong
with it, the register is read anew from the log, and must lead past the checkpoint that is here.
"""

import hashlib

import msgspec

from firmware.protocol.register.saved import SavedRegister
from firmware.protocol.tlog.kept_tree import SavedTree
from firmware.protocol.tlog.policy import Policy

TAG = b"doorward/saved-following/v2\n"
"""Its number rises with each release that judges entries otherwise: then all are read anew."""


class SavedFollowing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A followed register after its first `register.size` entries."""

    policy: bytes
    register: SavedRegister
    tree: SavedTree
    entries: list[tuple[int, bytes]]
    last: bytes
    stamps: list[tuple[int, int]]
    notes: list[tuple[int, bytes]]
    taken: int
    ends: tuple[int, int]


def policy_digest(policy: Policy) -> bytes:
    """Return SHA-256 over what the policy says, however its file puts it."""
    return hashlib.sha256(msgspec.msgpack.encode(policy)).digest()
