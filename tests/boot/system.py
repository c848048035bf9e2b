"""The root file system of the image that is booted: what Raspberry Pi OS Lite has, from Debian.

Raspberry Pi OS itself can't be had here; its first boot leans on these packages of Debian's, which
it has too. What the proof adds for itself is in `RIG_FILES`, and nothing of it is Doorward's.
"""

import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.boot.programs import run

REPOSITORY = Path(__file__).parents[2]
STATE = REPOSITORY / ".state/boot"
MIRROR, SECURITY = "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"
SUITE = "trixie"
KEEP = 2
"""So many root file systems are kept of each architecture."""
PACKAGES = (
    "ca-certificates",
    "cloud-init",
    "dbus",
    "dosfstools",
    "e2fsprogs",
    "fdisk",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "netplan.io",
    "network-manager",
    "openssh-server",
    "openssl",
    "procps",
    "python3",
    "sudo",
    "systemd-sysv",
    "systemd-timesyncd",
    "systemd-zram-generator",
    "udev",
    "zstd",
)
NOT_INSTALLED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
CLOUD_INIT = """\
datasource_list: [NoCloud, None]
datasource:
  NoCloud:
    seedfrom: file:///boot/firmware
"""
"""As Raspberry Pi OS has it."""
JOURNAL_UNIT = """\
[Unit]
Description=The journal, on the second serial line
DefaultDependencies=no
After=systemd-journald.service
[Service]
ExecStart=/usr/bin/journalctl --boot --follow --lines=all --output=short-monotonic --no-hostname
StandardOutput=file:/dev/ttyS1
Restart=always
[Install]
WantedBy=sysinit.target
"""
BELL_SOCKET = """\
[Unit]
Description=The replayed doorbell's control socket, for the machine that runs this one
[Socket]
ListenStream=9000
[Install]
WantedBy=sockets.target
"""
BELL_UNIT = """\
[Unit]
Requires=bell.socket
[Service]
ExecStart=/usr/lib/systemd/systemd-socket-proxyd /var/lib/doorward/control.sock
"""
RIG_FILES = {
    "etc/systemd/system/journal-line.service": JOURNAL_UNIT,
    "etc/systemd/system/bell.socket": BELL_SOCKET,
    "etc/systemd/system/bell.service": BELL_UNIT,
}
FILES = {
    "etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg": CLOUD_INIT,
    "etc/netplan/00-network-manager.yaml": "network:\n  version: 2\n  renderer: NetworkManager\n",
    "etc/initramfs-tools/conf.d/small": "MODULES=list\nCOMPRESS=zstd\n",
    "etc/hostname": "raspberrypi\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 raspberrypi\n",
}
LINKS = {
    "etc/systemd/system/sysinit.target.wants/journal-line.service": "../journal-line.service",
    "etc/systemd/system/sockets.target.wants/bell.socket": "../bell.socket",
    "etc/systemd/system/apt-daily.timer": "/dev/null",
    "etc/systemd/system/apt-daily-upgrade.timer": "/dev/null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What differs between an x86-64 machine and a Raspberry Pi 3."""

    name: str
    kernel: str
    modules: tuple[str, ...]
    """What the initramfs loads to find the card."""
    console: str
    packages: tuple[str, ...] = ()
    """What its Raspberry Pi OS has besides, or gets from Raspberry Pi's own archive."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Files of the image, for what its emulated board lacks."""
    device_tree: str | None = None
    emulator: str | None = None
    """How its programs run here while its packages are set up."""


AMD64 = Architecture(
    name="amd64",
    kernel="linux-image-cloud-amd64",
    modules=("virtio_pci", "virtio_blk", "ext4"),
    console="ttyS0,115200",
)


REPLAYED_PI = """\
data_dir = "/var/lib/doorward"
claim_file = "/var/lib/doorward/claim.json"
[camera]
kind = "replay"
width = 320
height = 180
fps = 10
[panel]
pins = "mock"
[door]
listen_host = "0.0.0.0"
url = "http://door-1.local:8402"
[log]
policy = "/etc/doorward/policy.txt"
"""
"""QEMU's Pi 3 has neither a camera nor somebody at its button."""
IMPORTS_WANTED = """\
[Unit]
Wants=imports.path
"""
IMPORTS_PATH = """\
[Path]
PathExists=/etc/systemd/system/multi-user.target.wants/doorward.service
"""
IMPORTS_UNIT = """\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/opt/doorward/current/bin/python -I /usr/local/lib/imports.py
"""
IMPORTS = """\
import importlib, re
from importlib.metadata import distribution, packages_distributions, requires

wanted = [re.match("[A-Za-z0-9._-]+", line)[0] for line in requires("doorward")
          if "extra" not in line or "firmware" in line.partition(";")[2]]
for name in wanted:
    own = re.sub("[-_.]+", "-", name).lower()
    modules = [module for module, names in packages_distributions().items()
               if own in [re.sub("[-_.]+", "-", one).lower() for one in names]]
    for module in modules:
        if not module.startswith("_"):
            importlib.import_module(module)
    print("imported", name, distribution(name).version, *modules, flush=True)
print("imported all", len(wanted), flush=True)
"""
"""Imports every dependency of the firmware by its distribution's own list of modules."""
PI3 = Architecture(
    name="arm64",
    kernel="linux-image-arm64",
    modules=("bcm2835_dma", "bcm2835", "sdhci_iproc", "mmc_block", "ext4"),
    console="ttyAMA0,115200",
    packages=("python3-av", "python3-numpy", "python3-pil"),
    settings={
        "etc/doorward/doorbell.toml": REPLAYED_PI,
        "etc/systemd/system/multi-user.target.d/imports.conf": IMPORTS_WANTED,
        "etc/systemd/system/imports.path": IMPORTS_PATH,
        "etc/systemd/system/imports.service": IMPORTS_UNIT,
        "usr/local/lib/imports.py": IMPORTS,
    },
    device_tree="bcm2837-rpi-3-b.dtb",
    emulator="qemu-aarch64",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RootFileSystem:
    """A made one: a tar file, and what is booted of it."""

    tar: Path
    kernel: Path
    initramfs: Path
    device_tree: Path | None


def root_file_system(
    architecture: Architecture = AMD64, say: Callable[[str], None] = print
) -> RootFileSystem:
    """Return the root file system, made if it isn't kept; raise Unavailable if it can't be."""
    folder = STATE / f"system-{architecture.name}-{_digest(architecture)}"
    made = RootFileSystem(
        tar=folder / "root.tar",
        kernel=folder / "kernel",
        initramfs=folder / "initramfs",
        device_tree=folder / "device-tree" if architecture.device_tree else None,
    )
    if not folder.exists():
        say("making a root file system of Debian's packages; about a minute, once")
        new = folder.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        (new / "files").mkdir(parents=True)
        _bootstrap(architecture, new)
        _take_kernel(architecture, new)
        shutil.rmtree(new / "files")
        new.rename(folder)
    _forget_others(architecture, folder)
    os.utime(folder)
    return made


def _digest(architecture: Architecture) -> str:
    recipe = [_command(architecture, Path("files"), Path("root.tar")), _files(architecture), LINKS]
    return hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16]


def _files(architecture: Architecture) -> dict[str, str]:
    modules = "".join(f"{name}\n" for name in architecture.modules)
    return {**FILES, **RIG_FILES, "etc/initramfs-tools/modules": modules}


def _bootstrap(architecture: Architecture, folder: Path) -> None:
    files = folder / "files"
    for name, text in _files(architecture).items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).write_text(text)
    for name, target in LINKS.items():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        (files / name).symlink_to(target)
    run(
        *_with_emulator(architecture),
        *_command(architecture, files, folder / "root.tar"),
        f"deb {MIRROR} {SUITE} main",
        f"deb {MIRROR} {SUITE}-updates main",
        f"deb {SECURITY} {SUITE}-security main",
    )


