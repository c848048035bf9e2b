"""The first boot's data partition, on real disks in images."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firmware.system.factory_reset import finish_wipe, order_wipe
from provisioning.first_boot.data_partition import (
    DATA,
    LABEL,
    MIB,
    STATE,
    UNFINISHED,
    DataPartition,
)
from provisioning.first_boot.disk import contents_of, disk_of_root, ext4_bytes
from provisioning.first_boot.errors import StepFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.mount_table import Mount, mount_at
from provisioning.first_boot.read_only import WRITABLE, ReadOnlySystem, writable_root
from tests.fakes.cut_host import CutHost, PowerCut
from tests.fakes.flashed_card import (
    DISK_ID,
    FSTAB,
    SIZES,
    InsertedCard,
    as_the_power_went,
    flashed_image,
    inserted,
    reason_against,
    system_files,
)
from tests.provisioning.memory_folder import memory_folder

pytestmark = pytest.mark.skipif(bool(reason_against()), reason=reason_against() or "-")
STEP = DataPartition(SIZES)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with memory_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a card as it is before its first start: its root has the system's files."""
    folder = tmp_path_factory.mktemp("master")
    image = flashed_image(folder / "card.img")
    with inserted(image, folder / "root") as card:
        system_files(card.root)
    return image


@contextmanager
def copy_of(master: Path, folder: Path) -> Iterator[InsertedCard]:
    folder.mkdir(exist_ok=True)
    sh("cp", "--sparse=always", str(master), str(folder / "card.img"))
    with inserted(folder / "card.img", folder / "root") as card:
        yield card


@contextmanager
def other_card(folder: Path, **shape: object) -> Iterator[InsertedCard]:
    image = flashed_image(folder / "card.img", **shape)  # type: ignore[arg-type]
    with inserted(image, folder / "root") as card:
        system_files(card.root)
        yield card


def sh(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def assert_done(host: Host) -> None:
    assert STEP.is_done(host)
    disk = disk_of_root(host)
    boot, root, data = disk.partitions
    assert boot.start == 2048
    assert root.size * 512 == SIZES.max_root
    assert data.start == root.end
    assert data.end == disk.end
    assert ext4_bytes(host, root.node) == SIZES.max_root
    found = contents_of(host, data.node)
    assert (found.kind, found.label) == ("ext4", LABEL)
    entry = mount_at((host.read("/etc/fstab") or b"").decode(), DATA)
    assert entry is not None
    assert entry.source == f"PARTUUID={data.uuid}"
    again = CutHost(host)
    assert STEP.is_done(again)
    assert again.changes == []


@pytest.mark.parametrize("kind", ["dos", "gpt"])
def test_root_grows_to_its_bound_and_the_rest_is_for_data(tmp_path: Path, kind: str):
    with other_card(tmp_path, kind=kind) as card:
        host = card.host()
        assert not STEP.is_done(host)
        STEP.do(host)
        assert_done(host)
        assert sh("lsblk", "-nro", "PARTUUID", f"{card.disk}p3").strip() in ("", _uuid(host))
        (card.root / STATE[1:] / "owners.json").write_text("[]")
        assert (card.root / DATA[1:] / "doorward/owners.json").read_text() == "[]"
        modes = [(card.root / at[1:]).stat().st_mode & 0o777 for at in (DATA, STATE)]
        assert modes == [0o700, 0o700]


def _uuid(host: Host) -> str:
    return disk_of_root(host).partitions[2].uuid


def test_the_partition_is_named_as_the_kernel_names_it(master: Path, tmp_path: Path):
    with copy_of(master, tmp_path) as card:
        STEP.do(card.host())
        sysfs = Path(f"/sys/class/block/{Path(card.disk).name}p3/partition").read_text()
        assert _uuid(card.host()) == f"{DISK_ID}-0{sysfs.strip()}"


def test_a_power_cut_at_any_change_costs_nothing(master: Path, tmp_path: Path):
    cut_at, cuts, is_whole = 0, [], False
    while not is_whole:
        folder = tmp_path / str(cut_at)
        with copy_of(master, folder) as card:
            try:
                STEP.do(CutHost(card.host(), cut_at))
                is_whole = True
            except PowerCut as cut:
                cuts.append(str(cut))
            left = as_the_power_went(card, folder / "left.img")
        with inserted(left, folder / "root") as card:
            table = (card.root / "etc/fstab").read_text()
            assert (mount_at(table, DATA) is not None) == is_whole
            STEP.do(card.host())
            assert_done(card.host())
        cut_at += 1
    assert [cut.split()[0] for cut in cuts[:2]] == ["sfdisk", "partx"]
    assert cuts[-1] == "write /etc/fstab"


def test_a_root_that_was_not_grown_is_seen(master: Path, tmp_path: Path):
    class Ungrowing(CutHost):
        def run(self, *argv: str, **rest: object) -> bytes:
            return b"" if argv[0] == "resize2fs" else super().run(*argv, **rest)  # type: ignore[arg-type]

    with copy_of(master, tmp_path) as card:
        host = card.host()
        STEP.do(Ungrowing(host))
        assert not STEP.is_done(host)


def test_the_recordings_of_a_card_that_is_flashed_anew_stay(master: Path, tmp_path: Path):
    with copy_of(master, tmp_path) as card:
        STEP.do(card.host())
        (card.root / STATE[1:] / "clip").write_bytes(b"evidence")
    image = flashed_image(tmp_path / "anew.img")
    with image.open("rb") as fresh, (tmp_path / "card.img").open("r+b") as old:
        old.write(fresh.read(33 * MIB))
    with inserted(tmp_path / "card.img", tmp_path / "root") as card:
        system_files(card.root)
        STEP.do(card.host())
        assert_done(card.host())
        assert (card.root / STATE[1:] / "clip").read_bytes() == b"evidence"


def test_half_a_file_system_is_made_anew_and_nobody_elses_is_touched(master: Path, tmp_path: Path):
    with copy_of(master, tmp_path) as card:
        host = card.host()
        STEP.do(host)
        node = f"{card.disk}p3"
        sh("umount", str(card.root / STATE[1:]), str(card.root / DATA[1:]))
        sh("e2label", node, UNFINISHED)
        with Path(node).open("r+b") as disk:
            disk.seek(8 * 1024)
            disk.write(b"\xff" * 64 * 1024)
        STEP.do(host)
        assert_done(host)
        sh("umount", str(card.root / STATE[1:]), str(card.root / DATA[1:]))
        for label in ("photos", ""):
            sh("e2label", node, label)
            before = sh("sha256sum", node)
            with pytest.raises(StepFailed, match=f"{node} holds ext4") as refused:
                STEP.do(host)
            assert refused.value.code == "data_partition_foreign"
            assert sh("sha256sum", node) == before


def test_a_damaged_file_system_of_ours_is_mended_and_keeps_its_files(master: Path, tmp_path: Path):
    with copy_of(master, tmp_path) as card:
        host = card.host()
        STEP.do(host)
        (card.root / STATE[1:] / "clip").write_bytes(b"evidence")
        sh("umount", str(card.root / STATE[1:]), str(card.root / DATA[1:]))
        node = f"{card.disk}p3"
        with Path(node).open("r+b") as disk:
            disk.seek(2 * 1024)
            disk.write(b"\xff" * 1024)
        STEP.do(host)
        assert (card.root / STATE[1:] / "clip").read_bytes() == b"evidence"


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ({"size_mib": 48}, "card_too_small"),
        ({"size_mib": 96, "root_mib": 86}, "root_fills_card"),
    ],
)
def test_a_card_without_room_is_refused_unchanged(tmp_path: Path, shape: dict[str, int], code: str):
    with other_card(tmp_path, **shape) as card:
        host = CutHost(card.host())
        with pytest.raises(StepFailed, match=r"the card has 0\.\d+ GB, and needs") as refused:
            STEP.do(host)
        assert refused.value.code == code
        assert not refused.value.will_retry
        assert host.changes == []


