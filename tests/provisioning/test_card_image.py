"""A card's image with a bundle in it: made, flashed, offered to Imager; and bundles for cards."""

import hashlib
import json
import lzma
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import jsonschema_rs
import pytest
import zstandard

from firmware.protocol.claims import Claim, Invitation
from provisioning.__main__ import main as flash
from provisioning.block_file import BlockFile
from provisioning.bundle_on_card import card_bundle
from provisioning.customise import compare_files
from provisioning.errors import CardFailed, ReleaseRefused
from provisioning.fat32.volume import Volume
from provisioning.image import boot_partition
from provisioning.partitions import read_partitions
from provisioning.release.__main__ import main as release
from tests.provisioning.card_images import (
    LENGTH,
    TRIXIE,
    check,
    make_image,
    needs_fat_tools,
    read_by_mtools,
)
from tests.provisioning.signed_bundles import ADA, BO, EVE, FIRST_BOOT, make_bundle

pytestmark = needs_fat_tools
CMDLINE = b"console=tty1 root=PARTUUID=1234-02 rootwait resize\n"
INVITATION = Invitation(
    claim=Claim(
        relay_url="https://relay.example",
        secret="c2VjcmV0",
        ca_sha256="0" * 64,
        expires_ms=(int(time.time()) + 3600) * 1000,
    )
)
TEXT, SIZE = {"type": "string"}, {"type": "integer", "minimum": 1}
DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
IMAGER_SCHEMA = {
    "$schema": "http://json-schema.org/draft-07/schema",
    "type": "object",
    "required": ["os_list"],
    "additionalProperties": False,
    "properties": {
        "os_list": {
            "type": "array",
            "items": {
                "type": "object",
                "required": [
                    "name", "description", "icon", "url", "extract_size", "extract_sha256",
                    "image_download_size", "release_date", "devices",
                ],
                "properties": {
                    **dict.fromkeys(("name", "description", "icon", "url", "website"), TEXT),
                    **dict.fromkeys(("extract_size", "image_download_size"), SIZE),
                    **dict.fromkeys(("extract_sha256", "image_download_sha256"), DIGEST),
                    "release_date": {"type": "string", "pattern": "^\\d{4}-\\d\\d-\\d\\d$"},
                    "init_format": {
                        "enum": ["", "systemd", "cloudinit", "cloudinit-rpi", "rpi-preseed", "none"]
                    },
                    "architecture": {"enum": ["armel", "armhf", "armv8"]},
                    "devices": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                    "capabilities": {
                        "type": "array",
                        "items": {
                            "enum": [
                                "rpi_connect", "secure_boot", "passwordless_sudo", "i2c", "spi",
                                "onewire", "serial", "usb_otg",
                            ]
                        },
                    },
                },
            },
        }
    },
}  # fmt: skip
"""What Imager's published schema asks of an image's entry, in August 2026."""


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("base") / "trixie.img"
    make_image(image, {**TRIXIE, "cmdline.txt": CMDLINE})
    return image


def made(base: Path, folder: Path, *names: str) -> list[Path]:
    bundle, signers = make_bundle(folder)
    outs = [folder / name for name in names]
    options = [word for out in outs for word in ("--out", str(out))]
    wanted = ["--bundle", str(bundle), "--signers", str(signers), *options]
    assert release(["image", str(base), *wanted]) == 0
    return outs


def test_each_packing_holds_the_same_image_with_the_bundle_in_it(base: Path, tmp_path: Path):
    raw, zst, xz = made(base, tmp_path, "d.img", "d.img.zst", "d.img.xz")
    check(raw)
    bundle = (tmp_path / "bundle.tar").read_bytes()
    assert read_by_mtools(raw, "doorward/bundle.tar") == bundle
    assert read_by_mtools(raw, "doorward/first-boot.pyz") == FIRST_BOOT
    assert read_by_mtools(raw, "doorward/signers.txt") == (tmp_path / "signers.txt").read_bytes()
    assert b"first-boot.pyz" in read_by_mtools(raw, "vendor-data")
    assert read_by_mtools(raw, "cmdline.txt") == b"console=tty1 root=PARTUUID=1234-02 rootwait ro\n"
    assert b"dtparam=watchdog=on" in read_by_mtools(raw, "config.txt")
    assert read_by_mtools(raw, "user-data") == TRIXIE["user-data"]
    assert lzma.decompress(xz.read_bytes()) == raw.read_bytes()
    unpacked = zstandard.ZstdDecompressor().stream_reader(zst.read_bytes()).read()
    assert unpacked == raw.read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_the_same_base_and_bundle_give_the_same_bytes(base: Path, tmp_path: Path):
    (first,) = made(base, tmp_path, "first.img.zst")
    (second,) = made(base, tmp_path, "second.img.zst")
    assert first.read_bytes() == second.read_bytes()


def test_imager_reads_the_manifest(base: Path, tmp_path: Path):
    zst, xz = made(base, tmp_path, "doorward.img.zst", "doorward.img.xz")
    manifest = json.loads((tmp_path / "doorward.rpi-imager-manifest").read_text())
    jsonschema_rs.validate(IMAGER_SCHEMA, manifest)
    (entry,) = manifest["os_list"]
    assert (entry["init_format"], entry["url"]) == ("cloudinit-rpi", xz.as_uri())
    image = lzma.decompress(xz.read_bytes())
    assert entry["extract_size"] == len(image)
    assert entry["extract_sha256"] == hashlib.sha256(image).hexdigest()
    assert entry["image_download_size"] == xz.stat().st_size
    assert entry["image_download_sha256"] == hashlib.sha256(xz.read_bytes()).hexdigest()
    assert zst.exists()


