"""The wheels of a bundle: Doorward's own, and every locked one for the board's Python.

Run from a checkout, with what `make setup` installs: pip fetches and builds. What is fetched has to
have a digest of `requirements/`; which lines count is judged for the board, not for this machine.
What may be handed on, and what isn't, is docs/decisions/0076-what-a-bundle-carries.md.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from provisioning.errors import ReleaseRefused
from provisioning.release.bundle import WHEELS, BundleFile, DebianPackage, Target, sha256_of

PYTHON = "3.13"
GLIBC_MINORS = range(41, 4, -1)
"""Trixie's glibc is 2.41; wheels for 2.5 and later run there."""
PIP = "pip"
COMMAND_S = 1800.0
_REQUIREMENT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)\s*(?:;\s*(.+?))?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """What a target's system is, and which of its packages the doorbell needs."""

    machine: str
    debian: tuple[DebianPackage, ...] = ()

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags of wheels that it runs."""
        glibc = [f"manylinux_2_{minor}_{self.machine}" for minor in GLIBC_MINORS]
        return (*glibc, f"manylinux2014_{self.machine}", f"linux_{self.machine}")


BOARDS: dict[Target, Board] = {
    "aarch64-cp313": Board(
        machine="aarch64",
        debian=tuple(
            DebianPackage(name=name, version="any", file=None)
            for name in ("python3-picamera2", "python3-numpy")
        ),
    ),
    "x86_64-cp313": Board(machine="x86_64"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One locked line: a name, the one version, and the digests that it may have."""

    name: str
    version: str
    digests: frozenset[str]

    @property
    def line(self) -> str:
        """The line as pip reads it."""
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in sorted(self.digests))
        return f"{self.name}=={self.version} {hashes}\n"


