"""The read-only system: the root never changes again, and what must change lies elsewhere.

`WRITABLE` is the whole list of what may be written, each with its reason; everything else of the
system stays as the first boot left it, so a power cut can't damage it. It is in force from the next
start on. `doorward-maintenance rw` makes the root writable until the start after that.

The order survives a power cut anywhere: whatever of the root is left to write, then copies, then
all of /etc/fstab in one write, then the mounts. Until /etc/fstab is written the root has the truth,
and a copy is made anew. From the next start on no step of the first boot may write to the root: so
the units are enabled here, the first boot's own among them, and cloud-init is switched off.

The boot partition isn't in the list: it stays writable, for the status and for what
a PC puts there, and is written only when one of these changes; reading it sets no access times.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal

from provisioning.first_boot.data_partition import SYSTEM_ON_DATA, make_private_folder
from provisioning.first_boot.disk import mounted_from
from provisioning.first_boot.errors import CommandFailed, StepFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.mount_table import FSTAB, Mount, mount_at, with_mounts
from provisioning.first_boot.places import UNIT_FILES

ROOT_OPTIONS = "ro,noatime"
BOOT = "/boot/firmware"
BOOT_OPTIONS = ("noatime", "nofail")
"""Reading it writes nothing, and a damaged FAT keeps no doorbell from ringing."""
MEMORY_OPTIONS = "nosuid,nodev"


@dataclass(frozen=True, slots=True, kw_only=True)
class Writable:
    """A folder that stays writable: in memory, lost at each start, or on the data partition."""

    at: str
    kind: Literal["memory", "data"]
    reason: str
    options: str = ""
    """Of the tmpfs: its bound, and who may write."""


WRITABLE = (
    Writable(
        at="/tmp",  # noqa: S108 - a mount point
        kind="memory",
        options="mode=1777,size=64M,nr_inodes=16k",
        reason="programs' temporary files; the doorbell has a private folder in it",
    ),
    Writable(
        at="/var/tmp",  # noqa: S108 - a mount point
        kind="memory",
        options="mode=1777,size=32M,nr_inodes=8k",
        reason="as /tmp; systemd makes a service's private folder here as well",
    ),
    Writable(
        at="/var/log",
        kind="memory",
        options="mode=0755,size=16M,nr_inodes=2k,noexec",
        reason="logins (wtmp), and what maintenance logs; the journal is in /run, bounded",
    ),
    Writable(
        at="/etc/netplan",
        kind="data",
        reason="networks: Raspberry Pi OS' NetworkManager keeps them here, and only here",
    ),
    Writable(
        at="/etc/NetworkManager/system-connections",
        kind="data",
        reason="networks, where NetworkManager doesn't know netplan (Debian's own)",
    ),
    Writable(
        at="/var/lib/NetworkManager",
        kind="data",
        reason="DHCP leases, whether Wi-Fi is on, the key that makes stable addresses",
    ),
    Writable(
        at="/var/lib/systemd",
        kind="data",
        reason="the last known time (timesyncd), the random seed, rfkill, timers' last runs",
    ),
    Writable(
        at="/var/lib/alsa",
        kind="data",
        reason="volumes of a sound card, which are stored when the system is shut down",
    ),
    Writable(
        at="/etc/doorward",
        kind="data",
        reason="settings and policy: a new invitation after a factory reset may bring others",
    ),
)

DROP_INS = {
    "/etc/systemd/journald.conf.d/90-doorward.conf": """\
# Written by Doorward: the journal lies in memory, and is lost at each start.
[Journal]
Storage=volatile
RuntimeMaxUse=16M
""",
    "/etc/rpi/swap.conf.d/90-doorward.conf": """\
# Written by Doorward: swap is compressed memory (zram), never a file on the card.
[Main]
Mechanism=zram
""",
    "/etc/tmpfiles.d/90-doorward.conf": """\
