"""When clips begin and end, and that what was recorded survives whatever kills the process."""

import asyncio
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

from firmware.clips.library import Database, Library
from firmware.clips.mp4 import read_units, remux_plain
from firmware.clips.record import ClipRecord, ClipStart
from firmware.clips.recovery import close_open_clips
from firmware.evidence.manifest import ManifestSigner
from firmware.protocol.encoding import new_id
from firmware.protocol.footage import ClipManifest, ClipTrigger, GopHasher, check_manifest
from tests.fakes.footage import SoftSigner
from tests.fakes.recording import DEVICE, RecordingRig, recording_rig

SECOND = 90_000


def manifest_of(clip: ClipRecord, rig: RecordingRig) -> ClipManifest:
    return check_manifest(clip.signed_manifest, rig.signer.spki)


def assert_footage_is_what_was_signed(clip: ClipRecord, manifest: ClipManifest) -> None:
    hasher = GopHasher()
    for unit in read_units(clip.path):
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
    assert 3 * SECOND <= manifest.pre_roll_90k <= 4.2 * SECOND
    assert manifest.triggers[0].at_90k == manifest.pre_roll_90k
    after_90k = manifest.duration_90k - manifest.pre_roll_90k
    assert 1.8 * SECOND <= after_90k <= 2.2 * SECOND
    assert_footage_is_what_was_signed(clip, manifest)


async def test_a_clip_has_every_picture_between_its_ends_once(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(5.5)
        rig.press()
        for _ in range(30):
            await rig.film(0.1)
        clip = await rig.next_clip()
        relative = [unit.pts_90k for unit in read_units(clip.path)]
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
        pts = [unit.pts_90k for unit in read_units(clip.path)]
    assert not clip.is_cut_short
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
    assert_footage_is_what_was_signed(second, manifest)


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
    library = Library(
        Database(tmp_path / "library.sqlite3"), tmp_path / "clips", keep_days=1, keep_bytes=10**9
    )
    assert [clip.is_cut_short for clip in library.finished()] == [True]
    assert library.open_starts() == []


async def test_a_clip_that_cannot_be_written_costs_only_itself(tmp_path: Path) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        (tmp_path / "clips").rename(tmp_path / "elsewhere")
        rig.press()
        await rig.film(4)
        await asyncio.sleep(0.1)
        (tmp_path / "elsewhere").rename(tmp_path / "clips")
        event_id = rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
    assert clip.trigger_event_id == event_id


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
    assert_footage_is_what_was_signed(clip, manifest)


@pytest.mark.parametrize("pause_s", [0.0, 0.13, 0.41])
def test_kill_9_leaves_a_playable_clip_that_is_signed_at_the_next_start(
    tmp_path: Path, pause_s: float
) -> None:
    program = [sys.executable, "-m", "tests.fakes.recording", str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "recording\n"
        time.sleep(pause_s)
        os.kill(process.pid, signal.SIGKILL)
    database = Database(tmp_path / "library.sqlite3")
    library = Library(database, tmp_path / "clips", keep_days=1, keep_bytes=10**9)
    signer = SoftSigner()
    (open_clip,) = library.open_starts()
    with av.open(str(library.path_of(open_clip.clip_id))) as container:
        assert sum(1 for _ in container.decode(video=0)) > 5
    (clip,) = close_open_clips(library, ManifestSigner(signer, DEVICE).sign)
    manifest = check_manifest(clip.signed_manifest, signer.spki)
    assert manifest.ended == "cut_short"
    assert manifest.boot_id == open_clip.boot_id
    assert_footage_is_what_was_signed(clip, manifest)
    assert remux_plain(clip.path)
    database.close()


def test_a_clip_that_died_before_its_first_fragment_is_forgotten(tmp_path: Path) -> None:
    database = Database(tmp_path / "library.sqlite3")
    library = Library(database, tmp_path / "clips", keep_days=1, keep_bytes=10**9)
    trigger = ClipTrigger(event_id=new_id(), kind="pressed", at_90k=0)
    for data in (None, b"", b"half a box"):
        start = ClipStart(
            clip_id=new_id(),
            boot_id=new_id(),
            started_ms=1,
            is_clock_trusted=True,
            width=96,
            height=64,
            pre_roll_90k=0,
            triggers=[trigger],
        )
        library.save_open(start)
        if data is not None:
            library.path_of(start.clip_id).write_bytes(data)
    assert close_open_clips(library, ManifestSigner(SoftSigner(), DEVICE).sign) == []
    assert library.open_starts() == []
    assert list((tmp_path / "clips").iterdir()) == []