def test_a_signed_list_leads_from_the_image_to_a_customised_card(base: Path, tmp_path: Path):
    (zst,) = made(base, tmp_path, "doorward.img.zst")
    images = tmp_path / "doorward.images"
    for signer in (ADA, BO):
        (tmp_path / "key").write_text(signer.saved())
        assert release(["sign", str(tmp_path / "key"), str(images)]) == 0
    card = new_card(tmp_path)
    (tmp_path / "doorward.json").write_bytes(INVITATION.encode())
    words = ["--list", str(images), "--signers", str(tmp_path / "signers.txt"), "--yes"]
    words += ["--serial", "dw-1", "--invitation", str(tmp_path / "doorward.json"), "--allow-file"]
    assert flash(["flash", str(zst), str(card), *words]) == 0
    assert read_by_mtools(card, "doorward/bundle.tar") == (tmp_path / "bundle.tar").read_bytes()
    assert b"relay.example" in read_by_mtools(card, "doorward/claim.json")


def test_a_bundle_for_which_there_is_no_room_makes_no_image(base: Path, tmp_path: Path, capsys):
    bundle, signers = make_bundle(tmp_path, wheel=bytes(45_000_000))
    words = ["--bundle", str(bundle), "--signers", str(signers), "--out", str(tmp_path / "d.img")]
    assert release(["image", str(base), *words]) == 1
    assert "boot partition is full" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} >= {"bundle.tar", "signers.txt"}
    assert not list(tmp_path.glob("*d.img*"))


def new_card(folder: Path) -> Path:
    path = folder / "card"
    with path.open("wb") as file:
        file.truncate(LENGTH + 10_000_384)
    return path


def customised(base: Path, folder: Path, *more: str) -> int:
    shutil.copy(base, folder / "card.img")
    (folder / "doorward.json").write_bytes(INVITATION.encode())
    words = ["--serial", "dw-1", "--invitation", str(folder / "doorward.json"), "--yes"]
    return flash(["customise", str(folder / "card.img"), *words, *more])


def test_customise_puts_the_bundle_on_a_card_whose_image_lacks_one(base: Path, tmp_path: Path):
    bundle, signers = make_bundle(tmp_path)
    assert customised(base, tmp_path, "--bundle", str(bundle), "--signers", str(signers)) == 0
    card = tmp_path / "card.img"
    check(card)
    assert read_by_mtools(card, "doorward/bundle.tar") == bundle.read_bytes()
    assert read_by_mtools(card, "doorward/first-boot.pyz") == FIRST_BOOT
    assert read_by_mtools(card, "doorward/signers.txt") == signers.read_bytes()


def test_neither_card_nor_image_without_a_bundle_is_customised(base: Path, tmp_path: Path, capsys):
    assert customised(base, tmp_path) == 1
    assert "give --bundle and --signers" in capsys.readouterr().err
    assert (tmp_path / "card.img").read_bytes() == base.read_bytes()
    card = new_card(tmp_path)
    words = ["--serial", "dw-1", "--invitation", str(tmp_path / "doorward.json"), "--yes"]
    assert flash(["flash", str(base), str(card), *words, "--allow-file"]) == 1
    assert "give --bundle and --signers" in capsys.readouterr().err
    assert not any(card.read_bytes())


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"signers": (ADA, EVE)}, "2 must"),
        ({"target": "x86_64-cp313"}, "not for aarch64-cp313"),
        ({"flip": 20_000}, "isn't what was signed"),
        ({"drop_signers": True}, "needs --signers"),
    ],
)
def test_a_bundle_that_is_refused_leaves_the_card_as_it_was(
    base: Path, tmp_path: Path, capsys, wrong: dict[str, object], why: str
):
    given = {name: value for name, value in wrong.items() if name in ("signers", "target")}
    bundle, signers = make_bundle(tmp_path, **given)  # type: ignore[arg-type]
    if "flip" in wrong:
        with bundle.open("r+b") as file:
            file.seek(20_000)
            file.write(b"\xfe\xfe")
    named = [] if "drop_signers" in wrong else ["--signers", str(signers)]
    assert customised(base, tmp_path, "--bundle", str(bundle), *named) == 1
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1
    assert (tmp_path / "card.img").read_bytes() == base.read_bytes()


def test_a_bundle_that_changed_after_its_check_is_refused_or_told_by_reading_the_card(
    base: Path, tmp_path: Path
):
    bundle, signers = make_bundle(tmp_path)
    checked = card_bundle(bundle, signers, target="aarch64-cp313")
    files = checked.files()
    with bundle.open("r+b") as file:
        file.seek(20_000)
        file.write(b"\xfe\xfe")
    with pytest.raises(ReleaseRefused, match="isn't what was signed"):
        checked.files()
    card = Path(shutil.copy(base, tmp_path / "card.img"))
    with BlockFile(card, is_writable=True) as blocks:
        volume = Volume(blocks, boot_partition(read_partitions(blocks)))
        volume.write(files, at=datetime(2026, 11, 30, tzinfo=UTC))
        with pytest.raises(CardFailed, match=r"doesn't keep doorward/bundle\.tar"):
            compare_files(blocks, files)
