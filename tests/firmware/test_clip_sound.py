"""Clips with sound: on one clock with the pictures, signed by itself, never in the way."""

import asyncio
import errno
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from firmware.clips.check import LibraryCheck
from firmware.clips.crash_recovery import close_open_clips
from firmware.clips.fragment import SoundPart, SoundUnit, decode_sound, encode_sound
from firmware.clips.open_clip import OpenClip
from firmware.clips.playback import examine
from firmware.clips.record import ClipRecord
from firmware.errors import VaultError
from firmware.protocol.footage import SOUND_UNIT_90K, check_manifest
from firmware.sound.aac import SILENT_UNIT
from firmware.sound.echo import Echo
from firmware.sound.echo_reference import EchoReference
from firmware.sound.errors import AacFailed
from firmware.sound.frames import FRAME_SAMPLES, SAMPLE_RATE, SoundFrame
from firmware.sound.microphone import Microphone
from firmware.sound.microphone_switch import MicrophoneSwitch
from firmware.vault.sealed_file import Kind
from tests.fakes.bad_card import BadCard
from tests.fakes.clock import ManualClock
from tests.fakes.ffmpeg_reader import has_sound
from tests.fakes.footage import TinyCamera
from tests.fakes.heard import HandFeed, tone
from tests.fakes.listed_clips import keep, start_of
from tests.fakes.recorder import RecordingRig, Shelves, running
from tests.fakes.sound import FakeCard
from tests.fakes.sound import tone as spoken
from tests.fakes.sound_recorder import heard, levels, listening_rig, live, track_of
from tests.fakes.waiting import eventually

SECOND = 90_000


async def test_a_clip_has_sound_from_its_first_picture_on_and_says_so(tmp_path: Path) -> None:
    async with listening_rig(tmp_path) as (rig, feed):
        await live(rig, feed, 5)
        rig.press()
        await live(rig, feed, 3)
        clip = await rig.next_clip()
        samples = heard(rig.playback.plain_mp4(clip))
        track = track_of(rig, clip)
        faults = list(
            LibraryCheck(
                rig.library, rig.vault, identity_spki=rig.signer.spki, is_recording=True
            ).faults()
        )
    assert track is not None
    assert track.lost_90k == 0
    assert faults == []
    assert samples.size / SAMPLE_RATE * 1000 == pytest.approx(clip.duration_ms, abs=130)
    assert all(level > 0.3 for level in levels(samples[:-2000]))


async def test_a_clip_without_sound_has_the_manifest_that_it_always_had(tmp_path: Path) -> None:
    async with running(RecordingRig(tmp_path)) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        assert '"sound"' not in clip.signed_manifest.manifest
        assert track_of(rig, clip) is None
        assert not has_sound(rig.playback.plain_mp4(clip))


async def test_while_the_microphone_is_off_clips_have_no_sound(tmp_path: Path) -> None:
    async with listening_rig(tmp_path) as (rig, feed):
        await live(rig, feed, 4)
        feed.is_on = False  # and what it heard before is no longer wanted
        rig.press()
        await live(rig, feed, 3, is_heard=False)
        clip = await rig.next_clip()
        assert track_of(rig, clip) is None


async def test_sound_ends_at_once_when_the_microphone_goes_off(tmp_path: Path) -> None:
    async with listening_rig(tmp_path) as (rig, feed):
        await live(rig, feed, 4)
        rig.press()
        await live(rig, feed, 1)
        feed.is_on = False
        rig.sound.forget()
        await live(rig, feed, 2, is_heard=False)
        clip = await rig.next_clip()
        track = track_of(rig, clip)
    assert track is not None
    last = track.spans[-1]
    end_90k = last.first_pts_90k + last.unit_count * SOUND_UNIT_90K
    off_90k = (clip.duration_ms - 1100) * 90
    assert off_90k - 1.2 * SECOND < end_90k < off_90k + SECOND / 5  # what wasn't taken yet is lost


