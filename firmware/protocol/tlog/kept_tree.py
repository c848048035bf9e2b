"""A Merkle tree of which only a few leaves can be proved: what a follower keeps of a log.

It has the tree's right edge, the hashes beside the ways of the kept leaves up to the root, and the
hashes of the newest leaves, so that any size among those has its root. A log of n leaves of which k
are kept takes about k·log2(n) hashes at most, and fewer where the kept ones are neighbours.
"""

from collections.abc import Collection
from itertools import islice

import msgspec

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.merkle import HASH_BYTES, Frontier, node_hash

WINDOW = 2048
"""So many of the newest leaves have their hashes here at least, and at most twice as many."""

Nodes = dict[tuple[int, int], bytes]
"""Roots of complete subtrees by their height and place."""


class SavedTree(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kept tree in its saved form; `edge` is that of the first `base` leaves."""

    base: int
    edge: list[bytes]
    nodes: list[tuple[int, int, bytes]]
    recent: bytes


class _Edge:
    """The complete subtrees of so many leaves, and the hashes beside the kept leaves' ways."""

    def __init__(self, size: int, hashes: list[bytes], nodes: Nodes) -> None:
        self.size = size
        self.hashes = hashes
        self.nodes = nodes
        self.flags = [False] * len(hashes)

    def push(self, leaf_hash: bytes, *, is_kept: bool) -> None:
        """Add a leaf."""
        height, place, node = 0, self.size, leaf_hash
        if is_kept:
            self.nodes[0, place] = leaf_hash
        while place & 1:
            left, is_left_kept = self.hashes.pop(), self.flags.pop()
            if is_left_kept:
                self.nodes[height, place] = node
            if is_kept:
                self.nodes[height, place - 1] = left
            node = node_hash(left, node)
            is_kept = is_kept or is_left_kept
            height += 1
            place >>= 1
        self.hashes.append(node)
        self.flags.append(is_kept)
        self.size += 1

    def flag(self, kept: Collection[int]) -> None:
        """Note which of the complete subtrees have a kept leaf."""
        starts, start = [], 0
        for height in _heights(self.size):
            starts.append((start, start + (1 << height)))
            start += 1 << height
        self.flags = [any(a <= index < b for index in kept) for a, b in starts]

    def at(self, height: int) -> bytes:
        """Return the root of the complete subtree of this height."""
        return self.hashes[(self.size >> (height + 1)).bit_count()]

    def rests(self) -> list[bytes | None]:
        """Return for each height the root over the leaves right of its last complete subtree."""
        rest: bytes | None = None
        rests = [rest]
        for height in range(self.size.bit_length()):
            if (self.size >> height) & 1:
                node = self.at(height)
                rest = node if rest is None else node_hash(node, rest)
            rests.append(rest)
        return rests


class KeptTree:
    """The tree of a followed log. `append` each leaf; `keep` it while it is among the newest."""

    def __init__(self) -> None:
        self._edge = _Edge(0, [], {})
        self._recent: list[bytes] = []
        self._kept: set[int] = set()
        self._cursor = Frontier()
        self._whole: _Edge | None = None

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._edge.size + len(self._recent)

    @property
    def oldest_size(self) -> int:
        """The smallest size of which the root is known."""
        return self._edge.size

    def append(self, leaf_hash: bytes) -> None:
        """Add a leaf by its hash."""
        if len(leaf_hash) != HASH_BYTES:
            raise ValueError(f"a leaf's hash has {HASH_BYTES} bytes, not {len(leaf_hash)}")
        self._whole = None
        self._recent.append(leaf_hash)
        if len(self._recent) >= 2 * WINDOW:
            for hashed in self._recent[:WINDOW]:
                self._edge.push(hashed, is_kept=self._edge.size in self._kept)
            del self._recent[:WINDOW]

    def keep(self, index: int) -> None:
        """Keep a leaf among the newest, so that it can be proved from now on."""
        if not self._edge.size <= index < self.size:
            raise ValueError(f"leaf {index} isn't among the newest")
        self._whole = None
        self._kept.add(index)

    def keep_only(self, wanted: Collection[int]) -> None:
        """Forget the leaves that aren't wanted."""
        self._kept &= set(wanted)
        self._whole = None
        needed = set()
        for index in self._kept:
            needed.add((0, index))
            place = index
            for height in range(self._edge.size.bit_length()):
                needed.add((height, place ^ 1))
                place >>= 1
        nodes = self._edge.nodes
        self._edge.nodes = {key: nodes[key] for key in needed & nodes.keys()}
        self._edge.flag(self._kept)

    def root(self, size: int | None = None) -> bytes | None:
        """Return the root over the first `size` leaves; None if it isn't known any more.

        Several threads may ask at once, as long as none appends.
        """
        size = self.size if size is None else size
        if not self._edge.size <= size <= self.size:
            return None
        cursor = self._cursor  # never changed, only replaced: another thread may ask beside
        if not self._edge.size <= cursor.size <= size:
            cursor = Frontier(self._edge.size, self._edge.hashes)
        else:
            cursor = Frontier(cursor.size, cursor.hashes)
        begin, end = cursor.size - self._edge.size, size - self._edge.size
        cursor.extend(islice(self._recent, begin, end))
        self._cursor = cursor
        return cursor.root()

    def frontier(self) -> Frontier:
        """Return the right edge of the whole tree."""
        frontier = Frontier(self._edge.size, self._edge.hashes)
        frontier.extend(self._recent)
        return frontier

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Return the hashes from a kept leaf's sibling up to the root's child.

        The last leaf has a proof too, kept or not.
        """
        return self._path(index, 0)

    def consistency_proof(self, old_size: int) -> list[bytes]:
        """Return the proof that this tree begins with a smaller one, whose last leaf is kept."""
        if old_size in (0, self.size):
            return []
        height = (old_size & -old_size).bit_length() - 1
        place = (old_size >> height) - 1
        path = self._path(place, height)
        return path if place == 0 else [self._node(old_size - 1, height), *path]

    def save(self) -> SavedTree:
        """Return what to save."""
        return SavedTree(
            base=self._edge.size,
            edge=self._edge.hashes,
            nodes=[(*key, node) for key, node in sorted(self._edge.nodes.items())],
            recent=b"".join(self._recent),
        )

    @classmethod
    def load(cls, saved: SavedTree, kept: Collection[int]) -> "KeptTree":
        """Return the tree that was saved, with its kept leaves; WireError if it is none."""
        edge = Frontier(saved.base, saved.edge).hashes
        if len(saved.recent) % HASH_BYTES or any(len(one[2]) != HASH_BYTES for one in saved.nodes):
            raise WireError(f"each hash of a tree has {HASH_BYTES} bytes")
        tree = cls()
        nodes = {(height, place): node for height, place, node in saved.nodes}
        tree._edge = _Edge(saved.base, edge, nodes)
        ends = range(0, len(saved.recent), HASH_BYTES)
        tree._recent = [saved.recent[at : at + HASH_BYTES] for at in ends]
        tree._kept = {index for index in kept if index < tree.size}
        tree._edge.flag(tree._kept)
        return tree

    def _unfolded(self) -> _Edge:
        """Return the edge of the whole tree, with the hashes beside all kept leaves' ways."""
        if self._whole is None:
            whole = _Edge(self._edge.size, list(self._edge.hashes), dict(self._edge.nodes))
            whole.flags = list(self._edge.flags)
            for hashed in self._recent:
                is_kept = whole.size in self._kept or whole.size == self.size - 1
                whole.push(hashed, is_kept=is_kept)
            self._whole = whole
        return self._whole

    def _node(self, index: int, height: int) -> bytes:
        """Return the root of the complete subtree that ends with a kept leaf."""
        whole = self._unfolded()
        node = self._hash_of(whole, 0, index)
        for level in range(height):
            node = node_hash(self._hash_of(whole, level, (index >> level) - 1), node)
        return node

    def _path(self, place: int, height: int) -> list[bytes]:
        whole = self._unfolded()
        rests = whole.rests()
        path = []
        for level in range(height, whole.size.bit_length()):
            sibling, complete = place ^ 1, whole.size >> level
            if sibling < complete:
                path.append(self._hash_of(whole, level, sibling))
            elif sibling == complete and (rest := rests[level]) is not None:
                path.append(rest)
            place >>= 1
        return path

    def _hash_of(self, whole: _Edge, height: int, place: int) -> bytes:
        node = whole.nodes.get((height, place))
        if node is not None:
            return node
        if place == (whole.size >> height) - 1 and (whole.size >> height) & 1:
            return whole.at(height)
        raise WireError("this leaf isn't kept, so it can't be proved from here")


def _heights(size: int) -> list[int]:
    """Return the heights of the complete subtrees that a size is made of, the largest first."""
    return [height for height in reversed(range(size.bit_length())) if (size >> height) & 1]
