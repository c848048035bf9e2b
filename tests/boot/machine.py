"""A doorbell in QEMU: a card, a console, the journal, and ways in to its page, bell and SSH.

QEMU doesn't run the Pi's own firmware, so it is given kernel and initramfs; what the kernel is told
is read from the card's cmdline.txt. There is no hardware help: the processor is emulated.
"""

import asyncio
import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.block_file import BlockFile
from provisioning.fat32.volume import Volume
from provisioning.image import boot_partition
from provisioning.partitions import read_partitions
from tests.boot.base_image import BaseImage

MEMORY_MIB = 1024
LOOK_AGAIN_S = 0.25
END_S = 10.0


class BootFailed(AssertionError):
    """What was waited for didn't come; with the last lines that the machine said."""


@dataclass(slots=True, kw_only=True)
class Machine:
    """A running one."""

    process: subprocess.Popen[bytes]
    console: Path
    journal: Path
    monitor: Path
    ports: Mapping[int, int]
    """The machine's ports, and where they are reached here."""
    started_s: float = field(default_factory=time.monotonic)

    def said(self) -> str:
        """Return what console and journal say so far."""
        return "".join(
            path.read_text(errors="replace")
            for path in (self.console, self.journal)
            if path.exists()
        )

    async def wait_for(self, pattern: str, *, within_s: float) -> float:
        """Wait until a line matches; return the seconds since the start."""
        wanted = re.compile(pattern, re.MULTILINE)
        until_s = time.monotonic() + within_s
        while not wanted.search(self.said()):
            if self.process.poll() is not None:
                raise BootFailed(f"QEMU ended before {pattern!r}\n{self.tail()}")
            if time.monotonic() > until_s:
                raise BootFailed(f"no {pattern!r} within {within_s:.0f} s\n{self.tail()}")
            await asyncio.sleep(LOOK_AGAIN_S)
        return time.monotonic() - self.started_s

    async def wait_for_end(self, *, within_s: float) -> None:
        """Wait until it has switched itself off."""
        until_s = time.monotonic() + within_s
        while self.process.poll() is None:
            if time.monotonic() > until_s:
                raise BootFailed(f"it didn't end within {within_s:.0f} s\n{self.tail()}")
            await asyncio.sleep(LOOK_AGAIN_S)

    def tail(self, lines: int = 60) -> str:
        """Return the last lines of console and journal."""
        parts = []
        for path in (self.console, self.journal):
            text = path.read_text(errors="replace") if path.exists() else ""
            parts += [f"--- the end of {path}:", *text.splitlines()[-lines:]]
        return "\n".join(parts)

    async def switch_off(self, *, within_s: float) -> None:
        """Press its power button, and wait until it is off."""
        _, writer = await asyncio.open_unix_connection(self.monitor)
        writer.write(b"system_powerdown\n")
        await writer.drain()
        await self.wait_for_end(within_s=within_s)
        writer.close()

    def cut_power(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait(END_S)


@contextlib.contextmanager
def booted(
    card: Path,
    base: BaseImage,
    folder: Path,
    *,
    ports: Mapping[int, int] | None = None,
    name: str = "boot",
    clock: str | None = None,
) -> Iterator[Machine]:
    """Boot a card; whatever happens, nothing runs afterwards.

    `clock` is the time that the machine's own clock begins with, such as 1970-01-01T00:00:00.
    """
    console, journal, monitor = (
        folder / f"{name}.{part}" for part in ("console", "journal", "monitor")
    )
    for path in (console, journal, monitor):
        path.unlink(missing_ok=True)
    forwards = "".join(
        f",hostfwd=tcp:127.0.0.1:{here}-:{there}" for there, here in (ports or {}).items()
    )
    kind = _raspberry_pi_3 if base.system.device_tree else _x86_64
    command = [
        *_nice(),
        *kind(card, base, console, journal, f"user{forwards}"),
        *("-display", "none", "-monitor", f"unix:{monitor},server,nowait"),
        *("-kernel", str(base.system.kernel), "-initrd", str(base.system.initramfs)),
        *("-append", kernel_line(card)),
        *(("-rtc", f"base={clock}") if clock else ()),
    ]
    with (folder / f"{name}.qemu").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    machine = Machine(
        process=process, console=console, journal=journal, monitor=monitor, ports=ports or {}
    )
    try:
        yield machine
    finally:
        if process.poll() is None:
            machine.cut_power()


def _x86_64(card: Path, base: BaseImage, console: Path, journal: Path, network: str) -> list[str]:
    del base
    return [
        *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"),
        *("-smp", "2", "-m", str(MEMORY_MIB)),
        *("-serial", f"file:{console}", "-serial", f"file:{journal}"),
        *("-drive", f"file={card},format=raw,if=virtio,discard=unmap,cache=unsafe"),
        *("-nic", f"{network},model=virtio-net-pci", "-device", "virtio-rng-pci"),
    ]


def _raspberry_pi_3(
    card: Path, base: BaseImage, console: Path, journal: Path, network: str
) -> list[str]:
    """A Pi 3 as QEMU knows it: its card slot, and a network by USB."""
    return [
        *("qemu-system-aarch64", "-M", "raspi3b", "-accel", "tcg,thread=multi"),
        *("-dtb", str(base.system.device_tree)),
        *("-serial", f"file:{console}", "-serial", f"file:{journal}"),
        *("-drive", f"file={card},format=raw,if=sd,cache=unsafe"),
        *("-netdev", f"{network},id=home", "-device", "usb-net,netdev=home"),
    ]


def kernel_line(card: Path) -> str:
    """Return the line of the card's cmdline.txt."""
    return boot_file(card, "cmdline.txt").decode().strip()


def boot_file(card: Path, name: str) -> bytes:
    """Return a file of the card's boot partition."""
    with BlockFile(card) as blocks:
        return Volume(blocks, boot_partition(read_partitions(blocks))).read(name)


def copy_card(source: Path, target: Path, size: int) -> None:
    """Copy a card's holes as holes, onto a card of `size` bytes."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)
    with target.open("r+b") as file:
        file.truncate(size)


def _nice() -> list[str]:
    nice = shutil.which("nice")
    return [nice, "-n", "10"] if nice else []
