"""Whoever can write to the card can't have clip A released when the owner signed for clip B."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from firmware.clips.crash_recovery import close_open_clips
from firmware.clips.gop_reader import begin_90k, gops_from
from firmware.clips.record import ClipRecord
from firmware.errors import VaultError
from tests.fakes.recording import RecordingRig, Shelves, running


@pytest.fixture
async def two(tmp_path: Path) -> tuple[Shelves, ClipRecord, ClipRecord]:
    """One doorbell's library with two clips in it."""
    rig = RecordingRig(tmp_path)
    clips = []
    async with running(rig):
        for _ in range(2):
            await rig.film(5)
            rig.press()
            await rig.film(3)
            clips.append(await rig.next_clip())
    return Shelves(tmp_path, signer=rig.signer), clips[0], clips[1]


def test_one_clips_file_in_anothers_place_is_not_played_or_released(
    two: tuple[Shelves, ClipRecord, ClipRecord],
) -> None:
    shelves, private, granted = two
    assert shelves.playback.plain_mp4(granted)
    shutil.copy(private.path, granted.path)
    with pytest.raises(VaultError, match=f"holds clip {private.clip_id}"):
        shelves.playback.plain_mp4(granted)
    with pytest.raises(VaultError, match="holds clip"):
        list(shelves.playback.units(granted))


def test_footage_that_is_not_what_the_row_says_is_not_released(
    two: tuple[Shelves, ClipRecord, ClipRecord],
) -> None:
    """With the storage key, a file can be made that opens; it still isn't what was signed for."""
    shelves, private, granted = two
    forged = shelves.vault.create(granted.path.with_suffix(".new"), granted.clip_id)
    for record in shelves.vault.open(private.path).records():
        forged.append(record.kind, record.plain)
    forged.sync()
    forged.close()
    granted.path.with_suffix(".new").replace(granted.path)
    with pytest.raises(VaultError, match="isn't what its manifest says"):
        shelves.playback.plain_mp4(granted)
    with pytest.raises(VaultError, match="aren't what the manifest says"):
        list(gops_from(shelves.playback, granted, 0))


def test_what_is_played_to_an_owner_is_the_clip_from_the_wished_key_frame_on(
    two: tuple[Shelves, ClipRecord, ClipRecord],
) -> None:
    shelves, _, clip = two
    units = list(shelves.playback.units(clip))
    keys_90k = [unit.pts_90k for unit in units if unit.is_key]
    for wanted_90k in (0, keys_90k[1] - 1, keys_90k[1], keys_90k[2] + 1, 10**9):
        begin = begin_90k(clip, wanted_90k)
        gops = list(gops_from(shelves.playback, clip, begin))

        assert begin == max(key for key in keys_90k if key <= wanted_90k)
        assert [unit for gop in gops for unit in gop] == [u for u in units if u.pts_90k >= begin]
        assert all(gop[0].is_key for gop in gops)


def test_one_clips_picture_is_not_shown_as_anothers(
    two: tuple[Shelves, ClipRecord, ClipRecord],
) -> None:
    shelves, private, granted = two
    for clip in (private, granted):
        shelves.thumbnails.make(clip)
    paths = [shelves.library.picture_path_of(clip.clip_id) for clip in (private, granted)]
    assert shelves.playback.picture(granted) is not None
    shutil.copy(*paths)
    assert shelves.playback.picture(granted) is None


def test_a_lost_row_does_not_let_a_file_in_under_another_name(
    two: tuple[Shelves, ClipRecord, ClipRecord],
) -> None:
    shelves, private, granted = two
    with sqlite3.connect(shelves.database.path) as connection:
        connection.execute("DELETE FROM clips WHERE clip_id = ?", (granted.clip_id,))
    shutil.copy(private.path, granted.path)
    close_open_clips(shelves.library, shelves.vault, shelves.manifest_signer)
    assert [clip.clip_id for clip in shelves.library.finished()] == [private.clip_id]
