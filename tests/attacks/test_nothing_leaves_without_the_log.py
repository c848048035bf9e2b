"""A confirmed grant isn't released before outsiders can see that something is: log first, then act.

The relay runs the log. It may keep it back, make another, or prove something else; it may not have
as many witnesses as the policy on the doorbell's card wants.
"""

from collections.abc import AsyncIterator, Callable

import pytest

from firmware.decisions.intake import StatementIntake
from firmware.protocol.commands import ReleaseLogged
from firmware.protocol.custody import CustodyLeaf, ReleaseLeaf
from firmware.protocol.encoding import new_salt
from firmware.protocol.events import PackageReady, ReleaseCommitted
from firmware.protocol.tlog.proof import TlogProof, parse_proof
from tests.fakes.intake import DeskRig, desk_rig
from tests.fakes.log_town import Town, make_town
from tests.fakes.releases import opening_of


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


async def committed(rig: DeskRig, desk: StatementIntake) -> str:
    """Sign and confirm a grant; return what the doorbell commits to."""
    await rig.confirm(desk, rig.sign())
    return rig.told_of(ReleaseCommitted)[-1].commitment


def logged(town: Town, commitment: str) -> ReleaseLogged:
    return town.log_release(commitment)


def by_another_log_of_the_name(rig: DeskRig, commitment: str) -> ReleaseLogged:
    return logged(make_town(), commitment)


def by_too_few_witnesses(rig: DeskRig, commitment: str) -> ReleaseLogged:
    log = rig.world.town.custody_log
    entry = CustodyLeaf(body=ReleaseLeaf(commitment=commitment)).encode()
    index = log.append(entry, at_ms=rig.now_ms)
    log.cosign(at_ms=rig.now_ms, by=("north",))
    return ReleaseLogged(commitment=commitment, proof=log.proof(index))


def by_no_witness(rig: DeskRig, commitment: str) -> ReleaseLogged:
    log = rig.world.town.custody_log
    entry = CustodyLeaf(body=ReleaseLeaf(commitment=commitment)).encode()
    index = log.append(entry, at_ms=rig.now_ms)
    log.cosign(at_ms=rig.now_ms, by=())
    return ReleaseLogged(commitment=commitment, proof=log.proof(index))


def in_the_register_instead(rig: DeskRig, commitment: str) -> ReleaseLogged:
    log = rig.world.town.register_log
    entry = CustodyLeaf(body=ReleaseLeaf(commitment=commitment)).encode()
    index = log.append(entry, at_ms=rig.now_ms)
    return ReleaseLogged(commitment=commitment, proof=log.proof(index))


def of_another_commitment(rig: DeskRig, commitment: str) -> ReleaseLogged:
    proof = logged(rig.world.town, "ab" * 32).proof
    return ReleaseLogged(commitment=commitment, proof=proof)


def of_another_grants_record(rig: DeskRig, commitment: str) -> ReleaseLogged:
    record = opening_of(device=rig.keys.device, grant_digest="ab" * 32).record
    return ReleaseLogged(commitment=commitment, proof=logged(rig.world.town, record.digest()).proof)


def at_another_place(rig: DeskRig, commitment: str) -> ReleaseLogged:
    proof = parse_proof(logged(rig.world.town, commitment).proof.encode())
    moved = TlogProof(index=proof.index - 1, hashes=proof.hashes, note=proof.note)
    return ReleaseLogged(commitment=commitment, proof=moved.encode().decode())


def beyond_the_end(rig: DeskRig, commitment: str) -> ReleaseLogged:
    proof = parse_proof(logged(rig.world.town, commitment).proof.encode())
    moved = TlogProof(index=proof.index + 1, hashes=proof.hashes, note=proof.note)
    return ReleaseLogged(commitment=commitment, proof=moved.encode().decode())


def of_a_log_that_never_had_it(rig: DeskRig, commitment: str) -> ReleaseLogged:
    """The path is right, and so is the checkpoint: of two different logs."""
    proof = parse_proof(logged(rig.world.town, commitment).proof.encode())
    fork = rig.world.town.custody_log.fork(size=1)
    while fork.size <= proof.index:
        fork.append(b"something else", at_ms=rig.now_ms)
    other = TlogProof(index=proof.index, hashes=proof.hashes, note=fork.checkpoint)
    return ReleaseLogged(commitment=commitment, proof=other.encode().decode())


def nothing_at_all(rig: DeskRig, commitment: str) -> ReleaseLogged:
    return ReleaseLogged(commitment=commitment, proof="")


