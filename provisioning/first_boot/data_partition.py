"""The data partition: all that a doorbell keeps, apart from a system that never changes.

The card's third partition, ext4. It holds the doorbell's folder (`doorward/`, seen as
/var/lib/doorward) and what of the system must be written (`system/`, see read_only). The doorbell's
user owns the first and can't touch the second, so the partition itself is mounted elsewhere, where
root alone looks.

Invariants, whenever the power goes:
- One write of the partition table both grows the root and adds the partition.
- A file system carries the label `doorward-new` until mkfs has ended, and `doorward-data` from then
  on. Only a partition that holds nothing or `doorward-new` is ever formatted.
- /etc/fstab names the partition only once it can be mounted.
"""

import re
from contextlib import suppress
from dataclasses import dataclass

from provisioning.first_boot.disk import (
    Disk,
    Partition,
    contents_of,
    disk_of_root,
    ext4_bytes,
    mounted_from,
)
from provisioning.first_boot.errors import CommandFailed, StepFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.mount_table import FSTAB, Mount, with_mounts
from provisioning.first_boot.places import STATE

DATA = "/var/lib/doorward-data"
STATE_ON_DATA = f"{DATA}/doorward"
SYSTEM_ON_DATA = f"{DATA}/system"
LABEL = "doorward-data"
UNFINISHED = "doorward-new"
ROOT_NUMBER, DATA_NUMBER = 2, 3
MIB = 1024 * 1024
GIB = 1024 * MIB
LINUX_MBR, LINUX_GPT = "83", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
OPTIONS = "noatime,nodev,nosuid,noexec,errors=remount-ro"
"""Clips, databases and small files are synced by who writes them, so ext4's own five seconds to a
commit are about the rest: leases, and the clock."""
AT_BOOT = "nofail,x-systemd.device-timeout=5min"
"""A card that lost this partition still starts, and can be asked what is wrong. Nothing else waits
for it, but the doorbell does: a slow or busy board may find its partitions late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How a card is shared out, in bytes."""

    max_root: int = 6 * GIB
    min_data: int = 2 * GIB
    min_growth: int = 1 * GIB
    """What the root needs beyond the image: Doorward's programs, twice."""
    alignment: int = 4 * MIB
    last_group: int = 32 * MIB
    """What resize2fs may leave unused: a last group that is too small for its own tables."""


class DataPartition:
    """Step: the root grown to its bound, and the data partition made, mounted and in fstab."""

    name = "data_partition"

    def __init__(self, sizes: Sizes | None = None) -> None:
        self._sizes = sizes or Sizes()

    def is_done(self, host: Host) -> bool:
        """Return whether the partition is mounted, is in fstab, and the root has its size."""
        disk = disk_of_root(host)
        data = disk.partition(DATA_NUMBER)
        if data is None or mounted_from(host, DATA) != data.node:
            return False
        contents = contents_of(host, data.node)
        table = _table(host)
        return (
            contents is not None
            and contents.label == LABEL
            and mounted_from(host, STATE) == f"{data.node}[/doorward]"
            and table == with_mounts(table, _mounts(data))
            and self._is_root_grown(host, disk)
        )

    def do(self, host: Host) -> None:
        """Make whatever of it is missing; raise StepFailed if this card can't have one."""
        disk = disk_of_root(host)
        _check_numbers(disk)
        if disk.partition(DATA_NUMBER) is None:
            self._partition(host, disk)
            disk = disk_of_root(host)
        data = disk.partition(DATA_NUMBER)
        if data is None:
            raise CommandFailed("sfdisk", "the new partition isn't in the table")
        host.run("partx", "--update", "--nr", f"{ROOT_NUMBER}:{DATA_NUMBER}", disk.node)
        if not self._is_root_grown(host, disk):
            host.run("resize2fs", disk.root.node)
        _format(host, data)
        _mount(host, data)
        table = _table(host)
        if table != (wanted := with_mounts(table, _mounts(data))):
            host.write(FSTAB, wanted.encode("utf-8", "surrogateescape"))

    def _is_root_grown(self, host: Host, disk: Disk) -> bool:
        has = ext4_bytes(host, disk.root.node)
        return has + self._sizes.last_group > disk.root.size * disk.sector_bytes

    def _partition(self, host: Host, disk: Disk) -> None:
        """Write a table in which the root is larger and the data partition takes the rest."""
        start = self._start_of_data(disk)
        table = host.run("sfdisk", "--dump", disk.node).decode()
        lines = [line for line in table.splitlines() if not line.startswith("last-lba:")]
        of_root = next(number for number, line in enumerate(lines) if _is_line_of(line, disk.root))
        size = f"size={start - disk.root.start}"
        lines[of_root] = re.sub(r"size=\s*\d+", size, lines[of_root], count=1)
        kind = LINUX_GPT if disk.is_gpt else LINUX_MBR
        lines.append(f"start={start}, size={disk.end - start}, type={kind}")
        host.run(
            "sfdisk", "--quiet", "--force", "--no-reread", "--no-tell-kernel",
            "--wipe", "never", "--wipe-partitions", "never", disk.node,
            stdin="\n".join([*lines, ""]).encode(),
        )  # fmt: skip

    def _start_of_data(self, disk: Disk) -> int:
        """Return the sector at which the root's growth ends."""
        sizes, sector = self._sizes, disk.sector_bytes
        has, last = disk.root.end * sector, disk.end * sector - sizes.min_data
        needed = has + sizes.min_growth
        if needed > last:
            is_root_all = disk.end * sector - has < 2 * sizes.alignment
            code = "root_fills_card" if is_root_all else "card_too_small"
            least = needed + sizes.min_data
            text = f"the card has {disk.size_bytes / 1e9:.2f} GB, and needs {least / 1e9:.2f}"
            raise StepFailed(code, text, will_retry=False)
        wanted = min(max(disk.root.start * sector + sizes.max_root, needed), last)
        return wanted // sizes.alignment * sizes.alignment // sector


