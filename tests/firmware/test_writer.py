"""Whatever the card does: no crash, nothing held is deleted, and the owner is told."""

import asyncio
import errno
import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from firmware.capture.camera_output import AccessUnit
from firmware.clips.crash_recovery import close_open_clips
from firmware.clips.fragment import decode_fragment
from firmware.clips.library import Library
from firmware.clips.playback import examine
from firmware.clips.record import ClipEnd, ClipRecord, ClipStart
from firmware.clips.recorder import Recorder
from firmware.protocol.footage import ClipManifest, GopHasher, SignedManifest, check_manifest
from firmware.vault.sealed_file import Kind
from tests.fakes.bad_card import BadCard
from tests.fakes.footage import FPS
from tests.fakes.listed_clips import keep
from tests.fakes.recorder import POST_ROLL_S, PRE_ROLL_S, RecordingRig, Shelves, running
from tests.fakes.waiting import eventually

FILLER = b"\x00\x00\x00\x01\x0c" + b"\xff" * 60_000
"""H.264 7.3.2.7: filler data."""


def assert_is_what_was_signed(clip: ClipRecord, shelves: Shelves) -> None:
    manifest = check_manifest(clip.signed_manifest, shelves.signer.spki)
    hasher = GopHasher()
    for unit in shelves.playback.units(clip):
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
    assert hasher.finish() == manifest.gops


async def test_a_whole_pre_roll_becomes_durable_by_one_sync(tmp_path: Path) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        await rig.film(6)
        rig.press()
        await eventually(lambda: card.syncs > 0)
        await asyncio.sleep(0.05)
        assert card.syncs == 1
        found = examine(rig.vault.open(rig.library.path_of(rig.recorder.clip_id or "")))
    assert found.end is not None
    assert found.end.duration_90k >= 3 * 90_000


async def test_fragments_hold_at_most_half_a_second(tmp_path: Path) -> None:
    async with running(RecordingRig(tmp_path)) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        records = list(rig.vault.open(clip.path).records())
    assert records[0].kind is Kind.START
    assert records[-1].kind is Kind.END
    spans = [
        units[-1].pts_90k - units[0].pts_90k
        for units in (decode_fragment(r.plain) for r in records if r.kind is Kind.FRAGMENT)
    ]
    assert len(spans) > 8
    assert max(spans) < 45_000


async def test_a_camera_that_fell_silent_leaves_nothing_unwritten_for_half_a_second(
    tmp_path: Path,
) -> None:
    async with running(RecordingRig(tmp_path)) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(0.2)
        await asyncio.sleep(0.5)
        found = examine(rig.vault.open(rig.library.path_of(rig.recorder.clip_id or "")))
        newest_90k = rig.ring.newest_pts_90k or 0
    assert found.end is not None
    written = sum(gop.unit_count for gop in found.end.gops)
    first_90k = rig.filmed[-written].pts_90k
    assert abs(newest_90k - first_90k - found.end.duration_90k) < 10_000
    assert rig.filmed[-written].is_key


async def test_a_full_card_loses_its_oldest_clips_but_never_a_held_one(tmp_path: Path) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        held, first, second, third = [keep(rig, 1_790_000_000_000) for _ in range(4)]
        rig.library.set_held(held.clip_id, is_held=True)
        await rig.film(4)
        rig.press()
        await rig.film(0.5)
        card.is_full = second.path.exists
        await rig.film(3)
        clip = await rig.next_clip()
        left = [record.clip_id for record in rig.library.in_order()]
        assert_is_what_was_signed(clip, rig)
    assert left == [held.clip_id, third.clip_id, clip.clip_id]
    assert not first.path.exists()
    assert not clip.is_cut_short
    assert rig.card_states == []


async def test_a_card_that_stays_full_is_told_and_recording_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        held = keep(rig, 1_790_000_000_000)
        rig.library.set_held(held.clip_id, is_held=True)
        await rig.film(4)
        card.is_full = lambda: True
        rig.press()
        await rig.film_slowly(0.5)
        await eventually(lambda: bool(rig.card_states))
        assert rig.card_states[-1].code == "full"
        card.is_full = lambda: False
        await rig.film_slowly(4)
        clip = await rig.next_clip()
        assert_is_what_was_signed(clip, rig)
    assert clip.pre_roll_ms >= 3_000
    assert [state.code for state in rig.card_states] == ["full", "ok"]
    assert held.path.exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
async def test_a_card_that_fails_within_a_clip_keeps_its_beginning_and_goes_on(
    tmp_path: Path, number: int
) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        await rig.film(4)
        rig.press()
        await rig.film_slowly(0.6)
        card.error = number
        await rig.film_slowly(0.6)
        first = await rig.next_clip()
        card.error = None
        await rig.film_slowly(4)
        second = await rig.next_clip()
        for clip in (first, second):
            assert_is_what_was_signed(clip, rig)
    assert first.is_cut_short
    assert not second.is_cut_short
    assert second.started_ms <= first.ended_ms
    assert second.trigger_event_id == first.trigger_event_id
    assert [state.code for state in rig.card_states] == ["failing", "ok"]
    assert rig.card_states[0].detail.startswith("Recording to the card failed: ")


