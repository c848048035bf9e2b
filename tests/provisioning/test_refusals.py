"""What is refused says one sentence with what to do, and writes nothing: the real command."""

import lzma
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.protocol.claims import Claim, Invitation
from provisioning.__main__ import main
from provisioning.release.images import PURPOSE as IMAGES_PURPOSE
from provisioning.release.images import ImageList, ListedImage
from provisioning.release.signed_document import sign_document
from tests.fakes.loop_device import loop_of
from tests.fakes.lsblk import fake_lsblk
from tests.provisioning.card_images import LENGTH, WITH_BUNDLE, make_image, needs_fat_tools
from tests.provisioning.signed_bundles import ADA, BO, EVE, make_bundle

pytestmark = needs_fat_tools


def disk(card: Path, **fields: Any) -> dict[str, Any]:
    return {
        "kname": "sdb",
        "path": str(card),
        "type": "disk",
        "subsystems": "block:scsi:usb:pci",
        "rm": True,
        "size": 32_000_000_000,
        "model": "Card",
        "mountpoints": [None],
        **fields,
    }


def part(**fields: Any) -> list[dict[str, Any]]:
    return [{"kname": "sdb1", "type": "part", "size": 1_000_000, **fields}]


def nested(kind: str) -> list[dict[str, Any]]:
    return part(children=[{"kname": "dm-0", "type": kind, "size": 1_000_000}])


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "running system": ({"children": part(mountpoints=["/"])}, "this machine runs from it"),
    "boot partition": ({"children": part(mountpoints=["/boot/firmware"])}, "unmount it first"),
    "mounted": ({"children": part(mountpoints=["/media/ada/bootfs"])}, "unmount it first"),
    "swapped to": ({"children": part(mountpoints=["[SWAP]"])}, "swaps to it"),
    "swap": ({"children": part(fstype="swap")}, "swap space; wipe it first"),
    "LUKS": ({"children": part(fstype="crypto_LUKS")}, "(LUKS); wipe it first"),
    "LUKS on all of it": ({"fstype": "crypto_LUKS"}, "(LUKS); wipe it first"),
    "open LUKS": ({"children": nested("crypt")}, "an open encrypted volume"),
    "LVM": ({"children": part(fstype="LVM2_member")}, "a volume of LVM; wipe it first"),
    "open LVM": ({"children": nested("lvm")}, "a volume of LVM"),
    "RAID": ({"fstype": "linux_raid_member"}, "a part of a RAID; wipe it first"),
    "open RAID": ({"children": nested("raid1")}, "a part of a RAID"),
    "ZFS": ({"children": part(fstype="zfs_member")}, "a part of a ZFS pool"),
    "built in": ({"rm": False, "subsystems": "block:nvme:pci"}, "built in"),
    "write-protected": ({"ro": True}, "look at the switch"),
    "no card": ({"size": 0}, "no card in this reader"),
    "a large disk": ({"size": 4_000_000_000_000}, "larger than any card"),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("base") / "trixie.img"
    make_image(image, WITH_BUNDLE)
    return image


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "card"
    with path.open("wb") as file:
        file.write(b"somebody's photographs")
        file.truncate(LENGTH + 4096)
    return path


