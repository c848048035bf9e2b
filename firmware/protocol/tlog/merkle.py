"""The Merkle tree of RFC 6962 section 2.1 over SHA-256: roots, proofs and their checks.

A leaf's hash is SHA-256(0x00 ‖ entry), a node's SHA-256(0x01 ‖ left ‖ right). `Tree` keeps every
complete subtree's hash, so a proof at any size costs a few look-ups; `Frontier` keeps the right
edge alone, for whoever only follows. The checks accept what RFC 9162 sections 2.1.3.2 and 2.1.4.2
do, and believe nothing of a proof: not its length, not that its hashes have 32 bytes.
"""

import hashlib
from collections.abc import Iterable, Sequence

from firmware.protocol.encoding import WireError

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
MAX_PROOF_HASHES = 63
EMPTY_ROOT = hashlib.sha256().digest()

_sha256 = hashlib.sha256
_ONE_LENGTH = {HASH_BYTES}


class ProofRefused(WireError):
    """An inclusion or consistency proof doesn't hold; the text says what was wrong."""


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry as a leaf."""
    return _sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two children."""
    return _sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows, with all hashes of its complete subtrees in memory (64 bytes a leaf)."""

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]  # [h][i]: root over leaves i·2^h to (i+1)·2^h
        self._edges: tuple[int, list[bytes | None]] = (0, [None])
        for hashed in leaf_hashes:
            self.append(hashed)

    @property
    def size(self) -> int:
        """The number of leaves."""
        return len(self._levels[0])

    def append(self, leaf_hash: bytes) -> None:
        """Add a leaf by its hash. Nodes are hashed when they are asked for."""
        if len(leaf_hash) != HASH_BYTES:
            raise ValueError(f"a leaf's hash has {HASH_BYTES} bytes, not {len(leaf_hash)}")
        self._levels[0].append(leaf_hash)

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` leaves; over all without it."""
        return self._right_edges(self._checked(size))[-1] or EMPTY_ROOT

    def inclusion_proof(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the hashes from a leaf's sibling up to the root's child."""
        size = self._checked(size)
        if not 0 <= index < size:
            raise ValueError(f"there is no leaf {index} in a tree of {size}")
        return self._path(index, 0, size)

    def consistency_proof(self, old_size: int, size: int | None = None) -> list[bytes]:
        """Return the proof that the tree of `size` begins with that of `old_size`.

        It is empty between equal sizes, and from the empty tree, which begins every tree.
        """
        size = self._checked(size)
        if not 0 <= old_size <= size:
            raise ValueError(f"a tree of {old_size} doesn't grow into one of {size}")
        if old_size in (0, size):
            return []
        height = (old_size & -old_size).bit_length() - 1
        place = (old_size >> height) - 1
        path = self._path(place, height, size)
        return path if place == 0 else [self._hashed_levels()[height][place], *path]

    def subtree_hashes(self, height: int, start: int, end: int) -> list[bytes]:
        """Return the roots of complete subtrees of 2^`height` leaves, from the `start`-th on."""
        levels = self._hashed_levels()
        level = levels[height] if height < len(levels) else []
        if not 0 <= start <= end <= len(level):
            raise ValueError(f"there are {len(level)} complete subtrees of height {height}")
        return level[start:end]

    def _path(self, place: int, height: int, size: int) -> list[bytes]:
        """Return the siblings from a complete node up to the root over `size` leaves."""
        edges = self._right_edges(size)
        levels = self._hashed_levels()
        path = []
        for level, at in enumerate(levels[height : size.bit_length()], height):
            sibling, complete = place ^ 1, size >> level
            if sibling < complete:
                path.append(at[sibling])
            elif sibling == complete and (edge := edges[level]) is not None:
                path.append(edge)
            place >>= 1
        return path

    def _right_edges(self, size: int) -> list[bytes | None]:
        """Return for each height the root over the leaves right of the last complete subtree.

        The last is the root of all. Those of the size asked for last are kept: a log proves many
        leaves at one size.
        """
        kept_size, edges = self._edges
        if kept_size == size:
            return edges
        levels = self._hashed_levels()
        edge: bytes | None = None
        edges = [None]
        for height in range(size.bit_length()):
            if (size >> height) & 1:
                node = levels[height][(size >> height) - 1]
                edge = node if edge is None else node_hash(node, edge)
            edges.append(edge)
        self._edges = (size, edges)
        return edges

    def _hashed_levels(self) -> list[list[bytes]]:
        """Return the levels, with the nodes hashed that were still missing."""
        levels = self._levels
        for height in range(self.size.bit_length() - 1):
            if height + 1 == len(levels):
                levels.append([])
            below, above = levels[height], levels[height + 1]
            known = 2 * len(above)
            if len(below) - known < 2:
                break
            pairs = zip(below[known::2], below[known + 1 :: 2], strict=False)  # the last may wait
            above += [_sha256(b"\x01" + left + right).digest() for left, right in pairs]
        return levels

    def _checked(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise ValueError(f"the tree has {self.size} leaves, not {size}")
        return size


class Frontier:
    """A tree's size and its right edge: enough to append and to know the root, in 2 KB."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if not 0 <= size <= MAX_SIZE or len(hashes) != size.bit_count():
            raise WireError(f"{len(hashes)} hashes aren't the right edge of a tree of {size}")
        if not set(map(len, hashes)) <= _ONE_LENGTH:
            raise WireError(f"each hash of a right edge has {HASH_BYTES} bytes")
        self._size = size
        self._hashes = list(hashes)  # roots of the complete subtrees, the largest first

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    @property
    def hashes(self) -> list[bytes]:
        """The roots of the complete subtrees that the size is made of, the largest first."""
        return list(self._hashes)

    def append(self, leaf_hash: bytes) -> None:
        """Add a leaf by its hash."""
        self.extend([leaf_hash])

    def extend(self, leaf_hashes: Iterable[bytes]) -> None:
        """Add leaves by their hashes, as one adds numbers: level by level, with a carry."""
        row = list(leaf_hashes)
        if not set(map(len, row)) <= _ONE_LENGTH:
            raise ValueError(f"a leaf's hash has {HASH_BYTES} bytes")
        size, self._size = self._size, self._size + len(row)
        complete: list[bytes] = []
        while row:
            if size & 1:
                row.insert(0, self._hashes.pop())
            if len(row) & 1:
                complete.append(row.pop())
            pairs = zip(row[::2], row[1::2], strict=True)
            row = [_sha256(b"\x01" + left + right).digest() for left, right in pairs]
            size >>= 1
        self._hashes += reversed(complete)

    def root(self) -> bytes:
        """Return the root over all leaves."""
        if not self._hashes:
            return EMPTY_ROOT
        root = self._hashes[-1]
        for node in reversed(self._hashes[:-1]):
            root = node_hash(node, root)
        return root


def verify_inclusion(
    *, index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that a leaf is at `index` in the tree of `size` with `root`, or raise ProofRefused."""
    _check(index + 1, size, (leaf_hash, root), proof)
    if _climb(leaf_hash, proof, index, size) != root:
        raise ProofRefused("the inclusion proof leads to another root")


def inclusion_root(*, index: int, size: int, leaf_hash: bytes, proof: Sequence[bytes]) -> bytes:
    """Return the root that an inclusion proof leads to, for who learns it from there alone."""
    _check(index + 1, size, (leaf_hash,), proof)
    return _climb(leaf_hash, proof, index, size)


def verify_consistency(
    *, old_size: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `size` begins with the tree of `old_size`, or raise ProofRefused.

    An `old_size` of 0 is refused: every tree begins with the empty one, so there is nothing to
    prove, and a caller who has no earlier root must say so itself.
    """
    _check(old_size, size, (old_root, root), proof)
    if old_size == size:
        if proof or old_root != root:
            raise ProofRefused("one size has one root, and nothing to prove")
        return
    height = (old_size & -old_size).bit_length() - 1  # of the old tree's last complete subtree
    place = (old_size >> height) - 1
    node, path = (old_root, proof) if place == 0 else (proof[0] if proof else b"", proof[1:])
    if _climb(node, path, place, ((size - 1) >> height) + 1) != root:
        raise ProofRefused("the consistency proof leads to another root")
    inner = (place ^ ((size - 1) >> height)).bit_length()
    for level, sibling in enumerate(path):
        if level >= inner or (place >> level) & 1:
            node = node_hash(sibling, node)
    if node != old_root:
        raise ProofRefused("the consistency proof leads to another old root")


def _climb(node: bytes, path: Sequence[bytes], place: int, size: int) -> bytes:
    """Return the root that `path` leads to from the node at `place` of `size` on its level.

    Up to where the way from the last node joins, a sibling may be on either side; from there on
    it is on the left, and levels at which there is none are left out.
    """
    inner = (place ^ (size - 1)).bit_length()
    if len(path) != inner + (place >> inner).bit_count():
        raise ProofRefused("the proof has too few hashes, or too many")
    sha256 = _sha256
    for sibling in path[:inner]:
        if place & 1:
            node = sha256(b"\x01" + sibling + node).digest()
        else:
            node = sha256(b"\x01" + node + sibling).digest()
        place >>= 1
    for sibling in path[inner:]:
        node = sha256(b"\x01" + sibling + node).digest()
    return node


def _check(first: int, size: int, hashes: Sequence[bytes], proof: Sequence[bytes]) -> None:
    """Refuse sizes and hashes that nothing can be proved with."""
    if not 0 < first <= size <= MAX_SIZE:
        raise ProofRefused(f"nothing can be proved of {first} in a tree of {size}")
    if not set(map(len, (*hashes, *proof))) <= _ONE_LENGTH:
        raise ProofRefused(f"each hash has {HASH_BYTES} bytes")