async def test_after_a_failure_of_the_card_the_next_clip_has_all_of_its_sound(
    tmp_path: Path,
) -> None:
    card = BadCard()
    async with listening_rig(tmp_path, card=card) as (rig, feed):
        await live(rig, feed, 4)
        rig.press()
        await live(rig, feed, 1)
        card.error = errno.EIO
        await live(rig, feed, 0.8)
        assert (await rig.next_clip()).is_cut_short
        card.error = None
        await live(rig, feed, 4)
        clip = await rig.next_clip()
        samples = heard(rig.playback.plain_mp4(clip))
        track = track_of(rig, clip)
    assert track is not None
    assert track.lost_90k == 0
    assert all(level > 0.3 for level in levels(samples[:-2000]))


async def test_a_hole_in_the_sound_is_silence_of_its_length_and_shifts_nothing(
    tmp_path: Path,
) -> None:
    async with listening_rig(tmp_path) as (rig, feed):
        await live(rig, feed, 5)
        rig.press()
        await live(rig, feed, 1, is_heard=False)
        await live(rig, feed, 2)
        clip = await rig.next_clip()
        units = list(rig.playback.units(clip))
        samples = heard(rig.playback.plain_mp4(clip))
        manifest = check_manifest(clip.signed_manifest, rig.signer.spki)
    assert manifest.sound_track is not None
    assert manifest.sound_track.lost_90k == pytest.approx(SECOND, abs=1800)
    assert manifest.lost_units == 0
    assert len(units) == sum(gop.unit_count for gop in manifest.gops)
    hole_s = manifest.triggers[0].at_90k / SECOND
    quiet = np.flatnonzero(np.abs(samples) > 0.05) / SAMPLE_RATE
    inside = quiet[(quiet > hole_s + 0.03) & (quiet < hole_s + 0.97)]
    assert inside.size == 0
    again = quiet[quiet > hole_s + 0.5][0]
    assert again == pytest.approx(hole_s + 1, abs=0.03)


async def test_sound_that_never_comes_back_ends_early_and_the_film_goes_on(tmp_path: Path) -> None:
    async with listening_rig(tmp_path) as (rig, feed):
        await live(rig, feed, 4)
        rig.press()
        await live(rig, feed, 3, is_heard=False)
        clip = await rig.next_clip()
        manifest = check_manifest(clip.signed_manifest, rig.signer.spki)
        assert manifest.ended == "complete"
        assert manifest.sound_track is not None
        assert clip.duration_ms > 5000


async def test_clips_that_follow_each_other_have_all_of_the_sound(tmp_path: Path) -> None:
    async with listening_rig(tmp_path, longest_s=6) as (rig, feed):
        await live(rig, feed, 4)
        rig.press()
        for _ in range(8):
            await live(rig, feed, 1)
            rig.recorder.extend(rig.now_90k)
        await live(rig, feed, 3)
        clips = [await rig.next_clip(), await rig.next_clip()]
        for clip in clips:
            samples = heard(rig.playback.plain_mp4(clip))
            track = track_of(rig, clip)
            assert track is not None
            assert track.lost_90k == 0
            assert samples.size / SAMPLE_RATE * 1000 >= clip.duration_ms - 120
            assert all(level > 0.3 for level in levels(samples[:-2000]))


