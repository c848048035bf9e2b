"""Whatever a crash or a bad card left behind is put right at the next start, or named."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.clips.crash_recovery import close_open_clips
from firmware.clips.fragment import ClipUnit
from firmware.clips.record import ClipRecord
from firmware.protocol.footage import GopHasher, check_manifest
from firmware.vault.sealed_file import Kind, Vault
from firmware.vault.storage_key import FileStorageKey
from tests.fakes.recording import RecordingRig, Shelves, recording_rig
from tests.fakes.shelf import start_of


@dataclass
class Left:
    """A folder in which a doorbell recorded one clip and then died."""

    folder: Path
    rig: RecordingRig
    clip: ClipRecord
    units: list[ClipUnit]

    def lose_index(self) -> None:
        for path in self.folder.glob("library.sqlite3*"):
            path.unlink()

    def start(self) -> Shelves:
        shelves = Shelves(self.folder, signer=self.rig.signer)
        close_open_clips(shelves.library, shelves.vault, shelves.manifest_signer)
        return shelves


@pytest.fixture
async def left(tmp_path: Path) -> Left:
    async with recording_rig(tmp_path) as rig:
        await rig.film(4)
        rig.press()
        await rig.film(1)
        rig.press()
        await rig.film(3)
        clip = await rig.next_clip()
        units = list(rig.playback.units(clip))
    return Left(tmp_path, rig, clip, units)


def assert_is_what_was_signed(shelves: Shelves, clip: ClipRecord) -> None:
    manifest = check_manifest(clip.signed_manifest, shelves.signer.spki)
    hasher = GopHasher()
    for unit in shelves.playback.units(clip):
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
    assert hasher.finish() == manifest.gops


def test_a_lost_index_is_made_anew_from_the_clips_themselves(left: Left) -> None:
    left.lose_index()
    shelves = left.start()
    (clip,) = shelves.library.finished()
    assert clip == left.clip
    assert shelves.library.next_counter() == left.clip.counter + 1


def test_a_clip_without_its_last_record_is_closed_where_it_ends(left: Left) -> None:
    left.lose_index()
    data = left.clip.path.read_bytes()
    left.clip.path.write_bytes(data[:-1])  # the manifest is torn, all fragments are there
    shelves = left.start()
    (clip,) = shelves.library.finished()
    manifest = check_manifest(clip.signed_manifest, shelves.signer.spki)
    assert manifest.ended == "cut_short"
    assert list(shelves.playback.units(clip)) == left.units
    assert len(manifest.triggers) == 2
    assert left.clip.path.read_bytes() == data[:-1]


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9])
def test_a_torn_clip_keeps_every_whole_fragment(left: Left, part: float) -> None:
    left.lose_index()
    data = left.clip.path.read_bytes()
    left.clip.path.write_bytes(data[: int(len(data) * part)])
    whole = left.rig.vault.open(left.clip.path).offsets()
    shelves = left.start()
    (clip,) = shelves.library.finished()
    units = list(shelves.playback.units(clip))
    assert units == left.units[: len(units)]
    assert clip.size_bytes > whole[-1]
    assert_is_what_was_signed(shelves, clip)


def test_of_a_clip_that_is_damaged_within_what_comes_before_is_kept(left: Left) -> None:
    left.lose_index()
    data = bytearray(left.clip.path.read_bytes())
    data[len(data) // 2] ^= 1
    left.clip.path.write_bytes(data)
    shelves = left.start()
    (clip,) = shelves.library.finished()
    units = list(shelves.playback.units(clip))
    assert clip.is_cut_short
    assert 0 < len(units) < len(left.units)
    assert_is_what_was_signed(shelves, clip)


@pytest.mark.parametrize("size_bytes", [0, 5, 11, 300])
def test_a_file_that_died_before_its_first_fragment_is_forgotten(
    left: Left, size_bytes: int
) -> None:
    left.lose_index()
    left.clip.path.write_bytes(left.clip.path.read_bytes()[:size_bytes])
    shelves = left.start()
    assert shelves.library.finished() == []
    assert list(shelves.library.clips_dir.iterdir()) == []


def test_an_open_row_without_a_file_becomes_a_deletion_record(left: Left) -> None:
    shelves = left.start()
    start = start_of(shelves, 1)
    shelves.library.save_open(start)
    shelves.database.close()
    shelves = left.start()
    assert shelves.library.open_starts() == []
    (signed,) = shelves.library.deletions()
    deletion = json.loads(signed.deletion)
    assert (deletion["clip_id"], deletion["why"]) == (start.clip_id, "unreadable")


def test_a_clip_whose_file_is_gone_is_forgotten_by_a_signed_record(left: Left) -> None:
    left.clip.path.unlink()
    shelves = left.start()
    assert shelves.library.finished() == []
    assert [json.loads(d.deletion)["why"] for d in shelves.library.deletions()] == ["unreadable"]
    assert list(shelves.library.clips_dir.iterdir()) == []  # its thumbnail went as well


def test_a_clip_whose_folder_was_away_for_one_start_comes_back(left: Left) -> None:
    clips, elsewhere = left.folder / "clips", left.folder / "elsewhere"
    clips.rename(elsewhere)
    left.start().database.close()
    clips.rmdir()
    elsewhere.rename(clips)
    shelves = left.start()
    assert [clip.clip_id for clip in shelves.library.finished()] == [left.clip.clip_id]
    assert shelves.library.deletions() == []


def test_a_file_that_a_crash_kept_from_being_deleted_is_deleted_now(left: Left) -> None:
    data = left.clip.path.read_bytes()
    shelves = left.start()
    shelves.library.remove([left.clip.clip_id], "age")
    shelves.database.close()
    left.clip.path.write_bytes(data)
    shelves = left.start()
    assert shelves.library.finished() == []
    assert not left.clip.path.exists()


def test_a_clip_under_another_storage_key_is_left_alone(left: Left) -> None:
    left.lose_index()
    (left.folder / "storage.key").unlink()
    data = left.clip.path.read_bytes()
    shelves = left.start()
    assert shelves.library.finished() == []
    assert left.clip.path.read_bytes() == data


def test_an_open_clip_under_another_storage_key_does_not_keep_the_doorbell_from_starting(
    left: Left,
) -> None:
    shelves = left.start()
    start = start_of(shelves, 1)
    shelves.library.save_open(start)
    path = shelves.library.path_of(start.clip_id)
    file = Vault(FileStorageKey(left.folder / "other.key")).create(path, start.clip_id)
    file.append(Kind.START, start.encode())
    file.close()
    shelves.database.close()
    shelves = left.start()
    assert path.exists()
    assert [open_one.clip_id for open_one in shelves.library.open_starts()] == [start.clip_id]


@pytest.mark.parametrize("kind", ["fifo", "folder", "link", "unreadable"])
def test_what_is_no_file_of_ours_keeps_no_other_clip_from_being_closed(
    left: Left, kind: str
) -> None:
    left.lose_index()
    path = left.folder / "clips" / "aaaa.clip"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to("/proc/self/mem")  # reading its beginning is EIO
    shelves = left.start()
    assert [clip.clip_id for clip in shelves.library.finished()] == [left.clip.clip_id]
    assert path.is_symlink() or path.exists()


def test_a_held_clip_whose_file_is_away_for_a_start_is_still_held_after_it(left: Left) -> None:
    left.rig.library.set_held(left.clip.clip_id, is_held=True)
    clips, elsewhere = left.folder / "clips", left.folder / "elsewhere"
    clips.rename(elsewhere)
    left.start().database.close()
    clips.rmdir()
    elsewhere.rename(clips)
    shelves = left.start()
    assert [clip.is_held for clip in shelves.library.finished()] == [True]
