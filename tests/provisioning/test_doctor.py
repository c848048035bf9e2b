"""Cards that don't boot, or don't become a doorbell, each broken in one way."""

import json
import os
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware.protocol.claims import Claim
from provisioning.__main__ import main
from provisioning.block_file import BlockFile
from provisioning.bundle_on_card import card_bundle
from provisioning.cloud_init import Wishes
from provisioning.customise import write_files
from provisioning.doctor import examine, examine_path
from provisioning.errors import CardFailed
from provisioning.fat32.boot_sector import read_layout
from provisioning.fat32.volume import Volume
from provisioning.image import boot_partition
from provisioning.partitions import read_partitions
from provisioning.wifi import network_of
from tests.fakes.card import UnreadableBlocks
from tests.provisioning.card_images import LENGTH, SIZE, START, needs_fat_tools
from tests.provisioning.signed_bundles import ADA, EVE, make_bundle
from tests.provisioning.sound_card import ROOT_AT, make_base

pytestmark = needs_fat_tools

NOW_MS = 1_900_000_000_000
AT = datetime(2026, 1, 2, tzinfo=UTC)
CLAIM = Claim(
    relay_url="https://relay.example",
    secret="c2VjcmV0",
    ca_sha256="0" * 64,
    expires_ms=NOW_MS + 1,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A card without a fault."""
    folder = tmp_path_factory.mktemp("sound")
    card = folder / "card"
    bundle = card_bundle(*make_bundle(folder), target="aarch64-cp313")
    make_base(card)
    wishes = Wishes(
        serial="dw-1",
        claim=CLAIM,
        policy=None,
        network=network_of("Home", "correct horse", country="SE"),
        board="zero2w",
    )
    with BlockFile(card, is_writable=True) as blocks:
        write_files(blocks, wishes, bundle, at=AT)
    return card


@pytest.fixture
def card(sound: Path, tmp_path: Path) -> Path:
    path = tmp_path / "card"
    path.write_bytes(sound.read_bytes())
    return path


def volume_of(blocks: BlockFile) -> Volume:
    return Volume(blocks, boot_partition(read_partitions(blocks)))


def put(card: Path, name: str, data: bytes) -> None:
    with BlockFile(card, is_writable=True) as blocks:
        volume_of(blocks).write({name: data}, at=AT)


def remove(card: Path, *names: str) -> None:
    with BlockFile(card, is_writable=True) as blocks:
        for name in names:
            volume_of(blocks).remove(name)


def change(card: Path, name: str, old: bytes, new: bytes) -> None:
    with BlockFile(card, is_writable=True) as blocks:
        data = volume_of(blocks).read(name)
        assert old in data
        volume_of(blocks).write({name: data.replace(old, new)}, at=AT)


def overwrite(card: Path, at: int, data: bytes) -> None:
    with card.open("r+b") as file:
        file.seek(at)
        file.write(data)


def spoil_second_table(card: Path) -> None:
    with BlockFile(card) as blocks:
        layout = read_layout(blocks, START, SIZE)
    overwrite(card, layout.tables[1] + 40, b"\x01\x02\x03\x04")


def cross_chains(card: Path) -> None:
    """Let config.txt's chain begin where the kernel's does."""
    with BlockFile(card) as blocks:
        layout = read_layout(blocks, START, SIZE)
        root = blocks.read(layout.position(layout.root_cluster), layout.cluster)
    kernel, config = root.index(b"KERNEL8 IMG"), root.index(b"CONFIG  TXT")
    at = layout.position(layout.root_cluster) + config
    overwrite(card, at + 26, root[kernel + 26 : kernel + 28])


def read(card: Path, name: str) -> bytes:
    with BlockFile(card) as blocks:
        return volume_of(blocks).read(name)


def sign_by_one(card: Path) -> None:
    """Put a bundle there that one signer and a stranger have signed."""
    bundle, _ = make_bundle(card.parent, signers=(ADA, EVE))
    put(card, "doorward/bundle.tar", bundle.read_bytes())


def status(state: str, **more: object) -> bytes:
    return json.dumps(
        {
            "v": 1,
            "step": "network",
            "state": state,
            "text": "The Wi-Fi password is wrong.",
            "advice": "Correct it, and restart the doorbell.",
            "detail": "",
            "notices": [],
            **more,
        }
    ).encode()


BROKEN: dict[str, tuple[Callable[[Path], None], str]] = {
    "blank": (lambda card: overwrite(card, 0, bytes(4 * 1024 * 1024)), "never flashed"),
    "no_partitions": (lambda card: overwrite(card, 0, b"\xff" * 512), "Nothing on the card"),
    "cut_off": (lambda card: os.truncate(card, LENGTH - 512 * 1024), "was cut off"),
    "partitions_overlap": (
        lambda card: overwrite(card, 446 + 16 + 8, struct.pack("<I", START // 512 + 10)),
        "lie over each other",
    ),
    "fat_damaged": (spoil_second_table, "tables differ"),
    "fat_damaged crossed": (cross_chains, "lie over each other"),
    "fat_damaged boot sector": (lambda card: overwrite(card, START + 510, b"xx"), "boot sector"),
    "no_kernel": (lambda card: remove(card, "kernel8.img"), "64-bit kernel"),
    "no_kernel firmware": (lambda card: remove(card, "start.elf"), "which a zero2w needs"),
    "cmdline": (lambda card: put(card, "cmdline.txt", b"console=tty1\n"), "root="),
    "cmdline two lines": (
        lambda card: change(card, "cmdline.txt", b" rootwait", b"\nrootwait"),
        "one line",
    ),
    "root_elsewhere": (
        lambda card: change(card, "cmdline.txt", b"1234abcd-02", b"9999abcd-02"),
        "two cards",
    ),
    "instance": (
        lambda card: put(card, "meta-data", b'{"instance-id": "other"}'),
        "different instances",
    ),
    "config_32_bit": (
        lambda card: change(card, "config.txt", b"arm_64bit=1", b"arm_64bit=0"),
        "32-bit kernel",
    ),
    "config_block": (lambda card: put(card, "config.txt", b"arm_64bit=1\n"), "no whole block"),
    "config_other": (
        lambda card: change(card, "config.txt", b"gpio=17=ip,pu", b"gpio=16=ip,pu"),
        "isn't what this version",
    ),
    "no_cloud_init": (lambda card: remove(card, "user-data"), "user-data missing"),
    "user_data": (lambda card: put(card, "user-data", b"{}"), "#cloud-config"),
    "no_first_boot": (lambda card: remove(card, "vendor-data"), "nothing starts Doorward"),
    "no_first_boot program": (
        lambda card: remove(card, "doorward/first-boot.pyz"),
        "nothing starts Doorward",
    ),
    "no_bundle": (lambda card: remove(card, "doorward/bundle.tar"), "nothing to install"),
    "no_bundle signers": (lambda card: remove(card, "doorward/signers.txt"), "signers.txt"),
    "bundle_refused": (sign_by_one, "2 must"),
    "bundle_refused cut": (
        lambda card: put(card, "doorward/bundle.tar", read(card, "doorward/bundle.tar")[:-600]),
        "download it anew",
    ),
    "bundle_refused changed": (
        lambda card: change(card, "doorward/bundle.tar", bytes(range(256)), bytes(256)),
        "isn't what was signed",
    ),
    "no_claim": (lambda card: remove(card, "doorward/claim.json"), "can enrol with no relay"),
    "claim_damaged": (lambda card: put(card, "doorward/claim.json", b"{}"), "is damaged"),
    "no_system": (lambda card: overwrite(card, ROOT_AT + 1024, bytes(1024)), "no system to start"),
    "no_system at all": (lambda card: overwrite(card, 446 + 16, bytes(16)), "no partition with"),
    "system_damaged": (
        lambda card: overwrite(card, ROOT_AT + 1024 + 0x3A, b"\x02\x00"),
        "noted errors",
    ),
    "waits": (
        lambda card: put(card, "doorward/provision-status.json", status("waiting")),
        "password is wrong",
    ),
    "broke_off": (
        lambda card: put(card, "doorward/provision-status.json", status("working")),
        "at the step 'network'",
    ),
}


def codes(card: Path, now_ms: int = NOW_MS) -> list[str]:
    return [one.code for one in examine_path(card, now_ms=now_ms) if one.is_fault]


def test_a_sound_card_has_no_fault(sound: Path, capsys):
    assert codes(sound) == []
    assert main(["doctor", str(sound)]) in (
        0,
        1,
    )  # the machine's clock may say that its claim ended
    said = capsys.readouterr().out
    assert "can be read at all places" in said
    assert "c2VjcmV0" not in said


@pytest.mark.parametrize("name", BROKEN)
def test_a_card_that_is_broken_in_one_way_says_so_first(card: Path, capsys, name: str):
    spoil, words = BROKEN[name]
    spoil(card)
    first = next(one for one in examine_path(card, now_ms=NOW_MS) if one.is_fault)
    assert first.code == name.partition(" ")[0]
    assert words in first.text + first.do
    assert main(["doctor", str(card), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["findings"][0] == {"code": first.code, "text": first.text, "do": first.do}


def test_a_claim_that_has_ended_is_told_with_its_day(card: Path):
    (ended,) = [one for one in examine_path(card, now_ms=NOW_MS + 1) if one.is_fault]
    assert (ended.code, "2030-03-17" in ended.text) == ("claim_ended", True)


def test_a_used_claim_is_no_fault(card: Path):
    put(card, "doorward/provision-status.json", status("done", text="It waits for its owner."))
    remove(card, "doorward/claim.json")
    found = examine_path(card, now_ms=NOW_MS)
    assert not any(one.is_fault for one in found)
    assert any("It waits for its owner." in one.text for one in found)


def test_what_the_card_says_obeys_no_terminal(card: Path):
    evil = status("waiting", text="\x1b[2J\x07gone" + "x" * 10_000, notices=[{"text": "\x1b]0;x"}])
    put(card, "doorward/provision-status.json", evil)
    text = next(one.text for one in examine_path(card, now_ms=NOW_MS) if one.code == "waits")
    assert text.isprintable()
    assert len(text) < 2000


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.one_of(
                st.integers(0, 511),
                st.integers(START, START + 512),
                st.integers(START + 512, START + SIZE // 8),
                st.integers(ROOT_AT, ROOT_AT + 2048),
            ),
            st.binary(min_size=1, max_size=40),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_any_rubbish_gets_an_answer(sound: Path, tmp_path: Path, spoilt: list[tuple[int, bytes]]):
    card = tmp_path / "card"
    if not card.exists():
        card.write_bytes(sound.read_bytes())
    before = {}
    with card.open("r+b") as file:
        for at, data in spoilt:
            file.seek(at)
            before.setdefault(at, file.read(len(data)))
            file.seek(at)
            file.write(data)
    try:
        found = examine_path(card, now_ms=NOW_MS)
        assert all(one.text.isprintable() and one.do.isprintable() for one in found)
        assert found
    finally:
        with card.open("r+b") as file:
            for at, data in reversed(before.items()):
                file.seek(at)
                file.write(data)


def test_nothing_is_written(card: Path):
    before = card.read_bytes()
    examine_path(card, now_ms=NOW_MS)
    assert card.read_bytes() == before


def test_a_card_that_ends_early_is_told_to_be_fake():
    first = examine(UnreadableBlocks(32_000_000_000, from_at=8_000_000_000), now_ms=NOW_MS)[0]
    assert (first.code, "less room than it claims" in first.text) == ("card_unreadable", True)


def test_no_card_at_all_is_told(tmp_path: Path):
    with pytest.raises(CardFailed, match="isn't there any more"):
        examine_path(tmp_path / "none", now_ms=NOW_MS)