def _check_numbers(disk: Disk) -> None:
    numbers = {part.number for part in disk.partitions}
    if disk.root.number != ROOT_NUMBER or not numbers <= {1, ROOT_NUMBER, DATA_NUMBER}:
        has = ", ".join(str(number) for number in sorted(numbers))
        text = f"the root is partition {disk.root.number} of {has}; Raspberry Pi OS has two"
        raise StepFailed("unknown_disk", text, will_retry=False)


def _is_line_of(line: str, part: Partition) -> bool:
    return line.partition(":")[0].strip() == part.node


def _format(host: Host, data: Partition) -> None:
    """Make a file system if there is none of ours; never over anything else."""
    contents = contents_of(host, data.node)
    if contents is not None and contents.label == LABEL and contents.kind == "ext4":
        return
    if contents is not None and contents.label != UNFINISHED:
        text = f"{data.node} holds {contents.kind}, label {contents.label!r}"
        raise StepFailed("data_partition_foreign", text, will_retry=False)
    host.run("mkfs.ext4", "-q", "-F", "-m", "0", "-L", UNFINISHED, data.node)
    host.run("e2label", data.node, LABEL)


def _mount(host: Host, data: Partition) -> None:
    if mounted_from(host, DATA) != data.node:
        make_private_folder(host, DATA)
        try:
            host.run("mount", "-t", "ext4", "-o", OPTIONS, data.node, str(host.path(DATA)))
        except CommandFailed:
            _repair_and_mount(host, data)
    for folder in (STATE_ON_DATA, SYSTEM_ON_DATA):
        if not host.exists(folder):
            make_private_folder(host, DATA)
            make_private_folder(host, folder)
    if mounted_from(host, STATE) is None:
        if not host.exists(STATE):
            make_private_folder(host, STATE)
        host.run("mount", "--bind", str(host.path(STATE_ON_DATA)), str(host.path(STATE)))


def make_private_folder(host: Host, at: str) -> None:
    """Make a folder that root alone may open, with those above it."""
    host.run("install", "-d", "-m", "0700", str(host.path(at)))


def _repair_and_mount(host: Host, data: Partition) -> None:
    with suppress(CommandFailed):  # it also ends with a code when all is mended: the mount decides
        host.run("e2fsck", "-f", "-y", data.node)
    try:
        host.run("mount", "-t", "ext4", "-o", OPTIONS, data.node, str(host.path(DATA)))
    except CommandFailed as error:
        raise StepFailed("data_partition_damaged", str(error), will_retry=False) from error


def _mounts(data: Partition) -> list[Mount]:
    return [
        Mount(
            source=f"PARTUUID={data.uuid}",
            at=DATA,
            kind="ext4",
            options=f"{OPTIONS},{AT_BOOT}",
            check_order=2,
        ),
        Mount(source=STATE_ON_DATA, at=STATE, kind="none", options="bind,nofail"),
    ]


def _table(host: Host) -> str:
    return (host.read(FSTAB) or b"").decode("utf-8", "surrogateescape")