def test_a_card_with_other_partitions_is_refused_unchanged(master: Path, tmp_path: Path):
    with copy_of(master, tmp_path) as card:
        table = sh("sfdisk", "--dump", card.disk) + "start=120000, size=8M, type=83\nsize=8M\n"
        subprocess.run(
            ["sfdisk", "-q", "--force", "--no-reread", "--no-tell-kernel", card.disk],
            input=table, text=True, check=True, capture_output=True,
        )  # fmt: skip
        host = CutHost(card.host())
        with pytest.raises(StepFailed, match="Raspberry Pi OS has two"):
            STEP.do(host)
        assert host.changes == []


def test_what_fstab_says_elsewhere_stays(master: Path, tmp_path: Path):
    with copy_of(master, tmp_path) as card:
        STEP.do(card.host())
        table = (card.root / "etc/fstab").read_text()
        assert table.startswith(FSTAB)
        bind = Mount(source=f"{DATA}/doorward", at=STATE, kind="none", options="bind,nofail")
        assert mount_at(table, STATE) == bind
        assert table.count(DATA) == 2


def test_the_whole_layout_holds_when_the_root_is_read_only(master: Path, tmp_path: Path):
    with copy_of(master, tmp_path) as card:
        host, steps = card.host(), (STEP, ReadOnlySystem())
        for step in steps:
            step.do(host)
        sh("mount", "-o", "remount,ro", str(card.root))
        again = CutHost(host)
        assert all(step.is_done(again) for step in steps)
        assert again.changes == []
        for folder in [*(one.at for one in WRITABLE if one.kind == "data"), STATE]:
            if (card.root / folder[1:]).exists():
                (card.root / folder[1:] / "new").write_text("kept")
        with pytest.raises(OSError, match="Read-only"):
            (card.root / "etc/new").write_text("refused")
        on_data = card.root / DATA[1:] / "system"
        assert (on_data / "etc/netplan/new").read_text() == "kept"
        assert (on_data / "etc/netplan/60-doorward.yaml").read_text() == "network: {}\n"
        assert not (on_data / "doorward").exists()


def test_a_read_only_root_is_writable_for_a_moment(master: Path, tmp_path: Path):
    with copy_of(master, tmp_path) as card:
        host = card.host()
        with writable_root(host):
            host.write("/etc/hostname", b"doorbell\n")
        sh("mount", "-o", "remount,ro", str(card.root))
        with writable_root(host):
            host.write("/etc/hostname", b"porch\n")
        with pytest.raises(OSError, match="Read-only"):
            host.write("/etc/hostname", b"attic\n")
        assert host.read("/etc/hostname") == b"porch\n"


def test_a_factory_reset_wipes_the_doorbells_folder_and_leaves_the_systems(
    master: Path, tmp_path: Path
):
    with copy_of(master, tmp_path) as card:
        host = card.host()
        for step in (STEP, ReadOnlySystem()):
            step.do(host)
        state = card.root / STATE[1:]
        (state / "clips").mkdir()
        for name in ("clips/1.mp4", "identity.key", "owners.json"):
            (state / name).write_bytes(b"former owner")
        order_wipe(state)
        assert finish_wipe(state)
        assert sorted(path.name for path in state.iterdir()) == ["clips"]
        assert (card.root / "etc/netplan/60-doorward.yaml").exists()
        assert STEP.is_done(host)
