"""A card as it is flashed with Raspberry Pi OS, small, in an image behind a loop device.

The root is mounted, so the first boot's own programs work on a disk in use. When the power goes,
what the kernel had written out so far is the card that starts anew. Needs root and loop devices;
`reason_against` says what is missing.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provisioning.first_boot.data_partition import MIB, Sizes
from provisioning.first_boot.host import COMMAND_S, Host
from tests.fakes.cut_host import enable

SIZES = Sizes(
    max_root=40 * MIB,
    min_data=16 * MIB,
    min_growth=8 * MIB,
    alignment=1 * MIB,
    last_group=1 * MIB,
)
DISK_ID = "216098df"
FSTAB = f"""proc            /proc           proc    defaults          0       0
PARTUUID={DISK_ID}-01  /boot/firmware  vfat    defaults          0       2
PARTUUID={DISK_ID}-02  /               ext4    defaults,noatime  0       1
"""
SYSTEM = {
    "etc/fstab": FSTAB,
    "etc/cloud/cloud.cfg": "",
    "etc/doorward/doorbell.toml": 'data_dir = "/var/lib/doorward"\n',
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/netplan/60-doorward.yaml": "network: {}\n",
    "etc/resolv.conf": "nameserver 192.0.2.1\n",
    "etc/systemd/system/doorward.service": "[Install]\nWantedBy=multi-user.target\n",
    "run/cloud-init/result.json": "{}\n",
    "usr/local/sbin/nothing": "",
    "usr/sbin/NetworkManager": "",
    "var/lib/NetworkManager/secret_key": "k",
    "var/lib/systemd/timesync/clock": "",
    "var/log/dpkg.log": "",
    "var/swap": "s",
}
CAP_SYS_RESOURCE = 24
PROGRAMS = ("losetup", "partx", "sfdisk", "mkfs.ext4", "resize2fs", "e2label", "wipefs", "findmnt")


def reason_against() -> str:
    """Return why this machine can't do it, or nothing."""
    if os.geteuid() != 0:
        return "cards in loop devices need root"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"cards in loop devices need {', '.join(missing)}: apt install fdisk e2fsprogs"
    if not Path("/dev/loop-control").exists():
        return "cards in loop devices need loop devices"
    return ""


def system_files(root: Path) -> None:
    """Fill a mounted root with the files that the first boot's layout is about."""
    for name, text in SYSTEM.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    _run("sync", "--file-system", str(root))


def flashed_image(at: Path, *, size_mib: int = 96, kind: str = "dos", root_mib: int = 24) -> Path:
    """Make an image of two partitions, the second with a file system, on a larger card."""
    image_mib = 1 + 8 + root_mib + 1
    with at.open("xb") as file:
        file.truncate(image_mib * MIB)
    head = f"label: {kind}\n" + (f"label-id: 0x{DISK_ID}\n" if kind == "dos" else "")
    linux = "83" if kind == "dos" else "L"
    table = head + f"start=2048, size=8M, type={'c' if kind == 'dos' else 'U'}\n"
    table += f"size={root_mib}M, type={linux}\n"
    _run("sfdisk", "--quiet", str(at), stdin=table.encode())
    with at.open("r+b") as file:
        file.truncate(size_mib * MIB)
    offset = 2048 * 512 + 8 * MIB
    _run("mkfs.ext4", "-q", "-L", "rootfs", "-E", f"offset={offset}", str(at), f"{root_mib}M")
    return at


class InsertedCard:
    """A card in its reader: a disk with partitions, and the root mounted."""

    def __init__(self, image: Path, disk: str, root: Path) -> None:
        self.image = image
        self.disk = disk
        self.root = root

    def host(self) -> Host:
        """Return the machine that runs from it."""
        return CardHost(self)


class CardHost(Host):
    """Real programs on the card, without a systemd to ask.

    A kernel that lets nobody grow a mounted root is helped.
    """

    def __init__(self, card: InsertedCard) -> None:
        super().__init__(card.root)
        self._card = card

    def run(self, *argv: str, stdin: bytes | None = None, timeout_s: float = COMMAND_S) -> bytes:
        if argv[0] == "resize2fs" and not _may_grow_mounted():
            _run("umount", str(self.root))
            try:
                _run("e2fsck", "-f", "-p", argv[1])
                return super().run(*argv, timeout_s=timeout_s)
            finally:
                _run("mount", argv[1], str(self.root))
        if argv[:3] == ("systemctl", "mask", "--now"):
            for unit in argv[3:]:
                self.link(f"/etc/systemd/system/{unit}", "/dev/null")
            return b""
        if argv[:2] == ("systemctl", "enable"):
            enable(self, argv[2:])
            return b""
        return super().run(*argv, stdin=stdin, timeout_s=timeout_s)


@contextmanager
def inserted(image: Path, root: Path) -> Iterator[InsertedCard]:
    """Insert a card: its partitions appear, and its second is mounted at `root`."""
    disk = _run("losetup", "--find", "--show", str(image)).decode().strip()
    try:
        _run("partx", "--add", disk)
        root.mkdir(exist_ok=True)
        _run("mount", f"{disk}p2", str(root))
        yield InsertedCard(image, disk, root)
    finally:
        subprocess.run(["umount", "--recursive", root], capture_output=True)
        subprocess.run(["partx", "--delete", disk], capture_output=True)
        _run("losetup", "--detach", disk)


def as_the_power_went(card: InsertedCard, to: Path) -> Path:
    """Copy what is on the card at this moment: nothing that the kernel only holds in memory."""
    _run("cp", "--sparse=always", "--reflink=auto", str(card.image), str(to))
    return to


def _may_grow_mounted() -> bool:
    status = Path("/proc/self/status").read_text()
    effective = next(line for line in status.splitlines() if line.startswith("CapEff"))
    return bool(int(effective.split()[1], 16) >> CAP_SYS_RESOURCE & 1)


def _run(*argv: str, stdin: bytes | None = None) -> bytes:
    return subprocess.run(argv, input=stdin, check=True, capture_output=True, timeout=60).stdout
