"""Step "install": the bundle's version in a folder of its own, made beside, then put in place.

A virtual environment without pip, filled offline by the pip of the bundle, by digest; then the
Debian packages; then one link, `current`, is turned. A version that is there already only costs the
turn. Nothing that runs is changed in place.
"""

import logging
from collections.abc import Iterator
from pathlib import Path

from provisioning.first_boot.bundle import Bundle, BundleRefused, files_of, open_bundle, read_note
from provisioning.first_boot.bundle_check import BundleCheck, is_installed
from provisioning.first_boot.debian import install_packages
from provisioning.first_boot.errors import StepFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.notices import Notices
from provisioning.first_boot.places import BUNDLE, CURRENT, INSTALLED, VERSIONS

UNPACKED = f"{INSTALLED}/unpacked"
PIP_S, COMPILE_S = 1800.0, 1800.0
NEVER_IMPORTED = r"/tests?/|/site-packages/(relay|setuptools)/"
"""A third of all code isn't compiled: packages' own tests, the relay, what only builds packages."""
SHEBANG = b"#!"
NOTE = "bundle.note"


log = logging.getLogger("doorward.first_boot")


class Install:
    """The step."""

    name = "install"

    def __init__(self, check: BundleCheck, notices: Notices, *, needs_picamera: bool) -> None:
        self._check = check
        self._notices = notices
        self._needs_picamera = needs_picamera
        self._unpacked = b""

    def is_done(self, host: Host) -> bool:
        """Return whether the card's bundle is what `current` leads to."""
        return is_installed(host)

    def do(self, host: Host) -> None:
        """Install it, unless its folder is there, and turn the link."""
        bundle = self._check.bundle
        if bundle is None:
            raise StepFailed("bundle_missing", "no bundle was verified", will_retry=False)
        final = f"{VERSIONS}/{bundle.version}"
        staged = f"{VERSIONS}/.{bundle.version}.new"
        if host.read(f"{final}/{NOTE}") != bundle.note:
            _check_not_current(host, bundle)
            host.remove_tree(staged)
            if self._unpacked != bundle.note:  # not once more while it waits for packages
                host.remove_tree(UNPACKED)
                _unpack(host, bundle)
                self._unpacked = bundle.note
                log.info("the bundle is unpacked")
            missing = install_packages(host, bundle.debian, UNPACKED)
            self._report(missing)
            _make_environment(host, staged, final)
            log.info("the programs are compiled")
            host.write(f"{staged}/{NOTE}", bundle.note)
            host.run("sync")
            host.remove_tree(final)
            host.rename(staged, final)
        self._unpacked = b""
        host.remove_tree(UNPACKED)
        host.link(CURRENT, f"versions/{bundle.version}")

    def _report(self, missing: list[str]) -> None:
        if not missing:
            self._notices.remove("packages_missing")
            return
        names = ", ".join(missing)
        if self._needs_picamera and "python3-picamera2" in missing:
            raise StepFailed(
                "packages_missing", f"the camera needs Debian packages: {names}", will_retry=True
            )
        self._notices.add("packages_missing", names)


def _check_not_current(host: Host, bundle: Bundle) -> None:
    """Refuse to replace the version that runs by another one of its name."""
    final = host.path(f"{VERSIONS}/{bundle.version}")
    current = host.path(CURRENT)
    if current.is_symlink() and Path(current.readlink()).name == final.name and final.exists():
        raise StepFailed(
            "bundle_same_version",
            f"another bundle of version {bundle.version} is installed already",
            will_retry=False,
        )


def _unpack(host: Host, bundle: Bundle) -> None:
    """Write the bundle's files; every digest is compared once more on the way."""
    folder = host.path(UNPACKED)
    try:
        with open_bundle(host, BUNDLE) as archive:
            if read_note(archive) != bundle.note:
                raise BundleRefused("bundle_damaged", "it was changed while it was installed")
            for file, content in files_of(archive, bundle):
                path = folder / file.name
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as target:
                    for piece in content:
                        target.write(piece)
    except BundleRefused as error:
        raise StepFailed(error.code, str(error), will_retry=True) from error


def _make_environment(host: Host, staged: str, final: str) -> None:
    folder, unpacked = host.path(staged), host.path(UNPACKED)
    python = str(folder / "bin/python")
    pip = next(iter(sorted((unpacked / "wheels").glob("pip-*.whl"))), None)
    if pip is None:
        raise StepFailed("bundle_damaged", "the bundle has no pip", will_retry=False)
    host.run(
        "/usr/bin/python3", "-I", "-m", "venv", "--without-pip", "--system-site-packages",
        "--symlinks", str(folder),
    )  # fmt: skip
    host.run(
        python, "-I", str(pip / "pip"), "install", "--isolated", "--no-index", "--no-deps",
        "--require-hashes", "--ignore-installed", "--no-compile", "--no-cache-dir", "--no-input",
        "--disable-pip-version-check", "--find-links", str(unpacked / "wheels"), "--requirement",
        str(unpacked / "requirements.txt"), timeout_s=PIP_S,
    )  # fmt: skip
    log.info("the programs are installed")
    _name_final_place(folder, str(folder).encode(), str(host.path(final)).encode())
    host.run(
        python, "-I", "-m", "compileall", "-q", "-j", "0", "-x", NEVER_IMPORTED, "-s", str(folder),
        "-p", final, str(folder / "lib"), timeout_s=COMPILE_S,
    )  # fmt: skip


def _name_final_place(folder: Path, staged: bytes, final: bytes) -> None:
    """Let the commands name the folder where they will be; remove what is for people's shells."""
    for path in _commands(folder):
        if path.name.lower().startswith("activate"):
            path.unlink()
            continue
        data = path.read_bytes()
        if data.startswith(SHEBANG + staged):
            mode = path.stat().st_mode
            path.write_bytes(SHEBANG + final + data[len(SHEBANG + staged) :])
            path.chmod(mode)


def _commands(folder: Path) -> Iterator[Path]:
    return (path for path in sorted((folder / "bin").iterdir()) if not path.is_symlink())
