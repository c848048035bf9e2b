"""A card that fills while the first boot works: named as that, and gone on with once it has room.

The file system is a real one of some megabytes, and so are venv, pip and compileall on it.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from provisioning.first_boot.board import board_of
from provisioning.first_boot.bundle_check import BundleCheck
from provisioning.first_boot.errors import CommandFailed, card_trouble
from provisioning.first_boot.host import Host
from provisioning.first_boot.install import Install
from provisioning.first_boot.notices import Notices
from provisioning.first_boot.program import Program
from provisioning.first_boot.status import Status
from tests.provisioning.first_boot_cards import bundle_of, signers_file, write_card
from tests.provisioning.test_first_boot_install import (
    BELL,
    PYTHON,
    files_of,
    pip_wheel,
    system_target,
    wheel_of,
)

__all__ = ["pip_wheel"]
SIZE_MIB = 24
BELL_WITH_DATA = f"DATA = {'x' * 1024 * 1024!r}\n\n\ndef ring():\n    print('ding')\n"
DOORBELL = """\
data_dir = "{data}"
claim_file = "{data}/claim.json"
[camera]
kind = "replay"
"""


def can_mount() -> bool:
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_mount(), reason="mounting a small file system needs root")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of a few megabytes."""
    folder = tmp_path / "card"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs"]
    subprocess.run(["mount", *options, folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, *, but: int = 0) -> Path:
    """Fill all but some bytes of the file system with one file; return it."""
    filler = folder / "filler"
    free = os.statvfs(folder)
    subprocess.run(
        ["fallocate", "-l", str(free.f_bavail * free.f_frsize - but), filler], check=True
    )
    return filler


@dataclass
class Person:
    """Somebody who makes room while the program waits; also its clock and its display."""

    filler: Path
    shown: list[Status] = field(default_factory=list)

    def wall_ms(self) -> int:
        return 0

    def sleep(self, seconds: float) -> None:
        del seconds
        self.filler.unlink()

    def show(self, status: Status) -> None:
        self.shown.append(status)


def test_a_system_that_fills_while_it_is_installed_is_named_and_gone_on_with(
    small: Path, pip_wheel: bytes
):
    target, files = system_target(), files_of(pip_wheel)
    bell = wheel_of("bell", "1.0", {"bell.py": BELL_WITH_DATA}, "ring = bell:ring")
    files[f"wheels/{BELL}"] = bell
    files["requirements.txt"] = f"bell==1.0 --hash=sha256:{sha256(bell).hexdigest()}\n".encode()
    left = sum(map(len, files.values())) + 2 * len(BELL_WITH_DATA) // 3
    bundle = bundle_of(files, target=target)
    write_card(small, {"doorward/bundle.tar": bundle, "doorward/signers.txt": signers_file()})
    host, check = Host(small), BundleCheck(target)
    person = Person(fill(small, but=left))
    install = Install(check, Notices(), needs_picamera=False)
    program = Program(
        host,
        [check, install],
        displays=[person],
        notices=Notices(),
        timer=person,
        board=board_of(host),
    )
    program.run()
    full, done = (status for status in person.shown if status.code != "working")
    assert (full.code, done.code) == ("card_full", "done")
    assert "Could not install packages" in full.detail  # it had room for what pip installs from
    ring = subprocess.run(
        [small / "opt/doorward/current/bin/ring"], capture_output=True, check=True
    )
    assert ring.stdout == b"ding\n"


def test_a_system_that_fills_while_it_is_compiled_is_named(small: Path):
    module = small / "bell.py"
    module.write_text("def ring():\n    return 'ding'\n")
    fill(small)
    with pytest.raises(CommandFailed) as caught:
        Host(small).run(PYTHON, "-I", "-m", "compileall", "-q", str(module))
    assert card_trouble(caught.value.message) == "card_full"


def test_a_data_partition_that_is_full_when_the_doorbell_enrols_is_named(
    small: Path, tmp_path: Path
):
    settings = tmp_path / "doorbell.toml"
    settings.write_text(DOORBELL.format(data=small / "doorward"))
    (small / "doorward").mkdir()
    fill(small)
    with pytest.raises(CommandFailed) as caught:
        Host().run(sys.executable, "-m", "firmware", "--config", str(settings), "enrol")
    assert card_trouble(caught.value.message) == "card_full", caught.value.message
