"""Export of everything in Chromium: from the passkey to files on the disk that verify, over a real
doorbell's live line; after a reload it goes on where it was. The folder is the browser's own, as no
program can press the system's dialog; the ZIP files are real downloads."""

import base64
import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from relay.verify.checks import Exit
from relay.verify.cli import main as verify
from relay.verify.exported import check_export
from tests.flows.recorded_home import CLIPS, RecordedHome, recorded_home
from tests.relay.http_world import OWNER_ORIGIN

pytestmark = pytest.mark.browser

PRIVATE_FOLDER = "window.showDirectoryPicker = () => navigator.storage.getDirectory();"
NO_FOLDERS = "delete window.showDirectoryPicker;"
READ_FOLDER = """async () => {
  const found = {};
  const read = async (folder, above) => {
    for await (const [name, handle] of folder.entries()) {
      if (handle.kind === "directory") { await read(handle, `${above}${name}/`); continue; }
      const data = new Uint8Array(await (await handle.getFile()).arrayBuffer());
      let text = "";
      for (const byte of data) text += String.fromCharCode(byte);
      found[above + name] = btoa(text);
    }
  };
  await read(await navigator.storage.getDirectory(), "");
  return found;
}"""


async def folder_on_disk(page: Page, place: Path) -> Path:
    """Write what the page's private folder holds onto the disk."""
    files: dict[str, str] = await page.evaluate(READ_FOLDER)
    for name, data in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))
    return place


def assert_whole(place: Path, home: RecordedHome, capsys: pytest.CaptureFixture[str]) -> None:
    """Check the files as their owner would, with programs that know nothing of the app."""
    subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=place, check=True
    )
    assert verify(["export", str(place), "--device", home.at.device]) == Exit.HOLDS
    assert f"{CLIPS} recordings" in capsys.readouterr().out
    assert len(list((place / "clips").glob("*.mp4"))) == CLIPS
    index = json.loads(json.loads((place / "doorbell.json").read_text())["index"])
    assert {one["name"] for one in index["owners"]} >= {"Ada", "Bo"}
    assert "export" in {one["kind"] for one in index["statements"]}
    events = json.loads((place / "events.json").read_text())["events"]
    own = json.loads((place / "neighbours.json").read_text())
    assert own["membership"] == {"district": None, "follows": []}
    assert "pressed" in {one["event"]["body"]["type"] for one in events}


async def test_everything_comes_into_a_folder_and_verifies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with recorded_home(tmp_path, PRIVATE_FOLDER) as home:
        page = await home.open()
        await page.click("#export-folder")
        await expect(page.locator("#export-done")).to_be_visible()
        place = await folder_on_disk(page, tmp_path / "saved")
        assert_whole(place, home, capsys)
        assert home.told() == ["began", "complete"]
        assert home.rig.exports.all == ()
        altered = next(iter((place / "clips").glob("*.mp4")))
        data = bytearray(altered.read_bytes())
        data[len(data) // 2] ^= 1
        altered.write_bytes(data)
        assert check_export(place).exit_code == Exit.PACKAGE
        assert home.at.person.faults == []


async def test_after_a_reload_at_the_last_recording_only_that_is_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with recorded_home(tmp_path, PRIVATE_FOLDER) as home:
        home.shelf.held = home.clip_ids[-1]
        page = await home.open()
        await page.click("#export-folder")
        await expect(page.locator("#export-progress")).to_contain_text(f"{CLIPS - 1} of {CLIPS}")
        assert home.shelf.given == home.clip_ids[:-1]
        await page.reload()
        await expect(page.locator("#export-unfinished")).to_be_visible()
        home.shelf.held = ""
        home.shelf.let_go.set()
        home.shelf.given.clear()
        await page.click("#go-on")
        await expect(page.locator("#export-done")).to_be_visible()
        assert set(home.shelf.given) == {home.clip_ids[-1]}
        assert_whole(await folder_on_disk(page, tmp_path / "saved"), home, capsys)
        assert home.told() == ["began", "complete"], "that is one export, and told once"


async def test_a_browser_without_folders_saves_zip_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with recorded_home(tmp_path, NO_FOLDERS) as home:
        page = await home.open()
        assert await page.locator("#export-folder").count() == 0
        await page.click("#export-zip")
        async with page.expect_download() as downloading:
            await page.click("#save-part-1")
        download = await downloading.value
        await expect(page.locator("#export-done")).to_be_visible()
        archive = tmp_path / download.suggested_filename
        await download.save_as(archive)
        place = tmp_path / "unpacked"
        with zipfile.ZipFile(archive) as packed:
            assert packed.testzip() is None
            packed.extractall(place)
        assert_whole(place, home, capsys)


async def test_an_export_is_paused_and_stopped_and_the_co_owner_is_told(tmp_path: Path) -> None:
    async with recorded_home(tmp_path, PRIVATE_FOLDER) as home:
        home.shelf.held = home.clip_ids[1]
        page = await home.open()
        await page.click("#export-folder")
        await expect(page.locator("#export-progress")).to_contain_text(f"1 of {CLIPS}")
        await page.click("#pause-export")
        await expect(page.locator("#export-unfinished")).to_be_visible()
        home.shelf.let_go.set()
        await page.click("#export-stop")
        await page.click("#confirm button[value=yes]")
        await expect(page.locator("#export-folder")).to_be_visible()
        assert home.told() == ["began", "stopped"]
        await page.goto(f"{OWNER_ORIGIN}/#/settings/data/{home.at.device}")
        await expect(page.locator("#warnings")).to_contain_text("stopped an export of everything")