async def test_a_clip_that_was_killed_keeps_its_sound_up_to_the_last_fragment(
    tmp_path: Path,
) -> None:
    feed = HandFeed()
    rig = RecordingRig(tmp_path, feed=feed)
    tasks = [asyncio.create_task(rig.recorder.run()), asyncio.create_task(rig.sound.run())]
    await eventually(lambda: feed.has_readers)
    await live(rig, feed, 4)
    rig.press()
    await live(rig, feed, 1.5)
    await asyncio.sleep(0.6)
    card = tmp_path / "card"
    shutil.copytree(tmp_path, card, ignore=shutil.ignore_patterns("card"))  # as a power cut left it
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    rig.database.close()
    after = Shelves(card, signer=rig.signer)
    (clip,) = close_open_clips(after.library, after.vault, after.manifest_signer)
    manifest = check_manifest(clip.signed_manifest, rig.signer.spki)
    assert manifest.ended == "cut_short"
    samples = heard(after.playback.plain_mp4(clip))
    assert samples.size / SAMPLE_RATE * 1000 == pytest.approx(clip.duration_ms, abs=200)
    assert all(level > 0.3 for level in levels(samples[:-4800]))


async def test_a_card_that_stands_still_for_long_costs_sound_before_pictures(
    tmp_path: Path,
) -> None:
    """It stands still for longer than sound is kept; the film has lost nothing then."""
    card = BadCard()
    async with listening_rig(tmp_path, card=card) as (rig, feed):
        await live(rig, feed, 4)
        rig.press()
        rig.recorder.extend(rig.now_90k + 9 * SECOND)
        await live(rig, feed, 0.5)
        card.may_sync.clear()
        await live(rig, feed, 9)
        card.may_sync.set()
        await live(rig, feed, 3)
        clip = await rig.next_clip()
        manifest = check_manifest(clip.signed_manifest, rig.signer.spki)
    assert manifest.lost_units == 0
    assert manifest.sound_track is not None
    assert manifest.sound_track.lost_90k > SECOND


class Hoarse:
    """A microphone's encoder that breaks after some frames."""

    lost_90k = 0

    def __init__(self, frames: int) -> None:
        self._left = frames

    def add(self, frame: SoundFrame) -> list[bytes]:  # noqa: ARG002
        self._left -= 1
        if self._left < 0:
            raise AacFailed("no more")
        return [b"x"]

    def finish(self) -> list[bytes]:
        raise AssertionError("a broken encoder was asked again")


def test_an_encoder_that_breaks_ends_the_sound_and_not_the_clip(tmp_path: Path) -> None:
    shelves = Shelves(tmp_path)
    start = start_of(shelves, 0)
    film = TinyCamera().film(1)
    file = shelves.vault.create(shelves.library.path_of(start.clip_id), start.clip_id)
    clip = OpenClip(start, film[0].pts_90k, file, make_encoder=lambda _: Hoarse(3))
    clip.mark(start)
    for unit in film:
        clip.add(unit)
        clip.add_sound(tone(unit.pts_90k, 0.1))
    clip.end_sound()
    clip.close_fragment()
    clip.sync()
    found = examine(shelves.vault.open(shelves.library.path_of(start.clip_id)))
    assert found.damage == ""
    assert found.end is not None
    assert sum(gop.unit_count for gop in found.end.gops) == len(film)
    assert found.end.sound is None or found.end.sound.spans[0].unit_count == 3


async def test_a_card_that_is_full_at_the_clips_end_loses_no_sound(tmp_path: Path) -> None:
    """Room is made, and film and sound of the last fragment are both written.

    Seen to fail with `clip.file.write_rest` for `clip.close_rest` in the writer's `_finish`.
    """
    card = BadCard()
    async with listening_rig(tmp_path, card=card) as (rig, feed):
        keep(rig, 1_000)
        await live(rig, feed, 4)
        rig.press()
        await live(rig, feed, 1.9)
        await asyncio.sleep(0.6)
        refusals = iter([True])
        card.is_full = lambda: next(refusals, False)
        await live(rig, feed, 0.3)
        clip = await rig.next_clip()
        samples = heard(rig.playback.plain_mp4(clip))
    assert next(refusals, None) is None, "the card was never asked"
    assert samples.size / SAMPLE_RATE * 1000 == pytest.approx(clip.duration_ms, abs=130)


