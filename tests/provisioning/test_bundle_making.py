"""Bundles made of a small checkout and a folder of wheels, by the real pip; and Debian packages."""

import hashlib
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from provisioning.errors import ReleaseRefused
from provisioning.release.__main__ import main
from provisioning.release.bundle import DebianPackage, check_bundle
from provisioning.release.debian import carried_debs, fetch_debs, status_of
from provisioning.release.signed_document import parse_signers
from provisioning.release.wheels import BOARDS, Checkout, locked, short_name
from tests.provisioning.card_images import run
from tests.provisioning.signed_bundles import ADA, BO, SIGNERS_TEXT

ROOT = Path(__file__).parents[2]
PI, PC = BOARDS["aarch64-cp313"], BOARDS["x86_64-cp313"]
LONG = "manylinux2014_aarch64.manylinux_2_17_aarch64.manylinux_2_28_aarch64"
WHEELS = (
    f"av-19.0.2-cp312-abi3-{LONG}",
    "av-19.0.2-cp312-abi3-manylinux_2_28_x86_64",
    "pip-99.0-py3-none-any",
    "numpy-2.5-cp313-cp313-manylinux_2_28_aarch64",
    "old-1.0-py3-none-any",
)
LOCK = """
# a comment
av==18.0 ; python_full_version < '3.12' \\
    --hash=sha256:{zero}
av==19.0.2 ; python_full_version >= '3.12' \\
    --hash=sha256:{av_pi} \\
    --hash=sha256:{av_pc}
    # via doorward (pyproject.toml)
old==1.0 ; sys_platform == 'win32' --hash=sha256:{zero}
"""
DEV = "numpy==2.5 \\\n    --hash=sha256:{numpy}\npip==99.0 \\\n    --hash=sha256:{pip}\n"


def make_wheel(path: Path) -> None:
    name, version = path.name.split("-")[:2]
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        files = {
            f"{name}.py": "x = 1\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
            f"Tag: {path.stem.split('-', 2)[2]}\n",
            f"{info}/RECORD": "",
        }
        for member, text in files.items():
            wheel.writestr(zipfile.ZipInfo(member), text)


@dataclass
class Workshop:
    """A project with an extra and its locks, the folder that pip fetches from, and a bundle."""

    folder: Path
    debs: Path

    @property
    def index(self) -> Path:
        return self.folder / "index"

    @property
    def whole(self) -> Path:
        return self.folder / "whole.tar"

    def bundle(self, out: Path) -> int:
        words = ["--root", str(self.folder / "checkout"), "--out", str(out), "--extra", "vision"]
        return main(["bundle", *words, "--debs", str(self.debs)])


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    folder = tmp_path_factory.mktemp("workshop")
    made = Workshop(folder, folder / "debs")
    root = folder / "checkout"
    for new in (root / "requirements", made.index, made.debs):
        new.mkdir(parents=True)
    for name in WHEELS:
        make_wheel(made.index / f"{name}.whl")
    digests = {
        key: hashlib.sha256((made.index / f"{WHEELS[number]}.whl").read_bytes()).hexdigest()
        for number, key in enumerate(("av_pi", "av_pc", "pip", "numpy"))
    }
    (root / "requirements" / "firmware.txt").write_text(LOCK.format(zero="0" * 64, **digests))
    (root / "requirements" / "dev.txt").write_text(DEV.format(**digests))
    (root / "doorward.py").write_text("x = 1\n")
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "doorward"\nversion = "9.9"\nrequires-python = ">=3.11"\n'
        '[project.optional-dependencies]\nvision = ["numpy>=2"]\n'
        '[tool.hatch.build.targets.wheel]\nonly-include = ["doorward.py"]\n'
    )
    (made.debs / "lib-large_1%3a2.0-1_arm64.deb").write_bytes(b"a package")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1800000000")
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(made.index))
        assert made.bundle(made.whole) == 0
        for signer in (ADA, BO):
            (folder / "key").write_text(signer.saved())
            assert main(["sign", str(folder / "key"), str(made.whole)]) == 0
        yield made


@pytest.fixture
def published(workshop: Workshop, tmp_path: Path) -> Path:
    path = tmp_path / "published.tar"
    assert main(["publish", str(workshop.whole), "--out", str(path)]) == 0
    return path


