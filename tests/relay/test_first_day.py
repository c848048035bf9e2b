"""An operator's first day: what `init` writes for the internet, and words for what is wrong."""

import asyncio
import contextlib
import json
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from relay.__main__ import main
from relay.app import relay as relay_module
from relay.backup.errors import BackupError
from relay.bus import Bus
from relay.cli import preflight
from relay.config.loader import load
from relay.config.settings import Config
from relay.errors import BusUnavailable
from relay.fleet.broker_keys import BrokerKeys
from relay.fleet.revocation import revoke_beside
from relay.store import fleet
from relay.store.objects import ObjectStore
from tests.fakes.log_house import NAME
from tests.fakes.lost_relay import make_relay
from tests.fakes.witness_log import WitnessedLog
from tests.house.documents import REPOSITORY, commands
from tests.relay.databases import ON_SQLITE_ONLY, rows_of
from tests.relay.http_world import open_world

PUBLIC = ("--public-url", "https://relay.example", "--owner-origin", "https://door.example")
STORE = ("--store-url", "https://store.example")


def init(folder: Path, *more: str) -> int:
    return main(["init", "--data", str(folder), *more])


def mqtt_of(folder: Path) -> str:
    (line,) = (
        line
        for line in (folder / "nats.conf").read_text().partition("mqtt {")[2].splitlines()
        if "listen:" in line
    )
    return json.loads(line.partition(":")[2])


# --- what `init` writes ---


def test_a_public_relay_is_reached_by_doorbells_and_browsers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "relay"
    assert init(folder, *PUBLIC, *STORE) == 0
    config = load(folder / "relay.toml")
    assert config.bucket.endpoint == "https://store.example"
    assert mqtt_of(folder) == "0.0.0.0:8403"
    assert preflight.check_store_address(config) is None
    said = capsys.readouterr().out
    assert "open that port" in said
    assert "--store-url" not in said


def test_without_an_address_of_the_store_it_is_said_what_to_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "relay"
    assert init(folder, *PUBLIC, "--mqtt-listen", "::") == 0
    assert "set endpoint in [bucket]" in capsys.readouterr().out
    assert mqtt_of(folder) == "[::]:8403"
    finding = preflight.check_store_address(load(folder / "relay.toml"))
    assert finding is not None
    assert not finding.is_ok
    assert "set endpoint in [bucket]" in finding.detail


def test_a_trial_is_for_this_machine_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "relay") == 0
    assert mqtt_of(tmp_path / "relay") == "127.0.0.1:8403"
    assert "open that port" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--public-url", "http://relay.example"), "passkeys need https"),
        ((*PUBLIC[:2], "--owner-origin", "http://door.example"), "passkeys need https"),
        ((*PUBLIC, "--store-url", "http://store.example"), "browsers refuse to mix"),
        (("--mqtt-listen", "relay.example"), "an address of this machine"),
    ],
)
def test_what_no_browser_would_take_is_refused(
    options: tuple[str, ...], word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "relay", *options) == 2
    assert word in capsys.readouterr().err
    assert not (tmp_path / "relay").exists()


@pytest.mark.parametrize("is_there", [False, True])
def test_of_an_init_that_fails_nothing_is_left(is_there: bool, tmp_path: Path) -> None:
    folder = tmp_path / "relay"
    if is_there:
        folder.mkdir()
    with closed_port() as port:
        url = f"postgresql://nobody@127.0.0.1:{port}/none"
        assert init(folder, "--database-url", url) == 1
    assert folder.exists() == is_there
    assert not is_there or not list(folder.iterdir())
    assert init(folder) == 0


