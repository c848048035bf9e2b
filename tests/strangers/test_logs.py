"""Both public logs before verifiers and witnesses that don't know Doorward."""

import json
import random
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.protocol.tlog.signed_note import parse_key
from tests.fakes.witness_peer import PEERS_PYTHON, PeerWitness, post, reason_against
from tests.story.api import ask_until
from tests.strangers.c2sp import (
    Checkpoint,
    Key,
    Log,
    Policy,
    Refused,
    check_inclusion,
    check_note,
    get,
    leaf_hash,
    parse_proof,
    root_of,
)
from tests.strangers.town import LivingTown

LOGS = ("register", "custody")
ENOUGH_PROOFS, MOST_ASKED = 10, 600
REASON = reason_against()
needs_peers = pytest.mark.skipif(bool(REASON), reason=REASON)


@pytest.fixture(scope="module")
def policy(town: LivingTown) -> Policy:
    return Policy.of(town.settings.policy.read_text())


@pytest.fixture(params=LOGS)
def log(request: pytest.FixtureRequest, town: LivingTown, policy: Policy) -> Log:
    return Log(f"{town.log_url}/{request.param}", policy)


def test_every_entry_leads_to_the_root_that_log_and_witnesses_signed(log: Log):
    checkpoint = log.checkpoint()
    leaves = [leaf_hash(entry) for entry in log.entries(checkpoint.size)]
    assert len(leaves) == checkpoint.size > 3
    assert root_of(leaves) == checkpoint.root
    assert len(checkpoint.times) >= 2
    tile = log.tile(0, checkpoint.size, 0)
    assert tile == leaves[: len(tile)]
    if checkpoint.size >= 256:
        assert log.tile(1, checkpoint.size, 0)[0] == root_of(leaves[:256])


def test_a_log_grows_by_adding_alone(town: LivingTown, policy: Policy):
    log = Log(f"{town.log_url}/custody", policy)
    old = log.checkpoint()

    async def grown() -> Checkpoint:
        async def look() -> Checkpoint:
            return log.checkpoint()

        return await ask_until(
            "the log grows", look, lambda new: new.size > old.size, timeout_s=50.0
        )

    new = town.ask(grown())
    leaves = [leaf_hash(entry) for entry in log.entries(new.size)]
    assert root_of(leaves) == new.root
    assert root_of(leaves[: old.size]) == old.root


def test_proofs_that_the_relay_gives_hold_and_altered_ones_do_not(town: LivingTown, policy: Policy):
    dice = random.Random(5)
    held = dict.fromkeys(LOGS, 0)
    for name in LOGS:
        log = Log(f"{town.log_url}/{name}", policy)
        entries = log.entries(log.checkpoint().size)
        for index in dice.sample(range(len(entries)), min(len(entries), MOST_ASKED)):
            answer = None if held[name] == ENOUGH_PROOFS else proof_of(town, name, index)
            if answer is None:
                continue
            held[name] += 1
            proof = parse_proof(answer)
            seen = check_note(proof.checkpoint, policy)
            leaf = leaf_hash(entries[index])
            assert proof.index == index
            check_inclusion(leaf, index, seen.size, proof.hashes, seen.root)
            with pytest.raises(Refused):
                check_inclusion(
                    leaf_hash(entries[index] + b" "), index, seen.size, proof.hashes, seen.root
                )

    assert min(held.values()) >= 1


def proof_of(town: LivingTown, name: str, index: int) -> bytes | None:
    """The proof of an entry; None for a slot's leaf, which the relay doesn't page."""
    try:
        return get(f"{town.settings.relay_url}/entries/{name}/{index}/proof")
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return None


def test_a_checkpoint_with_another_size_is_refused(log: Log, policy: Policy):
    note = get(f"{log.url}/checkpoint")
    origin, size, rest = note.split(b"\n", 2)
    with pytest.raises(Refused, match="signature is wrong"):
        check_note(b"\n".join((origin, b"%d" % (int(size) + 1), rest)), policy)


@needs_peers
def test_aics_tlog_verifies_both_logs_over_http(town: LivingTown, policy: Policy, log: Log):
    (key,) = (key for key in policy.logs if key.name == log.checkpoint().origin)
    vkeys = [*_vkeys(town, "witness")]
    command = [
        *(PEERS_PYTHON, "-m", "aics_tlog", "verify-checkpoint", "--tiles", log.url),
        *("--log-key", next(one for one in _vkeys(town, "log") if one.startswith(f"{key.name}+"))),
        *(word for vkey in vkeys for word in ("--witness-key", vkey)),
        *("--quorum", "2"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["ok"] is True


def _vkeys(town: LivingTown, kind: str) -> Iterator[str]:
    for line in town.settings.policy.read_text().splitlines():
        words = line.split()
        if words[:1] == [kind]:
            yield words[1] if kind == "log" else words[2]


@needs_peers
def test_a_foreign_witness_cosigns_the_logs_as_they_grow(
    town: LivingTown, policy: Policy, log: Log, tmp_path: Path
):
    """The feeder is ours, from the texts: it gives the witness what anybody can fetch."""
    origin = log.checkpoint().origin
    vkey = next(one for one in _vkeys(town, "log") if one.startswith(f"{origin}+"))
    with PeerWitness(tmp_path, parse_key(vkey)) as witness:
        note = get(f"{log.url}/checkpoint")
        status, cosignature = witness.add_checkpoint(b"old 0\n\n" + note)
        assert status == 200, cosignature
        named = Policy(policy.logs, {"foreign": Key.of(witness.key.vkey)}, {}, "foreign")
        check_note(note + cosignature, named)
        lied = note.replace(b"\n", b"\n9", 1)
        assert witness.add_checkpoint(b"old 0\n\n" + lied)[0] == 403


def test_the_towns_witnesses_take_a_strangers_feed(town: LivingTown, policy: Policy, log: Log):
    note = get(f"{log.url}/checkpoint")
    size = int(note.split(b"\n")[1])
    for port, (title, key) in zip(
        town.settings.ports.witnesses, policy.witnesses.items(), strict=True
    ):
        url = f"http://localhost:{port}/add-checkpoint"
        status, answer = post(url, b"old %d\n\n" % size + note)
        if status == 409:  # it has seen a newer one meanwhile
            assert int(answer) > size
            continue
        assert status == 200, answer
        check_note(note + answer, Policy(policy.logs, {title: key}, {}, title))
        assert post(url, b"old 1\n\n" + note)[0] == 409
        assert post(url, b"rubbish")[0] == 400
