"""`doorward-firmware clips`: lists, checks and exports real recordings, also from a dead card."""

import asyncio
import io
import json
import os
import resource
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest

from firmware.__main__ import main
from firmware.clips.folder_lock import is_locked, locked_alone
from firmware.clips.fragment import ClipUnit
from firmware.clips.record import ClipRecord
from firmware.enrolment.keys import load_or_make_keys
from firmware.protocol.encoding import new_id, unb64u
from firmware.protocol.footage import Gop, GopHasher, SignedManifest
from firmware.vault.recovery_words import make_recovery_key
from tests.fakes.ffmpeg_reader import read_units
from tests.fakes.heard import HandFeed, tone
from tests.fakes.recorder import RecordingRig, running
from tests.fakes.waiting import eventually

RECOVERY = make_recovery_key()


@dataclass
class Doorbell:
    """The folder of a doorbell that recorded two clips, and its configuration."""

    folder: Path
    config: Path
    clips: list[ClipRecord]
    units: list[ClipUnit]

    def run(self, *arguments: str) -> int:
        return main(["--config", str(self.config), "clips", *arguments])


def gops_of(units: list[ClipUnit]) -> list[Gop]:
    hasher = GopHasher()
    for unit in units:
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
    return hasher.finish()


@pytest.fixture
async def doorbell(tmp_path: Path) -> Doorbell:
    keys = load_or_make_keys(tmp_path)
    config = tmp_path / "doorbell.toml"
    config.write_text(f'[storage]\nrecovery_key = "{RECOVERY.public_text}"\n')
    rig = RecordingRig(
        tmp_path,
        signer=keys.signer,
        device=keys.device,
        recovery_keys=(unb64u(RECOVERY.public_text),),
    )
    async with running(rig):
        clips = []
        for _ in range(2):
            await rig.film(4)
            rig.press()
            await rig.film(3)
            clips.append(await rig.next_clip())
        units = list(rig.playback.units(clips[0]))
    return Doorbell(tmp_path, config, clips, units)


def test_lists_what_there_is(doorbell: Doorbell, capsys) -> None:
    assert doorbell.run("list") == 0
    out = capsys.readouterr().out
    assert all(clip.clip_id in out for clip in doorbell.clips)
    assert "pressed" in out
    assert "2 clips" in out


