"""A grant that is taken back before its batch ends leaves nothing: no entry, no event of its own.

The relay sees all that the doorbell tells, and an officer reads the public log. With one request
open, a release without a package would say that somebody gave and took it back.

Seen to succeed (the commitment is told when the owner confirms, and stays in the log for ever) with
the row "not in the log, and its batch goes on" out of the lifecycle's table.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.decisions.intake import StatementIntake
from firmware.protocol.batches import MAX_LEAD_MS
from firmware.protocol.decisions import Decline, Revoke
from firmware.protocol.events import Note, PackageReady, ReleaseCommitted
from firmware.protocol.notes import ReleaseDone, StatementDone
from tests.fakes.consent_world import MINUTE_MS, NOW_MS
from tests.fakes.intake import DeskRig, desk_rig

BATCH_MS = 15 * MINUTE_MS
BEGIN_MS = NOW_MS - NOW_MS % BATCH_MS
"""When the batch began in which the owner confirms."""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path, now_ms=BEGIN_MS + 2 * MINUTE_MS) as rig:
        rig.batch_ms = BATCH_MS
        yield rig


async def go_to(rig: DeskRig, desk: StatementIntake, time_ms: int) -> None:
    """Let time pass; the doorbell looks as it does each second and each minute."""
    rig.wind(minutes=(time_ms - rig.now_ms) / MINUTE_MS)
    await desk.commit_what_is_due()
    await desk.end_what_is_over()


async def take_back(rig: DeskRig, desk: StatementIntake, digest: str) -> None:
    await desk.on_statement(rig.seal(rig.sign(Revoke(grant_digest=digest))))


def last_moment_ms() -> int:
    return BEGIN_MS + BATCH_MS - MAX_LEAD_MS


@pytest.mark.parametrize("is_restarted", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("minutes", [0.05, 5, 12.4])
async def test_what_is_taken_back_in_time_is_never_committed_to(rig, minutes, is_restarted):
    desk = rig.desk()
    digest = await rig.confirm(desk, rig.sign())
    rig.told.clear()
    await go_to(rig, desk, rig.now_ms + round(minutes * MINUTE_MS))
    assert rig.now_ms < last_moment_ms()
    assert rig.told == []
    if is_restarted:
        desk = rig.desk()
        await desk.resume()
    await take_back(rig, desk, digest)
    for end_ms in (last_moment_ms(), BEGIN_MS + BATCH_MS, BEGIN_MS + 3 * BATCH_MS):
        await go_to(rig, desk, end_ms)
    assert {type(body) for body in rig.told} == {Note}
    assert isinstance(rig.notes()[-1], StatementDone)
    assert rig.kept() == {}


async def test_the_relay_sees_the_same_as_after_any_other_two_statements(rig):
    desk = rig.desk()
    rig.told.clear()
    digest = await rig.confirm(desk, rig.sign())
    await take_back(rig, desk, digest)
    await go_to(rig, desk, BEGIN_MS + 2 * BATCH_MS)
    taken_back = [(type(body), len(body.encode())) for body in rig.told]
    rig.told.clear()
    for request in ("ab" * 32, "cd" * 32):
        await desk.on_statement(rig.seal(rig.sign(Decline(request_digest=request))))
    await go_to(rig, desk, rig.now_ms + 2 * BATCH_MS)
    assert [(type(body), len(body.encode())) for body in rig.told] == taken_back


@pytest.mark.parametrize("is_restarted", [False, True], ids=["running", "restarted"])
async def test_what_isnt_taken_back_is_committed_to_just_before_the_end(rig, is_restarted):
    desk = rig.desk()
    await rig.confirm(desk, rig.sign())
    if is_restarted:
        desk = rig.desk()
        await desk.resume()
    await go_to(rig, desk, last_moment_ms() - 1)
    assert rig.told_of(ReleaseCommitted) == []
    await go_to(rig, desk, last_moment_ms())
    assert len(rig.told_of(ReleaseCommitted)) == 1
    await rig.log_release(desk)
    assert len(rig.told_of(PackageReady)) == 1
    assert isinstance(rig.notes()[-1], ReleaseDone)


async def test_a_doorbell_that_was_off_at_the_end_commits_when_it_starts(rig):
    await rig.confirm(rig.desk(), rig.sign())
    rig.wind(minutes=20)
    desk = rig.desk()
    assert rig.told_of(ReleaseCommitted) == []
    await desk.resume()
    assert len(rig.told_of(ReleaseCommitted)) == 1


async def test_a_commitment_waits_for_the_clock_and_goes_once_it_is_known(rig):
    desk = rig.desk()
    await rig.confirm(desk, rig.sign())
    rig.is_time_known = False
    await go_to(rig, desk, last_moment_ms())
    assert rig.told_of(ReleaseCommitted) == []
    rig.is_time_known = True
    rig.now_ms += 6_000
    await desk.commit_what_is_due()
    assert len(rig.told_of(ReleaseCommitted)) == 1
