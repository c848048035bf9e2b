"""The first boot's read-only system, in a folder in the machine's place."""

import errno
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.first_boot import data_partition, disk, read_only
from provisioning.first_boot.data_partition import SYSTEM_ON_DATA
from provisioning.first_boot.errors import StepFailed
from provisioning.first_boot.mount_table import mount_at
from provisioning.first_boot.read_only import (
    RESOLVER_DROP_IN,
    TIMERS,
    WRITABLE,
    ReadOnlySystem,
)
from provisioning.first_boot.texts import Language, advice_for
from tests.fakes.cut_host import CutHost, FolderHost, PowerCut
from tests.provisioning.memory_folder import memory_folder

FSTAB = """proc            /proc           proc    defaults          0       0
PARTUUID=12ab34cd-01  /boot/firmware  vfat    defaults          0       2
PARTUUID=12ab34cd-02  /               ext4    defaults,noatime  0       1
PARTUUID=12ab34cd-03 /var/lib/doorward-data ext4 noatime,nofail 0 2
"""
FILES = {
    "etc/fstab": FSTAB,
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/netplan/60-doorward.yaml": "network: {}\n",
    "etc/NetworkManager/system-connections/home.nmconnection": "[connection]\n",
    "etc/doorward/doorbell.toml": 'data_dir = "/var/lib/doorward"\n',
    "etc/cloud/cloud.cfg": "\n",
    "etc/resolv.conf": "nameserver 192.0.2.1\n",
    "etc/systemd/system/doorward.service": "[Install]\nWantedBy=multi-user.target\n",
    "etc/systemd/system/doorward-early.service": "[Install]\nWantedBy=sysinit.target\n",
    "etc/systemd/system/doorward-reboot.service": "[Service]\n",
    "etc/systemd/system/other.service": "[Install]\nWantedBy=multi-user.target\n",
    "opt/doorward/units/doorward-maintenance": "#!/bin/sh\n",
    "usr/local/sbin/other": "",
    "run/cloud-init/result.json": "{}\n",
    "usr/sbin/NetworkManager": "",
    "var/lib/NetworkManager/secret_key": "k",
    "var/lib/alsa/asound.state": "",
    "var/lib/systemd/timesync/clock": "",
    "var/lib/doorward-data/system/etc/netplan/50-former.yaml": "network: {former: {}}\n",
    "var/swap": "s",
}
STEP = ReadOnlySystem()


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


def machine(at: Path, **changed: str | None) -> FolderHost:
    for name, text in {**FILES, **changed}.items():
        if text is not None:
            (at / name).parent.mkdir(parents=True, exist_ok=True)
            (at / name).write_text(text)
    return FolderHost(at)


def fstab_of(host: FolderHost) -> str:
    return (host.read("/etc/fstab") or b"").decode()


def assert_done(host: FolderHost) -> None:
    assert STEP.is_done(host)
    root = mount_at(fstab_of(host), "/")
    assert root is not None
    assert (root.source, root.options, root.check_order) == (
        "PARTUUID=12ab34cd-02", "ro,noatime", 1
    )  # fmt: skip
    for folder in WRITABLE:
        entry = mount_at(fstab_of(host), folder.at)
        assert entry is not None
        assert entry.kind == ("tmpfs" if folder.kind == "memory" else "none")
        if folder.kind == "data":
            assert entry.source == SYSTEM_ON_DATA + folder.at
            assert host.mounts[str(host.path(folder.at))].endswith(f"[/system{folder.at}]")
            assert _names(host.path(entry.source)) == _names(host.path(folder.at))
    assert host.path("/etc/resolv.conf").readlink() == Path("/run/NetworkManager/resolv.conf")
    assert b"rc-manager=unmanaged" in (host.read(RESOLVER_DROP_IN) or b"")
    assert host.exists("/etc/cloud/cloud-init.disabled")
    assert not host.exists("/var/swap")
    assert host.path("/usr/local/sbin/doorward-maintenance").readlink() == Path(
        "/opt/doorward/units/doorward-maintenance"
    )
    assert "volatile" in host.path("/etc/systemd/journald.conf.d/90-doorward.conf").read_text()
    wants = host.path("/etc/systemd/system").glob("*.wants/*")
    assert {f"{path.parent.name}/{path.name}" for path in wants} == {
        "multi-user.target.wants/doorward.service",
        "sysinit.target.wants/doorward-early.service",
    }
    for timer in TIMERS:
        assert host.path(f"/etc/systemd/system/{timer}").readlink() == Path("/dev/null")


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_the_root_is_read_only_and_what_is_written_is_elsewhere(tmp_path: Path):
    host = machine(tmp_path)
    assert not STEP.is_done(host)
    STEP.do(host)
    assert_done(host)
    lines = fstab_of(host).splitlines()
    assert lines[0] == FSTAB.splitlines()[0]
    assert lines[1] == "PARTUUID=12ab34cd-01 /boot/firmware vfat defaults,noatime,nofail 0 2"
    again = CutHost(host)
    assert STEP.is_done(again)
    assert again.changes == []


def test_every_exception_gives_its_reason_and_every_memory_a_bound():
    for folder in WRITABLE:
        assert len(folder.reason) > 20
        assert ("size=" in folder.options and "nr_inodes=" in folder.options) == (
            folder.kind == "memory"
        )


