"""`doorward-flash` from end to end, into a file in a card's place."""

import hashlib
import json
import lzma
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from firmware.protocol.claims import Claim, Invitation, InvitedNetwork
from firmware.protocol.encoding import decode
from provisioning.__main__ import main
from tests.provisioning.card_images import (
    LENGTH,
    TRIXIE,
    WITH_BUNDLE,
    check,
    make_image,
    needs_fat_tools,
    read_by_mtools,
)

pytestmark = needs_fat_tools


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("base") / "trixie.img"
    make_image(image, WITH_BUNDLE)
    with image.open("r+b") as file:
        file.seek(-1024 * 1024, os.SEEK_END)
        file.write(os.urandom(1024 * 1024))
    return image


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "card"
    with path.open("wb") as file:
        file.write(b"\xee" * 4096)
        file.truncate(LENGTH + 10_000_384)
    return path


def test_an_image_is_flashed_read_back_and_verified(base: Path, card: Path, capsys):
    packed = base.with_suffix(".img.xz")
    packed.write_bytes(lzma.compress(base.read_bytes(), preset=0))
    assert main(["flash", str(packed), str(card), "--allow-file", "--yes", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["stage"] for row in rows} == {"writing", "reading back", "done"}
    assert rows[-1]["sha256"] == hashlib.sha256(base.read_bytes()).hexdigest()
    assert card.read_bytes()[:LENGTH] == base.read_bytes()
    assert main(["verify", str(base), str(card)]) == 0
    assert "were read back" in capsys.readouterr().out


def test_a_card_that_differs_says_where(base: Path, card: Path, capsys):
    assert main(["flash", str(base), str(card), "--allow-file", "--yes", "--json"]) == 0
    with card.open("r+b") as file:
        file.seek(21_000_000)
        file.write(b"x")
    assert main(["verify", str(base), str(card), "--json"]) == 1
    assert "from 21 MB" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        (("user-data", "meta-data", "network-config"), "no cloud-init"),
        (("kernel8.img",), "no 64-bit kernel"),
    ],
)
def test_an_image_that_no_doorbell_can_be_made_of_is_refused_before_a_card_is_opened(
    tmp_path: Path, card: Path, capsys, missing: tuple[str, ...], why: str
):
    image = tmp_path / "old.img"
    make_image(image, {name: data for name, data in TRIXIE.items() if name not in missing})
    before = card.read_bytes()
    assert main(["flash", str(image), str(card), "--allow-file", "--yes"]) == 1
    assert why in capsys.readouterr().err
    assert card.read_bytes() == before


def test_rubbish_is_no_image(tmp_path: Path, card: Path, capsys):
    image = tmp_path / "rubbish.img"
    image.write_bytes(os.urandom(1_000_000))
    assert main(["flash", str(image), str(card), "--allow-file", "--yes"]) == 1
    assert "no image that a Pi boots" in capsys.readouterr().err


def test_nobody_who_could_confirm_means_nothing_is_written(base: Path, card: Path):
    command = [sys.executable, "-m", "provisioning", "flash", base, card, "--allow-file"]
    before = card.read_bytes()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode, card.read_bytes()) == (1, before)
    assert b"--yes" in done.stderr


CLAIM = Claim(
    relay_url="https://relay.example",
    secret="c2VjcmV0",
    ca_sha256="0" * 64,
    expires_ms=(int(time.time()) + 3600) * 1000,
)
INVITATION = Invitation(claim=CLAIM, policy="a policy\n")


def of_claim(**changed: object) -> bytes:
    return msgspec.structs.replace(
        INVITATION, claim=msgspec.structs.replace(CLAIM, **changed)
    ).encode()


def customised(base: Path, folder: Path, *more: str) -> Path:
    card = Path(shutil.copy(base, folder / "card.img"))
    (folder / "doorward.json").write_bytes(INVITATION.encode())
    (folder / "password").write_text("correct horse\n")
    wanted = ["--serial", "dw-1", "--invitation", str(folder / "doorward.json"), *more]
    assert main(["customise", str(card), *wanted]) == 0
    return card


def test_a_card_gets_its_claim_and_its_wifi(base: Path, tmp_path: Path, capsys):
    password = str(tmp_path / "password")
    network = ["--ssid", "Home", "--country", "SE", "--password-file", password]
    card = customised(base, tmp_path, *network)
    check(card)
    assert decode(Claim, read_by_mtools(card, "doorward/claim.json")) == CLAIM
    assert read_by_mtools(card, "doorward/policy.txt") == b"a policy\n"
    assert b"ds=nocloud;i=doorward-" in read_by_mtools(card, "cmdline.txt")
    assert b"root=PARTUUID=1234-02" in read_by_mtools(card, "cmdline.txt")
    assert b'"SE"' in read_by_mtools(card, "network-config")
    assert read_by_mtools(card, "kernel8.img") == b"kernel"
    said = capsys.readouterr().out
    assert "bearer secret until it is used" in said
    assert "derived key on it joins Home as its password does" in said
    assert "a lost card is a lost Wi-Fi password" in said


def test_a_link_brings_name_network_and_ssh_key(base: Path, tmp_path: Path):
    card = Path(shutil.copy(base, tmp_path / "card.img"))
    network = InvitedNetwork(ssid="Home", key="0f" * 32, security="wpa2", country="SE")
    key = "ssh-ed25519 AAAA ann"
    invitation = Invitation(claim=CLAIM, network=network, name="front-door", ssh_key=key)
    assert main(["customise", str(card), "--invitation", invitation.link]) == 0
    assert b'"0f0f' in read_by_mtools(card, "network-config")
    assert b'"front-door"' in read_by_mtools(card, "user-data")
    assert key.encode() in read_by_mtools(card, "user-data")


def test_each_card_is_another_machine_for_cloud_init(base: Path, tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    cards = [customised(base, tmp_path / name) for name in "ab"]
    first, second = (read_by_mtools(card, "meta-data") for card in cards)
    assert first != second


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"doorward.json": b"{}"}, "no invitation"),
        ({"doorward.json": CLAIM.encode()}, "no invitation"),
        ({"doorward.json": b"x" * 99_000}, "no invitation"),
        ({"doorward.json": of_claim(expires_ms=1)}, "has ended"),
        ({"doorward.json": of_claim(relay_url="https://relay.evil")}, "not to https://relay.ex"),
        ({"password": b"short"}, "WEP"),
    ],
)
def test_wrong_input_leaves_the_card_as_it_was(
    base: Path, tmp_path: Path, capsys, change: dict[str, bytes], why: str
):
    card = Path(shutil.copy(base, tmp_path / "card.img"))
    given = {"doorward.json": INVITATION.encode(), "password": b"correct horse", **change}
    for name, data in given.items():
        (tmp_path / name).write_bytes(data)
    invitation, password = str(tmp_path / "doorward.json"), str(tmp_path / "password")
    wanted = ["--serial", "dw-1", "--invitation", invitation, "--relay", "https://relay.example"]
    network = ["--ssid", "Home", "--country", "SE", "--password-file", password]
    assert main(["customise", str(card), *wanted, *network]) == 1
    assert why in capsys.readouterr().err
    assert card.read_bytes() == base.read_bytes()