async def with_swapped_sound(folder: Path) -> tuple[Shelves, ClipRecord]:
    """A clip of whose file one sound record holds other sound, sealed with the right key."""
    async with listening_rig(folder) as (rig, feed):
        await live(rig, feed, 4)
        rig.press()
        await live(rig, feed, 3)
        clip = await rig.next_clip()
    shelves = Shelves(folder, signer=rig.signer)
    forged = shelves.vault.create(clip.path.with_suffix(".new"), clip.clip_id)
    was_swapped = False
    for record in shelves.vault.open(clip.path).records():
        plain = record.plain
        if record.kind is Kind.SOUND and not was_swapped:
            part = decode_sound(plain)
            units = [SoundUnit(pts_90k=u.pts_90k, data=SILENT_UNIT) for u in part.units]
            plain, was_swapped = encode_sound(SoundPart(units=units, lost_90k=0)), True
        forged.append(record.kind, plain)
    forged.sync()
    forged.close()
    clip.path.with_suffix(".new").replace(clip.path)
    return shelves, clip


async def test_sound_that_was_swapped_on_the_card_is_neither_played_nor_passed_over(
    tmp_path: Path,
) -> None:
    """Seen to fail with the comparison taken out of playback.py, and out of check.py."""
    shelves, clip = await with_swapped_sound(tmp_path)
    with pytest.raises(VaultError, match="isn't what its manifest says"):
        shelves.playback.plain_mp4(clip)
    check = LibraryCheck(
        shelves.library, shelves.vault, identity_spki=shelves.signer.spki, is_recording=False
    )
    assert [fault.text for fault in check.faults()] == ["its sound isn't what was signed"]


async def test_a_missing_sound_record_is_damage_with_its_place(tmp_path: Path) -> None:
    async with listening_rig(tmp_path) as (rig, feed):
        await live(rig, feed, 4)
        rig.press()
        await live(rig, feed, 3)
        clip = await rig.next_clip()
    records = list(rig.vault.open(clip.path).records())
    hole = [r.number for r in records if r.kind is Kind.SOUND][2]
    forged = rig.vault.create(clip.path.with_suffix(".new"), clip.clip_id)
    for record in records:
        if record.number != hole:
            forged.append(record.kind, record.plain)
    forged.sync()
    forged.close()
    found = examine(rig.vault.open(clip.path.with_suffix(".new")))
    assert "doesn't begin where the sound before it ended" in found.damage


async def test_the_doorbells_own_microphone_is_heard_in_clips_while_it_is_on(
    tmp_path: Path,
) -> None:
    """Microphone, echo and hub are its own; only the sound card is played by the test."""
    clock = ManualClock()
    card = FakeCard(clock)
    microphone = Microphone(
        card,
        device="",
        switch=MicrophoneSwitch(tmp_path / "sound.json", is_on_at_first=False),
        echo=Echo(EchoReference(), None),
        source=random.Random(1),
    )
    listening = asyncio.create_task(microphone.run())
    async with running(RecordingRig(tmp_path, clock, feed=microphone)) as rig:
        clips = []
        for is_on in (False, True, False):
            await microphone.switch(is_on)
            await eventually(lambda is_on=is_on: bool(card.open_now("microphone")) is is_on)
            for step in range(70):
                if step == 40:
                    rig.press()
                for number in range(5 if is_on else 0):
                    block = spoken(1000, FRAME_SAMPLES, start=(5 * step + number) * FRAME_SAMPLES)
                    card.hear(block, clock.monotonic_ns() + number * 20_000_000)
                await rig.film(0.1)
            clips.append(await rig.next_clip())
            rig.sound.forget()
        tracks = [track_of(rig, clip) for clip in clips]
        samples = heard(rig.playback.plain_mp4(clips[1]))
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert (tracks[0], tracks[2]) == (None, None)
    assert tracks[1] is not None
    assert all(level > 0.2 for level in levels(samples[48_000:-2000]))
