"""firmware.protocol.slot_trees: every path leads to the root, and nothing else does."""

import hashlib
import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocol.encoding import WireError, b64u, unb64u
from firmware.protocol.slot_trees import SLOT_DEPTH, SLOT_SIZE, SlotTree, slot_root

COMMITMENTS = st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), unique=True, max_size=40)
SEEDS = st.binary(min_size=32, max_size=32)


@given(COMMITMENTS, SEEDS)
@settings(max_examples=40)
def test_each_path_leads_to_the_root(commitments: list[str], seed: bytes) -> None:
    tree = SlotTree(commitments, seed)
    for commitment in commitments:
        assert commitment in tree
        found = slot_root(commitment, index=tree.index(commitment), hashes=tree.path(commitment))
        assert found == tree.root()
    assert len({tree.index(one) for one in commitments}) == len(commitments)


def test_a_tree_is_made_again_from_its_seed_in_whatever_order_they_came() -> None:
    commitments, seed = [secrets.token_hex(32) for _ in range(9)], secrets.token_bytes(32)
    one, again = SlotTree(commitments, seed), SlotTree(reversed(commitments), seed)
    assert one.root() == again.root() != SlotTree(commitments, secrets.token_bytes(32)).root()


def test_it_is_the_tree_of_rfc_6962() -> None:
    """An independent reckoning from the leaf upwards, by the place's bits."""
    commitments = [secrets.token_hex(32) for _ in range(5)]
    tree = SlotTree(commitments, secrets.token_bytes(32))
    for commitment in commitments:
        node = hashlib.sha256(b"\x00" + bytes.fromhex(commitment)).digest()
        for bit, sibling in enumerate(map(unb64u, tree.path(commitment))):
            pair = sibling + node if tree.index(commitment) >> bit & 1 else node + sibling
            node = hashlib.sha256(b"\x01" + pair).digest()
        assert node == tree.root()


def test_a_slot_without_doorbells_has_a_random_root() -> None:
    seeds = [secrets.token_bytes(32) for _ in range(3)]
    assert len({SlotTree([], seed).root() for seed in seeds}) == 3
    assert all(len(SlotTree([], seed).root()) == 32 for seed in seeds)


@pytest.mark.parametrize("change", ["shorter", "longer", "short hash", "index", "other"])
def test_a_path_of_another_form_is_refused(change: str) -> None:
    commitment = secrets.token_hex(32)
    tree = SlotTree([commitment], secrets.token_bytes(32))
    index, hashes = tree.index(commitment), tree.path(commitment)
    changed = {
        "shorter": (index, hashes[:-1]),
        "longer": (index, [*hashes, b64u(b"x" * 32)]),
        "short hash": (index, [b64u(b"x" * 31), *hashes[1:]]),
        "index": (SLOT_SIZE + index, hashes),
        "other": (index ^ 1, hashes),
    }[change]
    if change == "other":
        assert slot_root(commitment, index=changed[0], hashes=changed[1]) != tree.root()
        return
    with pytest.raises(WireError):
        slot_root(commitment, index=changed[0], hashes=changed[1])


def test_the_path_is_as_deep_as_the_tree() -> None:
    assert 2**SLOT_DEPTH == SLOT_SIZE
