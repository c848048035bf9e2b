"""The disk that the system runs from: its partition table, and what lies in a partition.

Read by the system's own programs (util-linux, e2fsprogs); nothing here changes anything. Sizes are
in sectors of the table, which are 512 bytes on a card.
"""

import json
import re
from dataclasses import dataclass

from provisioning.first_boot.errors import CommandFailed, StepFailed
from provisioning.first_boot.host import Host

MBR_END = 2**32
"""An MBR counts sectors in 32 bits."""
GPT_TAIL = 33
"""Sectors of the second GPT, at the disk's end: 32 of entries, and its header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition; `uuid` as the kernel's PARTUUID= names it."""

    number: int
    node: str
    start: int
    size: int
    uuid: str

    @property
    def end(self) -> int:
        """The first sector behind it."""
        return self.start + self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The root's disk. `end` is the first sector that no partition may use."""

    node: str
    is_gpt: bool
    sector_bytes: int
    end: int
    partitions: tuple[Partition, ...]
    root: Partition

    @property
    def size_bytes(self) -> int:
        """The size of the whole disk, but for a second GPT."""
        return self.end * self.sector_bytes

    def partition(self, number: int) -> Partition | None:
        """Return a partition by its number."""
        return next((part for part in self.partitions if part.number == number), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a partition holds, by its signature."""

    kind: str
    label: str


def mounted_from(host: Host, at: str) -> str | None:
    """Return what is mounted exactly there, such as `/dev/mmcblk0p3[/doorward]`, or None."""
    try:
        found = host.run(
            "findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", str(host.path(at))
        )
    except CommandFailed:
        return None
    return found.decode().splitlines()[-1].strip()


def disk_of_root(host: Host) -> Disk:
    """Read the partition table of the disk that the system runs from; raise StepFailed if odd."""
    at = str(host.path("/"))
    node = host.run("findmnt", "--noheadings", "--output", "SOURCE", "--target", at)
    root_node = node.decode().splitlines()[-1].strip()
    parent = host.run("lsblk", "--nodeps", "--noheadings", "--raw", "--output", "PKNAME", root_node)
    if not parent.strip():
        raise _odd(f"{root_node} is no partition of a disk")
    disk = "/dev/" + parent.decode().strip()
    table = json.loads(host.run("sfdisk", "--json", disk))["partitiontable"]
    is_gpt = table["label"] == "gpt"
    if table["label"] not in ("dos", "gpt"):
        raise _odd(f"{disk} has a partition table of the kind {table['label']}")
    sector_bytes = int(table.get("sectorsize", 512))
    sectors = int(host.run("blockdev", "--getsize64", disk)) // sector_bytes
    partitions = tuple(_partition(entry, table["id"]) for entry in table["partitions"])
    root = next((part for part in partitions if part.node == root_node), None)
    if root is None:
        raise _odd(f"{root_node} isn't in the partition table of {disk}")
    return Disk(
        node=disk,
        is_gpt=is_gpt,
        sector_bytes=sector_bytes,
        end=sectors - GPT_TAIL if is_gpt else min(sectors, MBR_END),
        partitions=partitions,
        root=root,
    )


def contents_of(host: Host, node: str) -> Contents | None:
    """Return what the first signature in a partition says, read from the partition itself."""
    found = host.run("wipefs", "--json", node)
    signatures = json.loads(found)["signatures"] if found.strip() else []
    if not signatures:
        return None
    first = signatures[0]
    return Contents(kind=str(first["type"]), label=str(first["label"] or ""))


def ext4_bytes(host: Host, node: str) -> int:
    """Return the size of an ext4 file system, from its superblock."""
    text = host.run("tune2fs", "-l", node).decode()
    values = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(values["Block count"]) * int(values["Block size"])


def _partition(entry: dict[str, object], disk_id: str) -> Partition:
    node = str(entry["node"])
    found = re.search(r"\d+$", node)
    if found is None:
        raise _odd(f"{node} has no number")
    number = int(found[0])
    of_mbr = f"{int(disk_id, 16):08x}-{number:02x}" if "uuid" not in entry else ""
    return Partition(
        number=number,
        node=node,
        start=int(str(entry["start"])),
        size=int(str(entry["size"])),
        uuid=of_mbr or str(entry["uuid"]).lower(),
    )


def _odd(what: str) -> StepFailed:
    return StepFailed("unknown_disk", what, will_retry=False)
