"""A tree that keeps few leaves proves them as the whole tree does; tiles prove how one begins."""

import random
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog import kept_tree
from firmware.protocol.tlog.kept_tree import KeptTree
from firmware.protocol.tlog.merkle import EMPTY_ROOT, Frontier, Tree, leaf_hash
from firmware.protocol.tlog.prefixes import (
    Subtree,
    joined_root,
    root_in_tile,
    roots_of,
    subtrees_between,
    subtrees_in,
    tile_with,
)
from firmware.protocol.tlog.tiles import tiles_grown


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_tree, "WINDOW", 8)


def both(size: int, kept: set[int]) -> tuple[Tree, KeptTree]:
    whole, few = Tree(), KeptTree()
    for index in range(size):
        hashed = leaf_hash(b"%d" % index)
        whole.append(hashed)
        few.append(hashed)
        if index in kept:
            few.keep(index)
    return whole, few


@pytest.mark.parametrize("seed", range(40))
def test_what_is_kept_is_proved_as_by_the_whole_tree(seed: int) -> None:
    chance = random.Random(seed)
    size = chance.randrange(1, 600)
    kept: set[int] = set()
    whole, few = both(0, kept)
    for index in range(size):
        hashed = leaf_hash(b"%d" % index)
        whole.append(hashed)
        few.append(hashed)
        if chance.random() < 0.1:
            few.keep(index)
            kept.add(index)
        if chance.random() < 0.03:
            kept = {one for one in kept if chance.random() < 0.7}
            few.keep_only(kept)
        if chance.random() < 0.03:
            few = KeptTree.load(few.save(), kept)
        at = chance.randrange(few.oldest_size, few.size + 1)
        assert few.root(at) == whole.root(at)
    assert few.root() == whole.root() == few.frontier().root()
    for index in kept | {size - 1}:
        assert few.inclusion_proof(index) == whole.inclusion_proof(index)
        assert few.consistency_proof(index + 1) == whole.consistency_proof(index + 1)


def test_what_isnt_kept_cant_be_proved_and_isnt_made_up() -> None:
    _, few = both(100, {10, 50})
    few.keep_only({50})
    with pytest.raises(WireError, match="isn't kept"):
        few.inclusion_proof(10)
    with pytest.raises(ValueError, match="among the newest"):
        few.keep(11)
    assert few.root(11) is None
    assert few.root(101) is None


def test_it_takes_little_however_long_the_log_is() -> None:
    _, few = both(5000, {7, 2500})
    saved = few.save()
    assert len(saved.nodes) <= 2 * 14
    assert len(saved.recent) < 16 * 32
    assert len(saved.edge) <= 13


def test_an_empty_tree_has_its_root() -> None:
    assert KeptTree().root() == EMPTY_ROOT
    assert KeptTree.load(KeptTree().save(), ()).size == 0


@pytest.mark.parametrize("seed", range(40))
def test_tiles_show_how_a_tree_begins(seed: int) -> None:
    chance = random.Random(seed)
    size = chance.randrange(1, 70_000) if seed < 3 else chance.randrange(1, 900)
    whole = Tree(leaf_hash(b"%d" % index) for index in range(size))
    tiles = {tile.path: tile.hashes_in(whole) for tile in tiles_grown(0, size)}

    def tile_of(subtree: Subtree) -> bytes:
        return tiles[tile_with(subtree, size=size).path]

    for at in {0, 1, size, *(chance.randrange(size + 1) for _ in range(5))}:
        edge = Frontier()
        edge.extend(whole.subtree_hashes(0, 0, at))
        rest = roots_of(subtrees_between(at, size), tile_of)
        assert joined_root([*subtrees_in(edge), *rest]) == whole.root()
        begin = roots_of(subtrees_between(0, at), tile_of)
        if at:
            assert joined_root(begin) == whole.root(at)
    with pytest.raises(WireError, match="too short"):
        root_in_tile((0, size - 1), b"")


def test_threads_that_ask_for_roots_at_once_each_get_the_right_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen to fail: one went on from the other's size, and had a wrong root or none."""
    monkeypatch.setattr(kept_tree, "WINDOW", 2048)
    hashes = [leaf_hash(number.to_bytes(4)) for number in range(700)]
    kept, whole = KeptTree(), Tree(hashes)
    for hashed in hashes:
        kept.append(hashed)
    roots = {size: whole.root(size) for size in range(1, 701)}

    def ask(seed: int) -> list[int]:
        dice = random.Random(seed)
        sizes = [dice.randrange(1, 701) for _ in range(300)]
        return [size for size in sizes if kept.root(size) != roots[size]]

    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(max_workers=4) as pool:
            assert list(pool.map(ask, range(8))) == [[]] * 8
    finally:
        sys.setswitchinterval(before_s)