async def test_a_card_that_is_too_slow_costs_pictures_that_are_counted_and_told(
    tmp_path: Path,
) -> None:
    card = BadCard()
    rig = RecordingRig(tmp_path, card=card, ring_max_bytes=400_000, kept_extra_bytes=0)
    async with running(rig):
        rig.press()
        card.stall_s = 0.3
        for unit in rig.camera.film(4.5):
            rig.hub.put(replace(unit, data=unit.data + FILLER))
            await asyncio.sleep(0.02)
        card.stall_s = 0.0
        clip = await rig.next_clip()
        manifest = check_manifest(clip.signed_manifest, rig.signer.spki)
        assert_is_what_was_signed(clip, rig)
        units = list(rig.playback.units(clip))
        assert rig.card_states[0].code == "slow"
        rig.clock.advance(4.5)  # type: ignore[attr-defined]
        await rig.film(6)
        rig.press()
        await rig.film_slowly(2.5)
        again = await rig.next_clip()
    assert manifest.lost_units > 0
    assert not again.is_cut_short
    gaps = [b for a, b in itertools.pairwise(units) if b.pts_90k - a.pts_90k > 15_000]
    assert gaps == [] or all(unit.is_key for unit in gaps)
    assert [state.code for state in rig.card_states] == ["slow", "ok"]


async def film_a_stall(
    rig: RecordingRig, card: BadCard, filler: bytes = b""
) -> dict[str, Sequence[AccessUnit]]:
    """Press, and film ten seconds while a sync takes as long, with two presses more.

    Return the pictures that each press wants, by its event.
    """
    await rig.film(5)
    pressed = {rig.press(): len(rig.filmed)}
    await rig.film_slowly(0.5)
    card.may_sync.clear()
    try:
        await rig.film_slowly(0.1)
        await eventually(lambda: card.is_stalled)
        for tenth in range(1, 101):
            await rig.film(0.1, filler=filler)
            assert rig.ring.size_bytes <= rig.ring.max_bytes + rig.kept_extra_bytes
            if tenth in (15, 80):
                pressed[rig.press()] = len(rig.filmed)
        assert card.is_stalled, "the camera waited for the card"
    finally:
        card.may_sync.set()
    await rig.film_slowly(0.5)
    await rig.film_slowly(3)
    before, after = round(PRE_ROLL_S * FPS), round(POST_ROLL_S * FPS)
    return {event_id: rig.filmed[at - before : at + after] for event_id, at in pressed.items()}


async def test_a_card_that_stalls_for_ten_seconds_costs_no_picture_and_no_press(
    tmp_path: Path,
) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        pressed = await film_a_stall(rig, card)
        clips = [await rig.next_clip(), await rig.next_clip()]
        kept = {unit.data for clip in clips for unit in rig.playback.units(clip)}
    manifests = [check_manifest(clip.signed_manifest, rig.signer.spki) for clip in clips]
    assert [m.lost_units for m in manifests] == [0, 0]
    assert [m.ended for m in manifests] == ["complete", "complete"]
    assert triggers_of(manifests) == list(pressed)
    assert [unit for units in pressed.values() for unit in units if unit.data not in kept] == []


async def test_a_press_while_the_ring_is_at_its_limit_is_kept_with_what_there_is(
    tmp_path: Path,
) -> None:
    card = BadCard()
    rig = RecordingRig(tmp_path, card=card, ring_max_bytes=400_000, kept_extra_bytes=50_000)
    async with running(rig):
        pressed = await film_a_stall(rig, card, FILLER)
        clips: list[ClipManifest] = []
        while triggers_of(clips) != list(pressed):
            clip = await rig.next_clip()
            clips.append(check_manifest(clip.signed_manifest, rig.signer.spki))
    assert sum(clip.lost_units for clip in clips) > 0
    assert "slow" in [state.code for state in rig.card_states]


def triggers_of(manifests: Sequence[ClipManifest]) -> list[str]:
    return [trigger.event_id for manifest in manifests for trigger in manifest.triggers]


async def test_the_card_is_never_waited_for_on_the_loop(tmp_path: Path) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        await rig.film(4)
        card.may_sync.clear()
        rig.press()
        await rig.film(0.3)
        await eventually(lambda: card.is_stalled)
        await rig.film(0.3)
        rig.press()
        await rig.film(0.3)
        assert card.is_stalled, "the loop waited for the card"
        card.may_sync.set()


