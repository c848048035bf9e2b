"""Fifteen times `kill -9` (DOORWARD_RECORDER_KILLS=N: so often) at random moments of recording.

Ten doorbells, of which half film eight times as fast, so that clips begin and end all the time;
some are killed while they still put right what the last kill left. Then every clip plays, nothing
that was handed over a second before a kill is lost, not counting time in which a busy machine held
the process up, and both databases are sound.
"""

import asyncio
import os
import random
from pathlib import Path

import pytest

from firmware.protocol.events import ClipReady
from tests.faults.doorbells import RecordingDoorbell, seeded_dice
from tests.faults.remains import Remains, S, remains_of

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("DOORWARD_RECORDER_KILLS", "15"))
DOORBELLS = 10
SAFE_AFTER_S = 1.0
"""A unit handed over so long before the kill is in the file: a fragment is at most 0.5 s old."""
EARLY = 0.2
"""The part of the kills that come at any moment of the start."""
START_S = 1.0
LIFE_S = 2.5


async def test_kill_9_at_any_moment_loses_no_written_picture_and_no_press(tmp_path: Path) -> None:
    dice = seeded_dice()
    doorbells = [
        RecordingDoorbell(tmp_path / f"{n}", tmp_path / f"{n}-notes", speed=8.0 if n % 2 else 1.0)
        for n in range(DOORBELLS)
    ]
    rounds = -(-KILLS // DOORBELLS)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(kill_again_and_again(one, rounds, random.Random(dice.random())))
            for one in doorbells
        ]
    for doorbell, task in zip(doorbells, tasks, strict=True):
        with remains_of(doorbell.folder) as remains:
            remains.assert_all_in_order()
            assert_nothing_is_lost(doorbell, remains, task.result())
            assert_told_is_told(remains)


async def kill_again_and_again(
    doorbell: RecordingDoorbell, times: int, dice: random.Random
) -> list[int]:
    """Return when each life was killed; the last life ends in good order."""
    killed_ns = []
    async with doorbell:
        for _ in range(times):
            await doorbell.start()
            if dice.random() >= EARLY:
                await doorbell.until()
                await asyncio.sleep(dice.uniform(0, LIFE_S))
            else:
                await asyncio.sleep(dice.uniform(0, START_S))
            killed_ns.append(await doorbell.kill())
        await doorbell.start()
        await doorbell.until(lambda life: len(life.presses) >= 2)
        await doorbell.end()
    return killed_ns


def assert_nothing_is_lost(
    doorbell: RecordingDoorbell, remains: Remains, killed_ns: list[int]
) -> None:
    for life in doorbell.lives:
        if life.done_ns is not None:
            lost, dead_ns = remains.missing(life.units), life.done_ns
        else:
            dead_ns = min(at_ns for at_ns in killed_ns if at_ns > life.began_ns)
            lost = [
                unit
                for unit in remains.missing(unit for unit in life.units if unit.at_ns < dead_ns)
                if dead_ns - unit.at_ns - life.held_up_ns(unit.at_ns, dead_ns) > SAFE_AFTER_S * S
            ]
        ages_s = [(dead_ns - unit.at_ns) / S for unit in lost]
        assert lost == [], f"lost, handed over so many seconds before the end: {ages_s}"
        assert remains.unaccepted(life.presses) == []


def assert_told_is_told(remains: Remains) -> None:
    """A clip that counts as told lies in the outbox."""
    told = {e.body.clip_id for e in remains.events() if isinstance(e.body, ClipReady)}
    untold = {clip.clip_id for clip in remains.shelves.library.unpublished()}
    assert {clip.clip_id for clip in remains.clips} <= told | untold
