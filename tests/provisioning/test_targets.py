"""Which disks may be flashed, by lsblk's reports of several machines."""

import json
from typing import Any

import pytest

from provisioning.errors import TargetRefused
from provisioning.targets import Disk, parse_disks, pick

GB = 1_000_000_000


def row(kname: str, **fields: Any) -> dict[str, Any]:
    return {
        "kname": kname,
        "path": f"/dev/{kname}",
        "type": "disk",
        "subsystems": "block:scsi:usb:pci",
        "ro": False,
        "rm": True,
        "hotplug": True,
        "size": 32 * GB,
        "vendor": "Generic ",
        "model": "STORAGE DEVICE",
        "serial": "0001",
        "mountpoints": [None],
        "fstype": None,
        **fields,
    }


def part(kname: str, **fields: Any) -> dict[str, Any]:
    return row(kname, **{"type": "part", "size": GB, "vendor": None, "model": None, **fields})


def disks(*rows: dict[str, Any]) -> list[Disk]:
    return parse_disks(json.dumps({"blockdevices": list(rows)}).encode())


LAPTOP = row(
    "nvme0n1",
    subsystems="block:nvme:pci",
    rm=False,
    hotplug=False,
    size=512 * GB,
    children=[part("nvme0n1p1", mountpoints=["/boot/efi"]), part("nvme0n1p2", mountpoints=["/"])],
)
CARD = row("sda", children=[part("sda1", fstype="vfat"), part("sda2", fstype="ext4")])


def test_the_only_card_is_taken_without_being_named():
    found = disks(LAPTOP, CARD)
    assert [disk.refused is None for disk in found] == [False, True]
    assert pick(found, None).path == "/dev/sda"
    assert pick(found, "/dev/sda").label == "/dev/sda  32.0 GB  Generic STORAGE DEVICE"


def test_none_is_chosen_among_several():
    with pytest.raises(TargetRefused, match=r"/dev/sda, /dev/sdb"):
        pick(disks(CARD, row("sdb")), None)


def test_no_card_is_told():
    with pytest.raises(TargetRefused, match="put one into a reader"):
        pick(disks(LAPTOP), None)
    with pytest.raises(TargetRefused, match="no disk /dev/sdx"):
        pick(disks(LAPTOP), "/dev/sdx")


@pytest.mark.parametrize(
    ("disk", "why"),
    [
        (LAPTOP, "/boot/efi is mounted"),
        (row("sda", children=[part("sda1", mountpoints=["/media/photos"])]), "/media/photos"),
        (row("sda", mountpoint="/media/old", mountpoints=[]), "/media/old is mounted"),
        (row("mmcblk0", subsystems="block:mmc", children=[part("p", mountpoints=["/"])]), "runs"),
        (row("sda", children=[part("sda1", mountpoints=["[SWAP]"])]), "swaps to it"),
        (row("sda", children=[part("sda1", fstype="swap")]), "swap space"),
        (row("sda", children=[part("sda1", fstype="crypto_LUKS")]), "LUKS"),
        (row("sda", children=[part("sda1", fstype="LVM2_member")]), "LVM"),
        (row("sda", fstype="linux_raid_member"), "RAID"),
        (row("sda", children=[part("sda1", children=[part("md0", type="raid1")])]), "RAID"),
        (row("sda", children=[part("sda1", children=[part("dm-0", type="crypt")])]), "encrypted"),
        (
            row(
                "sda", children=[part("a", children=[part("dm-0", type="lvm", mountpoints=["/x"])])]
            ),
            "LVM",
        ),
        (row("sda", subsystems="block:ata:pci", rm=False, hotplug=False), "built in"),
        (row("sda", ro=True), "write-protected"),
        (row("sda", size=0), "no card in this reader"),
        (row("sda", size=1 * GB), "too small"),
        (row("sda", size=2000 * GB), "larger than"),
        (row("zram0", size=8 * GB), "no disk of its own"),
        (row("loop0", type="loop"), "no disk of its own"),
        (row("sr0", type="rom"), "no disk of its own"),
        (row("mmcblk0boot0", subsystems="block:mmc"), "boot area"),
    ],
)
def test_a_disk_that_may_not_be_flashed_says_why(disk: dict[str, Any], why: str):
    (found,) = disks(disk)
    assert found.refused is not None
    assert why in found.refused
    with pytest.raises(TargetRefused, match="isn't overwritten"):
        pick([found], found.path)
    with pytest.raises(TargetRefused, match="no card to flash"):
        pick([found], None)


def test_older_lsblk_gives_text_for_truths_and_numbers():
    (found,) = disks(row("sda", ro="0", rm="1", hotplug="1", size="32000000000", mountpoints=[]))
    assert (found.refused, found.size) == (None, 32 * GB)
    (locked,) = disks(row("sda", ro="1"))
    assert locked.refused is not None


def test_another_card_in_the_same_reader_isnt_the_same():
    before, after = disks(CARD, row("sda", serial="0002"))
    assert before.is_same(before)
    assert not before.is_same(after)
    assert not before.is_same(disks(row("sda", size=16 * GB))[0])


@pytest.mark.parametrize(
    "report", [b"", b"{}", b'{"blockdevices": [{"kname": 1}]}', b"x" * 5_000_000]
)
def test_rubbish_is_no_list_of_disks(report: bytes):
    with pytest.raises(TargetRefused, match="lsblk"):
        parse_disks(report)