# Written by Doorward: apt, in maintenance, wants this folder, and /var/log is empty at each start.
d /var/log/apt 0755 root root -
""",
}
RESOLVER_DROP_IN = "/etc/NetworkManager/conf.d/90-doorward.conf"
RESOLVER_TEXT = """\
# Written by Doorward: /etc/resolv.conf leads to NetworkManager's own file, in memory.
[main]
rc-manager=unmanaged
"""
MAINTENANCE = "/usr/local/sbin/doorward-maintenance"
TIMERS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "logrotate.timer",
    "man-db.timer",
)
"""Timers of the system that write to the root, and would fail each night."""
UNITS = "/etc/systemd/system"
CLOUD_INIT_OFF = "/etc/cloud/cloud-init.disabled"
CLOUD_INIT_RUN = "/run/cloud-init"
CLOUD_INIT_RESULT = "/run/cloud-init/result.json"
SWAP_FILE = "/var/swap"
RESOLVER = "/etc/resolv.conf"
RESOLVER_IN_MEMORY = "/run/NetworkManager/resolv.conf"
NETWORK_MANAGER = "/usr/sbin/NetworkManager"
MACHINE_ID = "/etc/machine-id"
WAIT_FOR_CLOUD_INIT_S = 240.0


class ReadOnlySystem:
    """Step, the last before the doorbell starts: nothing of the system is written any more."""

    name = "read_only_system"

    def is_done(self, host: Host) -> bool:
        """Return whether /etc/fstab says so, what it moves is mounted, and nothing is left over."""
        table = _table(host)
        return (
            table == _wanted(host, table)
            and all(_is_mounted(host, folder) for folder in _on_data(host))
            and not _is_root_left(host)
        )

    def do(self, host: Host) -> None:
        """Do it, or raise StepFailed."""
        try:
            self._do(host)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            text = f"{error.filename} can't be written"
            raise StepFailed("system_already_read_only", text, will_retry=False) from error

    def _do(self, host: Host) -> None:
        table = _table(host)
        if mount_at(table, "/") is None:
            raise StepFailed("no_root_in_fstab", "no line for /", will_retry=False)
        _wait_for_cloud_init(host)
        _finish_root(host)
        wanted = _wanted(host, table)
        if table != wanted:
            for folder in _on_data(host):
                if not _is_mounted(host, folder):
                    _copy(host, folder.at)
            host.write(FSTAB, wanted.encode("utf-8", "surrogateescape"))
        for folder in _on_data(host):
            if not _is_mounted(host, folder):
                host.run("mount", "--bind", str(host.path(_on_data_at(folder.at))),
                         str(host.path(folder.at)))  # fmt: skip


@contextmanager
def writable_root(host: Host) -> Iterator[None]:
    """Make a read-only root writable for a moment, such as for another host name.

    If a program keeps a file of it open for writing, it stays writable until the next start.
    """
    if os.access(host.path("/etc"), os.W_OK):  # no, even for root, where it is mounted read-only
        yield
        return
    root = str(host.path("/"))
    host.run("mount", "-o", "remount,rw", root)
    try:
        yield
    finally:
        with suppress(CommandFailed):
            host.run("mount", "-o", "remount,ro", root)


def _wanted(host: Host, table: str) -> str:
    """Return /etc/fstab with the root read-only and every writable folder of this system."""
    root, boot = mount_at(table, "/"), mount_at(table, BOOT)
    mounts = []
    if root is not None:
        mounts.append(replace(root, options=ROOT_OPTIONS))
    if boot is not None:
        unique = dict.fromkeys([*boot.options.split(","), *BOOT_OPTIONS])
        mounts.append(replace(boot, options=",".join(unique)))
    for folder in WRITABLE:
        if folder.kind == "memory":
            options = f"{MEMORY_OPTIONS},{folder.options}"
            mounts.append(Mount(source="tmpfs", at=folder.at, kind="tmpfs", options=options))
        elif host.path(folder.at).is_dir():
            source = _on_data_at(folder.at)
            mounts.append(Mount(source=source, at=folder.at, kind="none", options="bind,nofail"))
    return with_mounts(table, mounts)


def _on_data(host: Host) -> list[Writable]:
    """Return the folders that this system has, and that move to the data partition."""
    return [
        folder for folder in WRITABLE if folder.kind == "data" and host.path(folder.at).is_dir()
    ]


def _on_data_at(at: str) -> str:
    return SYSTEM_ON_DATA + at


def _is_mounted(host: Host, folder: Writable) -> bool:
    source = mounted_from(host, folder.at)
    return source is not None and source.endswith(f"[/system{folder.at}]")


def _copy(host: Host, at: str) -> None:
    """Copy a folder of the root to the data partition, in the place of one of an earlier life."""
    to = _on_data_at(at)
    new = f"{to}.new"
    host.remove_tree(new)
    make_private_folder(host, to.rpartition("/")[0])
    host.run("cp", "--archive", str(host.path(at)), str(host.path(new)))
    host.run("sync", "--file-system", str(host.path(new)))
    host.remove_tree(to)
    host.rename(new, to)


def _is_root_left(host: Host) -> bool:
    """Return whether something of the root is still to be written."""
    return (
        not _has_lasting_machine_id(host)
        or bool(_missing_drop_ins(host) or _unmasked_timers(host) or _disabled_units(host))
        or _has_own_resolver(host)
        or _has_swap_file(host)
        or not host.exists(MAINTENANCE)
        or not _is_cloud_init_off(host)
    )


def _finish_root(host: Host) -> None:
    """Write what is left; cloud-init goes last, for it is what starts the first boot again."""
    if not _has_lasting_machine_id(host):
        host.run("systemd-machine-id-setup", "--commit")
    for path in _missing_drop_ins(host):
        host.write(path, _drop_ins(host)[path].encode())
    if unmasked := _unmasked_timers(host):
        host.run("systemctl", "mask", "--now", *unmasked)
    if _has_own_resolver(host):
        host.link(RESOLVER, RESOLVER_IN_MEMORY)
    if _has_swap_file(host):
        host.remove(SWAP_FILE)
    if not host.exists(MAINTENANCE):
        host.link(MAINTENANCE, f"{UNIT_FILES}/doorward-maintenance")
    if disabled := _disabled_units(host):
        host.run("systemctl", "enable", *disabled)
    if not _is_cloud_init_off(host):
        host.write(
            CLOUD_INIT_OFF, b"Written by Doorward: its first boot needs cloud-init no more.\n"
        )


def _drop_ins(host: Host) -> dict[str, str]:
    return DROP_INS | ({RESOLVER_DROP_IN: RESOLVER_TEXT} if host.exists(NETWORK_MANAGER) else {})


def _missing_drop_ins(host: Host) -> list[str]:
    return [path for path, text in _drop_ins(host).items() if host.read(path) != text.encode()]


def _disabled_units(host: Host) -> list[str]:
    """Return Doorward's installed units that want to start with a target, and don't yet."""
    found = []
    for path in sorted(host.path(UNITS).glob("doorward*.*")):
        wanted_by = re.search(r"^WantedBy=(\S+)$", path.read_text(), re.MULTILINE)
        if wanted_by and not host.exists(f"{UNITS}/{wanted_by[1]}.wants/{path.name}"):
            found.append(path.name)
    return found


def _has_swap_file(host: Host) -> bool:
    """Return whether rpi-swap has made a file; it is in use until the next start."""
    return host.exists(SWAP_FILE)


def _unmasked_timers(host: Host) -> list[str]:
    masks = {timer: host.path(f"{UNITS}/{timer}") for timer in TIMERS}
    return [
        timer
        for timer, mask in masks.items()
        if not mask.is_symlink() or str(mask.readlink()) != "/dev/null"
    ]


def _has_own_resolver(host: Host) -> bool:
    """Return whether NetworkManager would write /etc/resolv.conf, a plain file, in the root."""
    is_plain = host.exists(RESOLVER) and not host.path(RESOLVER).is_symlink()
    return is_plain and host.exists(NETWORK_MANAGER)


def _is_cloud_init_off(host: Host) -> bool:
    return host.exists(CLOUD_INIT_OFF) or not host.path(CLOUD_INIT_OFF).parent.is_dir()


def _wait_for_cloud_init(host: Host) -> None:
    """Wait until cloud-init has ended: its later stages would be left out if it were disabled."""
    if not host.exists(CLOUD_INIT_RUN) or host.exists(CLOUD_INIT_RESULT):
        return
    with suppress(CommandFailed):  # it also ends with a code when a module failed
        host.run("cloud-init", "status", "--wait", timeout_s=WAIT_FOR_CLOUD_INIT_S)
    if not host.exists(CLOUD_INIT_RESULT):
        raise StepFailed("cloud_init_running", "it has left no result yet", will_retry=True)


def _has_lasting_machine_id(host: Host) -> bool:
    """Return whether the machine's id is in the root, and not only mounted over it."""
    found = host.read(MACHINE_ID) or b""
    is_id = re.fullmatch(rb"[0-9a-f]{32}\n?", found) is not None
    return is_id and mounted_from(host, MACHINE_ID) is None


def _table(host: Host) -> str:
    return (host.read(FSTAB) or b"").decode("utf-8", "surrogateescape")
