"""When clips begin and end, and that what was recorded survives whatever kills the process."""

import asyncio
import errno
import io
import itertools
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import av
import pytest

from firmware.clips.crash_recovery import close_open_clips
from firmware.clips.fragment import ClipUnit
from firmware.clips.record import ClipRecord
from firmware.protocol.encoding import new_id
from firmware.protocol.footage import ClipManifest, GopHasher, check_manifest
from tests.fakes.bad_card import BadCard
from tests.fakes.clock import ManualClock
from tests.fakes.recorder import (
    RecordingRig,
    Shelves,
    recording_rig,
    running,
    taking_turns,
)
from tests.fakes.waiting import eventually

SECOND = 90_000


def manifest_of(clip: ClipRecord, rig: RecordingRig) -> ClipManifest:
    return check_manifest(clip.signed_manifest, rig.signer.spki)


def footage_of(clip: ClipRecord, shelves: Shelves) -> list[ClipUnit]:
    return list(shelves.playback.units(clip))


def assert_footage_is_what_was_signed(
    clip: ClipRecord, manifest: ClipManifest, shelves: Shelves
) -> None:
    hasher = GopHasher()
    for unit in shelves.playback.units(clip):
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
    assert hasher.finish() == manifest.gops


async def test_a_clip_begins_at_the_key_frame_before_the_pre_roll(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(5.5)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        manifest = manifest_of(clip, rig)
    assert manifest.ended == "complete"
    assert 3.5 * SECOND <= manifest.pre_roll_90k <= 4.7 * SECOND
    assert manifest.triggers[0].at_90k == manifest.pre_roll_90k
    after_90k = manifest.duration_90k - manifest.pre_roll_90k
    assert 1.8 * SECOND <= after_90k <= 2.2 * SECOND
    assert_footage_is_what_was_signed(clip, manifest, rig)


async def test_a_clip_has_every_picture_between_its_ends_once(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(5.5)
        rig.press()
        for _ in range(30):
            await rig.film(0.1)
        clip = await rig.next_clip()
        relative = [unit.pts_90k for unit in footage_of(clip, rig)]
        filmed = [unit.pts_90k for unit in rig.filmed]
        begin = next(
            i
            for i, pts in enumerate(filmed)
            if [p - pts for p in filmed[i : i + 9]] == relative[:9]
        )
    assert relative == [pts - filmed[begin] for pts in filmed[begin : begin + len(relative)]]


async def test_a_press_between_ring_and_recorder_doubles_no_picture(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        for unit in rig.camera.film(0.5):
            rig.hub.put(unit)
        asyncio.get_running_loop().call_soon(rig.press)  # after the ring, before the recorder
        await asyncio.sleep(0.02)
        await rig.film(3)
        clip = await rig.next_clip()
        pts = [unit.pts_90k for unit in footage_of(clip, rig)]
    assert not clip.is_cut_short
    assert all(8_000 < later - sooner < 10_000 for sooner, later in itertools.pairwise(pts))


async def test_motion_that_began_before_the_press_and_is_told_after_it_has_its_pre_roll(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        for tenths in range(10):  # wherever in its GOP the press comes
            await rig.film(6 + tenths / 10)
            began_90k = rig.now_90k
            await rig.film(0.4)
            rig.press()
            rig.recorder.trigger(new_id(), "motion", began_90k)
            await rig.film(3)
            manifest = manifest_of(await rig.next_clip(), rig)
            assert min(mark.at_90k for mark in manifest.triggers) >= 3 * SECOND


async def test_a_press_before_the_recorder_runs_has_its_pre_roll_and_no_gap(
    tmp_path: Path,
) -> None:
    rig = RecordingRig(tmp_path)
    await rig.film(4.5)
    rig.press()
    await rig.film(0.25)  # in the middle of a GOP
    async with running(rig):
        await rig.film_slowly(3)
        clip = await rig.next_clip()
        pts = [unit.pts_90k for unit in footage_of(clip, rig)]
    assert 3_500 <= clip.pre_roll_ms <= 4_700
    assert pts[-1] >= (clip.pre_roll_ms / 1000 + 2) * SECOND
    assert all(8_000 < later - sooner < 10_000 for sooner, later in itertools.pairwise(pts))


async def test_a_clip_says_when_it_began_in_wall_time(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(5.5)
        pressed_ms = rig.clock.wall_ms()
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
    assert abs(clip.started_ms + clip.pre_roll_ms - pressed_ms) <= 2


async def test_a_press_soon_after_the_start_has_the_pre_roll_there_is(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(1.5)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
    assert 1_400 <= clip.pre_roll_ms <= 1_600


async def test_turns_come_sooner_when_a_clip_ends_so_that_it_is_listed_at_once(
    tmp_path: Path,
) -> None:
    async with taking_turns(RecordingRig(tmp_path, post_roll_s=2.0)) as rig:
        assert rig.cutter.next_turn_s(0.4) == 0.4
        await rig.film(5.5)
        rig.press()
        rig.recorder.turn()
        assert rig.cutter.next_turn_s(0.4) == 0.4
        rig.clock.advance(1.8)
        assert rig.cutter.next_turn_s(0.4) == pytest.approx(0.25)
        rig.clock.advance(0.4)
        assert rig.cutter.next_turn_s(0.4) == pytest.approx(0.05)  # its last picture is late
        rig.clock.advance(1.0)
        assert rig.cutter.next_turn_s(0.4) == 0.4  # it isn't coming


async def test_a_second_press_prolongs_the_clip(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        first = rig.press()
        await rig.film(1.5)
        second = rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        manifest = manifest_of(clip, rig)
    assert [trigger.event_id for trigger in manifest.triggers] == [first, second]
    assert manifest.triggers[1].at_90k - manifest.triggers[0].at_90k == 1.5 * SECOND
    assert manifest.duration_90k >= manifest.triggers[1].at_90k + 1.8 * SECOND
    assert rig.clips.empty()


async def test_a_press_after_the_end_makes_a_clip_of_its_own(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(3)
        rig.press()
        await rig.film(3)
        clips = [await rig.next_clip(), await rig.next_clip()]
    assert clips[0].clip_id != clips[1].clip_id
    assert clips[1].pre_roll_ms >= 3_000


async def test_a_clip_that_grows_too_long_is_joined_by_the_next_without_a_gap(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        for _ in range(12):
            last = rig.press()
            await rig.film(1)
        await rig.film(3)
        first, second = [await rig.next_clip(), await rig.next_clip()]
        manifest = manifest_of(second, rig)
    assert first.duration_ms <= 12_000
    assert abs(first.ended_ms - second.started_ms) <= 5
    assert second.pre_roll_ms == 0
    assert manifest.triggers[-1].event_id == last
    assert_footage_is_what_was_signed(second, manifest, rig)


async def test_nothing_is_written_before_an_owner_is_paired(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        rig.is_paired = False
        await rig.film(4)
        rig.press()
        await rig.film(4)
        assert rig.library.open_starts() == []
    assert list((tmp_path / "clips").iterdir()) == []


async def test_a_press_before_the_first_picture_records_from_the_first_one(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        rig.press()
        await rig.film(4)
        clip = await rig.next_clip()
    assert clip.pre_roll_ms <= 10
    assert clip.duration_ms >= 1_800


async def test_a_press_that_is_told_late_has_a_clip_of_what_follows(tmp_path: Path) -> None:
    """As one that came while the doorbell loaded: its post-roll is over before a picture is."""
    rig = RecordingRig(tmp_path)
    assert isinstance(rig.clock, ManualClock)
    event_id, at_90k = new_id(), rig.now_90k
    rig.clock.advance(20)
    rig.camera.skip(20)
    rig.recorder.trigger(event_id, "pressed", at_90k, told_pts_90k=rig.now_90k)
    async with running(rig):
        await rig.film(4)
        clip = await rig.next_clip()
        manifest = manifest_of(clip, rig)
    (trigger,) = manifest.triggers
    assert (trigger.event_id, trigger.at_90k, manifest.pre_roll_90k) == (event_id, 0, 0)
    assert 1.8 * SECOND <= manifest.duration_90k <= 2.4 * SECOND


async def test_a_camera_that_falls_silent_ends_the_clip_as_cut_short(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(1)
        rig.clock.advance(60)
        clip = await rig.next_clip()
        assert manifest_of(clip, rig).ended == "cut_short"
    assert clip.is_cut_short


async def test_a_press_long_after_the_camera_fell_silent_gets_no_old_pictures(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.clock.advance(60)
        rig.camera.skip(60)
        rig.press()
        await rig.film(4)
        clip = await rig.next_clip()
    assert clip.pre_roll_ms <= 10


async def test_an_orderly_stop_finishes_the_clip_as_cut_short(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(1)
    shelves = Shelves(tmp_path)
    assert [clip.is_cut_short for clip in shelves.library.finished()] == [True]
    assert shelves.library.open_starts() == []


async def test_a_card_that_fails_for_a_while_costs_no_picture_that_the_ring_still_has(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        (tmp_path / "clips").rename(tmp_path / "elsewhere")
        event_id = rig.press()
        await rig.film(0.3)
        await asyncio.sleep(0.1)
        (tmp_path / "elsewhere").rename(tmp_path / "clips")
        for _ in range(40):
            await rig.film(0.1)
        clip = await rig.next_clip()
        manifest = manifest_of(clip, rig)
    assert clip.trigger_event_id == event_id
    assert clip.pre_roll_ms >= 3_000
    assert not clip.is_cut_short
    assert manifest.triggers[0].at_90k == manifest.pre_roll_90k
    assert [state.code for state in rig.card_states] == ["failing", "ok"]


async def test_a_disk_that_takes_no_more_leaves_what_was_written(tmp_path: Path) -> None:
    filler = b"\x00\x00\x00\x01\x0c" + b"\xff" * 60_000  # H.264 7.3.2.7: filler data
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with recording_rig(tmp_path) as rig:
        rig.press()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, limits[1]))
            for unit in rig.camera.film(2):
                rig.hub.put(replace(unit, data=unit.data + filler))
            clip = await rig.next_clip()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        manifest = manifest_of(clip, rig)
    assert manifest.ended == "cut_short"
    assert clip.duration_ms >= 500
    assert_footage_is_what_was_signed(clip, manifest, rig)


@pytest.mark.parametrize("pause_s", [0.0, 0.13, 0.41])
def test_kill_9_leaves_a_playable_clip_that_is_signed_at_the_next_start(
    tmp_path: Path, pause_s: float
) -> None:
    program = [sys.executable, "-m", "tests.fakes.recorder", str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "recording\n"
        time.sleep(pause_s)
        os.kill(process.pid, signal.SIGKILL)
    shelves = Shelves(tmp_path)
    (clip,) = close_open_clips(shelves.library, shelves.vault, shelves.manifest_signer)
    manifest = check_manifest(clip.signed_manifest, shelves.signer.spki)
    assert manifest.ended == "cut_short"
    assert manifest.boot_id == clip.boot_id
    assert_footage_is_what_was_signed(clip, manifest, shelves)
    with av.open(io.BytesIO(shelves.playback.plain_mp4(clip))) as container:
        assert sum(1 for _ in container.decode(video=0)) > 5
    shelves.database.close()


async def test_motion_that_goes_on_prolongs_the_clip_without_another_trigger(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        event_id = new_id()
        rig.recorder.trigger(event_id, "motion", rig.now_90k)
        for _ in range(4):
            await rig.film(1)
            rig.recorder.extend(rig.now_90k)
        await rig.film(3)
        clip = await rig.next_clip()
        manifest = manifest_of(clip, rig)
        await eventually(lambda: rig.recorder.clip_id is None)
    assert [trigger.event_id for trigger in manifest.triggers] == [event_id]
    after_90k = manifest.duration_90k - manifest.pre_roll_90k
    assert 5.8 * SECOND <= after_90k <= 6.2 * SECOND


async def test_a_press_during_motion_keeps_one_clip_with_two_triggers(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.recorder.trigger(new_id(), "motion", rig.now_90k)
        await rig.film(1)
        rig.recorder.extend(rig.now_90k)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        manifest = manifest_of(clip, rig)
        assert rig.clips.empty()
    assert [trigger.kind for trigger in manifest.triggers] == ["motion", "pressed"]
    assert rig.recorder.clip_id is None


async def test_motion_for_longer_than_a_clip_is_joined_without_a_lost_picture(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.recorder.trigger(new_id(), "motion", rig.now_90k)
        for _ in range(18):
            await rig.film(1)
            rig.recorder.extend(rig.now_90k)
        await rig.film(3)
        first, second = [await rig.next_clip(), await rig.next_clip()]
        units = [*footage_of(first, rig), *footage_of(second, rig)]
    assert second.counter == first.counter + 1
    assert footage_of(second, rig)[0].is_key
    filmed = [unit.data for unit in rig.filmed]
    begin = filmed.index(units[0].data)
    assert [unit.data for unit in units] == filmed[begin : begin + len(units)]


async def test_a_lone_press_is_never_cut_in_two(tmp_path: Path) -> None:
    rig = RecordingRig(tmp_path, longest_s=4.0)  # less than pre-roll and post-roll together
    async with running(rig):
        await rig.film(4)
        rig.press()
        await rig.film_slowly(3)
        await rig.next_clip()
        assert rig.clips.empty()
        assert rig.recorder.clip_id is None


async def test_a_viewer_that_asks_for_many_key_frames_makes_no_clip_that_cannot_be_signed(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        key = rig.camera.film(0.1)[0]
        rig.press()
        for number in range(1300):
            rig.hub.put(replace(key, pts_90k=rig.now_90k + number * 100))
            if number % 100 == 0:
                await asyncio.sleep(0.01)
        rig.clock.advance(1300 * 100 / 90_000)
        rig.camera.skip(1300 * 100 / 90_000)
        await rig.film(3)
        first = await rig.next_clip()
        assert len(manifest_of(first, rig).gops) <= 1_000
        assert not first.is_cut_short


async def test_the_masks_digest_is_in_the_manifest(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        rig.hide("ab" * 32)
        await rig.film(4)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        assert manifest_of(clip, rig).mask_digest == "ab" * 32


async def test_a_new_mask_empties_the_ring_and_leaves_the_running_clip_alone(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(1)
        rig.ring.clear(before_pts_90k=rig.now_90k)
        await rig.film(3)
        clip = await rig.next_clip()
        hidden_from_90k = rig.now_90k
        rig.ring.clear(before_pts_90k=hidden_from_90k)
        rig.press()
        await rig.film(3)
        after = await rig.next_clip()
        assert_footage_is_what_was_signed(clip, manifest_of(clip, rig), rig)
    assert not clip.is_cut_short
    assert after.pre_roll_ms <= 10


async def test_nothing_readable_is_on_the_card_while_it_is_recorded(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(3)
        await rig.next_clip()
        card = b"".join(path.read_bytes() for path in (tmp_path / "clips").iterdir())
    assert b"ftyp" not in card
    assert not any(unit.data[:12] in card or unit.data[-12:] in card for unit in rig.filmed)


async def test_a_recorder_that_ended_can_run_again(tmp_path: Path) -> None:
    rig = RecordingRig(tmp_path)
    first = asyncio.create_task(rig.recorder.run())
    await asyncio.sleep(0.05)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    async with running(rig):
        await rig.film(4)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
    assert not clip.is_cut_short


async def test_a_new_mask_while_the_card_fails_leaves_nothing_that_was_filmed_without_it(
    tmp_path: Path,
) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        await rig.film(4)
        card.error = errno.EIO
        rig.press()
        await rig.film_slowly(1)
        hidden_from_ms = rig.clock.wall_ms()
        rig.hide("ab" * 32)
        card.error = None
        for _ in range(30):
            await rig.film(0.2)
        clip = await rig.next_clip()
        assert manifest_of(clip, rig).mask_digest == "ab" * 32
    assert clip.started_ms >= hidden_from_ms


async def test_a_stop_after_a_new_mask_keeps_nothing_that_was_filmed_without_it(
    tmp_path: Path,
) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        await rig.film(4)
        card.error = errno.EIO
        rig.press()
        await rig.film_slowly(1)
        rig.hide("ab" * 32)
        card.error = None
    assert Shelves(tmp_path).library.finished() == []


async def test_a_new_mask_during_a_clip_is_not_told_as_a_slow_card(tmp_path: Path) -> None:
    async with running(RecordingRig(tmp_path)) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(0.5)
        rig.hide("ab" * 32)
        await rig.film(4)
        clips = [await rig.next_clip(), await rig.next_clip()]
        assert [manifest_of(clip, rig).lost_units for clip in clips] == [0, 0]
    assert rig.card_states == []


async def test_pictures_that_come_after_the_post_roll_make_no_clip(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        rig.press()
        rig.clock.advance(3)
        rig.camera.skip(3)
        await rig.film(4)
        assert rig.recorder.clip_id is None
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        assert rig.library.deletions() == []
    assert clip.pre_roll_ms >= 3_000


async def test_more_presses_than_a_manifest_holds_still_make_a_clip_that_can_be_signed(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        first = rig.press()
        for _ in range(150):
            rig.press()
        await rig.film(4)
        clip = await rig.next_clip()
        assert manifest_of(clip, rig).triggers[0].event_id == first
