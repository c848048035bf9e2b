"""The helper with root's rights that changes Wi-Fi networks: it trusts nothing that it is asked."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.protocol.wifi import network_of
from firmware.wifi.kept_network import KeptNetwork
from provisioning.wifi_helper import (
    HOME,
    KEEP_WITHIN_S,
    TRIAL,
    Network,
    Refused,
    WifiHelper,
    keyfile,
    main,
    parse_kept,
    parse_request,
    restore,
)
from tests.fakes.network_manager import CARDS_UUID, FakeNetworkManager

AN_ID = "a" * 26
KEY = "0f" * 32
NETWORK = {
    "ssid": b"New".hex(),
    "key": KEY,
    "security": "wpa2",
    "country": "SE",
    "is_hidden": False,
}
UUID = "99999999-2222-3333-4444-555555555555"
needs_nmcli = pytest.mark.skipif(shutil.which("nmcli") is None, reason="nmcli isn't installed")


def request_of(do: str = "try", **changes: Any) -> dict[str, Any]:
    network = NETWORK if do == "try" else None
    return {"v": 1, "id": AN_ID, "do": do, "network": network, **changes}


@dataclass
class Board:
    """A board with the helper; what the doorbell writes next happens while the helper pauses."""

    folder: Path
    manager: FakeNetworkManager = field(init=False)
    later: list[Callable[[], object]] = field(default_factory=list)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        for name in ("doorward", "doorward-wifi", "profiles"):
            (self.folder / name).mkdir()
        self.manager = FakeNetworkManager(self.folder / "profiles", air={b"New": KEY})

    @property
    def request(self) -> Path:
        return self.folder / "doorward/wifi-request"

    @property
    def result(self) -> dict[str, Any]:
        return json.loads((self.folder / "doorward-wifi/result.json").read_text())

    @property
    def names(self) -> set[str]:
        return {path.name for path in (self.folder / "profiles").iterdir()}

    def ask(self, do: str = "try", **changes: Any) -> None:
        self.request.write_text(json.dumps(request_of(do, **changes)))

    def serve(self) -> None:
        WifiHelper(
            request=self.request,
            result_folder=self.folder / "doorward-wifi",
            profiles=self.folder / "profiles",
            run=self.manager,
            monotonic_s=lambda: self.now_s,
            pause=self._pause,
        ).serve()

    def _pause(self, seconds: float) -> None:
        self.now_s += seconds
        if self.later:
            self.later.pop(0)()


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def test_a_network_is_joined_on_trial_and_kept_when_the_doorbell_says_so(board: Board) -> None:
    joined: list[bytes | None] = []
    board.later = [lambda: joined.append(board.manager.ssid), lambda: board.ask("keep")]
    board.ask()
    board.serve()
    assert joined == [b"New"]
    assert board.result["state"] == "kept"
    assert board.names == {f"{HOME}.nmconnection"}
    assert board.manager.ssid == b"New"
    kept = board.manager.read(HOME)
    assert kept is not None
    assert kept["connection.autoconnect"] == "true"


def test_the_trials_profile_is_not_joined_by_itself(board: Board) -> None:
    seen: list[dict[str, str] | None] = []
    board.later = [lambda: seen.append(board.manager.read(TRIAL)), lambda: board.ask("return")]
    board.ask()
    board.serve()
    assert seen[0] is not None
    assert seen[0]["connection.autoconnect"] == "false"


def test_returns_when_the_doorbell_says_so(board: Board) -> None:
    board.later = [lambda: board.ask("return")]
    board.ask()
    board.serve()
    assert board.result["state"] == "returned"
    assert (board.names, board.manager.active) == (set(), CARDS_UUID)


def test_returns_by_itself_when_nothing_is_heard_of_the_doorbell(board: Board) -> None:
    board.ask()
    board.serve()
    assert board.now_s >= KEEP_WITHIN_S
    assert (board.names, board.manager.active) == (set(), CARDS_UUID)


def test_a_wrong_password_and_a_network_that_is_not_there_are_told_apart(board: Board) -> None:
    board.manager.air[b"New"] = "1e" * 32
    board.ask()
    board.serve()
    assert board.result["state"] == "wrong_password"
    assert board.manager.active == CARDS_UUID
    del board.manager.air[b"New"]
    board.ask()
    board.serve()
    assert board.result["state"] == "not_found"
    assert board.names == set()


def test_a_board_without_wifi_says_so(board: Board) -> None:
    board.manager.has_wifi = False
    board.ask()
    board.serve()
    assert (board.result["state"], board.names) == ("failed", set())


def test_nothing_is_kept_that_was_not_joined(board: Board) -> None:
    board.ask("keep")
    board.serve()
    assert (board.result["state"], board.names) == ("refused", set())


def test_a_second_trial_does_not_begin_within_the_first(board: Board) -> None:
    states: list[str] = []
    board.later = [
        lambda: board.ask("try", id="b" * 26),
        lambda: states.append(board.result["state"]),
        lambda: board.ask("return"),
    ]
    board.ask()
    board.serve()
    assert states == ["refused"]
    assert board.manager.active == CARDS_UUID


def test_the_key_is_in_no_command_line_and_in_no_result(board: Board) -> None:
    board.later = [lambda: board.ask("keep")]
    board.ask()
    board.serve()
    assert KEY not in json.dumps(board.manager.commands)
    assert KEY not in json.dumps(board.result)
    mode = (board.folder / f"profiles/{HOME}.nmconnection").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


BAD: list[tuple[str, Any]] = [
    ("no JSON", b"{"),
    ("a list", b"[]"),
    ("another version", request_of(v=2)),
    ("a version that is true", request_of(v=True)),
    ("a field more", {**request_of(), "profile": "eth0"}),
    ("an id that is a path", request_of(id="../" + "a" * 23)),
    ("another order", {**request_of(), "do": "delete"}),
    ("no network", request_of(network=None)),
    ("a network with an order that has none", request_of("keep", network=NETWORK)),
    ("a network with a field more", request_of(network={**NETWORK, "id": "eth0"})),
    ("no name", request_of(network={**NETWORK, "ssid": ""})),
    ("a long name", request_of(network={**NETWORK, "ssid": "00" * 33})),
    ("a name that isn't hexadecimal", request_of(network={**NETWORK, "ssid": "0g"})),
    ("an open network", request_of(network={**NETWORK, "security": "none", "key": ""})),
    ("WEP", request_of(network={**NETWORK, "security": "wep", "key": "abcde"})),
    ("a short key", request_of(network={**NETWORK, "key": KEY[:-1]})),
    ("a line break in a key", request_of(network={**NETWORK, "key": KEY + "\n"})),
    (
        "a line break in a password",
        request_of(network={**NETWORK, "security": "wpa3", "key": "password\n[connection]"}),
    ),
    ("a country that is an option", request_of(network={**NETWORK, "country": "-h"})),
    ("a mark that is a number", request_of(network={**NETWORK, "is_hidden": 1})),
    ("a field twice", json.dumps(request_of()).encode()[:-1] + b',"do":"keep"}'),
    ("too long", json.dumps(request_of()).encode() + b" " * 2048),
]


@pytest.mark.parametrize("bad", [bad for _, bad in BAD], ids=[name for name, _ in BAD])
def test_refuses_what_is_not_a_request_and_changes_nothing(board: Board, bad: Any) -> None:
    board.request.write_bytes(bad if isinstance(bad, bytes) else json.dumps(bad).encode())
    board.serve()
    assert board.names == set()
    assert not any("up" in command for command in board.manager.commands)
    assert not board.request.exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_request_that_is_no_plain_file_is_neither_read_nor_followed(
    board: Board, kind: str
) -> None:
    secret = board.folder / "secret"
    secret.write_text(json.dumps(request_of()))
    match kind:
        case "link":
            board.request.symlink_to(secret)
        case "pipe":
            os.mkfifo(board.request)
        case "folder":
            board.request.mkdir()
    board.serve()
    assert board.names == set()
    assert secret.exists()
    assert not os.path.lexists(board.request)


@given(st.binary(max_size=300))
def test_rubbish_is_refused(data: bytes) -> None:
    for parse in (parse_request, parse_kept):
        with pytest.raises(Refused):
            parse(data)


def test_the_network_that_was_kept_comes_back_at_the_boards_start(tmp_path: Path) -> None:
    KeptNetwork(tmp_path).keep(network_of(b"New", KEY, security="wpa2", country="SE"))
    profiles = tmp_path / "run/NetworkManager/system-connections"
    assert main(["restore", str(tmp_path / "wifi.json"), str(profiles)]) == 0
    manager = FakeNetworkManager(profiles)
    kept = manager.read(HOME)
    assert kept is not None
    assert (kept["wifi-security.psk"], kept["connection.autoconnect"]) == (KEY, "true")


def test_a_trial_that_a_power_cut_ended_does_not_come_back(tmp_path: Path) -> None:
    kept = KeptNetwork(tmp_path)
    kept.begin_trial(network_of(b"New", KEY, security="wpa2", country="SE"), bytes(16))
    assert not restore(tmp_path / "wifi.json", tmp_path / "profiles")
    assert KEY not in (tmp_path / "wifi.json").read_text()


def test_a_file_of_the_doorbells_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wifi.json").symlink_to("/etc/shadow")
    with pytest.raises(Refused):
        restore(tmp_path / "wifi.json", tmp_path / "profiles")
    assert main(["restore", str(tmp_path / "wifi.json"), str(tmp_path / "profiles")]) == 0
    assert not (tmp_path / "profiles").exists()


@needs_nmcli
@settings(max_examples=25, deadline=None)
@given(
    ssid=st.binary(min_size=1, max_size=32),
    password=st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=8, max_size=63),
    is_hidden=st.booleans(),
)
def test_networkmanager_reads_every_name_and_password_as_they_are(
    ssid: bytes, password: str, is_hidden: bool
) -> None:
    network = Network(ssid=ssid, key=password, security="wpa3", country="", is_hidden=is_hidden)
    written = keyfile(network, profile=TRIAL, profile_uuid=UUID, is_kept=False)
    read = _nmcli(["modify", "connection.autoconnect-retries", "3"], written)
    # The same, as NetworkManager itself writes it when it is told by its own command.
    assert "\nautoconnect-retries=3\n" in read
    expected = _told_by_nmcli(password, read)
    assert expected
    assert _ssid_in(read) == ssid


def _nmcli(words: list[str], keyfile_bytes: bytes) -> str:
    done = subprocess.run(
        ["nmcli", "--offline", "connection", *words],
        input=keyfile_bytes,
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    return done.stdout.decode("utf-8", errors="surrogateescape")


def _told_by_nmcli(password: str, read: str) -> bool:
    """Whether a profile that nmcli made with this password has the same line for it."""
    made = _nmcli(
        ["add", "type", "wifi", "ssid", "x", "wifi-sec.key-mgmt", "sae", "wifi-sec.psk", password],
        b"",
    )
    lines = [line for line in made.splitlines() if line.startswith("psk=")]
    return len(lines) == 1 and lines[0] in read.splitlines()


def _ssid_in(read: str) -> bytes:
    """Return the name from the line that NetworkManager wrote: a text, or a list of bytes."""
    line = next(line for line in read.splitlines() if line.startswith("ssid="))
    value = line.removeprefix("ssid=")
    if value.endswith(";") and all(part.isdigit() for part in value[:-1].split(";")):
        return bytes(int(part) for part in value[:-1].split(";"))
    undone, position = bytearray(), 0
    raw = value.encode("utf-8", errors="surrogateescape")
    while position < len(raw):
        if raw[position : position + 1] == b"\\":
            after = raw[position + 1 : position + 2]
            undone += {b"s": b" ", b"\\": b"\\", b";": b";", b"t": b"\t", b"n": b"\n", b"r": b"\r"}[
                after
            ]
            position += 2
        else:
            undone += raw[position : position + 1]
            position += 1
    return bytes(undone)