def test_a_bundle_has_the_boards_wheels_by_their_digests_and_its_packages(workshop: Workshop):
    with tarfile.open(workshop.whole) as archive:
        assert archive.getnames() == [
            "bundle.note",
            "wheels/av-19.0.2-cp312-abi3-manylinux2014_aarch64.whl",
            "wheels/doorward-9.9-py3-none-any.whl",
            "wheels/numpy-2.5-cp313-cp313-manylinux_2_28_aarch64.whl",
            "wheels/pip-99.0-py3-none-any.whl",
            "requirements.txt",
            "debs/lib-large_1%3a2.0-1_arm64.deb",
            "first-boot.pyz",
        ]
    checked = check_bundle(workshop.whole, parse_signers(SIGNERS_TEXT))
    note = checked.note
    assert (note.version, note.made_ms, note.target) == ("9.9", 1_800_000_000_000, "aarch64-cp313")
    assert [(one.name, one.version, one.file is None) for one in note.debian] == [
        ("lib-large", "1:2.0-1", False),
        ("python3-picamera2", "any", True),
        ("python3-numpy", "any", True),
    ]
    digests = {one.name: one.sha256 for one in note.files}
    wheel = digests["wheels/doorward-9.9-py3-none-any.whl"]
    text = checked.read("requirements.txt").decode()
    assert f"doorward==9.9 --hash=sha256:{wheel}\n" in text
    assert text.count("--hash") == 3  # pip installs the others, and isn't installed itself


def test_the_same_checkout_gives_the_same_bytes(workshop: Workshop, tmp_path: Path):
    again = tmp_path / "again.tar"
    assert workshop.bundle(again) == 0
    for signer in (ADA, BO):
        (tmp_path / "key").write_text(signer.saved())
        assert main(["sign", str(tmp_path / "key"), str(again)]) == 0
    assert again.read_bytes() == workshop.whole.read_bytes()


