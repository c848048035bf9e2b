"""Random mutations of a right grant: none is accepted, and nothing is raised.

1,000 of them, or DOORWARD_MUTATIONS=N.
"""

import os
import random

from firmware.consent.facts import Grant, Refusal
from firmware.consent.verifier import judge
from tests.fakes.consent_world import make_world

SEED = 20261125
MUTATIONS = int(os.environ.get("DOORWARD_MUTATIONS", "1000"))


def mutate(data: bytes, rng: random.Random) -> bytes:
    raw = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        position = rng.randrange(len(raw))
        kind = rng.randrange(4)
        if kind == 0:
            raw[position] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del raw[position : position + rng.randint(1, 8)]
        elif kind == 2:
            raw[position:position] = rng.randbytes(rng.randint(1, 8))
        else:
            other = rng.randrange(len(raw))
            raw[position], raw[other] = raw[other], raw[position]
    return bytes(raw)


def test_mutated_grants_are_all_refused():
    world = make_world()
    data = world.sign(world.statement())
    assert isinstance(judge(data, world.facts), Grant)
    rng = random.Random(SEED)
    reasons: dict[str, int] = {}
    tried = 0
    while tried < MUTATIONS:
        mutated = mutate(data, rng)
        if mutated == data:
            continue
        tried += 1
        answer = judge(mutated, world.facts)
        assert isinstance(answer, Refusal), mutated
        reasons[answer.reason] = reasons.get(answer.reason, 0) + 1
    assert len(reasons) >= 4, f"the mutations reached too few checks: {reasons}"
