"""Debian packages that a base image lacks: fetched by apt from the archives that answer here.

apt works in a folder of its own, for the board's architecture, on the base image's list of what is
installed; it checks the archives' signatures as it does for this machine. What no archive has is
named: python3-picamera2 is in Raspberry Pi's archive only.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from provisioning.block_file import BlockFile
from provisioning.errors import ReleaseRefused
from provisioning.partitions import read_partitions
from provisioning.release.bundle import DEBS, DebianPackage, Target

ARCHITECTURES: dict[Target, str] = {"aarch64-cp313": "arm64", "x86_64-cp313": "amd64"}
STATUS = "/var/lib/dpkg/status"
APT_S = 900.0
_DEB = re.compile(r"^([a-z0-9][a-z0-9+.-]+)_([A-Za-z0-9.+~%-]+)_(?:all|arm64|amd64)\.deb$")


def fetch_debs(
    packages: Sequence[str],
    folder: Path,
    *,
    target: Target,
    status: bytes,
    sources: Path | None = None,
) -> list[str]:
    """Fetch packages, and what they need beyond `status`, into a folder; return who isn't anywhere.

    `sources` is a sources.list; this machine's own by itself. Raises ReleaseRefused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        apt = _Apt(Path(made), architecture=ARCHITECTURES[target], sources=sources)
        apt.status.write_bytes(status)
        apt.run("apt-get", "update")
        known = [name for name in packages if apt.has(name)]
        if known:
            options = ("--yes", "--download-only", "--no-install-recommends")
            apt.run("apt-get", "install", *options, *known)
        for deb in apt.archives.glob("*.deb"):
            (folder / deb.name).write_bytes(deb.read_bytes())
    return [name for name in packages if name not in known]


def status_of(base: Path) -> bytes:
    """Return what is installed in an unpacked image's root partition (ext4), by debugfs."""
    with BlockFile(base) as blocks:
        roots = [one for one in read_partitions(blocks) if not one.may_be_fat32]
    if not roots:
        raise ReleaseRefused(f"{base} has no root partition; give an unpacked .img")
    place = f"{base.resolve()}?offset={roots[0].start}"
    data = _output(["debugfs", "-R", f"cat {STATUS}", place], dict(os.environ))
    if not data.startswith(b"Package: "):
        raise ReleaseRefused(f"{base} has no {STATUS}; is it an unpacked image of Debian's kind?")
    return data


def carried_debs(folder: Path) -> dict[str, tuple[DebianPackage, Path]]:
    """Return a folder's packages by the names that they have in a bundle; raise ReleaseRefused."""
    found = {}
    for path in sorted(folder.glob("*.deb")):
        matched = _DEB.match(path.name)
        if matched is None:
            raise ReleaseRefused(f"{path.name} isn't named as Debian's packages are")
        name, version = matched.groups()
        file = f"{DEBS}/{path.name}"
        package = DebianPackage(name=name, version=version.replace("%3a", ":"), file=file)
        found[file] = (package, path)
    return found


class _Apt:
    """apt with folders of its own."""

    def __init__(self, folder: Path, *, architecture: str, sources: Path | None) -> None:
        state, cache = folder / "state", folder / "cache"
        self.status = state / "status"
        self.archives = cache / "archives"
        for made in (state / "lists" / "partial", self.archives / "partial"):
            made.mkdir(parents=True)
        self._options = [
            f"APT::Architecture={architecture}",
            f"APT::Architectures::={architecture}",
            f"Dir::State={state}",
            f"Dir::State::status={self.status}",
            f"Dir::Cache={cache}",
            "APT::Sandbox::User=root",
            "Debug::NoLocking=1",
        ]
        if sources is not None:
            self._options += [
                f"Dir::Etc::SourceList={sources.resolve()}",
                "Dir::Etc::SourceParts=-",
            ]

    def run(self, program: str, *words: str) -> bytes:
        """Run one of apt's programs; raise ReleaseRefused."""
        options = [word for option in self._options for word in ("-o", option)]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
        return _output([program, "-q", *options, *words], environment)

    def has(self, name: str) -> bool:
        """Return whether an archive that answered has a package."""
        told = self.run("apt-cache", "policy", name)
        return bool(told.strip()) and b"Candidate: (none)" not in told


def _output(command: Sequence[str], environment: dict[str, str]) -> bytes:
    try:
        done = subprocess.run(
            command, check=True, capture_output=True, env=environment, timeout=APT_S
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise ReleaseRefused(
            f"{command[0]} failed: {said[-1] if said else 'it is silent'}"
        ) from error
    except (OSError, subprocess.SubprocessError) as error:
        raise ReleaseRefused(f"{command[0]} doesn't work here: {error}") from error
    return done.stdout