def _command(architecture: Architecture, files: Path, tar: Path) -> list[str]:
    copy = f"tar -C {files} --owner=0 --group=0 -c"
    return [
        "mmdebstrap",
        "--mode=root",
        "--quiet",
        "--variant=minbase",
        *(("--skip=check/qemu",) if architecture.emulator else ()),
        f"--architectures={architecture.name}",
        f"--include={','.join((*PACKAGES, *architecture.packages, architecture.kernel))}",
        '--aptopt=Apt::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in NOT_INSTALLED),
        f'--essential-hook={copy} etc/initramfs-tools | tar -C "$1" -x',
        f'--customize-hook={copy} . | tar -C "$1" -x',
        '--customize-hook=chmod 600 "$1/etc/netplan/00-network-manager.yaml"',
        '--customize-hook=touch "$1/etc/.updated" "$1/var/.updated"',
        '--customize-hook=mkdir -p "$1/boot/firmware"',
        '--customize-hook=rm -f "$1/etc/resolv.conf" "$1/etc/machine-id"; : >"$1/etc/machine-id"',
        SUITE,
        str(tar),
    ]


def _with_emulator(architecture: Architecture) -> list[str]:
    """Return what makes this kernel run the architecture's programs, while one command runs."""
    if architecture.emulator is None:
        return []
    register = "/proc/sys/fs/binfmt_misc"
    name = architecture.emulator
    script = (
        f"mount -t binfmt_misc none {register}; "
        f"[ -e {register}/{name} ] || cat /usr/lib/binfmt.d/{name}.conf >{register}/register; "
        f'"$@"; code=$?; echo -1 >{register}/{name}; exit $code'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh"]


def _take_kernel(architecture: Architecture, folder: Path) -> None:
    wanted = [("boot/vmlinuz-", "kernel"), ("boot/initrd.img-", "initramfs")]
    with tarfile.open(folder / "root.tar") as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if architecture.device_tree and name.endswith(f"/{architecture.device_tree}"):
                wanted.append((name, "device-tree"))
            for begin, to in wanted:
                if name.startswith(begin) and (source := tar.extractfile(member)) is not None:
                    (folder / to).write_bytes(source.read())


def _forget_others(architecture: Architecture, current: Path) -> None:
    """Remove what earlier recipes made, but for the newest."""
    others = sorted(
        (path for path in STATE.glob(f"system-{architecture.name}-*") if path != current),
        key=lambda path: path.stat().st_mtime,
    )
    for path in others[: -(KEEP - 1)]:
        shutil.rmtree(path)
