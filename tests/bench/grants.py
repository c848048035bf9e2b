"""D12: the verifier's whole judgement of a right grant, against its signatures alone."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.consent.facts import Grant
from firmware.consent.verifier import judge
from tests.bench.measuring import Goal, Result, Size, in_turns, timed
from tests.fakes.consent_world import make_world

SIGNATURES = 5
"""Of the owner, of both officers, and of the agency on both officers' certificates."""


def measure(size: Size) -> Result:
    """Judge the same bytes again and again; nothing is remembered between judgements."""
    world = make_world()
    data = world.sign(world.statement())
    if not isinstance(judge(data, world.facts), Grant):
        raise RuntimeError("the grant to measure with was refused")
    key = ec.generate_private_key(ec.SECP256R1())
    public_key, algorithm = key.public_key(), ec.ECDSA(hashes.SHA256())
    signature = key.sign(data, algorithm)

    def verify_bare() -> None:
        for _ in range(SIGNATURES):
            public_key.verify(signature, data, algorithm)

    own, peer = in_turns(
        size.runs,
        lambda: timed(lambda: judge(data, world.facts), size.repeats),
        lambda: timed(verify_bare, size.repeats),
    )
    return Result(
        id="D12",
        what=f"verify a grant: parse it and make every check, {SIGNATURES} signatures among them",
        unit="ms",
        peer=f"{SIGNATURES} bare ECDSA P-256 verifications (cryptography), keys loaded before",
        own_runs=own,
        peer_runs=peer,
        goal=Goal(value=1.0),
    )
