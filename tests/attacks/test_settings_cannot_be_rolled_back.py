"""Settings go forward only: a relay can't bring an older document back, nor leave one out."""

from collections.abc import AsyncIterator

import pytest

from firmware.protocol.decisions import ChangeSettings, OwnerSettings
from firmware.protocol.notes import SettingsNow, StatementRefused
from tests.fakes.intake import DeskRig, desk_rig

MASK = [[0, 0], [500, 0], [500, 500]]


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


def settings(rig: DeskRig, revision: int, **changes: object) -> bytes:
    return rig.sign(ChangeSettings(settings=OwnerSettings(revision=revision, **changes)))


def revision(rig: DeskRig) -> int | None:
    now = rig.household.settings()
    return None if now is None else now.revision


def reasons(rig: DeskRig) -> list[str]:
    return [note.reason for note in rig.notes() if isinstance(note, StatementRefused)]


async def test_an_older_document_that_was_held_back_does_not_count_any_more(rig):
    """Seen to fail with the revision unchecked in household_rules.py."""
    desk = rig.desk()
    held_back = settings(rig, 1, is_opted_in=True)
    await desk.on_statement(rig.seal(settings(rig, 1)))
    await desk.on_statement(rig.seal(settings(rig, 2)))
    await desk.on_statement(rig.seal(held_back))
    assert revision(rig) == 2
    assert not rig.household.settings().is_opted_in
    assert reasons(rig) == ["settings"]


async def test_one_that_was_left_out_is_missed(rig):
    """Seen to fail with `!=` made `<=` there: any later one would do."""
    desk = rig.desk()
    await desk.on_statement(rig.seal(settings(rig, 1)))
    left_out = settings(rig, 2, masks=[MASK])
    await desk.on_statement(rig.seal(settings(rig, 3)))
    assert revision(rig) == 1
    assert reasons(rig) == ["settings"]
    await desk.on_statement(rig.seal(left_out))
    assert rig.household.settings().masks == [MASK]


@pytest.mark.parametrize("first", [2, 100])
async def test_the_first_settings_are_the_first(rig, first):
    await rig.desk().on_statement(rig.seal(settings(rig, first)))
    assert revision(rig) is None


async def test_a_smaller_mask_waits_for_the_door_and_its_settings_count_as_a_whole(rig):
    """Seen to fail with `is_widening` answering False."""
    desk = rig.desk()
    await desk.on_statement(rig.seal(settings(rig, 1, masks=[MASK])))
    await desk.on_statement(rig.seal(settings(rig, 2, is_opted_in=True)))
    assert rig.household.settings() == OwnerSettings(revision=1, masks=[MASK])
    (asked,) = desk.waiting()
    meanwhile = settings(rig, 2, masks=[MASK], has_reminder=True)
    await desk.on_statement(rig.seal(meanwhile))
    refusal = await desk.confirm(asked.statement.digest)
    assert refusal is not None, "it was made from settings that don't count any more"
    assert rig.household.settings() == OwnerSettings(revision=2, masks=[MASK], has_reminder=True)


async def test_a_restart_brings_no_older_settings_back(rig):
    desk = rig.desk()
    old = settings(rig, 1, has_reminder=True)
    for signed in (old, settings(rig, 2)):
        await desk.on_statement(rig.seal(signed))
    desk = rig.desk()
    await desk.resume()
    await desk.on_statement(rig.seal(old))
    assert rig.household.settings() == OwnerSettings(revision=2)


async def test_each_owner_learns_which_settings_count(rig):
    await rig.desk().on_statement(rig.seal(settings(rig, 1, has_reminder=True)))
    told = rig.notes()[-1]
    assert isinstance(told, SettingsNow)
    assert told.settings == OwnerSettings(revision=1, has_reminder=True)
