"""A release of a clip that the log hasn't proven yet goes a batch later, at its end as any other.

Evidence without that proof doesn't hold (`doorward-verify` says "there is no capture-1.json").
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.decisions.intake import StatementIntake
from firmware.protocol.batches import MAX_LEAD_MS
from firmware.protocol.custody import COMMITTED_WITHIN_MS
from firmware.protocol.decisions import Revoke
from firmware.protocol.events import PackageReady, ReleaseCommitted
from tests.fakes.consent_world import MINUTE_MS, NOW_MS
from tests.fakes.intake import DeskRig, desk_rig

BATCH_MS = 15 * MINUTE_MS
BEGIN_MS = NOW_MS - NOW_MS % BATCH_MS


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path, now_ms=BEGIN_MS + 2 * MINUTE_MS, minutes_ago=31) as rig:
        rig.batch_ms = BATCH_MS
        rig.record.is_behind = True
        yield rig


async def go_to(rig: DeskRig, desk: StatementIntake, time_ms: int) -> None:
    """Let time pass; the doorbell looks as it does each second and each minute."""
    rig.wind(minutes=(time_ms - rig.now_ms) / MINUTE_MS)
    await desk.commit_what_is_due()
    await desk.end_what_is_over()


def due_ms(batch: int) -> int:
    """Return when the commitments of a batch leave; the first one's is 1."""
    return BEGIN_MS + batch * BATCH_MS - MAX_LEAD_MS


async def test_it_is_committed_to_at_the_end_of_the_batch_in_which_its_proof_came(rig):
    desk = rig.desk()
    await rig.confirm(desk, rig.sign())
    await go_to(rig, desk, due_ms(1))
    assert rig.told_of(ReleaseCommitted) == []
    rig.record.is_behind = False
    for time_ms in (due_ms(1) + 1_000, BEGIN_MS + BATCH_MS, due_ms(2) - 1):
        await go_to(rig, desk, time_ms)
        assert rig.told_of(ReleaseCommitted) == [], "a moment that says when the proof came"
    await go_to(rig, desk, due_ms(2))
    assert len(rig.told_of(ReleaseCommitted)) == 1
    await rig.log_release(desk)
    assert len(rig.told_of(PackageReady)) == 1


async def test_taken_back_meanwhile_it_leaves_nothing(rig):
    desk = rig.desk()
    digest = await rig.confirm(desk, rig.sign())
    await go_to(rig, desk, due_ms(1))
    await desk.on_statement(rig.seal(rig.sign(Revoke(grant_digest=digest))))
    rig.record.is_behind = False
    await go_to(rig, desk, due_ms(2))
    assert rig.told_of(ReleaseCommitted) == []


async def test_it_waits_no_longer_than_a_doorbell_that_is_on_line_takes(rig):
    desk = rig.desk()
    (clip,) = rig.library.newest(1)
    await rig.confirm(desk, rig.sign())
    for batch in range(1, 6):
        is_over = due_ms(batch) >= clip.ended_ms + COMMITTED_WITHIN_MS
        await go_to(rig, desk, due_ms(batch))
        assert bool(rig.told_of(ReleaseCommitted)) == is_over
    assert is_over


async def test_without_batches_it_goes_a_second_after_its_proof(rig):
    rig.batch_ms = 0
    desk = rig.desk()
    await rig.confirm(desk, rig.sign())
    await go_to(rig, desk, rig.now_ms + 1_000)
    assert rig.told_of(ReleaseCommitted) == []
    rig.record.is_behind = False
    await go_to(rig, desk, rig.now_ms + 1_000)
    assert len(rig.told_of(ReleaseCommitted)) == 1