class Refusing:
    """Runs the command among these disks; it must refuse."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object) -> str:
        """Return what it says."""
        assert main([*map(str, words), "--yes"]) == 1
        said = self._capsys.readouterr().err
        assert said.startswith("doorward-flash: "), said
        assert said.count("\n") == 1, said
        return said


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refusing:
    return Refusing(capsys)


@pytest.mark.parametrize("name", REFUSED)
def test_a_disk_that_may_be_somebodys_isnt_opened(
    base: Path,
    card: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Refusing,
    name: str,
):
    fields, words = REFUSED[name]
    before = card.read_bytes()
    for key, value in fake_lsblk(tmp_path, [disk(card, **fields)]).items():
        monkeypatch.setenv(key, value)
    assert words in refused("flash", base, card)
    assert "there is no card to flash" in refused("flash", base)
    batch = ["batch", base, card, "--invitations", tmp_path, "--ledger", tmp_path / "ledger"]
    assert words in refused(*batch)
    assert card.read_bytes() == before


def test_none_is_chosen_among_several(
    base: Path,
    card: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Refusing,
):
    other = disk(card, kname="sdc", path=f"{card}-2")
    for key, value in fake_lsblk(tmp_path, [disk(card), other]).items():
        monkeypatch.setenv(key, value)
    before = card.read_bytes()
    assert "name the one to overwrite" in refused("flash", base)
    assert card.read_bytes() == before


def test_a_wish_is_refused_before_the_first_card_of_a_batch_is_opened(
    base: Path,
    card: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Refusing,
):
    folder = tmp_path / "invitations"
    folder.mkdir()
    (folder / "b.json").write_bytes(b"{}")
    for key, value in fake_lsblk(tmp_path, [disk(card)]).items():
        monkeypatch.setenv(key, value)
    before, ledger = card.read_bytes(), tmp_path / "ledger"
    words = ["batch", base, card, "--invitations", folder, "--ledger", ledger]
    assert "no invitation" in refused(*words)
    (folder / "b.json").unlink()
    assert "has no invitations" in refused(*words)
    assert card.read_bytes() == before
    assert not ledger.exists()


def cut_raw(base: Path, folder: Path) -> list[object]:
    image = folder / "cut.img"
    image.write_bytes(base.read_bytes()[:-2_000_000])
    return [image]


def cut_xz(base: Path, folder: Path) -> list[object]:
    image = folder / "cut.img.xz"
    image.write_bytes(lzma.compress(base.read_bytes(), preset=0)[:-40])
    return [image]


def other_board(base: Path, folder: Path) -> list[object]:
    bundle, signers = make_bundle(folder, target="x86_64-cp313")
    return [base, "--bundle", bundle, "--signers", signers]


def one_signature(base: Path, folder: Path) -> list[object]:
    bundle, signers = make_bundle(folder, signers=(ADA, EVE))
    return [base, "--bundle", bundle, "--signers", signers]


def tampered_bundle(base: Path, folder: Path) -> list[object]:
    bundle, signers = make_bundle(folder)
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    return [base, "--bundle", bundle, "--signers", signers]


def not_in_the_list(base: Path, folder: Path) -> list[object]:
    _, signers = make_bundle(folder)
    entry = ListedImage(
        name="another",
        url="https://images.example/a.img",
        packed_size=base.stat().st_size,
        packed_sha256="0" * 64,
        size=1,
        sha256="0" * 64,
    )
    listed = folder / "images"
    listed.write_bytes(
        sign_document(ImageList(made_ms=1, images=(entry,)), IMAGES_PURPOSE, [ADA, BO])
    )
    return [base, "--list", listed, "--signers", signers]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (cut_raw, "was cut off"),
        (cut_xz, "was cut off"),
        (other_board, "is for x86_64-cp313, not for aarch64-cp313"),
        (one_signature, "2 must"),
        (tampered_bundle, "isn't what was signed"),
        (not_in_the_list, "none of the 1 images in the signed list"),
    ],
)
def test_a_wrong_image_or_bundle_is_refused_before_a_card_is_opened(
    base: Path,
    card: Path,
    tmp_path: Path,
    refused: Refusing,
    wrong: Callable[[Path, Path], list[object]],
    words: str,
):
    before = card.read_bytes()
    image, *more = wrong(base, tmp_path)
    assert words in refused("flash", image, card, "--allow-file", *more)
    assert card.read_bytes() == before


@pytest.mark.parametrize("command", ["flash", "customise", "doctor"])
def test_a_card_that_something_uses_is_left_alone(
    base: Path, card: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str
):
    invitation = tmp_path / "doorward.json"
    claim = Claim(
        relay_url="https://relay.example",
        secret="c2VjcmV0",
        ca_sha256="0" * 64,
        expires_ms=(int(time.time()) + 3600) * 1000,
    )
    invitation.write_bytes(Invitation(claim=claim, name="dw-1").encode())
    before = card.read_bytes()
    with loop_of(card) as device:
        holder = os.open(device, os.O_RDONLY | os.O_EXCL)  # as a mounted file system has it
        try:
            words = {
                "flash": ["flash", str(base), str(device), "--allow-file", "--yes"],
                "customise": ["customise", str(device), "--yes", "--invitation", str(invitation)],
                "doctor": ["doctor", str(device)],
            }
            assert main(words[command]) == 1
        finally:
            os.close(holder)
    assert "it is in use; unmount it" in capsys.readouterr().err
    assert card.read_bytes() == before
