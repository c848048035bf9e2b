"""What a person says of a doorbell: in a file, by flags, or in a terminal."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from firmware.protocol.claims import Claim, Invitation, InvitedNetwork
from provisioning.answers import Answers, ask_missing, read_answers, wishes_of
from provisioning.errors import WishRefused
from tests.fakes.answering_terminal import AnsweringTerminal
from tests.provisioning.card_images import WITH_BUNDLE, make_image, needs_fat_tools, read_by_mtools

NOW_MS = 1_900_000_000_000
CLAIM = Claim(
    relay_url="https://relay.example",
    secret="c2VjcmV0",
    ca_sha256="0" * 64,
    expires_ms=NOW_MS + 1,
)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9wZW4gc2VzYW1l ada@example"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "doorward.json").write_bytes(Invitation(claim=CLAIM, policy="p\n").encode())
    (tmp_path / "ada.pub").write_text(KEY + "\n")
    return tmp_path


def answered(folder: Path, text: str) -> Answers:
    path = folder / "answers.toml"
    path.write_text(text)
    return read_answers(path)


def test_a_file_says_all_of_it(folder: Path):
    answers = answered(
        folder,
        'invitation = "doorward.json"\nserial = "front-door"\nssid = "Home"\n'
        'password = "correct horse"\ncountry = "SE"\nboard = "zero2w"\n'
        'ssh_key = "ada.pub"\nsound = true\nrotation = 90\n',
    )
    wishes = wishes_of(answers, now_ms=NOW_MS)
    assert (wishes.serial, wishes.claim, wishes.policy) == ("front-door", CLAIM, b"p\n")
    assert (wishes.board, wishes.has_sound, wishes.rotation) == ("zero2w", True, 90)
    assert wishes.ssh_key == KEY
    assert wishes.network is not None
    assert (wishes.network.ssid, wishes.network.country) == ("Home", "SE")
    assert "correct" not in repr(answers)


def test_the_guides_answers_are_read(folder: Path):
    guide = Path(__file__).resolve().parents[2] / "docs/guide/install.md"
    (example,) = re.findall(r"^```toml\n(.*?)^```", guide.read_text(), re.MULTILINE | re.DOTALL)
    wishes = wishes_of(answered(folder, example), now_ms=NOW_MS)
    assert (wishes.serial, wishes.board) == ("front-door", "zero2w")
    assert wishes.network is not None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('wifi = "Home"', "wifi: no such key"),
        ('sssid = "Home"', "the nearest is ssid"),
        ('pasword = "correct horse"', "the nearest is password"),
        ('board = "pi2"', "zero2w"),
        ("rotation = 45", "0, 90, 180 or 270"),
        ("hidden = 1", "true or false"),
        ("password = 12345678", r"\(hidden\)"),
        ("ssid = ", "a TOML file"),
        ("[network]\nssid = 1", "no such table"),
    ],
)
def test_a_wrong_key_is_named_and_no_password_shown(folder: Path, text: str, why: str):
    with pytest.raises(WishRefused, match=why) as refused:
        answered(folder, text)
    assert "12345678" not in str(refused.value)
    assert "correct" not in str(refused.value)


def test_what_is_missing_is_asked_until_it_is_right(folder: Path):
    terminal = AnsweringTerminal(
        str(folder / "none.json"),
        str(folder / "doorward.json"),
        "front door",
        "front-door",
        "Home",
        "Sweden",
        "se",
        "short",
        "correct horse",
        "pi2",
        "pi5",
        str(folder / "ada.pub"),
    )
    answers = ask_missing(Answers(), terminal, now_ms=NOW_MS)
    assert terminal.is_done
    wishes = wishes_of(answers, now_ms=NOW_MS)
    assert (wishes.serial, wishes.board, wishes.ssh_key) == ("front-door", "pi5", KEY)
    assert wishes.network is not None
    assert wishes.network.country == "SE"
    assert any("has 8 to 63 characters" in line for line in terminal.shown)


def test_what_the_invitation_says_isnt_asked(folder: Path):
    network = InvitedNetwork(ssid="Home", key="0f" * 32, security="wpa2", country="SE")
    path = folder / "doorward.json"
    path.write_bytes(Invitation(claim=CLAIM, network=network, name="front-door").encode())
    terminal = AnsweringTerminal("", "")
    wishes = wishes_of(
        ask_missing(Answers(invitation=str(path)), terminal, now_ms=NOW_MS), now_ms=NOW_MS
    )
    assert terminal.is_done
    assert wishes.network is not None
    assert (wishes.serial, wishes.network.key) == ("front-door", "0f" * 32)
    assert (wishes.board, wishes.ssh_key) == (None, None)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"invitation": None}, "invitation is missing"),
        ({"serial": None}, "no name"),
        ({"serial": "a b"}, "can't be a doorbell's name"),
        ({"ssid": "Home"}, "password"),
        ({"ssid": "Home", "password": "correct horse"}, "no country"),
        ({"ssid": "Home", "password": "short", "country": "SE"}, "8 to 63"),
        ({"ssh_key": "none.pub"}, "can't be read"),
        ({"ssh_key": "doorward.json"}, "no SSH public key"),
        ({"policy": "none.txt"}, "can't be read"),
        ({"relay": "https://relay.evil"}, "not to https://relay.evil"),
    ],
)
def test_what_cant_be_put_on_a_card_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], why: str
):
    monkeypatch.chdir(folder)
    given = {"invitation": "doorward.json", "serial": "front-door", **changed}
    with pytest.raises(WishRefused, match=why):
        wishes_of(Answers(**given), now_ms=NOW_MS)


def test_an_invitation_that_has_ended_is_refused(folder: Path):
    answers = Answers(invitation=str(folder / "doorward.json"), serial="front-door")
    with pytest.raises(WishRefused, match="has ended"):
        wishes_of(answers, now_ms=NOW_MS + 1)


@needs_fat_tools
def test_a_person_answers_in_a_real_terminal(tmp_path: Path):
    image = tmp_path / "base.img"
    make_image(image, WITH_BUNDLE)
    card = Path(shutil.copy(image, tmp_path / "card"))
    claim = Claim(
        relay_url=CLAIM.relay_url,
        secret=CLAIM.secret,
        ca_sha256=CLAIM.ca_sha256,
        expires_ms=(int(time.time()) + 3600) * 1000,
    )
    path = tmp_path / "doorward.json"
    path.write_bytes(Invitation(claim=claim).encode())
    typed = [str(path), "front-door", "Home", "SE", "correct horse", "zero2w", ""]
    terminal, inner = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "provisioning", "customise", str(card)],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
    )
    os.close(inner)
    shown = b""
    for line in typed:
        while not shown.rstrip(b" ").endswith(b":"):
            shown += os.read(terminal, 4096)
        os.write(terminal, line.encode() + b"\n")
        shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
    os.close(terminal)
    assert process.wait() == 0, shown
    assert b"bearer secret until it is used" in shown
    assert b"correct horse" not in shown
    settings = json.loads(read_by_mtools(card, "doorward/settings.json"))
    assert settings == {"v": 1, "board": "zero2w", "sound": False, "rotation": 0}
    assert b'"Home"' in read_by_mtools(card, "network-config")
