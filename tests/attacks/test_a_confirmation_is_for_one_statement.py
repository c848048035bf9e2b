"""The last word counts for exactly the statement that it was given for, by who may, in its time."""

from collections.abc import AsyncIterator

import pytest

from firmware.consent.facts import Refusal, Release
from firmware.consent.verifier import CONFIRMATION_LIFE_MS, decide
from firmware.decisions.intake import StatementIntake
from firmware.protocol.decisions import AddApprover, Confirm
from firmware.protocol.events import ReleaseCommitted
from tests.fakes.consent_world import (
    NOW_MS,
    ConsentWorld,
    make_world,
    new_owner_passkey,
    reason,
)
from tests.fakes.intake import DeskRig, desk_rig, digest_of
from tests.story.authenticator import SoftPasskey


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


@pytest.fixture
def world() -> ConsentWorld:
    return make_world()


def new_key() -> SoftPasskey:
    return SoftPasskey.create(rp_id="approve.example", origin="https://approve.example")


# By which word


def test_the_approver_of_another_owner_confirms_nothing_of_mine(world):
    """Seen to succeed with the owner's comparison out of `_check_approval`."""
    world, bo = world.with_owner()
    world, bos_key = world.with_approver(of=bo.key.credential_id)
    grant = world.granted()
    approval = world.approval(bos_key, grant.digest)
    answer = world.released(grant, way="approver", approval=approval)
    assert reason(answer) == "not_confirmed"


def test_an_approvers_word_to_another_doorbell_is_none_here(world):
    """Seen to succeed with `_check_device` out of `_check_approval`."""
    world, key = world.with_approver()
    grant = world.granted()
    approval = world.approval(key, grant.digest, device="z" * 20)
    assert reason(world.released(grant, way="approver", approval=approval)) == "device"


def test_a_no_is_no_yes(world):
    """Seen to succeed with the answer out of `_check_approval`."""
    world, key = world.with_approver()
    grant = world.granted()
    approval = world.approval(key, grant.digest, "no")
    assert reason(world.released(grant, way="approver", approval=approval)) == "not_confirmed"


def test_an_owners_passkey_is_no_approver(world):
    """So whoever can make the passkey sign has one word and not two. Seen to succeed with the
    owners' passkeys let into `_check_approver`.
    """
    world, _ = world.with_approver()
    grant = world.granted()
    approval = world.approval(world.owner, grant.digest)
    assert reason(world.released(grant, way="approver", approval=approval)) == "approver"


def test_a_yes_to_another_statement_is_none_to_this_one(world):
    """Seen to succeed with the digest out of `_check_approval`."""
    world, key = world.with_approver()
    shown, asked = world.granted(), world.granted()
    yes_to_shown = world.approval(key, shown.digest)
    answer = world.released(asked, way="approver", approval=yes_to_shown)
    assert reason(answer) == "not_confirmed"


def test_a_key_that_was_ended_confirms_nothing_more(world):
    known, key = world.with_approver()
    grant = known.granted()
    approval = known.approval(key, grant.digest)
    assert isinstance(known.released(grant, way="approver", approval=approval), Release)
    assert reason(world.released(grant, way="approver", approval=approval)) == "approver"


def test_a_word_that_was_made_for_an_earlier_time_is_none(world):
    """Seen to succeed with its not-after unchecked in `_check_approval`."""
    world, key = world.with_approver()
    grant = world.granted()
    approval = world.approval(key, grant.digest, not_after_ms=NOW_MS - 1)
    assert reason(world.released(grant, way="approver", approval=approval)) == "not_confirmed"


# Of which statement, and when


