"""Units of a doorbell, with the mounts of its read-only system: systemd's own view of them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from provisioning.first_boot.data_partition import DATA, STATE
from provisioning.first_boot.read_only import WRITABLE, ReadOnlySystem
from tests.fakes.cut_host import FolderHost

UNITS = Path(__file__).resolve().parents[2] / "provisioning/systemd"
GENERATOR = Path("/usr/lib/systemd/system-generators/systemd-fstab-generator")
FSTAB = f"""PARTUUID=12ab34cd-02 / ext4 defaults,noatime 0 1
PARTUUID=12ab34cd-03 {DATA} ext4 noatime,nofail,x-systemd.device-timeout=5min 0 2
{DATA}/doorward {STATE} none bind,nofail 0 0
"""
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None or not GENERATOR.exists(),
    reason="systemd isn't installed: apt install systemd",
)


@pytest.fixture(scope="module")
def unit_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what a doorbell's systemd loads: our units, and a mount for each line of its fstab."""
    root, units = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("units")
    for folder in (*(one.at for one in WRITABLE), "/etc/systemd/system", "/usr/local/sbin"):
        (root / folder[1:]).mkdir(parents=True)
    (root / "etc/fstab").write_text(FSTAB)
    (root / "etc/machine-id").write_text("0" * 32)
    ReadOnlySystem().do(FolderHost(root))
    subprocess.run(
        [GENERATOR, units, units, units], check=True, capture_output=True,
        env={"SYSTEMD_FSTAB": str(root / "etc/fstab"), "PATH": "/usr/sbin:/usr/bin"},
    )  # fmt: skip
    for path in UNITS.glob("doorward*.*"):
        text = re.sub(r"^(ExecStart=)(/opt/doorward|/usr/libexec)\S*", r"\1/bin/true",
                      path.read_text(), flags=re.MULTILINE)  # fmt: skip
        (units / path.name).write_text(text)
    return units


@needs_systemd
@pytest.mark.parametrize("unit", sorted(path.name for path in UNITS.glob("doorward*.*")))
def test_units_and_mounts_have_no_ordering_cycle(unit_path: Path, unit: str):
    others = ["multi-user.target", "network.target", "systemd-networkd.service", "sysinit.target"]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit_path / unit), *others],
        check=False, capture_output=True, text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{unit_path}:"},
    )  # fmt: skip
    assert "cycle" not in done.stderr
    assert unit not in done.stderr


def test_the_doorbell_waits_for_its_data_and_for_no_network():
    text = (UNITS / "doorward.service").read_text()
    assert values_of(text, "RequiresMountsFor") == [STATE, "/etc/doorward"]
    keys = ("After", "Requires", "Wants", "BindsTo")
    ordered = [value for key in keys for value in values_of(text, key)]
    assert ordered == ["local-fs.target", "time-set.target"]


def test_the_network_starts_after_the_folders_of_its_settings_are_mounted():
    text = (UNITS / "doorward-network.service").read_text()
    moved = {one.at for one in WRITABLE if "etwork" in one.at or "netplan" in one.at}
    assert set(values_of(text, "RequiresMountsFor")) == moved
    assert "network-pre.target" in values_of(text, "Before")
    assert "network-pre.target" in values_of(text, "Wants")


def values_of(unit: str, key: str) -> list[str]:
    lines = [line for line in unit.splitlines() if line.startswith(f"{key}=")]
    return [value for line in lines for value in line.partition("=")[2].split()]


@pytest.mark.parametrize(
    ("word", "mounted", "code", "says"),
    [
        ("rw", "rw", 0, "can be changed now"),
        ("ro", "ro", 0, "read-only again"),
        ("ro", None, 1, "sudo reboot"),
        ("status", "rw", 0, "until the next start"),
        ("status", "ro", 0, "is read-only"),
        ("off", None, 2, "usage"),
    ],
)
def test_maintenance_says_what_it_did_and_what_to_do(
    tmp_path: Path, word: str, mounted: str | None, code: int, says: str
):
    programs = {
        "id": "echo 0",
        "sync": "",
        "mount": f"echo $* >>{tmp_path}/mounts" + ("" if mounted else "; exit 32"),
        "findmnt": f"echo {mounted},noatime",
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [UNITS / "doorward-maintenance", word], check=False, capture_output=True, text=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == code
    assert says in done.stdout + done.stderr
    if word in ("rw", "ro"):
        assert (tmp_path / "mounts").read_text() == f"-o remount,{word} /\n"


def test_maintenance_needs_root(tmp_path: Path):
    (tmp_path / "id").write_text("#!/bin/sh\necho 1000\n")
    (tmp_path / "id").chmod(0o755)
    done = subprocess.run(
        [UNITS / "doorward-maintenance", "rw"], check=False, capture_output=True, text=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "sudo doorward-maintenance rw" in done.stderr