def locked(text: str, board: Board) -> list[Requirement]:
    """Return the requirements of a lock file that count for a board; raise ReleaseRefused."""
    from packaging.markers import InvalidMarker, Marker

    environment = {
        "implementation_name": "cpython",
        "implementation_version": f"{PYTHON}.0",
        "os_name": "posix",
        "platform_machine": board.machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{PYTHON}.0",
        "python_version": PYTHON,
        "sys_platform": "linux",
        "extra": "",
    }
    found = []
    for line in _logical_lines(text):
        wanted, _, options = line.partition(" --hash=")
        matched = _REQUIREMENT.match(wanted.strip())
        digests = _HASH.findall("--hash=" + options)
        if matched is None or not digests:
            raise ReleaseRefused(f"this line of the lock has no version or no digest: {wanted}")
        name, version, marker = matched.groups()
        try:
            counts = marker is None or Marker(marker).evaluate(environment)
        except InvalidMarker as error:
            raise ReleaseRefused(f"{name}: the lock's condition isn't understood") from error
        if counts:
            found.append(Requirement(name=name, version=version, digests=frozenset(digests)))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """This repository, as the wheels are made from it."""

    root: Path

    @property
    def version(self) -> str:
        """Doorward's version."""
        project = tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))["project"]
        return str(project["version"])

    def made_ms(self) -> int:
        """Return when its last change was committed, or SOURCE_DATE_EPOCH: no clock is read."""
        told = os.environ.get("SOURCE_DATE_EPOCH")
        if told is None:
            told = run(["git", "-C", str(self.root), "log", "-1", "--format=%ct"]).decode()
        if not told.strip().isdigit():
            raise ReleaseRefused("SOURCE_DATE_EPOCH has to be a number of seconds")
        return int(told) * 1000

    def requirements(
        self, board: Board, extras: Sequence[str], *, of: str = "firmware"
    ) -> list[Requirement]:
        """Return what a doorbell (or `of` what else) needs besides Doorward itself, and pip."""
        wanted = self._locked(of, board)
        if extras:
            of_all = {one.name: one for one in self._locked("dev", board)}
            for name in self._packages_of(extras):
                if name not in of_all:
                    raise ReleaseRefused(f"requirements/dev.txt doesn't lock {name}")
                wanted.append(of_all[name])
        (pip,) = [one for one in self._locked("dev", board) if one.name == PIP]
        by_name = {one.name: one for one in [*wanted, pip]}
        return [by_name[name] for name in sorted(by_name)]

    def build(self, folder: Path) -> Path:
        """Build Doorward's own wheel into a folder, and return it."""
        options = ("--quiet", "--no-deps", "--no-build-isolation")
        run(
            pip_command("wheel", *options, "--wheel-dir", str(folder), str(self.root)),
            environment={"SOURCE_DATE_EPOCH": str(self.made_ms() // 1000)},
        )
        (wheel,) = folder.glob("doorward-*.whl")
        return wheel

    def _locked(self, name: str, board: Board) -> list[Requirement]:
        path = self.root / "requirements" / f"{name}.txt"
        try:
            return locked(path.read_text("utf-8"), board)
        except OSError as error:
            raise ReleaseRefused(f"{path} can't be read: {error.strerror}") from error

    def _packages_of(self, extras: Sequence[str]) -> Iterator[str]:
        """Yield the packages that extras name; what those need isn't looked for."""
        project = tomllib.loads((self.root / "pyproject.toml").read_text("utf-8"))["project"]
        known = project["optional-dependencies"]
        for extra in extras:
            if extra not in known:
                raise ReleaseRefused(f"there is no extra {extra}; there are {', '.join(known)}")
            for line in known[extra]:
                yield re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower()


def fetch_wheels(requirements: Sequence[Requirement], board: Board, folder: Path) -> list[Path]:
    """Fetch a board's wheels into a folder by pip, held to their digests; raise ReleaseRefused."""
    with tempfile.TemporaryDirectory() as made:
        lock = Path(made) / "requirements.txt"
        lock.write_text("".join(one.line for one in requirements), "utf-8")
        run(
            pip_command("download", "--no-deps", "--require-hashes", "--only-binary", ":all:")
            + platform_options(board)
            + ["--dest", str(folder), "--requirement", str(lock)],
            is_shown=True,
        )
    for wheel in folder.glob("*.whl"):
        wheel.rename(wheel.with_name(short_name(wheel.name, board)))
    return sorted(folder.glob("*.whl"))


def build_wheels(requirements: Sequence[Requirement], folder: Path) -> list[Path]:
    """Build wheels for any board of locked sources, for what is published without a wheel."""
    with tempfile.TemporaryDirectory() as made:
        lock = Path(made) / "requirements.txt"
        lock.write_text("".join(one.line for one in requirements), "utf-8")
        options = ("--quiet", "--no-deps", "--require-hashes", "--no-build-isolation")
        run(pip_command("wheel", *options, "--wheel-dir", made, "--requirement", str(lock)))
        built = sorted(Path(made).glob("*.whl"))
        for wheel in built:
            if not wheel.name.endswith("-none-any.whl"):
                raise ReleaseRefused(f"{wheel.name} was built for this machine alone")
        return [Path(shutil.move(wheel, folder)) for wheel in built]


def platform_options(board: Board) -> list[str]:
    """Return pip's options for a board's Python instead of this one's."""
    platforms = [word for platform in board.platforms for word in ("--platform", platform)]
    return ["--python-version", PYTHON, "--implementation", "cp", "--abi", "cp313", *platforms]


def short_name(wheel: str, board: Board) -> str:
    """Return a wheel's name with one platform, the first that is the board's (ustar has 100 bytes).

    Source: PyPA's binary distribution format, "Compressed tag sets".
    """
    head, _, platforms = wheel.removesuffix(".whl").rpartition("-")
    fitting = [one for one in platforms.split(".") if one in ("any", *board.platforms)]
    if not fitting:
        raise ReleaseRefused(f"{wheel} isn't for {board.machine}")
    return f"{head}-{fitting[0]}.whl"


def wheel_requirement(file: BundleFile) -> Requirement:
    """Return the one line by which pip fetches a wheel of a signed list, and no other."""
    name, version = file.name.removeprefix(f"{WHEELS}/").split("-")[:2]
    return Requirement(name=name, version=version, digests=frozenset({file.sha256}))


def requirements_text(wheels: Sequence[Path]) -> str:
    """Return what `pip install --require-hashes --no-index` reads: these files and no others.

    The pip that installs them runs from its wheel, and isn't installed itself.
    """
    lines = []
    for wheel in sorted(wheels):
        name, version = wheel.name.split("-")[:2]
        if name == PIP:
            continue
        lines.append(f"{name}=={version} --hash=sha256:{sha256_of(wheel)}\n")
    return "".join(lines)


def _logical_lines(text: str) -> Iterator[str]:
    line = ""
    for piece in text.splitlines():
        if piece.lstrip().startswith("#") or not piece.strip():
            continue
        line += " " + piece.strip().removesuffix("\\")
        if not piece.rstrip().endswith("\\"):
            yield line.strip()
            line = ""
    if line:
        yield line.strip()


def pip_command(*words: str) -> list[str]:
    """Return this Python's pip, as a command."""
    return [sys.executable, "-m", "pip", *words, "--disable-pip-version-check"]


def run(
    command: Sequence[str], *, environment: Mapping[str, str] | None = None, is_shown: bool = False
) -> bytes:
    """Run a program to its end and return what it printed; raise ReleaseRefused."""
    if shutil.which(command[0]) is None:
        raise ReleaseRefused(f"{command[0]} isn't installed here")
    try:
        done = subprocess.run(
            command,
            check=True,
            stdout=2 if is_shown else subprocess.PIPE,  # stderr: what is printed is the result
            stderr=None if is_shown else subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            timeout=COMMAND_S,
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        why = said[-1] if said else "see above"
        raise ReleaseRefused(f"{' '.join(command[:4])} failed: {why}") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise ReleaseRefused(f"{command[0]} failed: {error}") from error
    return done.stdout or b""