Lie = Callable[[DeskRig, str], ReleaseLogged]
LIES: list[Lie] = [
    by_another_log_of_the_name,
    by_too_few_witnesses,
    by_no_witness,
    in_the_register_instead,
    of_another_commitment,
    of_another_grants_record,
    at_another_place,
    beyond_the_end,
    of_a_log_that_never_had_it,
    nothing_at_all,
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
async def test_what_the_relay_calls_logged_is_checked(rig, lie):
    """Seen to succeed with `check_proof` out of the verifier, all but the last."""
    desk = rig.desk()
    commitment = await committed(rig, desk)
    await desk.on_release_logged(lie(rig, commitment))
    assert rig.kept() == {}
    assert rig.told_of(PackageReady) == []
    await rig.log_release(desk)
    assert len(rig.kept()) == 1, "the right proof still counts"


async def test_a_log_that_is_kept_back_keeps_the_release_back(rig):
    desk = rig.desk()
    await committed(rig, desk)
    for _ in range(6):
        rig.wind(minutes=9)
        await desk.end_what_is_over()
        desk = rig.desk()
        await desk.resume()
    assert rig.kept() == {}
    rig.wind(minutes=9)
    await desk.end_what_is_over()
    await rig.log_release(desk)
    assert rig.kept() == {}, "its time is over"


async def test_a_proof_that_was_held_back_is_stale(rig):
    """Seen to succeed with `is_fresh` out of `_check_logged`."""
    desk = rig.desk()
    await rig.confirm(desk, rig.sign_at(None, rig.now_ms + 5 * 3_600_000))
    commitment = rig.told_of(ReleaseCommitted)[-1].commitment
    old = logged(rig.world.town, commitment)
    rig.wind(minutes=61)
    await desk.on_release_logged(old)
    assert rig.kept() == {}
    await rig.log_release(desk)
    assert len(rig.kept()) == 1


async def test_a_proof_from_the_future_is_none(rig):
    desk = rig.desk()
    commitment = await committed(rig, desk)
    ahead = rig.world.town.copy()
    ahead.wind(hours=1)
    await desk.on_release_logged(logged(ahead, commitment))
    assert rig.kept() == {}


async def test_a_grant_that_was_logged_before_it_was_confirmed_is_logged_again(rig):
    """Nobody can log it before: what it commits to has a salt that the doorbell draws then."""
    desk, signed = rig.desk(), rig.sign()
    digest = await rig.ask(desk, signed)
    assert rig.told_of(ReleaseCommitted) == []
    request_digest = rig.world.signed_request.request_digest
    guessed = opening_of(device=rig.keys.device, grant_digest=digest, request_digest=request_digest)
    early = logged(rig.world.town, guessed.record.digest())
    assert await desk.confirm(digest) is None
    await desk.on_release_logged(early)
    assert rig.kept() == {}


async def test_a_register_that_is_kept_back_keeps_the_release_back(rig):
    """Seen to succeed with `check_freshness` out of request_rules.py."""
    desk = rig.desk()
    await rig.confirm(desk, rig.sign_at(None, rig.now_ms + 5 * 3_600_000))
    rig.now_ms += 61 * 60_000  # and the doorbell is told of no newer register
    await rig.log_release(desk)
    assert rig.kept() == {}
    rig.read_register()
    await rig.log_release(desk)
    assert len(rig.kept()) == 1


@pytest.mark.parametrize("what", ["withdrawn", "suspended", "revoked"])
async def test_what_the_register_says_meanwhile_counts(rig, what):
    desk, town = rig.desk(), rig.world.town
    await committed(rig, desk)
    if what == "withdrawn":
        town.withdraw(rig.world.signed_request)
    elif what == "suspended":
        town.suspend()
    else:
        town.revoke(town.officer)
    rig.read_register()
    await rig.log_release(desk)
    assert rig.kept() == {}


async def test_no_commitment_tells_what_is_released(rig):
    """It has a salt of its own: the same grant twice, or a guess at it, can't be seen in it."""
    desk = rig.desk()
    first = await committed(rig, desk)
    second = await committed(rig, desk)
    assert first != second
    statements = rig.store.statements_in("confirmed")
    openings = [one.release for one in statements if one.release]
    salts = {salt for one in openings for salt in (one.record.salt, one.salt_g, one.salt_d)}
    assert len(salts) == 6
    assert new_salt(bytes(32)) not in salts
