"""What `doorward-relay init` writes, and the small commands around it."""

import json
import sqlite3
import ssl
import stat
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from firmware.protocol.claims import read_invitation
from firmware.protocol.tlog.signed_note import NoteSigner
from relay.__main__ import main
from relay.config.loader import load
from relay.errors import SchemaTooNew, StoreError
from relay.fleet.ca import Authority
from relay.notify.push_key import PushKey
from relay.store.database import Database


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    assert main(["init", "--data", str(folder), "--demo", "--json"]) == 0
    return folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_everything_is_for_its_owner_only(made: Path) -> None:
    assert mode_of(made) == 0o700
    for path in made.iterdir():
        assert mode_of(path) == (0o700 if path.is_dir() else 0o600), path


def test_the_settings_it_writes_are_valid(made: Path) -> None:
    config = load(made / "relay.toml")
    assert config.demo_passkeys
    assert config.push.is_loopback_allowed
    assert config.data_dir == made
    assert config.database_path.exists()
    identities = json.loads((made / "s3.json").read_text())["identities"]
    assert identities[0]["credentials"][0]["secretKey"] == config.bucket.secret_key


def test_without_demo_no_demo_passkey_counts(tmp_path: Path) -> None:
    assert main(["init", "--data", str(tmp_path / "data")]) == 0
    config = load(tmp_path / "data" / "relay.toml")
    assert not config.demo_passkeys
    assert not config.push.is_loopback_allowed


def test_each_relay_has_a_push_key_of_its_own(made: Path, tmp_path: Path) -> None:
    assert main(["init", "--data", str(tmp_path / "other")]) == 0
    keys = {PushKey.load(folder / "push.key").public_key for folder in (made, tmp_path / "other")}
    assert len(keys) == 2


def test_the_ca_and_the_brokers_certificate_fit(made: Path) -> None:
    authority = Authority.load((made / "ca.key").read_bytes(), (made / "ca.pem").read_bytes())
    assert len(authority.sha256) == 64
    ssl.create_default_context(cafile=str(made / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / "broker.pem", made / "broker.key")


def test_no_seed_of_the_relay_is_in_the_brokers_settings(made: Path) -> None:
    keys = json.loads((made / "broker-keys.json").read_text())
    settings = (made / "nats.conf").read_text()
    assert not any(keys[name] in settings for name in keys if name != "v")


def test_a_folder_that_holds_something_is_left_alone(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in made.iterdir() if path.is_file()}
    assert main(["init", "--data", str(made)]) == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in made.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    "option", [("--public-url", "localhost"), ("--listen", "8400"), ("--mqtt-port", "0")]
)
def test_bad_options_leave_nothing_behind(tmp_path: Path, option: tuple[str, str]) -> None:
    assert main(["init", "--data", str(tmp_path / "data"), *option]) == 2
    assert not (tmp_path / "data").exists()


def test_a_doorbells_invitation_pins_the_ca(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "doorward.json"
    code = main(["invite", "doorbell", "--config", str(made / "relay.toml"), "--out", str(out)])
    assert code == 0
    claim = read_invitation(out.read_bytes()).claim
    authority = Authority.load((made / "ca.key").read_bytes(), (made / "ca.pem").read_bytes())
    assert claim.ca_sha256 == authority.sha256
    assert claim.relay_url == load(made / "relay.toml").public_url
    assert mode_of(out) == 0o600


def test_a_doorbells_invitation_has_the_relays_policy_and_is_a_link_too(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(made / "relay.toml")]
    assert main(["log", "init", *config, "--name", "lakeland", "--example"]) == 0
    assert main(["invite", "doorbell", *config]) == 1
    assert "doorward-relay log policy" in capsys.readouterr().err
    witness = NoteSigner.generate("north.example", "cosignature").key.vkey
    named = ["--witness", f"north={witness}@http://north.example", "--quorum", "1"]
    policy = made / "policy.txt"
    assert main(["log", "policy", *named, "--out", str(policy), *config]) == 0
    capsys.readouterr()
    assert main(["invite", "doorbell", "--link", *config]) == 0
    told = capsys.readouterr()
    assert read_invitation(told.out.encode()).policy == policy.read_text()
    assert "for whoever holds it" in told.err
    assert "submit the charter, then invite anew" in told.err


def test_an_owners_invitation_leads_to_the_owners_app(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["invite", "owner", "--config", str(made / "relay.toml"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["url"] == f"http://localhost:8401/#/join?invitation={told['invitation']}"


def test_a_shards_invitation_names_its_relay(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = made / "relay.toml"
    with config.open("a") as file:
        file.write('\n[shards]\nid = "b"\ndirectory = "shards.note"\n')
    capsys.readouterr()
    assert main(["invite", "owner", "--config", str(config), "--json"]) == 0
    fragment = urlsplit(json.loads(capsys.readouterr().out)["url"]).fragment
    assert parse_qs(fragment.partition("?")[2])["relay"] == [load(config).public_url]


def test_an_officers_invitation_wants_a_log_in_which_agencies_are_known(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = str(made / "relay.toml")
    assert main(["invite", "officer", "--config", config, "--agency", "nowhere"]) == 2
    assert "doorward-relay log init" in capsys.readouterr().err


async def test_what_is_committed_is_on_disk_and_what_failed_is_not(made: Path) -> None:
    database = await Database.open(made / "relay.sqlite3")
    async with database.read() as tx:
        assert (await tx.execute(text("PRAGMA journal_mode"))).scalar() == "wal"
        assert (await tx.execute(text("PRAGMA synchronous"))).scalar() == 2
    with pytest.raises(ZeroDivisionError):
        await _write_and_fail(database)
    async with database.read() as tx:
        assert (await tx.execute(text("SELECT count(*) FROM claims"))).scalar() == 0
    await database.close()


async def _write_and_fail(database: Database) -> None:
    async with database.begin() as tx:
        await tx.execute(text("INSERT INTO claims (secret_hash, expires_ms) VALUES ('x', 1)"))
        raise ZeroDivisionError


async def test_a_newer_schema_is_refused_and_left_alone(made: Path) -> None:
    path = made / "relay.sqlite3"
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE schema_version SET version = 99, compatible_from = 99")
    with pytest.raises(SchemaTooNew, match="99"):
        await Database.open(path)


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "relay.sqlite3"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError):
        await Database.open(path)
