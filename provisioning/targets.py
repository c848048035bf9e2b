"""Targets: which disks of this machine may be flashed, and why each other one may not.

Pure rules over what `lsblk` reports; nothing is opened here. A disk may be flashed only if it is
removable, holds nothing that is mounted or in use, and has a card's size. Among several none is
chosen: a person names the one to overwrite.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec

from provisioning.errors import TargetRefused

COLUMNS = (
    "KNAME,PATH,TYPE,SUBSYSTEMS,RO,RM,HOTPLUG,SIZE,VENDOR,MODEL,SERIAL,"
    "FSTYPE,MOUNTPOINT,MOUNTPOINTS"
)
COMMAND = ("lsblk", "--json", "--bytes", "--tree", "--output", COLUMNS)
MAX_BYTES = 4 * 1024 * 1024
LEAST_BYTES, MOST_BYTES = 2_000_000_000, 512_000_000_000
UNUSUAL_BYTES = 128_000_000_000
"""A larger one is confirmed by typing its model: it may be somebody's backup."""
IN_USE = {
    "crypto_LUKS": "an encrypted volume (LUKS)",
    "LVM2_member": "a volume of LVM",
    "linux_raid_member": "a part of a RAID",
    "zfs_member": "a part of a ZFS pool",
    "swap": "swap space",
}
HOLDERS = {"crypt": "an open encrypted volume", "lvm": "a volume of LVM", "dm": "a mapped volume"}


class _Row(msgspec.Struct, kw_only=True):
    """One row of lsblk; older ones give numbers and truths as text."""

    kname: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    path: str | None = None
    type: str = ""
    subsystems: str | None = None
    ro: bool = False
    rm: bool = False
    hotplug: bool = False
    size: int | None = None
    vendor: str | None = None
    model: str | None = None
    serial: str | None = None
    mountpoint: str | None = None
    mountpoints: list[str | None] = []
    fstype: str | None = None
    children: list["_Row"] = []


class _Report(msgspec.Struct):
    blockdevices: list[_Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One disk; `refused` says why it may not be flashed, None if it may."""

    path: str
    size: int
    vendor: str
    model: str
    serial: str
    refused: str | None

    @property
    def label(self) -> str:
        """What a person knows it by."""
        made_by = " ".join(filter(None, (self.vendor, self.model))) or "no name"
        return f"{self.path}  {self.size / 1e9:.1f} GB  {made_by}"

    @property
    def is_unusual(self) -> bool:
        """Whether it is larger than most cards."""
        return self.size > UNUSUAL_BYTES

    def is_same(self, other: "Disk") -> bool:
        """Whether this is still the card that a person confirmed."""
        return self.identity == other.identity

    @property
    def identity(self) -> tuple[str, int, str, str, str]:
        """What is compared just before the disk is opened."""
        return self.path, self.size, self.vendor, self.model, self.serial


def parse_disks(report: bytes) -> list[Disk]:
    """Return all disks of `lsblk`'s report (COMMAND), or raise TargetRefused."""
    if len(report) > MAX_BYTES:
        raise TargetRefused("lsblk's answer is too long; can't tell the disks apart")
    try:
        rows = msgspec.json.decode(report, type=_Report, strict=False).blockdevices
    except msgspec.MsgspecError as error:
        raise TargetRefused(
            f"lsblk's answer can't be read ({error}); is util-linux old?"
        ) from error
    return [_disk(row) for row in rows]


def pick(disks: list[Disk], path: str | None) -> Disk:
    """Return the disk to flash: the named one, or the only one that may be; or TargetRefused."""
    if path is None:
        able = [disk for disk in disks if disk.refused is None]
        if len(able) == 1:
            return able[0]
        if not able:
            raise TargetRefused("there is no card to flash; put one into a reader, then look again")
        names = ", ".join(disk.path for disk in able)
        raise TargetRefused(f"there are several cards ({names}); name the one to overwrite")
    for disk in disks:
        if disk.path == path:
            if disk.refused is not None:
                raise TargetRefused(f"{path} isn't overwritten: {disk.refused}")
            return disk
    raise TargetRefused(f"there is no disk {path}; `doorward-flash list` shows them")


def _disk(row: _Row) -> Disk:
    return Disk(
        path=row.path or f"/dev/{row.kname}",
        size=row.size or 0,
        vendor=(row.vendor or "").strip(),
        model=(row.model or "").strip(),
        serial=(row.serial or "").strip(),
        refused=_refusal(row),
    )


def _refusal(row: _Row) -> str | None:
    buses = (row.subsystems or "").split(":")
    is_removable = row.rm or row.hotplug or "usb" in buses or "mmc" in buses
    size = row.size or 0
    if row.type != "disk" or row.kname.startswith(("zram", "loop", "ram")):
        return "it is no disk of its own"
    if row.kname.startswith("mmcblk") and "boot" in row.kname:
        return "it is the boot area of a soldered memory"
    used = next(_uses(row), None)
    if used is not None:
        return used
    if not is_removable:
        return "it is built in"
    if row.ro:
        return "it is write-protected; look at the switch on the card or its adapter"
    if size == 0:
        return "there is no card in this reader"
    if size < LEAST_BYTES:
        return f"it is too small ({size / 1e9:.1f} GB); a card has at least 2 GB, better 32"
    if size > MOST_BYTES:
        return f"it is larger than any card that is meant ({size / 1e9:.0f} GB)"
    return None


def _uses(row: _Row) -> Iterator[str]:
    """Yield how the disk is in use."""
    for mount in filter(None, (row.mountpoint, *row.mountpoints)):
        if mount == "[SWAP]":
            yield "this machine swaps to it"
        elif mount == "/":
            yield "this machine runs from it"
        else:
            yield f"{mount} is mounted from it; unmount it first"
    if row.fstype in IN_USE:
        yield f"it holds {IN_USE[row.fstype]}; wipe it first if it isn't wanted (wipefs --all)"
    for child in row.children:
        if child.type.startswith("raid"):
            yield "it is a part of a RAID"
        elif child.type in HOLDERS:
            yield f"it holds {HOLDERS[child.type]}"
        yield from _uses(child)