@pytest.mark.parametrize(
    "changes",
    [
        {"statement_digest": "00" * 32},
        {"asked_ms": NOW_MS - CONFIRMATION_LIFE_MS - 1},
        {"asked_ms": NOW_MS + 1},
        {"asked_ms": NOW_MS + 1, "confirmed_ms": NOW_MS + 2},
    ],
    ids=["of another", "late", "before it was asked", "in the future"],
)
def test_a_confirmation_of_another_or_of_another_time_is_none(world, changes):
    """Seen to succeed with each line of `_check_confirmation` out."""
    assert reason(world.released(world.granted(), **changes)) == "not_confirmed"


def test_what_lets_somebody_in_is_confirmed_as_strictly(world):
    """Seen to succeed with `_check_confirmation` out of `decide`."""
    decision = world.decision(world.newcomer())
    other = world.confirmation("00" * 32)
    assert reason(decide(decision, other, world.facts)) == "not_confirmed"
    assert reason(decide(decision, None, world.facts)) == "not_confirmed"


# At the desk


async def with_approver(rig: DeskRig, desk: StatementIntake) -> SoftPasskey:
    key = new_key()
    await rig.confirm(desk, rig.sign(AddApprover(name="Desk", key=key.key)))
    return key


def yes(rig: DeskRig, digest: str, by: SoftPasskey) -> bytes:
    return rig.sign(Confirm(statement_digest=digest, answer="yes"), by=by)


async def test_a_yes_that_came_before_its_statement_is_none(rig):
    desk = rig.desk()
    key = await with_approver(rig, desk)
    signed = rig.sign()
    await desk.on_statement(rig.seal(yes(rig, digest_of(signed), key)))
    await rig.ask(desk, signed)
    assert len(desk.waiting()) == 1
    assert rig.told_of(ReleaseCommitted) == []


async def test_another_owners_approver_cannot_confirm_what_waits(rig):
    desk, bo = rig.desk(), new_owner_passkey()
    await rig.confirm(desk, rig.sign(rig.newcomer(passkey=bo.key)))
    bos_key = new_key()
    await rig.confirm(desk, rig.sign(AddApprover(name="Bo's", key=bos_key.key), by=bo))
    digest = await rig.ask(desk, rig.sign())
    await desk.on_statement(rig.seal(yes(rig, digest, bos_key)))
    assert [asked.statement.digest for asked in desk.waiting()] == [digest]
    assert rig.told_of(ReleaseCommitted) == []


async def test_a_passkey_cannot_confirm_what_it_signed(rig):
    desk = rig.desk()
    digest = await rig.ask(desk, rig.sign())
    await desk.on_statement(rig.seal(yes(rig, digest, rig.world.owner)))
    assert len(desk.waiting()) == 1
    assert rig.told_of(ReleaseCommitted) == []


async def test_an_approver_that_waits_itself_confirms_nothing(rig):
    """Least of all itself."""
    desk, key = rig.desk(), new_key()
    digest = await rig.ask(desk, rig.sign(AddApprover(name="Mine", key=key.key)))
    await desk.on_statement(rig.seal(yes(rig, digest, key)))
    assert rig.household.approvers() == {}
    assert len(desk.waiting()) == 1


async def test_a_yes_that_came_after_ten_minutes_is_none(rig):
    desk = rig.desk()
    key = await with_approver(rig, desk)
    digest = await rig.ask(desk, rig.sign())
    approval = yes(rig, digest, key)
    rig.wind(minutes=10.01)
    await desk.on_statement(rig.seal(approval))
    assert isinstance(await desk.confirm(digest), Refusal)
    assert rig.told_of(ReleaseCommitted) == []


async def test_one_yes_releases_one_grant(rig):
    desk = rig.desk()
    key = await with_approver(rig, desk)
    first = await rig.ask(desk, rig.sign())
    approval = yes(rig, first, key)
    await desk.on_statement(rig.seal(approval))
    await rig.log_release(desk)
    second = await rig.ask(desk, rig.sign())
    await desk.on_statement(rig.seal(approval))
    assert [asked.statement.digest for asked in desk.waiting()] == [second]
    assert len(rig.kept()) == 1
