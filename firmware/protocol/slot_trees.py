"""The tree of a slot: one commitment of each doorbell, at a random place of 2^20.

The depth is constant, and a subtree without a doorbell has a random hash, which nobody can tell
from a real one. So neither a path's length nor its hashes nor its place says how many doorbells
there are, which was there first, or who is a neighbour. Places and random hashes are derived from a
seed, which the relay draws for each slot and deletes once the paths are told.

Nodes are hashed as in RFC 6962 section 2.1.
"""

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from firmware.protocol.encoding import ShortB64u, WireError, b64u, unb64u
from firmware.protocol.tlog.merkle import inclusion_root, leaf_hash, node_hash

SLOT_DEPTH = 20
SLOT_SIZE = 2**SLOT_DEPTH
"""A relay with more doorbells runs several, each with logs of its own."""
SEED_BYTES = 32

SlotIndex = Annotated[int, msgspec.Meta(ge=0, lt=SLOT_SIZE)]
SlotHashes = Annotated[list[ShortB64u], msgspec.Meta(min_length=SLOT_DEPTH, max_length=SLOT_DEPTH)]
"""A path's siblings from the leaf up, each base64url of 32 bytes."""


class SlotTree:
    """The tree over one slot's commitments (hexadecimal), as the relay makes it from a seed."""

    def __init__(self, commitments: Iterable[str], seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a slot's seed has {SEED_BYTES} bytes, not {len(seed)}")
        self._seed = seed
        self._places: dict[str, int] = {}
        taken: set[int] = set()
        for commitment in sorted(set(commitments)):
            self._places[commitment] = place = self._free_place(commitment, taken)
            taken.add(place)
        level = {place: _leaf(commitment) for commitment, place in self._places.items()}
        self._levels = [level]
        for height in range(SLOT_DEPTH):
            level = self._above(level, height)
            self._levels.append(level)

    def __contains__(self, commitment: str) -> bool:
        return commitment in self._places

    def root(self) -> bytes:
        """Return the root; of a slot without doorbells it is random."""
        return self._node(0, SLOT_DEPTH)

    def index(self, commitment: str) -> int:
        """Return a commitment's place."""
        return self._places[commitment]

    def path(self, commitment: str) -> list[str]:
        """Return the siblings (base64url) from a commitment up to the root."""
        place = self._places[commitment]
        return [b64u(self._node((place >> height) ^ 1, height)) for height in range(SLOT_DEPTH)]

    def _free_place(self, commitment: str, taken: set[int]) -> int:
        """Return a place that is as random as any other free one."""
        counter = 0
        while True:
            drawn = self._drawn(b"place", f"{commitment}/{counter}".encode())
            place: int = int.from_bytes(drawn[:4], "big") % SLOT_SIZE
            if place not in taken:
                return place
            counter += 1

    def _above(self, level: dict[int, bytes], height: int) -> dict[int, bytes]:
        return {
            place: node_hash(
                level.get(2 * place) or self._empty(2 * place, height),
                level.get(2 * place + 1) or self._empty(2 * place + 1, height),
            )
            for place in {place >> 1 for place in level}
        }

    def _node(self, place: int, height: int) -> bytes:
        return self._levels[height].get(place) or self._empty(place, height)

    def _empty(self, place: int, height: int) -> bytes:
        return self._drawn(b"empty", f"{height}/{place}".encode())

    def _drawn(self, what: bytes, of: bytes) -> bytes:
        return hmac.digest(self._seed, what + b"\x00" + of, hashlib.sha256)


def slot_root(commitment: str, *, index: int, hashes: Sequence[str]) -> bytes:
    """Return the root to which a path leads from a commitment, or raise WireError."""
    if not 0 <= index < SLOT_SIZE:
        raise WireError(f"a slot has no place {index}")
    if len(hashes) != SLOT_DEPTH:
        raise WireError(f"a slot's path has {SLOT_DEPTH} hashes, not {len(hashes)}")
    proof = [unb64u(one) for one in hashes]
    return inclusion_root(index=index, size=SLOT_SIZE, leaf_hash=_leaf(commitment), proof=proof)


def _leaf(commitment: str) -> bytes:
    return leaf_hash(bytes.fromhex(commitment))
