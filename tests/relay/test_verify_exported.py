"""`doorward-verify export`: what a doorbell signed of an export is found changed, or missing."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.enrolment.keys import load_or_make_keys
from firmware.protocol.decisions import ExportAll
from firmware.protocol.encoding import WireError, sha256_hex
from relay.verify.checks import Exit
from relay.verify.cli import main
from relay.verify.exported import check_export
from tests.fakes.asked_house import export_service
from tests.fakes.consent_world import NOW_MS
from tests.fakes.intake import DeskRig
from tests.fakes.sound_recorder import listening_rig, live


@dataclass
class Saved:
    """A folder as the app saves it, of one recording with sound."""

    folder: Path
    rig: DeskRig

    @property
    def video(self) -> Path:
        return next((self.folder / "clips").glob("*.mp4"))

    @property
    def manifest(self) -> Path:
        return self.video.with_suffix(".json")

    def list_anew(self) -> None:
        """Write index.json to what is there now, as whoever changes a file could."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        listed = [
            {
                "path": str(path.relative_to(self.folder)),
                "size": path.stat().st_size,
                "sha256": sha256_hex(path.read_bytes()),
            }
            for path in files
            if path.name != "index.json"
        ]
        (self.folder / "index.json").write_text(json.dumps({"v": 1, "files": listed}))

    def code(self) -> Exit:
        return check_export(self.folder).exit_code


@pytest.fixture
async def saved(tmp_path: Path) -> AsyncIterator[Saved]:
    keys = load_or_make_keys(tmp_path / "keys")
    settings = {"signer": keys.signer, "device": keys.device}
    async with listening_rig(tmp_path, **settings) as (filming, feed):
        filming.clock.set_wall_ms(NOW_MS - 60_000)
        await live(filming, feed, 1)
        filming.press()
        await live(filming, feed, 4)
        await filming.next_clip()
        rig = DeskRig(tmp_path, filming.library, filming.playback, filming.database)
        desk, browser = rig.desk(), rig.browser.keys.id
        await desk.on_statement(rig.seal(rig.sign(ExportAll(browser=browser))))
        folder = tmp_path / "saved"
        (folder / "clips").mkdir(parents=True)
        (record,) = rig.library.finished()
        (folder / "doorbell.json").write_bytes(await export_service(rig).index(browser))
        name = f"2026-11-30_120000Z_{record.clip_id}"
        (folder / "clips" / f"{name}.mp4").write_bytes(rig.playback.plain_mp4(record))
        (folder / "clips" / f"{name}.json").write_bytes(record.signed_manifest.encode())
        found = Saved(folder, rig)
        found.list_anew()
        yield found
        rig.database.close()


def test_an_export_as_it_was_saved_holds(saved: Saved, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(saved.folder), "--device", saved.rig.keys.device]) == 0
    assert "every check was made, and holds" in capsys.readouterr().out


def test_a_changed_file_is_found_by_the_list(saved: Saved) -> None:
    saved.manifest.write_bytes(saved.manifest.read_bytes() + b"\n")
    assert saved.code() == Exit.PACKAGE


def test_changed_pictures_are_found_though_the_list_was_written_anew(saved: Saved) -> None:
    """Seen to pass as whole without `check_footage`."""
    data = bytearray(saved.video.read_bytes())
    at = data.index(b"mdat") + 200
    data[at] ^= 1
    saved.video.write_bytes(data)
    saved.list_anew()
    assert saved.code() == Exit.PICTURES


def test_a_recording_without_its_sound_is_not_the_whole(saved: Saved) -> None:
    (record,) = saved.rig.library.finished()
    saved.video.write_bytes(saved.rig.playback.plain_mp4(record, with_sound=False))
    saved.list_anew()
    assert saved.code() == Exit.PICTURES


def test_a_manifest_that_the_doorbell_did_not_sign_is_found(saved: Saved) -> None:
    signed = json.loads(saved.manifest.read_text())
    signed["manifest"] = signed["manifest"].replace('"lost_units":0', '"lost_units":1')
    saved.manifest.write_text(json.dumps(signed))
    saved.list_anew()
    assert saved.code() == Exit.DEVICE


def test_a_missing_recording_is_named_and_is_no_success(saved: Saved) -> None:
    saved.video.unlink()
    saved.list_anew()
    report = check_export(saved.folder)
    assert report.exit_code == Exit.INCOMPLETE
    (record,) = saved.rig.library.finished()
    assert any(record.clip_id in line for line in report.lines())


def test_an_altered_index_is_refused(saved: Saved) -> None:
    path = saved.folder / "doorbell.json"
    path.write_text(path.read_text().replace("Ada", "Eva"))
    with pytest.raises(WireError, match="isn't signed by this doorbell"):
        check_export(saved.folder)
    assert main(["export", str(saved.folder)]) == Exit.DEVICE


def test_another_doorbells_export_is_refused(saved: Saved) -> None:
    assert main(["export", str(saved.folder), "--device", "a" * 20]) == Exit.DEVICE


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "clips/../../x", ".x"])
def test_a_list_reads_no_file_outside_the_folder(saved: Saved, path: str) -> None:
    entry = {"path": path, "size": 1, "sha256": "ab" * 32}
    (saved.folder / "index.json").write_text(json.dumps({"files": [entry]}))
    with pytest.raises(WireError, match=r"index\.json"):
        check_export(saved.folder)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"index":"{}","signature":"AA"}', b"\xff"])
def test_what_is_no_index_is_refused_in_words(saved: Saved, data: bytes) -> None:
    (saved.folder / "doorbell.json").write_bytes(data)
    with pytest.raises(WireError):
        check_export(saved.folder)


def test_a_folder_without_an_index_is_wrong_use(tmp_path: Path) -> None:
    assert main(["export", str(tmp_path)]) == Exit.USAGE
