"""10,000 grants with anything about them changed or said again: none is released, none raises.

Changed are the owner's statement, the request and its certificates, what the register says of them,
the clip, the confirmation, an approver's word, what was committed to and the log's proof; and each
passkey tells lies that it truly signs. DOORWARD_MUTATIONS sets how many.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec
import pytest

from firmware.consent.facts import (
    Confirmation,
    Facts,
    Grant,
    Logged,
    Refusal,
    Release,
    UnverifiedStatement,
)
from firmware.consent.verifier import judge, release
from firmware.protocol.encoding import Document, WireError, decode
from firmware.protocol.grants import SignedStatement, Statement
from firmware.protocol.register.facts import RequestFact
from firmware.protocol.releases import ReleaseOpening
from firmware.protocol.requests import SignedRequest
from tests.fakes.consent_world import MINUTE_MS, NOW_MS, ConsentWorld, make_world
from tests.fakes.log_town import DAY_MS, HOUR_MS
from tests.fakes.lying_passkey import LIES, LyingPasskey

SEED = 20261125
D = TypeVar("D", bound=Document)
MUTATIONS = int(os.environ.get("DOORWARD_MUTATIONS", "10000"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """All that a release is judged by."""

    data: bytes
    facts: Facts
    confirmation: Confirmation
    logged: Logged

    def answer(self) -> Release | Refusal:
        grant = judge(UnverifiedStatement(self.data), self.facts)
        if isinstance(grant, Refusal):
            return grant
        assert isinstance(grant, Grant)
        return release(grant, self.confirmation, self.logged, self.facts)


def right() -> tuple[ConsentWorld, Attempt]:
    """Return a release by an approver's word, proved by no more witnesses than are needed."""
    world, key = make_world().with_approver()
    grant = world.granted()
    logged = world.logged(grant.digest)
    log = world.town.custody_log
    log.cosign(at_ms=NOW_MS, by=("north", "east"))
    logged = Logged(opening=logged.opening, proof=log.proof(log.size - 1).encode())
    confirmation = world.confirmation(
        grant.digest, way="approver", approval=world.approval(key, grant.digest)
    )
    attempt = Attempt(
        data=grant.signed.encode(), facts=world.facts, confirmation=confirmation, logged=logged
    )
    assert isinstance(attempt.answer(), Release)
    return world, attempt


def mutated(data: bytes, rng: random.Random) -> bytes:
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


def changed(document: D, rng: random.Random) -> D | None:
    """Return the document with changed bytes, if it can still be read and says something else."""
    try:
        other = decode(type(document), mutated(document.encode(), rng), max_bytes=10**6)
    except WireError:
        return None
    return other if other != document else None


def of_request(world: ConsentWorld, **changes: Any) -> Facts:
    digest = world.signed_request.request_digest
    register = world.facts.register
    fact = replace(register.requests[digest], **changes)
    return replace(world.facts, register=replace(register, requests={digest: fact}))


# How each part is changed; None: what came out can't be there, or is the same


