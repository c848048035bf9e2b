"""Whoever holds a doorbell's proof of a slot doesn't learn how many doorbells the relay has.

An agency gets such proofs with evidence, and may keep many. Compared are fleets of 3, 300 and
30,000. Seen to succeed with the padded trees before these: a path had 3, 9 and 15 hashes, and the
size stood beside it.
"""

import secrets
from functools import cache
from statistics import mean

import pytest

from firmware.protocol.commands import SlotLogged
from firmware.protocol.encoding import b64u, unb64u
from firmware.protocol.slot_trees import SLOT_DEPTH, SLOT_SIZE, SlotTree, slot_root

FLEETS = [3, 300, 30_000]
SAMPLES = 300


@cache
def proofs(fleet: int) -> list[SlotLogged]:
    """Return many doorbells' proofs, from as many slots as it takes."""
    found: list[SlotLogged] = []
    while len(found) < SAMPLES:
        commitments = [secrets.token_hex(32) for _ in range(fleet)]
        tree = SlotTree(commitments, secrets.token_bytes(32))
        for one in commitments[: SAMPLES - len(found)]:
            assert slot_root(one, index=tree.index(one), hashes=tree.path(one)) == tree.root()
            found.append(SlotLogged(slot=7, index=tree.index(one), hashes=tree.path(one), proof=""))
    return found


@pytest.mark.parametrize("fleet", FLEETS)
def test_every_proof_has_one_form_and_length(fleet: int) -> None:
    for proof in proofs(fleet):
        assert [len(unb64u(one)) for one in proof.hashes] == [32] * SLOT_DEPTH
        others = len(proof.encode()) - len(str(proof.index))
        assert others == len(proofs(3)[0].encode()) - len(str(proofs(3)[0].index))


@pytest.mark.parametrize("fleet", FLEETS)
def test_a_place_is_as_likely_as_any_other(fleet: int) -> None:
    """The mean of 300 places, and of their bits, lies where it does by chance alone (6 sigma)."""
    places = [proof.index for proof in proofs(fleet)]
    assert abs(mean(places) / SLOT_SIZE - 0.5) < 6 * 0.2887 / SAMPLES**0.5
    for bit in range(SLOT_DEPTH):
        assert abs(mean(place >> bit & 1 for place in places) - 0.5) < 6 * 0.5 / SAMPLES**0.5


@pytest.mark.parametrize("fleet", FLEETS)
def test_an_empty_neighbour_looks_as_a_real_one(fleet: int) -> None:
    """No hash of a path comes twice within a slot's leaves, nor is one of the kind "empty"."""
    for level in range(10):  # above that, doorbells of one slot share siblings
        siblings = [proof.hashes[level] for proof in proofs(fleet)]
        assert b64u(b"\x00" * 32) not in siblings
        ones = mean(bin(int.from_bytes(unb64u(one), "big")).count("1") for one in siblings)
        assert abs(ones - 128) < 6 * 8 / SAMPLES**0.5
    assert len({proof.hashes[0] for proof in proofs(fleet)}) == SAMPLES
