"""Installing for real: openssl, Python's venv, the pip of a bundle, offline and by digest."""

import base64
import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from provisioning.first_boot.bundle_check import BundleCheck, machine_target
from provisioning.first_boot.errors import CommandFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.install import Install
from provisioning.first_boot.notices import Notices
from provisioning.release.first_boot_zip import pack_first_boot
from tests.provisioning.first_boot_cards import bundle_of, signers_file, write_card

PYTHON = "/usr/bin/python3"
BELL = "bell-1.0-py3-none-any.whl"


def system_target() -> str:
    code = "from provisioning.first_boot.bundle_check import machine_target as t; print(t())"
    done = subprocess.run(
        [PYTHON, "-B", "-c", code], capture_output=True, check=True, text=True, cwd=ROOT
    )
    return done.stdout.strip()


ROOT = Path(__file__).resolve().parents[2]


def wheel_of(name: str, version: str, files: dict[str, str], entry: str) -> bytes:
    """Return a small wheel with one command."""
    info = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{entry}\n",
    }
    rows = []
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in contents.items():
            archive.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            rows.append(f"{path},sha256={digest.decode().rstrip('=')},{len(text)}")
        archive.writestr(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,", ""]))
    return packed.getvalue()


@pytest.fixture(scope="session")
def pip_wheel(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The pip that Python itself carries."""
    import ensurepip

    found = sorted((Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"))
    if not found:
        pytest.skip("this Python carries no pip")
    return found[-1].read_bytes()


def files_of(pip_wheel: bytes, *, digest: str | None = None) -> dict[str, bytes]:
    bell = wheel_of(
        "bell",
        "1.0",
        {
            "bell.py": "def ring():\n    print('ding')\n",
            "provisioning/systemd/x.service": "[Unit]\n",
        },
        "ring = bell:ring",
    )
    digest = digest or hashlib.sha256(bell).hexdigest()
    return {
        "wheels/pip-99.0-py3-none-any.whl": pip_wheel,
        f"wheels/{BELL}": bell,
        "requirements.txt": f"bell==1.0 --hash=sha256:{digest}\n".encode(),
    }


def install(root: Path, files: dict[str, bytes], **changed: object) -> None:
    target = system_target()
    write_card(
        root,
        {
            "doorward/bundle.tar": bundle_of(files, target=target, **changed),
            "doorward/signers.txt": signers_file(),
        },
    )
    host, check = Host(root), BundleCheck(target)
    step = Install(check, Notices(), needs_picamera=False)
    check.do(host)
    assert not step.is_done(host)
    step.do(host)
    assert step.is_done(host)


def test_installs_offline_and_its_commands_run_where_they_were_put(
    tmp_path: Path, pip_wheel: bytes
):
    install(tmp_path, files_of(pip_wheel))
    current = tmp_path / "opt/doorward/current"
    done = subprocess.run([current / "bin/ring"], capture_output=True, check=True, text=True)
    assert done.stdout == "ding\n"
    assert [path.name for path in (tmp_path / "opt/doorward/versions").iterdir()] == ["0.2.0"]
    assert list(current.glob("lib/python3*/site-packages/__pycache__/bell.*.pyc"))
    assert not list(current.glob("lib/python3*/site-packages/pip"))


def test_pip_refuses_a_requirement_without_a_digest(tmp_path: Path, pip_wheel: bytes):
    files = {**files_of(pip_wheel), "requirements.txt": b"bell==1.0\n"}
    with pytest.raises(CommandFailed, match="requirements along with the hashes"):
        install(tmp_path, files)


def test_pip_refuses_a_wheel_of_another_digest(tmp_path: Path, pip_wheel: bytes):
    with pytest.raises(CommandFailed, match="Expected sha256"):
        install(tmp_path, files_of(pip_wheel, digest="0" * 64))
    assert not (tmp_path / "opt/doorward/current").exists()


def test_the_packed_program_runs_by_the_standard_library_alone(tmp_path: Path):
    path = tmp_path / "first-boot.pyz"
    path.write_bytes(pack_first_boot())
    modules = sorted(path.stem for path in (ROOT / "provisioning/first_boot").glob("*.py"))
    code = (
        "import importlib, sys; sys.path.insert(0, sys.argv[1])\n"
        "for name in sys.argv[2:]: importlib.import_module('provisioning.first_boot.' + name)\n"
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, path, *modules],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(done.stdout.split()) <= {"__main__", "provisioning"}
    assert path.read_bytes() == pack_first_boot()


def test_the_target_is_the_systems_own():
    assert machine_target() == (
        f"{__import__('platform').machine()}-cp{sys.version_info.major}{sys.version_info.minor}"
    )