async def test_the_time_of_syncs_is_known(tmp_path: Path) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        assert rig.recorder.sync_p99_ms is None
        card.stall_s = 0.05
        await rig.film(4)
        rig.press()
        await eventually(lambda: rig.recorder.sync_p99_ms is not None)
        assert 50 <= (rig.recorder.sync_p99_ms or 0) < 5_000


class BrokenIndex(Library):
    """A library whose database can't be written."""

    is_broken = True

    def save_open(self, start: ClipStart) -> None:
        self._touch()
        super().save_open(start)

    def finish(self, start: ClipStart, end: ClipEnd, signed: SignedManifest) -> ClipRecord:
        self._touch()
        return super().finish(start, end, signed)

    def _touch(self) -> None:
        if self.is_broken:
            raise OSError(errno.EIO, "disk I/O error")


class RigWithBrokenIndex(RecordingRig):
    library_kind = BrokenIndex


async def test_a_clip_whose_index_fails_is_whole_and_adopted_at_the_next_start(
    tmp_path: Path,
) -> None:
    async with running(RigWithBrokenIndex(tmp_path)) as rig:
        assert isinstance(rig.recorder, Recorder)
        await rig.film(4)
        event_id = rig.press()
        await rig.film(3)
        await asyncio.sleep(0.1)
    shelves = Shelves(tmp_path, signer=rig.signer)
    (clip,) = close_open_clips(shelves.library, shelves.vault, shelves.manifest_signer)
    assert clip.trigger_event_id == event_id
    assert not clip.is_cut_short
    assert_is_what_was_signed(clip, shelves)


async def test_a_clip_that_was_cut_short_says_how_many_pictures_it_lost(tmp_path: Path) -> None:
    card = BadCard()
    rig = RecordingRig(tmp_path, card=card, ring_max_bytes=400_000, kept_extra_bytes=0)
    async with running(rig):
        rig.press()
        card.stall_s = 0.3
        for unit in rig.camera.film(1.5):
            rig.hub.put(replace(unit, data=unit.data + FILLER))
            await asyncio.sleep(0.002)
        await eventually(lambda: bool(rig.card_states))
        card.error = errno.EIO
        clip = await rig.next_clip()
        card.stall_s, card.error = 0.0, None
    assert clip.is_cut_short
    assert check_manifest(clip.signed_manifest, rig.signer.spki).lost_units > 0


async def test_an_index_that_cannot_be_written_is_told_though_clips_can(tmp_path: Path) -> None:
    async with running(RigWithBrokenIndex(tmp_path)) as rig:
        await rig.film(4)
        rig.press()
        for _ in range(12):
            await rig.film(0.25)
            await asyncio.sleep(0.05)
        await eventually(lambda: rig.card_states)
        assert [state.code for state in rig.card_states] == ["failing"]
        assert "disk I/O error" in rig.card_states[0].detail


async def test_an_index_that_can_be_written_again_is_told_as_well(tmp_path: Path) -> None:
    async with running(RigWithBrokenIndex(tmp_path)) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(3)
        await eventually(lambda: bool(rig.card_states))
        assert isinstance(rig.library, BrokenIndex)
        rig.library.is_broken = False
        await rig.film(1)
        rig.press()
        await rig.film(3)
        await eventually(lambda: len(rig.card_states) > 1)
    assert [state.code for state in rig.card_states] == ["failing", "ok"]


async def test_a_card_that_fails_at_the_very_end_of_a_clip_costs_no_last_second(
    tmp_path: Path,
) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        await rig.film(4)
        pressed_ms = rig.clock.wall_ms()
        rig.press()
        await rig.film_slowly(1.5)
        await asyncio.sleep(0.5)
        card.error = errno.EIO
        await rig.film_slowly(0.8)
        first = await rig.next_clip()
        assert rig.recorder.clip_id is not None
        card.error = None
        await rig.film_slowly(2)
        second = await rig.next_clip()
        for clip in (first, second):
            assert_is_what_was_signed(clip, rig)
        assert rig.recorder.clip_id is None
    assert second.started_ms <= first.ended_ms
    assert second.ended_ms >= pressed_ms + 2_000
    assert not second.is_cut_short


async def test_what_a_failed_sync_may_have_lost_is_recorded_again(tmp_path: Path) -> None:
    card = BadCard()
    async with running(RecordingRig(tmp_path, card=card)) as rig:
        await rig.film(4)
        rig.press()
        await rig.film_slowly(0.6)
        await eventually(lambda: card.syncs >= 2)
        synced = examine(rig.vault.open(rig.library.path_of(rig.recorder.clip_id or "")))
        card.sync_error = errno.EIO
        await rig.film_slowly(0.6)
        first = await rig.next_clip()
        card.sync_error = None
        await rig.film_slowly(4)
        second = await rig.next_clip()
    assert synced.end is not None
    assert second.started_ms <= first.started_ms + synced.end.duration_90k // 90
    assert first.is_cut_short