def test_a_power_cut_at_any_change_costs_nothing(tmp_path: Path):
    cut_at = 0
    while True:
        host = machine(tmp_path / str(cut_at))
        try:
            STEP.do(CutHost(host, cut_at))
            break
        except PowerCut:
            host.mounts.clear()
        if "ro,noatime" in fstab_of(host):  # then systemd mounts what it names
            table = fstab_of(host)
            for folder in WRITABLE:
                if folder.kind == "data":
                    entry = mount_at(table, folder.at)
                    assert entry is not None
                    host.run("mount", "--bind", str(host.path(entry.source)),
                             str(host.path(folder.at)))  # fmt: skip
        if not STEP.is_done(host):
            STEP.do(host)
        assert_done(host)
        cut_at += 1
    assert cut_at > 6 * 5


def test_a_change_of_the_root_before_the_end_is_copied_anew(tmp_path: Path):
    """A power cut came after the copies; then the first boot started anew and wrote a network."""
    host = machine(tmp_path)
    first = CutHost(host)
    STEP.do(first)
    before_fstab = first.changes.index("write /etc/fstab")
    again = machine(tmp_path / "again")
    with pytest.raises(PowerCut):
        STEP.do(CutHost(again, before_fstab))
    again.path("/etc/netplan/60-doorward.yaml").write_text("network: {another: {}}\n")
    STEP.do(again)
    copy = again.path(SYSTEM_ON_DATA + "/etc/netplan/60-doorward.yaml")
    assert "another" in copy.read_text()


def test_cloud_init_ends_before_it_is_switched_off(tmp_path: Path):
    host = machine(tmp_path, **{"run/cloud-init/result.json": None, "run/cloud-init/status": ""})

    class Busy(FolderHost):
        def run(self, *argv: str, **rest: object) -> bytes:
            if argv[0] == "cloud-init":
                assert argv == ("cloud-init", "status", "--wait")
                return b""
            return super().run(*argv, **rest)  # type: ignore[arg-type]

    busy = CutHost(Busy(tmp_path))
    with pytest.raises(StepFailed, match="no result yet") as failed:
        STEP.do(busy)
    assert failed.value.will_retry
    assert not host.exists("/etc/cloud/cloud-init.disabled")
    assert "ro," not in fstab_of(host)


def test_a_machine_id_of_this_start_only_is_made_to_last(tmp_path: Path):
    host = machine(tmp_path)
    host.mounts[str(host.path("/etc/machine-id"))] = "tmpfs[/machine-id]"
    assert not STEP.is_done(host)
    STEP.do(host)
    assert ("systemd-machine-id-setup", "--commit") in host.calls


def test_a_system_without_networkmanager_keeps_its_resolver(tmp_path: Path):
    host = machine(tmp_path, **{"usr/sbin/NetworkManager": None})
    STEP.do(host)
    assert host.path("/etc/resolv.conf").read_text() == FILES["etc/resolv.conf"]
    assert not host.exists(RESOLVER_DROP_IN)
    assert STEP.is_done(host)


def test_a_table_without_a_root_is_refused_unchanged(tmp_path: Path):
    host = machine(tmp_path, **{"etc/fstab": "# none\n"})
    changes = CutHost(host)
    with pytest.raises(StepFailed, match="no line for /"):
        STEP.do(changes)
    assert changes.changes == []


def test_what_is_missing_in_a_read_only_root_is_told(tmp_path: Path):
    class Sealed(FolderHost):
        def link(self, absolute: str, target: str) -> None:  # noqa: ARG002
            raise OSError(errno.EROFS, "Read-only file system", absolute)

    machine(tmp_path)
    with pytest.raises(StepFailed, match="can't be written") as failed:
        STEP.do(Sealed(tmp_path))
    assert failed.value.code == "system_already_read_only"


@pytest.mark.parametrize("language", ["en", "sv"])
def test_every_reason_says_what_to_do(language: Language):
    """The codes of both steps, as they stand in their source."""
    modules = (data_partition, disk, read_only)
    text = "".join(Path(str(module.__file__)).read_text() for module in modules)
    codes = set(re.findall(r'StepFailed\(\s*"([a-z_]+)"', text))
    codes |= set(re.findall(r'code = "([a-z_]+)" if .* else "([a-z_]+)"', text)[0])
    assert len(codes) == 8
    for code in codes:
        assert advice_for(code, language) is not advice_for("failed", language)
        assert advice_for(code, language).advice


GENERATOR = Path("/usr/lib/systemd/system-generators/systemd-fstab-generator")


@pytest.mark.skipif(not GENERATOR.exists(), reason="systemd-fstab-generator isn't installed")
def test_systemd_makes_a_mount_of_every_line(tmp_path: Path):
    host = machine(tmp_path / "root")
    STEP.do(host)
    made = tmp_path / "made"
    made.mkdir()
    done = subprocess.run(
        [GENERATOR, made, made, made],
        env={"SYSTEMD_FSTAB": str(host.path("/etc/fstab")), "PATH": "/usr/bin",
             "SYSTEMD_LOG_TARGET": "console"},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stderr == ""
    units = {path.name for path in made.glob("*.mount")}
    escape = shutil.which("systemd-escape")
    assert escape is not None
    for folder in WRITABLE:
        name = subprocess.run(
            [escape, "--path", "--suffix=mount", folder.at],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        assert name in units
        text = (made / name).read_text()
        if folder.kind == "data":
            assert f"What={SYSTEM_ON_DATA}{folder.at}" in text
            assert "Options=bind,nofail" in text
