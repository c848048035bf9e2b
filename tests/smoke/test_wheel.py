"""What a wheel holds: all that is in the checkout, and what `npm run vendor` made there."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from relay.verify.saved_page import SAVED_PAGE
from tests.house.documents import tracked_files
from tests.smoke.test_extras import ROOT, environment, uv

PACKAGES = ("firmware", "relay", "provisioning")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build one as `python -m build` does, by way of what is published as source."""
    if not SAVED_PAGE.exists():
        pytest.skip("the pages aren't built: `npm ci` and `npm run vendor`")
    folder = tmp_path_factory.mktemp("built")
    build("sdist", ROOT, folder)
    (source,) = folder.glob("*.tar.gz")
    subprocess.run(["tar", "xf", source, "-C", folder], check=True)
    build("wheel", folder / source.name.removesuffix(".tar.gz"), folder)
    (made,) = folder.glob("*.whl")
    return made


def build(what: str, root: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", what, "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)


def test_a_wheel_holds_every_file_of_the_packages(wheel: Path):
    tracked = {path.relative_to(ROOT).as_posix() for path in tracked_files()}
    wanted = {name for name in tracked if name.startswith(tuple(f"{p}/" for p in PACKAGES))}
    made = [*ROOT.glob("relay/*/vendor/**/*"), *ROOT.glob("relay/*/*/vendor/**/*")]
    wanted |= {path.relative_to(ROOT).as_posix() for path in made if path.is_file()}
    wanted |= {"relay/owner_app/sw.js", "firmware/panel/pins.toml"}
    assert wanted - set(zipfile.ZipFile(wheel).namelist()) == set()


@pytest.mark.slow
def test_who_installs_only_the_verifier_can_save_its_page(wheel: Path, tmp_path: Path):
    python = environment(tmp_path / "env", "verify")
    install = [uv(), "pip", "install", "-q", "--python", python, "--no-deps", "--offline", wheel]
    subprocess.run(install, check=True, cwd=tmp_path)
    page = tmp_path / "verify.html"
    command = [python.parent / "doorward-verify", "--page", page]
    subprocess.run(command, check=True, cwd=tmp_path)
    assert page.read_bytes() == SAVED_PAGE.read_bytes()
