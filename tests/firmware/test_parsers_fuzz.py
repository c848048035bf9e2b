"""Rubbish in every parser of what comes from outside: each takes it, or says no in words.

`DOORWARD_FUZZ_CPU_S` is how much processor time each takes here; `python -m tests.fuzz` is the long
form, led by coverage (`make soak`).
"""

import os
import random
import time

import pytest

from tests.fuzz.parsers import parsers
from tests.fuzz.rubbish import rubbish

CPU_S = float(os.environ.get("DOORWARD_FUZZ_CPU_S", "0.5"))
SEED = int(os.environ.get("DOORWARD_SEED", random.randrange(2**32)))
MIN_ROUNDS = 50
NAMES = (
    "statement", "verifier", "request", "register-leaf", "register", "custody-leaf",
    "release-proof", "capture-proof", "identity-proof", "extract", "authority", "register-file",
    "note", "note-key", "checkpoint", "add-checkpoint", "proof", "policy", "bundle",
    "package-header", "mp4", "copy", "copy-key",
    "pairing-code", "pairing-answer", "pairing-reveal", "renewal", "wifi-code", "wifi-text",
    "door-notice", "shards",
)  # fmt: skip


def test_each_parser_has_its_turn():
    assert set(NAMES) == set(parsers())


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_takes_what_is_well_formed(name: str):
    parser = parsers()[name]
    assert all(parser.try_one(seed) for seed in parser.seeds)


@pytest.mark.parametrize("name", NAMES)
def test_rubbish_breaks_no_parser(name: str):
    print(f"DOORWARD_SEED={SEED}")
    dice, parser = random.Random(SEED), parsers()[name]
    end_s = time.process_time() + CPU_S
    count = 0
    while time.process_time() < end_s or count < MIN_ROUNDS:
        data = rubbish(parser.seeds, dice)
        try:
            parser.try_one(data)
        except Exception as error:
            raise AssertionError(f"{name} broke over {data!r}") from error
        count += 1