@pytest.fixture
def poisoned(workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index whose wheels have a file more than those of the lock."""
    index = shutil.copytree(workshop.index, tmp_path / "poisoned")
    for wheel in index.glob("*.whl"):
        with zipfile.ZipFile(wheel, "a") as archive:
            archive.writestr("evil.pth", "import evil")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))


@pytest.mark.usefixtures("poisoned")
def test_other_wheels_than_the_locked_ones_make_no_bundle(workshop: Workshop, tmp_path: Path):
    assert workshop.bundle(tmp_path / "bundle.tar") == 1
    assert not (tmp_path / "bundle.tar").exists()


def test_a_published_bundle_lacks_pyav_and_debs_and_is_completed_by_signed_digests(
    workshop: Workshop, published: Path, tmp_path: Path, capsys
):
    with tarfile.open(published) as archive:
        assert not [name for name in archive.getnames() if "av-" in name or "debs" in name]
    (tmp_path / "signers.txt").write_text(SIGNERS_TEXT)
    check = ["check", str(published), "--signers", str(tmp_path / "signers.txt")]
    assert main(check) == 1
    assert "doorward-release complete published.tar" in capsys.readouterr().err
    assert main(["complete", str(published), "--debs", str(workshop.debs)]) == 0
    assert published.read_bytes() == workshop.whole.read_bytes()
    assert main(check) == 0


@pytest.mark.usefixtures("poisoned")
def test_a_wheel_that_isnt_what_was_signed_completes_nothing(workshop: Workshop, published: Path):
    before = published.read_bytes()
    assert main(["complete", str(published), "--debs", str(workshop.debs)]) == 1
    assert published.read_bytes() == before


def test_a_package_that_isnt_what_was_signed_completes_nothing(
    workshop: Workshop, tmp_path: Path, capsys
):
    lacking = tmp_path / "lacking.tar"
    with tarfile.open(workshop.whole) as archive:
        at = archive.getmember("debs/lib-large_1%3a2.0-1_arm64.deb").offset
    data = workshop.whole.read_bytes()
    lacking.write_bytes(data[:at] + data[at + 1024 :])
    (tmp_path / "debs").mkdir()
    (tmp_path / "debs" / "lib-large_1%3a2.0-1_arm64.deb").write_bytes(b"another")
    assert main(["complete", str(lacking)]) == 1
    assert "doorward-release debs" in capsys.readouterr().err
    assert main(["complete", str(lacking), "--debs", str(tmp_path / "debs")]) == 1
    assert "isn't what was signed" in capsys.readouterr().err
    assert main(["complete", str(lacking), "--debs", str(workshop.debs)]) == 0
    assert lacking.read_bytes() == data


def test_only_what_isnt_ours_to_hand_on_may_lack(workshop: Workshop, tmp_path: Path, capsys):
    lacking = tmp_path / "lacking.tar"
    with tarfile.open(workshop.whole) as archive:
        begin = archive.getmember("wheels/pip-99.0-py3-none-any.whl").offset
        end = archive.getmember("requirements.txt").offset
    data = workshop.whole.read_bytes()
    lacking.write_bytes(data[:begin] + data[end:])
    assert main(["complete", str(lacking), "--debs", str(workshop.debs)]) == 1
    assert "doesn't hold wheels/pip" in capsys.readouterr().err


def test_conditions_of_the_lock_are_judged_for_the_board():
    text = LOCK.format(zero="0" * 64, av_pi="1" * 64, av_pc="2" * 64)
    assert [(one.name, one.version) for one in locked(text, PI)] == [("av", "19.0.2")]
    with pytest.raises(ReleaseRefused, match="no digest"):
        locked("av==19.0.2\n", PI)
    with pytest.raises(ReleaseRefused, match="no version"):
        locked("av>=19 --hash=sha256:" + "0" * 64, PI)


def test_the_real_locks_have_each_package_once_for_each_board():
    for board in (PI, PC):
        wanted = Checkout(root=ROOT).requirements(board, ["replay"])
        names = [one.name for one in wanted]
        assert len(set(names)) == len(names)
        assert {"av", "aiortc", "cryptography", "numpy", "pillow", "pip"} <= set(names)


def test_a_wheels_name_keeps_one_platform_that_the_board_has():
    assert short_name(f"x-1-cp313-cp313-{LONG}.whl", PI).count("manylinux") == 1
    assert short_name("x-1-py3-none-any.whl", PC) == "x-1-py3-none-any.whl"
    with pytest.raises(ReleaseRefused, match="x86_64"):
        short_name(f"x-1-cp313-cp313-{LONG}.whl", PC)


needs_apt = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("apt-get", "dpkg-deb")), reason="apt isn't installed"
)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A sources.list that leads to an archive of two packages, one of which needs two others."""
    repository = tmp_path / "archive"
    repository.mkdir()
    told = []
    for name, needs in (("lib-small", ""), ("lib-large", "Depends: lib-small, lib-there\n")):
        control = (
            f"Package: {name}\nVersion: 1:2.0-1\nArchitecture: arm64\nMaintainer: A <a@b.example>\n"
            f"{needs}Description: small\n"
        )
        (tmp_path / name / "DEBIAN").mkdir(parents=True)
        (tmp_path / name / "DEBIAN" / "control").write_text(control)
        deb = repository / f"{name}_2.0-1_arm64.deb"
        run("dpkg-deb", "--root-owner-group", "--build", tmp_path / name, deb)
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        size = deb.stat().st_size
        told.append(f"{control}Filename: ./{deb.name}\nSize: {size}\nSHA256: {digest}\n")
    (repository / "Packages").write_text("\n".join(told))
    sources = tmp_path / "sources.list"
    sources.write_text(f"deb [trusted=yes] copy:{repository} ./\n")
    return sources


THERE = b"""Package: lib-there
Status: install ok installed
Architecture: arm64
Maintainer: A <a@b.example>
Version: 1
Description: there already
"""


@needs_apt
def test_packages_are_fetched_with_what_the_base_image_lacks_and_others_are_named(
    archive: Path, tmp_path: Path
):
    missing = fetch_debs(
        ["python3-picamera2", "lib-large"],
        tmp_path / "debs",
        target="aarch64-cp313",
        status=THERE,
        sources=archive,
    )
    assert missing == ["python3-picamera2"]
    found = carried_debs(tmp_path / "debs")
    assert [package for package, _ in found.values()] == [
        DebianPackage(name=name, version="1:2.0-1", file=f"debs/{name}_1%3a2.0-1_arm64.deb")
        for name in ("lib-large", "lib-small")
    ]


@needs_apt
def test_an_archive_that_doesnt_answer_is_told_in_a_sentence(tmp_path: Path):
    sources = tmp_path / "sources.list"
    sources.write_text(f"deb [trusted=yes] copy:{tmp_path}/none ./\n")
    with pytest.raises(ReleaseRefused, match="apt-get failed"):
        fetch_debs(["x-y"], tmp_path, target="aarch64-cp313", status=b"", sources=sources)


@pytest.mark.skipif(
    not all(shutil.which(tool, path="/usr/sbin:/sbin") for tool in ("mkfs.ext4", "debugfs")),
    reason="e2fsprogs isn't installed",
)
def test_what_an_image_has_installed_is_read_without_mounting_it(tmp_path: Path):
    image, root = tmp_path / "base.img", tmp_path / "root"
    (root / "var/lib/dpkg").mkdir(parents=True)
    (root / "var/lib/dpkg/status").write_bytes(THERE)
    with image.open("wb") as file:
        file.truncate(9 * 1024 * 1024)
        file.seek(446)
        file.write(bytes(4) + b"\x83" + bytes(3) + (2048).to_bytes(4, "little"))
        file.write((16_384).to_bytes(4, "little"))
        file.seek(510)
        file.write(b"\x55\xaa")
    options = ("-q", "-d", root, "-E", "offset=1048576")
    subprocess.run(["/usr/sbin/mkfs.ext4", *options, image, "8M"], check=True)
    assert status_of(image) == THERE
