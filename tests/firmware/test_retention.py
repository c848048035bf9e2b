"""What goes and what stays: by age, by bytes, by free space; never what is held or open."""

import json
from pathlib import Path

import pytest

from firmware.clips.library import Library
from firmware.clips.retention import DAY_MS, Retention
from firmware.protocol.encoding import new_id
from tests.fakes.clock import ManualClock
from tests.fakes.listed_clips import keep, start_of
from tests.fakes.recorder import Shelves

NOW_MS = 1_790_000_000_000


def shelves_at(folder: Path, *, keep_days: int = 30, keep_bytes: int = 10**9) -> Shelves:
    clock = ManualClock(wall_ms=NOW_MS)
    return Shelves(folder, clock=clock, keep_days=keep_days, keep_bytes=keep_bytes)


def reasons(library: Library) -> list[str]:
    return [json.loads(signed.deletion)["why"] for signed in library.deletions()]


def kept(shelves: Shelves) -> list[str]:
    return [clip.clip_id for clip in shelves.library.in_order()]


def clock_of(shelves: Shelves) -> ManualClock:
    assert isinstance(shelves.clock, ManualClock)
    return shelves.clock


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    shelves = shelves_at(tmp_path)
    old, young = keep(shelves, NOW_MS - 31 * DAY_MS), keep(shelves, NOW_MS - 29 * DAY_MS)
    assert shelves.retention.apply() == [old.clip_id]
    assert kept(shelves) == [young.clip_id]
    assert reasons(shelves.library) == ["age"]
    assert not old.path.exists()


def test_nothing_goes_for_its_age_by_a_clock_that_may_be_wrong(tmp_path: Path) -> None:
    shelves = shelves_at(tmp_path)
    clip = keep(shelves, NOW_MS)
    clock_of(shelves).trusted = False
    clock_of(shelves).set_wall_ms(NOW_MS + 3650 * DAY_MS)
    assert shelves.retention.apply() == []
    assert kept(shelves) == [clip.clip_id]


def test_nothing_goes_for_its_age_while_a_leap_of_the_clock_is_fresh(tmp_path: Path) -> None:
    shelves = shelves_at(tmp_path)
    clip = keep(shelves, NOW_MS)
    clock_of(shelves).set_wall_ms(NOW_MS + 3650 * DAY_MS)
    clock_of(shelves).settled = False
    assert shelves.retention.apply() == []
    clock_of(shelves).settled = True
    assert shelves.retention.apply() == [clip.clip_id]


def test_too_many_bytes_go_in_the_order_of_recording_whatever_the_clocks_said(
    tmp_path: Path,
) -> None:
    shelves = shelves_at(tmp_path, keep_bytes=250)
    times_ms = (NOW_MS + 3650 * DAY_MS, 5_000, NOW_MS)
    first, *rest = [keep(shelves, ms, is_clock_trusted=False) for ms in times_ms]
    assert shelves.retention.apply() == [first.clip_id]
    assert kept(shelves) == [clip.clip_id for clip in rest]
    assert reasons(shelves.library) == ["space"]


def test_a_held_clip_outlives_days_bytes_and_a_full_card(tmp_path: Path) -> None:
    shelves = shelves_at(tmp_path, keep_days=1, keep_bytes=1)
    held = keep(shelves, NOW_MS - 90 * DAY_MS)
    shelves.library.set_held(held.clip_id, is_held=True)
    keep(shelves, NOW_MS)
    shelves.retention.apply()
    assert not shelves.retention.make_room()
    assert kept(shelves) == [held.clip_id]
    shelves.library.set_held(held.clip_id, is_held=False)
    assert shelves.retention.apply() == [held.clip_id]


def test_a_clip_that_is_being_recorded_is_never_removed(tmp_path: Path) -> None:
    shelves = shelves_at(tmp_path, keep_bytes=1)
    shelves.library.save_open(start_of(shelves, NOW_MS - 90 * DAY_MS))
    assert shelves.retention.apply() == []
    assert not shelves.retention.make_room()


