"""Builds the guest's parts and runs a program in it.

What was built is kept in .state/guest, for as long as the kernel is the same.
"""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
HERE = Path(__file__).parent
STATE = REPOSITORY / ".state/guest"
PACKAGES = (
    "qemu-system-x86",
    "busybox-static",
    "linux-image-amd64",
    "linux-headers-amd64",
    "linux-source-6.12",
    "gcc",
    "make",
    "kmod",
    "xz-utils",
    "cpio",
    "v4l-utils",
)
BOOT_MODULES = ("9p", "9pnet_virtio", "overlay")
MEMORY_MIB = 1536
WITHIN_S = 600


class Unavailable(Exception):
    """The guest can't be run here, and why."""


def prepare() -> None:
    """Install and build what is missing; raise Unavailable with the reason if that can't be."""
    if os.uname().machine != "x86_64":
        raise Unavailable("the guest is x86-64, and so must be this machine")
    if sys.version_info[:2] != (3, 11):
        raise Unavailable("the guest needs Python 3.11: for others there is no wheel of lgpio")
    done = subprocess.run([REPOSITORY / ".ci/debian", *PACKAGES], capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(done.stderr.strip())
    STATE.mkdir(parents=True, exist_ok=True)
    _install_python_packages()
    _build_gpio_sim(kernel())
    _build_initramfs(kernel())


def kernel() -> str:
    """Return the release of Debian's newest kernel that can be built for and booted."""
    releases = [
        path.name
        for path in Path("/lib/modules").iterdir()
        if (path / "build").exists() and Path(f"/boot/vmlinuz-{path.name}").exists()
    ]
    if not releases:
        raise Unavailable("there is no kernel in /boot with its headers")
    return max(releases)


def run(program: Path, out: Path) -> str:
    """Run a Python program of this repository in the guest; return what its console said.

    It finds `out` as /run/out, writable; nothing else that it writes outlasts it.
    """
    script = out / "run.sh"
    script.write_text(_script(program))
    script.chmod(0o755)
    done = subprocess.run(
        _qemu(kernel(), out), capture_output=True, text=True, timeout=WITHIN_S, errors="replace"
    )
    return done.stdout + done.stderr


def _script(program: Path) -> str:
    path = ":".join(str(part) for part in (STATE / "python", REPOSITORY))
    return f"""#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp TMPDIR=/tmp PYTHONDONTWRITEBYTECODE=1
modprobe -a configfs vivid
mount -t configfs config /sys/kernel/config
insmod {STATE / kernel()}/doorward-gpio-sim.ko
cd {REPOSITORY}
PYTHONPATH={path} {sys.executable} -u {program} /run/out >/run/out/said 2>&1
sync
echo o >/proc/sysrq-trigger
sleep 60
"""


def _qemu(release: str, out: Path) -> list[str]:
    shares = (("root", "/", ",readonly=on"), ("out", str(out), ""))
    command = [
        *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"),
        *("-smp", "2", "-m", str(MEMORY_MIB), "-nic", "none", "-display", "none", "-no-reboot"),
        *("-serial", "stdio", "-monitor", "none"),
        *("-kernel", f"/boot/vmlinuz-{release}"),
        *("-initrd", str(STATE / release / "initramfs")),
        *("-append", "console=ttyS0 quiet panic=-1 loglevel=4 doorward.script=/run/out/run.sh "),
    ]
    for tag, path, more in shares:
        share = f"local,path={path},mount_tag={tag},security_model=none,multidevs=remap{more}"
        command += ["-virtfs", share]
    return command


def _install_python_packages() -> None:
    target, wanted = STATE / "python", HERE / "requirements.txt"
    stamp = target / "requirements.txt"
    if stamp.exists() and stamp.read_bytes() == wanted.read_bytes():
        return
    uv = shutil.which("uv") or str(REPOSITORY / ".state/uv/bin/uv")
    shutil.rmtree(target, ignore_errors=True)
    _made(
        [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target),
         "--only-binary", ":all:", "--no-deps", "--require-hashes", "-r", str(wanted)]
    )  # fmt: skip
    shutil.copy(wanted, stamp)


def _build_gpio_sim(release: str) -> None:
    if not (STATE / release / "doorward-gpio-sim.ko").exists():
        _made([str(HERE / "gpio_sim.sh"), release, str(STATE / release)])


def _build_initramfs(release: str) -> None:
    root = STATE / release / "root"
    shutil.rmtree(root, ignore_errors=True)
    for folder in ("bin", "modules"):
        (root / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin/busybox")
    shutil.copy(HERE / "init", root / "init")
    (root / "init").chmod(stat.S_IRWXU)
    for number, module in enumerate(_boot_modules(release)):
        unpacked = subprocess.run(["xz", "-dc", module], capture_output=True, check=True).stdout
        (root / f"modules/{number:02}-{module.name.removesuffix('.xz')}").write_bytes(unpacked)
    _made(["sh", "-c", "find . | cpio -o -H newc --quiet >../initramfs"], cwd=root)


def _boot_modules(release: str) -> list[Path]:
    """Return the files of what the guest needs before it sees any disk, in order of loading."""
    wanted: list[Path] = []
    for name in BOOT_MODULES:
        shown = subprocess.run(
            ["modprobe", "-S", release, "--show-depends", name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        paths = [Path(line.split()[1]) for line in shown.splitlines() if line.startswith("insmod")]
        wanted += [path for path in paths if path not in wanted]
    return wanted


def _made(command: list[str], *, cwd: Path | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise Unavailable(f"`{' '.join(command[:3])} …` failed: {said}")