def test_lists_as_json(doorbell: Doorbell, capsys) -> None:
    assert doorbell.run("list", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [clip["clip_id"] for clip in listed["clips"]] == [c.clip_id for c in doorbell.clips]
    assert listed["clips"][0]["triggers"][0]["kind"] == "pressed"
    assert listed["open"] == []


def test_a_clip_with_a_damaged_manifest_is_listed_without_it(doorbell: Doorbell, capsys) -> None:
    damaged = SignedManifest(manifest="{}", signature="")
    with closing(sqlite3.connect(doorbell.folder / "library.sqlite3")) as database, database:
        database.execute(
            "UPDATE clips SET manifest_json = ? WHERE clip_id = ?",
            (damaged.encode(), doorbell.clips[0].clip_id),
        )
    assert doorbell.run("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert ["manifest damaged" in line for line in lines] == [True, False, False]
    assert doorbell.run("list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["clips"][0]["triggers"] == []


def test_lists_what_was_deleted_and_why(doorbell: Doorbell, capsys) -> None:
    doorbell.clips[0].path.unlink()
    assert doorbell.run("check", "--repair") == 0
    capsys.readouterr()
    assert doorbell.run("list", "--deleted") == 0
    out = capsys.readouterr().out
    assert doorbell.clips[0].clip_id in out
    assert "unreadable" in out
    assert doorbell.run("list", "--deleted", "--json") == 0
    assert json.loads(capsys.readouterr().out)["deleted"][0]["why"] == "unreadable"


def test_a_sound_library_has_no_faults(doorbell: Doorbell, capsys) -> None:
    assert doorbell.run("check") == 0
    assert "2 clips checked, 0 faults" in capsys.readouterr().out


@pytest.mark.parametrize("part", [0.02, 0.5, 0.999])
def test_every_altered_byte_is_a_fault_with_its_place(
    doorbell: Doorbell, capsys, part: float
) -> None:
    path = doorbell.clips[0].path
    data = bytearray(path.read_bytes())
    data[int(len(data) * part)] ^= 1
    path.write_bytes(data)
    assert doorbell.run("check") == 1
    out = capsys.readouterr().out
    assert f"FAULT     {doorbell.clips[0].clip_id}" in out
    assert "1 faults" in out
    assert doorbell.run("check", "--repair") == 1, "what was signed can't be made good"


def test_a_clip_in_anothers_place_is_a_fault(doorbell: Doorbell, capsys) -> None:
    one, other = doorbell.clips
    shutil.copy(one.path, other.path)
    assert doorbell.run("check") == 1
    assert other.clip_id in capsys.readouterr().out


def test_repairs_what_is_safe_to_repair_and_says_what(doorbell: Doorbell, capsys) -> None:
    clips = doorbell.folder / "clips"
    doorbell.clips[0].path.unlink()
    (clips / f"{doorbell.clips[1].clip_id}.thumb").unlink()
    (clips / f"{new_id()}.thumb").write_bytes(b"stray")
    assert doorbell.run("check") == 1
    assert capsys.readouterr().out.count("--repair puts it right") == 3
    assert doorbell.run("check", "--repair", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["faults"] == []
    assert len(report["repaired"]) == 3
    assert doorbell.run("check") == 0


def test_a_strange_file_is_named_and_left_alone(doorbell: Doorbell, capsys) -> None:
    stranger = doorbell.folder / "clips" / "notes.txt"
    stranger.write_text("mine")
    assert doorbell.run("check", "--repair") == 1
    assert "notes.txt" in capsys.readouterr().out
    assert stranger.read_text() == "mine"


async def test_checks_but_does_not_repair_while_the_doorbell_records(
    doorbell: Doorbell, capsys
) -> None:
    rig = RecordingRig(doorbell.folder)
    async with running(rig):
        await rig.film(4)
        rig.press()
        await rig.film(1)
        assert is_locked(rig.library.clips_dir)
        assert await asyncio.to_thread(doorbell.run, "check") == 0
        assert await asyncio.to_thread(doorbell.run, "check", "--repair") == 1
        assert "Stop it first" in capsys.readouterr().err
    assert not is_locked(rig.library.clips_dir)


def test_does_not_repair_while_the_doorbell_starts(doorbell: Doorbell, capsys) -> None:
    with locked_alone(doorbell.folder):
        assert doorbell.run("check", "--repair") == 1
    assert "Stop it first" in capsys.readouterr().err


def test_never_makes_a_storage_key(doorbell: Doorbell, capsys) -> None:
    (doorbell.folder / "storage.key").unlink()
    assert doorbell.run("check") == 1
    assert "storage.key" in capsys.readouterr().out
    assert doorbell.run("export", doorbell.clips[0].clip_id, "--to", "/nowhere/x.mp4") == 1
    assert not (doorbell.folder / "storage.key").exists()


@pytest.mark.parametrize("action", ["hold", "delete"])
def test_an_empty_id_means_no_clip(doorbell: Doorbell, capsys, action: str) -> None:
    assert doorbell.run("delete", doorbell.clips[0].clip_id) == 0
    assert doorbell.run(action, "") == 1
    assert doorbell.clips[1].path.exists()


def test_an_export_that_the_disk_has_no_room_for_leaves_no_half_file(
    doorbell: Doorbell, tmp_path: Path, capsys
) -> None:
    target = tmp_path / "out.mp4"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (34_000, limits[1]))
        assert doorbell.run("export", doorbell.clips[0].clip_id, "--to", str(target)) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "can't be written" in capsys.readouterr().err
    assert not target.exists()


@pytest.mark.parametrize("form", ["mp4", "fmp4"])
def test_exports_the_very_footage(doorbell: Doorbell, tmp_path: Path, form: str) -> None:
    target = tmp_path / "out.mp4"
    clip_id = doorbell.clips[0].clip_id
    assert doorbell.run("export", clip_id[:8], "--to", str(target), "--format", form) == 0
    assert gops_of(list(read_units(target))) == gops_of(doorbell.units)
    began = datetime.fromtimestamp(doorbell.clips[0].started_ms // 1000, UTC)
    with av.open(str(target)) as container:
        assert datetime.fromisoformat(container.metadata["creation_time"]) == began
        assert container.metadata["title"].endswith(f"{began:%Y-%m-%d %H:%M:%S} UTC")


@pytest.mark.parametrize("form", ["mp4", "fmp4", "h264"])
def test_an_export_is_for_its_owners_eyes_only(
    doorbell: Doorbell, tmp_path: Path, form: str
) -> None:
    before = os.umask(0)
    try:
        target = str(tmp_path / "out")
        words = ["export", doorbell.clips[0].clip_id, "--to", target, "--format", form]
        assert doorbell.run(*words) == 0
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600


def test_exports_plain_h264(doorbell: Doorbell, tmp_path: Path) -> None:
    target = tmp_path / "out.h264"
    clip_id = doorbell.clips[0].clip_id
    assert doorbell.run("export", clip_id, "--to", str(target), "--format", "h264") == 0
    with av.open(str(target)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(doorbell.units)


def test_overwrites_nothing_and_names_an_unknown_clip(
    doorbell: Doorbell, tmp_path: Path, capsys
) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"mine")
    assert doorbell.run("export", doorbell.clips[0].clip_id, "--to", str(target)) == 1
    assert "nothing is overwritten" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"
    assert doorbell.run("export", "zzzz", "--to", str(tmp_path / "new.mp4")) == 1
    assert "there is no clip zzzz" in capsys.readouterr().err


def test_what_comes_before_damage_is_exported_and_the_rest_named(
    doorbell: Doorbell, tmp_path: Path, capsys
) -> None:
    path = doorbell.clips[0].path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    target = tmp_path / "out.mp4"
    assert doorbell.run("export", doorbell.clips[0].clip_id, "--to", str(target)) == 1
    assert "the rest is lost" in capsys.readouterr().err
    units = list(read_units(target))
    assert 0 < len(units) < len(doorbell.units)


def test_a_dead_doorbells_card_is_opened_with_the_recovery_words_alone(
    doorbell: Doorbell, tmp_path: Path, capsys, monkeypatch
) -> None:
    card = tmp_path / "card"
    shutil.copytree(doorbell.folder / "clips", card)
    shutil.rmtree(doorbell.folder / "clips")
    for name in ("library.sqlite3", "storage.key", "identity.key"):
        (doorbell.folder / name).unlink()
    target = tmp_path / "out.mp4"
    arguments = ["clips", "export", doorbell.clips[0].clip_id, "--to", str(target)]
    arguments += ["--recovery", "--card", str(card)]
    monkeypatch.setattr("sys.stdin", io.StringIO(" ".join(RECOVERY.words) + "\n"))
    assert main(arguments) == 0
    assert gops_of(list(read_units(target))) == gops_of(doorbell.units)


def test_other_recovery_words_open_nothing(
    doorbell: Doorbell, tmp_path: Path, capsys, monkeypatch
) -> None:
    other = " ".join(make_recovery_key().words)
    arguments = ["clips", "export", doorbell.clips[0].clip_id, "--to", str(tmp_path / "out.mp4")]
    arguments += ["--recovery", "--card", str(doorbell.folder)]
    for words in (other, "not words at all"):
        monkeypatch.setattr("sys.stdin", io.StringIO(words + "\n"))
        assert main(arguments) == 1
        assert "recovery" in capsys.readouterr().err
    assert not (tmp_path / "out.mp4").exists()


def test_without_a_library_it_says_so(tmp_path: Path, capsys) -> None:
    (tmp_path / "doorbell.toml").write_text("")
    assert main(["--config", str(tmp_path / "doorbell.toml"), "clips", "list"]) == 1
    assert "no doorbell has recorded here" in capsys.readouterr().err
    assert not (tmp_path / "library.sqlite3").exists()


def test_without_a_configuration_it_says_so(capsys) -> None:
    assert main(["clips", "list"]) == 2
    assert "--config" in capsys.readouterr().err


def test_what_is_held_cannot_be_deleted_before_it_is_let_go(doorbell: Doorbell, capsys) -> None:
    clip_id = doorbell.clips[0].clip_id
    assert doorbell.run("hold", clip_id[:8]) == 0
    assert doorbell.run("delete", clip_id) == 1
    assert "held" in capsys.readouterr().err
    assert doorbell.run("unhold", clip_id) == 0
    assert doorbell.run("delete", clip_id) == 0


def test_what_the_owner_deletes_is_gone_and_leaves_a_signed_record(
    doorbell: Doorbell, capsys
) -> None:
    clip = doorbell.clips[0]
    assert doorbell.run("delete", clip.clip_id) == 0
    assert not clip.path.exists()
    capsys.readouterr()
    assert doorbell.run("list", "--deleted") == 0
    assert f"{clip.clip_id}  #{clip.counter}" in (out := capsys.readouterr().out)
    assert "owner" in out
    assert doorbell.run("list") == 0
    assert clip.clip_id not in capsys.readouterr().out


async def test_exports_the_sound_with_the_film(tmp_path: Path, capsys) -> None:
    keys = load_or_make_keys(tmp_path)
    config = tmp_path / "doorbell.toml"
    config.write_text("")
    feed = HandFeed()
    rig = RecordingRig(tmp_path, signer=keys.signer, device=keys.device, feed=feed)
    async with running(rig):
        await eventually(lambda: feed.has_readers)
        for step in range(70):
            if step == 40:
                rig.press()
            feed.put(tone(rig.now_90k, 0.1))
            await rig.film(0.1)
        clip = await rig.next_clip()
    doorbell = Doorbell(tmp_path, config, [clip], [])
    for form, kinds in (("mp4", ["video", "audio"]), ("fmp4", ["video", "audio"])):
        target = tmp_path / f"clip.{form}"
        assert doorbell.run("export", clip.clip_id, "--to", str(target), "--format", form) == 0
        assert "with sound" in capsys.readouterr().err
        with av.open(str(target)) as container:
            assert [stream.type for stream in container.streams] == kinds
    assert doorbell.run("list") == 0
    assert "sound" in capsys.readouterr().out
    assert doorbell.run("check") == 0
