"""Which files a backup takes, and that they are on the disk before it counts as one."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from relay.backup.errors import BackupError
from relay.backup.owned_files import MAX_FILE_BYTES, list_owned_files, named_elsewhere
from relay.backup.restore import _load_database
from relay.config.settings import PublicConfig
from relay.errors import StoreError
from relay.store import database_copies
from relay.store.database import Database
from tests.fakes.lost_relay import LosableRelay, files_in, make_relay


@pytest.fixture
async def relay(tmp_path: Path) -> LosableRelay:
    return await make_relay(tmp_path)


@pytest.mark.parametrize("folder", ["relay", "elsewhere"])
async def test_a_large_private_file_fails_no_backup(
    relay: LosableRelay, tmp_path: Path, folder: str
) -> None:
    """With UMask=0077 all is private, also the names of a country's places."""
    (tmp_path / folder).mkdir(exist_ok=True)
    names = tmp_path / folder / "SE.txt"
    names.write_bytes(bytes(MAX_FILE_BYTES + 1))
    names.chmod(0o600)
    config = replace(relay.config, public=PublicConfig(monitor_report_path=names))
    found = list_owned_files(relay.config_path, config)
    assert "SE.txt" not in found
    assert names in named_elsewhere(config, found.values())  # which is said


async def test_a_secret_elsewhere_is_refused(relay: LosableRelay, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("x")
    secret.chmod(0o600)
    config = replace(relay.config, public=PublicConfig(monitor_report_path=secret))
    with pytest.raises(BackupError, match="move it there"):
        list_owned_files(relay.config_path, config)


@pytest.mark.parametrize("name", ["sign-in.log", "sign-in.new", "saved-password"])
async def test_what_the_settings_name_is_taken_by_whichever_name(
    relay: LosableRelay, name: str
) -> None:
    secret = relay.config.data_dir / name
    secret.write_text("x")
    secret.chmod(0o600)
    assert name not in list_owned_files(relay.config_path, relay.config)
    config = replace(relay.config, public=PublicConfig(monitor_report_path=secret))
    assert list_owned_files(relay.config_path, config)[name] == secret


async def test_the_files_of_a_clusters_brokers_come_back_and_their_streams_do_not(
    relay: LosableRelay, tmp_path: Path
) -> None:
    for number in (1, 2):
        broker = relay.config.data_dir / f"broker-{number}"
        (broker / "streams").mkdir(parents=True)
        (broker / "nats.conf").write_text(f"server_name: doorward-{number}\n")
        (broker / "route.key").write_text("secret")
        (broker / "streams" / "1.pem").write_text("x")
        (broker / "log").write_text("x")
    await relay.back_up(tmp_path / "backup")
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    folder = restored.config.data_dir
    assert (folder / "broker-2" / "nats.conf").read_text() == "server_name: doorward-2\n"
    assert (folder / "broker-1" / "route.key").stat().st_mode & 0o777 == 0o600
    assert (folder / "broker-1").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (folder / "broker-1").iterdir()) == [
        "nats.conf",
        "route.key",
        "streams",  # empty; doorward-nats.service doesn't start without it
    ]
    assert list((folder / "broker-1" / "streams").iterdir()) == []


async def test_a_hidden_secret_is_refused(relay: LosableRelay) -> None:
    secret = relay.config.data_dir / ".sign-in"
    secret.write_text("x")
    secret.chmod(0o600)
    config = replace(relay.config, public=PublicConfig(monitor_report_path=secret))
    with pytest.raises(BackupError, match="rename it"):
        list_owned_files(relay.config_path, config)


async def test_all_is_on_the_disk_before_the_manifest_is(
    relay: LosableRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    out = tmp_path / "backup"
    await relay.back_up(out)
    last = synced.index(out / "manifest.json.new")
    files = {path for path in files_in(out) if path.name != "manifest.json"}
    assert files | {path.parent for path in files} <= set(synced[:last])
    assert {out, tmp_path} <= set(synced[last:])


async def test_a_database_that_cannot_be_brought_forward_is_empty_again(
    relay: LosableRelay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the next try would be refused: that database isn't empty."""
    emptied: list[str] = []

    async def nothing(*_: object) -> bool:
        return False

    async def empty_again(url: str) -> None:
        emptied.append(url)

    async def fail(*_: object, **__: object) -> Database:
        raise StoreError("can't be migrated")

    monkeypatch.setattr(database_copies, "holds_tables", nothing)
    monkeypatch.setattr(database_copies, "load_postgresql", nothing)
    monkeypatch.setattr(database_copies, "empty_again", empty_again)
    monkeypatch.setattr(Database, "open", fail)
    url = "postgresql://localhost/doorward"
    with pytest.raises(StoreError, match="can't be migrated"):
        await _load_database(tmp_path, replace(relay.config, database_url=url))
    assert emptied == [url]
