"""`doorward-relay backup` and `restore` as commands, and packages in the real object store."""

from pathlib import Path

import pytest

from relay.__main__ import main
from relay.backup.owned_files import last_backup_ms, moved, settled
from relay.config.loader import load
from relay.config.settings import Config
from relay.errors import StoreError
from relay.store import database_copies
from relay.store.object_copies import ObjectCopies
from tests.relay.databases import ON_SQLITE_ONLY


@pytest.mark.services
async def test_an_object_goes_into_a_file_and_back(object_server: Config, tmp_path: Path) -> None:
    bucket = ObjectCopies(object_server.bucket)
    await bucket.ensure_bucket(object_server.public_url)
    data = bytes(range(256)) * 40_000  # more than one part of the client's
    (tmp_path / "in").write_bytes(data)
    await bucket.put_file("lakeland/package", tmp_path / "in")
    (tmp_path / "other").write_bytes(b"other")
    await bucket.put_file("lakeland/package", tmp_path / "other")  # what is there stays
    assert await bucket.has("lakeland/package")
    assert await bucket.save("lakeland/package", tmp_path / "a" / "out")
    assert (tmp_path / "a" / "out").read_bytes() == data
    assert not await bucket.save("lakeland/none", tmp_path / "none")
    assert not (tmp_path / "none").exists()


@ON_SQLITE_ONLY
@pytest.mark.services
def test_the_commands_say_what_to_do(
    object_server: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(object_server.data_dir / "relay.toml")
    out = tmp_path / "backup"
    assert main(["backup", "--config", config, "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert "SECRET KEYS" in said
    assert "age -r" in said
    assert last_backup_ms(load(Path(config))) is not None
    new = tmp_path / "new"
    assert main(["restore", "--from", str(out), "--data", str(new)]) == 0
    said = capsys.readouterr().err
    assert "old relay never starts again" in said
    assert load(new / "relay.toml").data_dir == new
    assert main(["restore", "--from", str(out), "--data", str(new)]) == 1
    assert "isn't empty" in capsys.readouterr().err


@ON_SQLITE_ONLY
def test_a_backup_of_a_file_goes_into_no_postgresql(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["restore", "--from", str(tmp_path), "--data", str(tmp_path / "new")]
    assert main([*arguments, "--database-url", "postgresql://db.test/x"]) == 2
    assert "sslmode=verify-full" in capsys.readouterr().err
    assert main(arguments) == 1
    assert "was never finished" in capsys.readouterr().err


def test_settings_are_moved_and_otherwise_left_alone() -> None:
    text = '# mine\ndata_dir = "/var/lib/doorward"\n\n[bucket]\nendpoint = "http://a:1"\n[log]\n'
    new = settled(text, database_url="postgresql://localhost/x", bucket_endpoint="http://b:2")
    assert new == (
        'database_url = "postgresql://localhost/x"\n# mine\ndata_dir = "."\n\n[bucket]\n'
        'endpoint = "http://b:2"\n[log]\n'
    )
    data = b'store_dir: "/srv/old/broker"'
    here = moved("nats.conf", data, old_folder="/srv/old", new_folder=Path("/srv/new"))
    assert here == b'store_dir: "/srv/new/broker"'
    for other in (b"/srv/older/x", b"/srv/old-2", b"/srv/old.bak", b"/mnt/srv/old/x"):
        assert moved("nats.conf", other, old_folder="/srv/old", new_folder=Path("/n")) == other
    assert moved("ca.key", data, old_folder="/srv/old", new_folder=Path("/srv/new")) == data


async def test_a_missing_pg_dump_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match="postgresql-client"):
        await database_copies.load_postgresql(tmp_path / "none", "postgresql://localhost/x")