@contextlib.contextmanager
def closed_port() -> Iterator[int]:
    """Hold a port at which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


# --- words, where there were tracebacks ---


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("init --data /proc/none", "/proc/none: "),
        ("admin keygen --id ann --name Ann --out .", "ann.key.json: File exists"),
        (
            "admin charter --origin a.b/register --admin none.json --admin x --out c",
            "none.json: No",
        ),
        ("admin propose agreement none.json --follows 0 --out new.json", "none.json: No such file"),
        (
            "admin propose suspend --agency lakeland --origin a.b/register --out there.json",
            "exists",
        ),
        ("admin show none.json", "none.json: No such file"),
        ("admin sign none.json --key none.json", "none.json: No such file"),
    ],
)
def test_a_file_that_is_missing_or_there_is_named_in_one_line(
    command: str,
    word: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ann.key.json").write_text("mine")
    (tmp_path / "there.json").write_text("mine")
    assert main(shlex.split(command)) == 1
    said = capsys.readouterr().err
    assert word in said
    assert said.count("\n") == 1
    assert (tmp_path / "ann.key.json").read_text() == "mine"


@ON_SQLITE_ONLY
def test_a_claim_that_cant_be_written_isnt_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(tmp_path / "relay") == 0
    invite = ["invite", "doorbell", "--config", str(tmp_path / "relay" / "relay.toml"), "--out"]
    assert main([*invite, str(tmp_path / "none" / "doorward.json")]) == 1
    assert "doorward.json: No such file" in capsys.readouterr().err
    claims = "SELECT count(*) FROM claims"
    assert rows_of(tmp_path / "relay" / "relay.sqlite3", claims) == [(0,)]
    (tmp_path / "doorward.json").write_text("an older one, which was longer" * 100)
    assert main([*invite, str(tmp_path / "doorward.json")]) == 0
    assert json.loads((tmp_path / "doorward.json").read_text())
    assert rows_of(tmp_path / "relay" / "relay.sqlite3", claims) == [(1,)]


async def test_a_broker_that_is_away_ends_a_revocation_with_words(tmp_path: Path) -> None:
    keys = BrokerKeys.create()
    async with open_world(tmp_path) as world:
        device = await world.enrol()
        with closed_port() as port:
            url = f"nats://127.0.0.1:{port}"
            bus = Bus(url, relay_seed=keys.relay_seed, system_seed=keys.system_seed)
            around = {"bus": bus, "database": world.database, "clock": world.clock}
            with pytest.raises(BusUnavailable, match="start the broker and say this again"):
                await revoke_beside(device, **around, timeout_s=0.2)
            await bus.close()
        async with world.database.read() as tx:
            assert await fleet.revoked_devices(tx) == {device}  # relays read it when it is back


async def test_a_backup_doesnt_go_into_what_it_is_of(tmp_path: Path) -> None:
    relay = await make_relay(tmp_path)
    out = relay.config.data_dir / "backups" / "today"
    with pytest.raises(BackupError, match="Choose a folder elsewhere"):
        await relay.back_up(out)
    assert not out.parent.exists()


# --- a relay that mustn't start ---


@ON_SQLITE_ONLY
@pytest.mark.services
async def test_an_older_database_lets_nobody_in(
    object_server: Config,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its port is taken: one that opened before it compared would complain of that instead.

    It isn't, for its first look, by which it finds another relay that runs here.

    Seen to do so with the comparison taken out of Relay.run.
    """
    relay = await make_relay(tmp_path)
    bucket = replace(object_server.bucket, name="first-day")
    store = ObjectStore(bucket)
    await store.ensure_lockable()
    seen = WitnessedLog([b"x"], origin=f"{NAME}/custody").signed()
    await store.put_new("custody/checkpoint", seen, content_type="text/plain")
    text, own = relay.config_path.read_text(), relay.config.bucket
    for name in ("endpoint", "access_key", "secret_key"):
        text = text.replace(getattr(own, name), getattr(bucket, name))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = text.replace("127.0.0.1:8400", f"127.0.0.1:{taken.getsockname()[1]}")
        relay.config_path.write_text(f'{text}bucket = "{bucket.name}"\n')
        first = iter([socket.socket()])
        listen = relay_module._listen
        monkeypatch.setattr(relay_module, "_listen", lambda *at: next(first, None) or listen(*at))
        code = await asyncio.to_thread(main, ["serve", "--config", str(relay.config_path)])
    said = capsys.readouterr().err
    assert "1 entries were published, and the database has 0" in said
    assert code == 2  # after which systemd doesn't start it again


# --- what the guide says ---


@ON_SQLITE_ONLY
def test_the_guides_commands_make_a_register(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of "Who may ask", word for word, and with Bob's in Ann's place."""
    monkeypatch.chdir(tmp_path)
    guide = REPOSITORY / "docs" / "guide" / "operate.md"
    told = [line for line in map(" ".join, commands(guide)) if "rehearsal" not in line]

    def run(beginning: str, **instead: str) -> None:
        line = next(line for line in told if line.startswith(f"doorward-relay {beginning} "))
        for old, new in instead.items():
            line = line.replace(old, new).replace(old.title(), new.title())
        assert main(shlex.split(line.partition("#")[0])[1:]) == 0, line

    assert init(Path("relay")) == 0
    run("log init")
    for name in ("ann", "bob"):
        run("admin keygen", ann=name)
    run("admin charter")
    for name in ("ann", "bob"):
        run("admin sign", change="charter", ann=name)
    run("admin submit", change="charter")
    assert rows_of(Path("relay/relay.sqlite3"), "SELECT count(*) FROM log_entries") == [(1,)]
