"""The Merkle tree: the known tree of eight entries, its wrong proofs, and any other tree.

The known tree is the one that implementations of RFC 6962 have tested with since Certificate
Transparency's first. What is wrong with its proofs follows the published generator of
transparency-dev/merkle (cmd/proofgen); their files aren't copied here. DOORWARD_MERKLE_VECTORS
names a folder with them (its testdata/) to try all of them.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofRefused,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    bytes.fromhex(text)
    for text in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
SOME_HASH = bytes(range(32))
DUMMY_ROOTS = "sizes-are-equal-one-and-proof-is-empty.json"
"""Accepted there with roots of 12 bytes; a hash has 32 here."""
SIZES = range(1, 70)


@dataclass(frozen=True, kw_only=True)
class Inclusion:
    """What is shown to `verify_inclusion`."""

    index: int
    size: int
    leaf_hash: bytes
    proof: list[bytes]
    root: bytes

    def check(self) -> None:
        verify_inclusion(
            index=self.index,
            size=self.size,
            leaf_hash=self.leaf_hash,
            proof=self.proof,
            root=self.root,
        )


@dataclass(frozen=True, kw_only=True)
class Consistency:
    """What is shown to `verify_consistency`."""

    old_size: int
    old_root: bytes
    size: int
    root: bytes
    proof: list[bytes]

    def check(self) -> None:
        verify_consistency(
            old_size=self.old_size,
            old_root=self.old_root,
            size=self.size,
            root=self.root,
            proof=self.proof,
        )


def tree_of(size: int) -> Tree:
    return Tree(leaf_hash(b"entry %d" % number) for number in range(size))


def inclusion(tree: Tree, index: int, size: int) -> Inclusion:
    return Inclusion(
        index=index,
        size=size,
        leaf_hash=tree.subtree_hashes(0, index, index + 1)[0],
        proof=tree.inclusion_proof(index, size),
        root=tree.root(size),
    )


def consistency(tree: Tree, old_size: int, size: int) -> Consistency:
    return Consistency(
        old_size=old_size,
        old_root=tree.root(old_size),
        size=size,
        root=tree.root(size),
        proof=tree.consistency_proof(old_size, size),
    )


def wrong_paths(proof: list[bytes], *roots: bytes) -> Iterator[list[bytes]]:
    for garbage in (b"", SOME_HASH, *roots):
        yield [*proof, garbage]
        yield [garbage, *proof]
    for place, hashed in enumerate(proof):
        flipped = bytes([hashed[0] ^ 8]) + hashed[1:]
        yield [*proof[:place], flipped, *proof[place + 1 :]]
        yield [*proof[:place], hashed[:31], *proof[place + 1 :]]
    if proof:
        yield proof[:-1]
        yield proof[1:]
        yield [proof[0], SOME_HASH, *proof[1:]]


def wrong_inclusions(right: Inclusion) -> Iterator[Inclusion]:
    for index in (right.index - 1, right.index + 1, right.index ^ 2, right.size, -1):
        yield replace(right, index=index)
    for size in (right.size * 2, right.size // 2, 0, 2**64):
        yield replace(right, size=size)
    for root in (EMPTY_ROOT, SOME_HASH, b""):
        yield replace(right, root=root)
    for hashed in (b"WrongLeaf", SOME_HASH, b""):
        yield replace(right, leaf_hash=hashed)
    for proof in wrong_paths(right.proof, right.root):
        yield replace(right, proof=proof)


def wrong_consistencies(right: Consistency) -> Iterator[Consistency]:
    for old_size in (right.old_size - 1, right.old_size + 1, right.old_size ^ 2, 0):
        yield replace(right, old_size=old_size)
    for size in (right.size * 2, right.size // 2, 0, 2**64):
        yield replace(right, size=size)
    for root in (EMPTY_ROOT, SOME_HASH, b"WrongRoot"):
        yield replace(right, root=root)
        yield replace(right, old_root=root)
    for proof in wrong_paths(right.proof, right.root, right.old_root):
        yield replace(right, proof=proof)
    if right.proof:
        yield replace(right, proof=[])
        yield replace(right, root=right.old_root, old_root=right.root)


def is_refused(shown: Inclusion | Consistency) -> bool:
    try:
        shown.check()
    except ProofRefused:
        return True
    return False


def root_by_definition(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not hashes:
        return EMPTY_ROOT
    if len(hashes) == 1:
        return hashes[0]
    half = 1 << ((len(hashes) - 1).bit_length() - 1)
    return node_hash(root_by_definition(hashes[:half]), root_by_definition(hashes[half:]))


def test_the_known_tree_has_its_known_roots():
    tree = Tree()
    assert tree.root() == ROOTS[0] == EMPTY_ROOT
    for entry, root in zip(ENTRIES, ROOTS[1:], strict=True):
        tree.append(leaf_hash(entry))
        assert tree.root() == root
    assert [tree.root(size) for size in range(9)] == ROOTS


@pytest.mark.parametrize(("number", "size"), [(1, 1), (1, 8), (6, 8), (3, 3), (2, 5)])
def test_the_known_tree_proves_its_entries_and_nothing_else(number: int, size: int):
    right = inclusion(Tree(map(leaf_hash, ENTRIES)), number - 1, size)
    right.check()
    assert right.root == ROOTS[size]
    for wrong in wrong_inclusions(right):
        assert wrong == right or is_refused(wrong), wrong


@pytest.mark.parametrize(("old_size", "size"), [(1, 1), (1, 8), (6, 8), (2, 5), (6, 7)])
def test_the_known_tree_proves_its_growth_and_nothing_else(old_size: int, size: int):
    right = consistency(Tree(map(leaf_hash, ENTRIES)), old_size, size)
    right.check()
    for wrong in wrong_consistencies(right):
        assert wrong == right or is_refused(wrong), wrong


@pytest.mark.parametrize(("index", "size"), [(0, 0), (0, 1), (1, 0), (2, 1)])
@pytest.mark.parametrize(
    ("root", "hashed"), [(b"", SOME_HASH), (EMPTY_ROOT, b""), (EMPTY_ROOT, SOME_HASH)]
)
def test_an_empty_tree_proves_no_entry(index: int, size: int, root: bytes, hashed: bytes):
    assert is_refused(Inclusion(index=index, size=size, leaf_hash=hashed, proof=[], root=root))


@pytest.mark.parametrize(("old_size", "size"), [(0, 0), (0, 1), (1, 0), (2, 1), (-1, 1)])
@pytest.mark.parametrize("proof", [[], [EMPTY_ROOT]])
def test_nothing_is_proved_from_an_empty_tree_or_into_a_smaller_one(
    old_size: int, size: int, proof: list[bytes]
):
    shown = Consistency(
        old_size=old_size, old_root=EMPTY_ROOT, size=size, root=EMPTY_ROOT, proof=proof
    )
    assert is_refused(shown)


@pytest.mark.parametrize("root", [b"don't care", bytes(31), bytes(33), b""])
def test_what_is_no_hash_is_no_root(root: bytes):
    assert is_refused(Consistency(old_size=1, old_root=root, size=1, root=root, proof=[]))
    assert is_refused(Inclusion(index=0, size=1, leaf_hash=root, proof=[], root=root))


def test_every_tree_up_to_a_size_has_the_root_of_the_definition():
    hashes = [leaf_hash(b"entry %d" % number) for number in range(SIZES.stop)]
    tree, frontier = Tree(hashes), Frontier()
    for size in range(SIZES.stop):
        assert tree.root(size) == frontier.root() == root_by_definition(hashes[:size])
        frontier.append(hashes[size])


def test_every_entry_of_every_tree_up_to_a_size_is_proved():
    tree = tree_of(SIZES.stop)
    for size in SIZES:
        for index in range(size):
            inclusion(tree, index, size).check()


def test_every_growth_up_to_a_size_is_proved():
    tree = tree_of(SIZES.stop)
    for size in SIZES:
        for old_size in range(1, size + 1):
            consistency(tree, old_size, size).check()


def test_a_tree_grows_the_same_whether_it_is_asked_between_or_not():
    asked = Tree()
    for number in range(SIZES.stop):
        asked.append(leaf_hash(b"entry %d" % number))
        asked.root()
        asked.inclusion_proof(number // 2)
    silent = tree_of(SIZES.stop)
    assert asked.root() == silent.root()
    assert asked.inclusion_proof(3) == silent.inclusion_proof(3)


def test_leaves_added_at_once_are_those_added_one_by_one():
    for before in range(5):
        for more in range(19):
            leaves = [leaf_hash(bytes([n])) for n in range(before + more)]
            at_once, singly = Frontier(), Frontier()
            for one in leaves:
                singly.append(one)
            for one in leaves[:before]:
                at_once.append(one)
            at_once.extend(leaves[before:])
            assert at_once.root() == singly.root()


def test_no_hash_proves_that_a_tree_grew_from_none_or_not_at_all():
    tree = tree_of(5)
    assert tree.consistency_proof(0) == tree.consistency_proof(5) == []
    assert tree.consistency_proof(0, 0) == []


def test_a_tree_is_consistent_with_itself_by_no_hash_at_all():
    root = Tree([leaf_hash(b"x")]).root()
    itself = {"old_size": 1, "size": 1, "old_root": root, "root": root}
    verify_consistency(**itself, proof=[])
    with pytest.raises(ProofRefused):
        verify_consistency(**itself, proof=[SOME_HASH])


@given(st.integers(1, 300), st.data())
def test_a_proof_with_one_bit_flipped_is_refused(size: int, data: st.DataObject):
    tree = tree_of(size)
    right = inclusion(tree, data.draw(st.integers(0, size - 1)), size)
    grown = consistency(tree, data.draw(st.integers(1, size)), size)
    for shown in (right, grown):
        shown.check()
        if not shown.proof:
            continue
        place = data.draw(st.integers(0, len(shown.proof) - 1))
        bit = data.draw(st.integers(0, 255))
        flipped = (int.from_bytes(shown.proof[place]) ^ (1 << bit)).to_bytes(32)
        assert is_refused(
            replace(shown, proof=[*shown.proof[:place], flipped, *shown.proof[place + 1 :]])
        )


def test_a_history_with_one_entry_changed_is_not_consistent():
    old = tree_of(50)
    for changed in (0, 31, 49):
        forged = Tree(
            leaf_hash(b"forged" if number == changed else b"entry %d" % number)
            for number in range(80)
        )
        shown = replace(consistency(forged, 50, 80), old_root=old.root())
        assert is_refused(shown)


def test_a_leaf_is_no_node():
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    assert leaf_hash(left + right) != node_hash(left, right)


@pytest.mark.parametrize(
    "ask",
    [
        lambda tree: tree.inclusion_proof(5),
        lambda tree: tree.inclusion_proof(-1),
        lambda tree: tree.root(6),
        lambda tree: tree.consistency_proof(6),
        lambda tree: tree.consistency_proof(-1),
        lambda tree: tree.subtree_hashes(1, 0, 3),
        lambda tree: tree.append(b"short"),
    ],
)
def test_a_tree_is_asked_only_what_it_has(ask: Callable[[Tree], object]):
    with pytest.raises(ValueError, match=r"tree|leaf|subtrees"):
        ask(tree_of(5))


@given(st.integers(0, 500), st.integers(0, 100))
def test_a_frontier_is_kept_and_goes_on(size: int, more: int):
    hashes = [leaf_hash(b"entry %d" % number) for number in range(size + more)]
    first = Frontier()
    for hashed in hashes[:size]:
        first.append(hashed)
    kept = Frontier(first.size, first.hashes)
    for hashed in hashes[size:]:
        kept.append(hashed)
    assert (kept.size, kept.root()) == (size + more, Tree(hashes).root())


@pytest.mark.parametrize(
    ("size", "hashes"), [(1, []), (3, [SOME_HASH]), (-1, []), (2, [b"short"]), (0, [SOME_HASH])]
)
def test_a_frontier_that_can_not_be_is_refused(size: int, hashes: list[bytes]):
    with pytest.raises(WireError):
        Frontier(size, hashes)


def test_the_published_vectors_hold():
    folder = os.environ.get("DOORWARD_MERKLE_VECTORS")
    if folder is None:
        pytest.skip("DOORWARD_MERKLE_VECTORS names no folder of transparency-dev/merkle's testdata")
    paths = sorted(
        path
        for kind in ("inclusion", "consistency")
        for path in Path(folder, kind).rglob("*.json")
        if path.name != DUMMY_ROOTS
    )
    assert len(paths) >= 190
    for path in paths:
        vector = json.loads(path.read_bytes())
        assert is_refused(published(vector)) == vector["wantErr"], path


def published(vector: dict) -> Inclusion | Consistency:
    def hashed(text: str | None) -> bytes:
        return base64.b64decode(text or "")

    proof = [hashed(text) for text in vector["proof"] or []]
    if "leafIdx" in vector:
        return Inclusion(
            index=vector["leafIdx"],
            size=vector["treeSize"],
            leaf_hash=hashed(vector["leafHash"]),
            proof=proof,
            root=hashed(vector["root"]),
        )
    return Consistency(
        old_size=vector["size1"],
        old_root=hashed(vector["root1"]),
        size=vector["size2"],
        root=hashed(vector["root2"]),
        proof=proof,
    )