def test_the_oldest_go_while_less_is_free_than_there_should_be(tmp_path: Path) -> None:
    shelves = shelves_at(tmp_path)
    first, second, third = [keep(shelves, NOW_MS) for _ in range(3)]
    retention = Retention(
        shelves.library,
        shelves.clock,
        boot_id=shelves.boot_id,
        keep_days=30,
        keep_bytes=10**9,
        min_free_bytes=1_000,
        free_bytes=lambda _: 850 + 100 * (3 - shelves.library.count()),
    )
    retention.keep_free()
    assert kept(shelves) == [third.clip_id]
    assert first.clip_id != second.clip_id


def test_a_card_that_something_else_fills_does_not_cost_all_clips(tmp_path: Path) -> None:
    shelves = shelves_at(tmp_path)
    clips = [keep(shelves, NOW_MS) for _ in range(3)]
    retention = Retention(
        shelves.library,
        shelves.clock,
        boot_id=shelves.boot_id,
        keep_days=30,
        keep_bytes=10**9,
        min_free_bytes=10_000,
        free_bytes=lambda _: 0,
    )
    assert retention.apply() == []
    assert retention.make_room()
    assert kept(shelves) == [clip.clip_id for clip in clips[1:]]


def test_a_clip_of_an_earlier_run_that_nobody_dated_ages_from_now(tmp_path: Path) -> None:
    shelves = shelves_at(tmp_path)
    clip = keep(shelves, 5_000, is_clock_trusted=False, boot_id=new_id())
    assert shelves.retention.apply() == []
    dated = shelves.library.find(clip.clip_id)
    assert dated is not None
    assert (dated.dating, dated.ended_ms, dated.told_ms) == ("latest", NOW_MS, 5_000)
    clock_of(shelves).advance(31 * DAY_MS / 1000)
    assert shelves.retention.apply() == [clip.clip_id]


def test_a_clip_of_an_earlier_run_is_dated_at_once_and_only_ever_earlier(tmp_path: Path) -> None:
    """Not by the next round of retention: a slot may commit to it before."""
    shelves = shelves_at(tmp_path)
    clip = keep(shelves, 5_000, is_clock_trusted=False, boot_id=new_id())
    ends = []
    for now_ms in (NOW_MS + 300 * DAY_MS, NOW_MS, NOW_MS + DAY_MS):
        clock_of(shelves).set_wall_ms(now_ms)
        shelves.retention.date_earlier_runs()
        dated = shelves.library.find(clip.clip_id)
        assert dated is not None
        ends.append(dated.ended_ms)
    assert ends == [NOW_MS + 300 * DAY_MS, NOW_MS, NOW_MS]


def test_a_clip_of_this_run_waits_for_the_clock_before_it_ages(tmp_path: Path) -> None:
    shelves = shelves_at(tmp_path)
    clip = keep(shelves, 5_000, is_clock_trusted=False)
    assert shelves.retention.apply() == []
    shelves.library.date_boot(shelves.boot_id, NOW_MS - 40 * DAY_MS)
    assert shelves.retention.apply() == [clip.clip_id]


def test_held_clips_do_not_make_all_others_go_for_a_reserve_that_they_cannot_give(
    tmp_path: Path,
) -> None:
    shelves = shelves_at(tmp_path)
    held, other = keep(shelves, NOW_MS, size_bytes=9_000), keep(shelves, NOW_MS)
    shelves.library.set_held(held.clip_id, is_held=True)
    retention = Retention(
        shelves.library,
        shelves.clock,
        boot_id=shelves.boot_id,
        keep_days=30,
        keep_bytes=10**9,
        min_free_bytes=1_000,
        free_bytes=lambda _: 0,
    )
    assert retention.apply() == []
    assert other.path.exists()


def test_a_clip_that_is_held_at_the_last_moment_is_not_removed(tmp_path: Path) -> None:
    shelves = shelves_at(tmp_path)
    held, other = [keep(shelves, NOW_MS) for _ in range(2)]
    shelves.library.set_held(held.clip_id, is_held=True)  # by another process, after the choice
    assert shelves.library.remove([held.clip_id, other.clip_id], "age") == [other.clip_id]
    assert held.path.exists()
    assert kept(shelves) == [held.clip_id]


@pytest.mark.parametrize("count", [3, 250])
def test_many_old_clips_go_at_once(tmp_path: Path, count: int) -> None:
    shelves = shelves_at(tmp_path)
    for _ in range(count):
        keep(shelves, NOW_MS - 31 * DAY_MS)
    assert len(shelves.retention.apply()) == count
    assert len(shelves.library.deletions()) == count