def the_statement(_: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    data = mutated(attempt.data, rng)
    return replace(attempt, data=data) if data != attempt.data else None


def said_again(world: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    signed = decode(SignedStatement, attempt.data)
    statement = decode(Statement, signed.statement.encode())
    again = world.sign(statement) if rng.random() < 0.5 else attempt.data
    digest = attempt.confirmation.statement_digest
    return replace(attempt, data=again, facts=replace(attempt.facts, spent=frozenset({digest})))


def the_request(world: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    signed = changed(world.signed_request, rng)
    return None if signed is None else replace(attempt, facts=of_request(world, signed=signed))


def a_certificate(world: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    which = rng.choice(["officer", "cosigner"])
    certificate = changed(getattr(world.signed_request, which), rng)
    if certificate is None:
        return None
    signed: SignedRequest = msgspec.structs.replace(world.signed_request, **{which: certificate})
    return replace(attempt, facts=of_request(world, signed=signed))


def the_register(world: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    register, agency = world.facts.register, world.agreement.agency
    fact: RequestFact = register.requests[world.signed_request.request_digest]
    (agreement,) = register.agreements[agency]
    which = rng.choice(["officer", "cosigner"])
    officer = getattr(fact, which)
    young_ms = NOW_MS - rng.randrange(3 * DAY_MS)
    facts = rng.choice(
        [
            lambda: replace(
                world.facts,
                register=replace(register, fresh_ms=NOW_MS - HOUR_MS - rng.randint(1, 10**9)),
            ),
            lambda: of_request(world, **{which: replace(officer, is_revoked=True)}),
            lambda: of_request(world, **{which: replace(officer, seen_ms=young_ms + 1)}),
            lambda: of_request(world, **{which: replace(officer, seen_ms=None)}),
            lambda: of_request(world, seen_ms=None),
            lambda: of_request(world, is_withdrawn=True),
            lambda: with_agreement(world, replace(agreement, is_suspended=True)),
            lambda: with_agreement(world, replace(agreement, seen_ms=young_ms)),
            lambda: with_agreement(world, replace(agreement, seen_ms=None)),
            lambda: replace(world.facts, register=replace(register, agreements={})),
            lambda: replace(world.facts, register=replace(register, requests={})),
            lambda: replace(world.facts, now_ms=NOW_MS + rng.randint(HOUR_MS, 100 * DAY_MS)),
            lambda: replace(world.facts, now_ms=NOW_MS - rng.randint(10 * MINUTE_MS, DAY_MS)),
            lambda: replace(world.facts, is_clock_trusted=False),
            lambda: replace(world.facts, owners=()),
            lambda: replace(world.facts, clips={}),
        ]
    )()
    return replace(attempt, facts=facts)


def with_agreement(world: ConsentWorld, fact: Any) -> Facts:
    agreements = {world.agreement.agency: (fact,)}
    return replace(world.facts, register=replace(world.facts.register, agreements=agreements))


def the_confirmation(_: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    far_ms = rng.randint(10 * MINUTE_MS + 1, 10**12)
    right_one = attempt.confirmation
    confirmation = rng.choice(
        [
            replace(right_one, statement_digest=f"{rng.getrandbits(256):064x}"),
            replace(right_one, asked_ms=right_one.confirmed_ms - far_ms),
            replace(right_one, asked_ms=right_one.confirmed_ms + far_ms),
            replace(right_one, confirmed_ms=right_one.confirmed_ms + far_ms),
            replace(right_one, confirmed_ms=right_one.confirmed_ms - far_ms),
            replace(right_one, approval=None),
        ]
    )
    return replace(attempt, confirmation=confirmation)


def the_approval(_: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    approval = attempt.confirmation.approval
    assert approval is not None
    other = changed(approval, rng)
    if other is None:
        return None
    return replace(attempt, confirmation=replace(attempt.confirmation, approval=other))


def the_clip(world: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    """Another clip stands under the id that was signed: by its digest or by its times."""
    fact = world.facts.clips[world.clip_id]
    span_ms = fact.ended_ms - fact.started_ms
    other = rng.choice(
        [
            replace(fact, manifest_digest=f"{rng.getrandbits(256):064x}"),
            replace(fact, started_ms=fact.started_ms + rng.randint(1, span_ms - 1)),
            replace(fact, ended_ms=fact.ended_ms - rng.randint(1, span_ms - 1)),
        ]
    )
    return replace(attempt, facts=replace(attempt.facts, clips={world.clip_id: other}))


def a_lie(world: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    """The owner's own passkey signs this very statement, and one thing about how is untrue."""
    liar = LyingPasskey.of(world.owner, LIES[rng.choice(sorted(LIES))])
    statement = decode(Statement, decode(SignedStatement, attempt.data).statement.encode())
    return replace(attempt, data=world.sign(statement, by=liar))


def what_was_committed(_: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    opening: ReleaseOpening | None = changed(attempt.logged.opening, rng)
    if opening is None:
        return None
    return replace(attempt, logged=replace(attempt.logged, opening=opening))


def the_proof(_: ConsentWorld, attempt: Attempt, rng: random.Random) -> Attempt | None:
    proof = mutated(attempt.logged.proof, rng)
    if proof == attempt.logged.proof:
        return None
    return replace(attempt, logged=replace(attempt.logged, proof=proof))


Change = Callable[[ConsentWorld, Attempt, random.Random], Attempt | None]
CHANGES: dict[Change, float] = {
    the_statement: 0.35,
    the_clip: 0.02,
    a_lie: 0.03,
    said_again: 0.1,
    the_request: 0.1,
    a_certificate: 0.1,
    the_register: 0.1,
    the_confirmation: 0.05,
    the_approval: 0.05,
    what_was_committed: 0.03,
    the_proof: 0.07,
}
"""And how much of all tries each has."""


def attempts(change: Change, count: int) -> Iterator[Attempt]:
    world, attempt = right()
    rng = random.Random(SEED)
    made = 0
    while made < count:
        other = change(world, attempt, rng)
        if other is not None:
            made += 1
            yield other


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_whatever_is_changed_nothing_is_released(change):
    reasons: Counter[str] = Counter()
    for attempt in attempts(change, round(MUTATIONS * CHANGES[change])):
        answer = attempt.answer()
        assert isinstance(answer, Refusal), attempt
        reasons[answer.reason] += 1
    if change is the_statement and MUTATIONS >= 10_000:
        assert len(reasons) >= 4, f"the changes reached too few checks: {reasons}"


def test_they_are_as_many_as_the_claim_says():
    assert sum(CHANGES.values()) == pytest.approx(1)
