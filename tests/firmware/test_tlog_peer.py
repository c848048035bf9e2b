"""Doorward's log formats against an independent implementation (aics-tlog, aics-witness)."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.protocol.tlog.merkle import (
    ProofRefused,
    Tree,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from firmware.protocol.tlog.policy import parse_policy, policy_text
from firmware.protocol.tlog.signed_note import parse_note, parse_signatures
from firmware.protocol.tlog.tiles import bundles_grown, encode_bundle, tiles_grown
from firmware.protocol.tlog.witness import AddCheckpoint
from tests.fakes.witness_log import NOW_S, ORIGIN, WitnessedLog
from tests.fakes.witness_peer import PeerLog, PeerWitness, reason_against

REASON = reason_against()
pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
PROOFS = 3000
LARGEST = 5000


@pytest.fixture(scope="module")
def peer() -> Iterator[PeerLog]:
    with PeerLog() as running:
        yield running


def tree_of(size: int) -> Tree:
    return Tree(leaf_hash(b"entry %d" % number) for number in range(size))


def wanted(dice: random.Random) -> list[list[int]]:
    """Index, old size and size of proofs; few sizes, as the peer builds a tree for each."""
    sizes = [1, 2, 3, 4, 255, 256, 257, LARGEST, *(dice.randint(1, LARGEST) for _ in range(50))]
    drawn = [dice.choice(sizes) for _ in range(PROOFS)]
    return [[dice.randrange(size), dice.randint(1, size), size] for size in drawn]


def test_3000_random_proofs_are_the_same(peer: PeerLog):
    asked = wanted(random.Random(7))
    tree = tree_of(LARGEST)
    own = [
        [
            tree.root(size).hex(),
            [hashed.hex() for hashed in tree.inclusion_proof(index, size)],
            [hashed.hex() for hashed in tree.consistency_proof(old_size, size)],
        ]
        for index, old_size, size in asked
    ]
    assert own == peer.ask("proofs", size=LARGEST, of=asked)


def test_both_judge_3000_random_proofs_alike_of_which_half_are_wrong(peer: PeerLog):
    dice = random.Random(8)
    tree = tree_of(LARGEST)
    shown = []
    for index, old_size, size in wanted(dice):
        inclusion = {
            "index": index,
            "size": size,
            "leaf_hash": leaf_hash(b"entry %d" % index).hex(),
            "proof": [hashed.hex() for hashed in tree.inclusion_proof(index, size)],
            "root": tree.root(size).hex(),
        }
        consistency = {
            "old_size": old_size,
            "old_root": tree.root(old_size).hex(),
            "size": size,
            "proof": [hashed.hex() for hashed in tree.consistency_proof(old_size, size)],
            "root": tree.root(size).hex(),
        }
        proof = dice.choice((inclusion, consistency))
        shown.append(spoiled(dice, proof) if dice.random() < 0.5 else proof)
    own = [is_accepted(proof) for proof in shown]
    assert 0.4 < sum(own) / PROOFS < 0.6
    assert own == peer.ask("verify", shown=shown)


def spoiled(dice: random.Random, proof: dict) -> dict:
    numbers = [key for key in ("index", "old_size", "size") if key in proof]
    match dice.randrange(4):
        case 0:
            number = dice.choice(numbers)
            return {**proof, number: max(1, proof[number] + dice.choice((-2, -1, 1, 2)))}
        case 1:
            return {**proof, "proof": [*proof["proof"], "ab" * 32]}
        case 2:
            return {**proof, "proof": proof["proof"][1:]}
        case _:
            return {**proof, "root": "cd" * 32}


def is_accepted(proof: dict) -> bool:
    hashes = [bytes.fromhex(hashed) for hashed in proof["proof"]]
    root = bytes.fromhex(proof["root"])
    try:
        if "index" in proof:
            verify_inclusion(
                index=proof["index"],
                size=proof["size"],
                leaf_hash=bytes.fromhex(proof["leaf_hash"]),
                proof=hashes,
                root=root,
            )
        else:
            verify_consistency(
                old_size=proof["old_size"],
                old_root=bytes.fromhex(proof["old_root"]),
                size=proof["size"],
                root=root,
                proof=hashes,
            )
    except ProofRefused:
        return False
    return True


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700, 66_000])
def test_a_log_is_published_as_the_same_files(peer: PeerLog, size: int):
    tree = tree_of(size)
    entries = [b"entry %d" % number for number in range(size)]
    own = {tile.path: tile.hashes_in(tree).hex() for tile in tiles_grown(0, size)}
    for bundle in bundles_grown(0, size):
        data = encode_bundle(entries[bundle.start : bundle.start + bundle.width])
        own[bundle.path] = data.hex()
    assert own == peer.ask("tiles", size=size)


def test_a_checkpoint_with_cosignatures_is_accepted_there_too(peer: PeerLog):
    log = WitnessedLog([b"a", b"b"])
    answer = peer.ask(
        "checkpoint",
        note=log.cosigned(ann=NOW_S, bea=NOW_S + 60).decode(),
        log=log.signer.key.vkey,
        witnesses=[signer.key.vkey for signer in log.witnesses.values()],
        quorum=2,
    )
    assert answer["ok"], answer["why"]
    assert (answer["size"], sorted(answer["times"].values())) == (2, [NOW_S, NOW_S + 60])


def test_an_independent_witness_signs_our_log_and_our_policy_takes_its_word(tmp_path: Path):
    log = WitnessedLog(b"entry %d" % number for number in range(10))
    with PeerWitness(tmp_path, log.signer.key) as witness:
        policy = parse_policy(
            policy_text(logs=[log.signer.key], witnesses={"w": witness.key}, threshold=1)
        )
        for old_size, size in ((0, 3), (3, 3), (3, 10)):
            status, answer = witness.add_checkpoint(log.request(old_size, size))
            assert status == 200, answer
            note = parse_note(log.signed(size)).with_signatures(*parse_signatures(answer))
            witnessed = policy.check(note.encode(), origin=ORIGIN)
            assert witnessed.checkpoint == log.checkpoint(size)


def test_an_independent_witness_refuses_what_ours_refuses(tmp_path: Path):
    log = WitnessedLog(b"entry %d" % number for number in range(10))
    forged = WitnessedLog(b"forged %d" % number for number in range(12))
    forged.signer = log.signer
    stranger = WitnessedLog(b"entry %d" % number for number in range(10))
    foreign = WitnessedLog([b"a"], origin="foreign.example")
    with PeerWitness(tmp_path, log.signer.key) as witness:
        assert witness.add_checkpoint(log.request(0, 8))[0] == 200
        assert witness.add_checkpoint(forged.request(8))[0] == 422
        assert witness.add_checkpoint(forged.request(8, 8))[0] == 422
        assert witness.add_checkpoint(log.request(5, 6)) == (409, b"8\n")
        assert witness.add_checkpoint(stranger.request(8))[0] == 403
        assert witness.add_checkpoint(foreign.request(0))[0] == 404
        backwards = AddCheckpoint(old_size=8, hashes=(), note=log.signed(5)).encode()
        assert witness.add_checkpoint(backwards)[0] == 400
