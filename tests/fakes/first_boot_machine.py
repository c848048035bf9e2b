"""A machine that is being set up: a folder as its root, its programs by what they do to files.

Implements `provisioning.first_boot.host.Host`. Its power can be cut:
`cut_at` counts the moments before and after each command and each durable change.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from provisioning.first_boot.board import MODEL
from provisioning.first_boot.errors import CommandFailed
from provisioning.first_boot.host import Host
from provisioning.first_boot.places import ENROLMENT, STATE
from tests.provisioning.first_boot_cards import UNITS

ADDRESS = "192.168.1.23"
UPDATE_ERROR = "Temporary failure resolving 'deb.debian.org'"


class PowerCut(BaseException):
    """The power went; nothing of the program goes on."""


@dataclass(kw_only=True)
class World:
    """What is around the machine, and stays when its power goes."""

    address: str | None = ADDRESS
    is_authorised: bool = True
    scan: tuple[str, ...] = ("Home",)
    country: str = "SE"
    enrol_answer: str | None = None
    """What `doorward-firmware enrol` prints when it fails; None: it works."""
    installed: set[str] = field(default_factory=set)
    archive: set[str] = field(default_factory=set)
    """The Debian packages that Debian's archive has; it doesn't answer without any."""
    is_synchronised: bool = True
    now_ms: int = 1_800_000_000_000
    slept_s: float = 0.0
    enrolled: list[str] = field(default_factory=list)
    """The claims that were used."""
    started: list[str] = field(default_factory=list)


class WorldTimer:
    """The world's time; implements `Timer`. `patience_s` ends a program that waits for a person."""

    def __init__(self, world: World, *, patience_s: float = 600.0) -> None:
        self._world = world
        self._patience_s = patience_s

    def wall_ms(self) -> int:
        return self._world.now_ms

    def sleep(self, seconds: float) -> None:
        self._world.now_ms += int(seconds * 1000)
        self._world.slept_s += seconds
        if self._world.slept_s > self._patience_s:
            raise PowerCut


class Machine(Host):
    """The machine; make another one over the same root and world for the next boot."""

    def __init__(self, root: Path, world: World, *, cut_at: int | None = None) -> None:
        super().__init__(root)
        self.world = world
        self.commands: list[tuple[str, ...]] = []
        self.moments = 0
        self.write_error: int | None = None
        """What the kernel answers to every write of a file; None: it takes it."""
        self._cut_at = cut_at

    def run(
        self,
        *argv: str,
        stdin: bytes | None = None,  # noqa: ARG002
        timeout_s: float = 300.0,  # noqa: ARG002
    ) -> bytes:
        with self._power():
            self.commands.append(argv)
            name = Path(argv[0]).name.replace("-", "_")
            handler = getattr(self, f"_{name}", None)
            if handler is None:
                raise CommandFailed(argv[0], "there is no such program")
            return handler(*argv[1:]) or b""

    def write(self, absolute: str, data: bytes, mode: int = 0o644) -> None:
        with self._power():
            if self.write_error is not None:
                raise OSError(self.write_error, os.strerror(self.write_error))
            super().write(absolute, data, mode)

    def remove(self, absolute: str) -> None:
        with self._power():
            super().remove(absolute)

    def remove_tree(self, absolute: str) -> None:
        with self._power():
            super().remove_tree(absolute)

    def rename(self, absolute: str, to: str) -> None:
        with self._power():
            super().rename(absolute, to)

    def link(self, absolute: str, target: str) -> None:
        with self._power():
            super().link(absolute, target)

    @contextmanager
    def _power(self) -> Iterator[None]:
        self._moment()
        yield
        self._moment()

    def _moment(self) -> None:
        self.moments += 1
        if self.moments == self._cut_at:
            raise PowerCut

    def _openssl(self, *argv: str) -> None:
        """Be `pkeyutl -verify`, at a hundredth of the cost."""
        given = {name: Path(argv[argv.index(name) + 1]) for name in ("-inkey", "-in", "-sigfile")}
        key = load_pem_public_key(given["-inkey"].read_bytes())
        assert isinstance(key, Ed25519PublicKey)
        try:
            key.verify(given["-sigfile"].read_bytes(), given["-in"].read_bytes())
        except InvalidSignature as error:
            raise CommandFailed("openssl", "Signature Verification Failure") from error

    def _ip(self, *_argv: str) -> bytes:
        address = self.world.address
        parts = [{"family": "inet", "local": address}] if address else []
        return json.dumps([{"ifname": "wlan0", "addr_info": parts}]).encode()

    def _iw(self, *argv: str) -> bytes:
        if argv[:2] == ("reg", "get"):
            return f"global\ncountry {self.world.country}: DFS-ETSI\n\n".encode()
        if argv[-2:] == ("station", "dump"):
            return f"\tauthorized:\t{'yes' if self.world.is_authorised else 'no'}\n".encode()
        if argv[-1] == "scan":
            return "".join(f"BSS 02:00\n\tSSID: {ssid}\n" for ssid in self.world.scan).encode()
        return b""

    def _netplan(self, *argv: str) -> None:
        assert argv == ("apply",)

    def _rfkill(self, *argv: str) -> None:
        pass

    def _hostname(self, *argv: str) -> None:
        pass

    def _sync(self, *argv: str) -> None:
        pass

    def _chown(self, *argv: str) -> None:
        pass

    def _date(self, *argv: str) -> None:
        self.world.now_ms = int(argv[-1].removeprefix("--set=@")) * 1000

    def _timedatectl(self, *_argv: str) -> bytes:
        return b"yes\n" if self.world.is_synchronised else b"no\n"

    def _groupadd(self, *argv: str) -> None:
        self._append("/etc/group", f"{argv[-1]}:x:900:\n")

    def _useradd(self, *argv: str) -> None:
        self._append("/etc/passwd", f"{argv[-1]}:x:900:900::/var/lib/doorward:/usr/sbin/nologin\n")
        if "--create-home" in argv:
            self.path(f"/home/{argv[-1]}").mkdir(parents=True)

    def _usermod(self, *argv: str) -> None:
        groups, user = argv[-2].split(","), argv[-1]
        path = self.path("/etc/group")
        lines = [line.split(":") for line in path.read_text().splitlines()]
        for line in lines:
            members = [member for member in line[3].split(",") if member]
            if line[0] in groups and user not in members:
                line[3] = ",".join([*members, user])
        path.write_text("".join(":".join(line) + "\n" for line in lines))

    def _install(self, *argv: str) -> None:
        self.path(argv[-1]).mkdir(parents=True, exist_ok=True)

    def _chmod(self, *argv: str) -> None:
        assert self.path(argv[-1]).exists()

    def _python3(self, *argv: str) -> None:
        """Make a virtual environment."""
        assert argv[:3] == ("-I", "-m", "venv")
        folder = Path(argv[-1])
        (folder / "bin").mkdir(parents=True)
        (folder / "bin/activate").write_text(f"VIRTUAL_ENV={folder}\n")
        (folder / "bin/python").symlink_to("/usr/bin/python3")

    def _python(self, *argv: str) -> None:
        """Be the environment's Python: pip, or compileall."""
        if "compileall" in argv:
            return
        unpacked = Path(argv[-1]).parent
        environment = next(self.path("/opt/doorward/versions").glob(".*.new"))
        command = environment / "bin/doorward-firmware"
        command.write_text(f"#!{environment}/bin/python\n{_names(unpacked)}\n")
        command.chmod(0o755)
        units = environment / "lib/python3.13/site-packages/provisioning/systemd"
        shutil.copytree(UNITS, units)

    def _dpkg(self, *argv: str) -> None:
        for name in argv:
            if name.endswith(".deb"):
                self.world.installed.add(Path(name).name.partition("_")[0])

    def _dpkg_query(self, *argv: str) -> bytes:
        if argv[-1] not in self.world.installed:
            raise CommandFailed("dpkg-query", f"no packages found matching {argv[-1]}")
        return b"installed"

    def _env(self, *argv: str) -> None:
        """Be apt-get."""
        if not self.world.archive:
            raise CommandFailed("env", UPDATE_ERROR)
        if "install" in argv:
            names = argv[argv.index("--no-install-recommends") + 1 :]
            self.world.installed.update(set(names) & self.world.archive)
            if not set(names) <= self.world.archive:
                raise CommandFailed("env", "Unable to locate package")

    def _runuser(self, *_argv: str) -> None:
        """Be `doorward-firmware enrol`."""
        assert self.path("/opt/doorward/current/bin/doorward-firmware").exists()
        assert self.path("/etc/doorward/doorbell.toml").exists()
        if self.world.enrol_answer is not None:
            raise CommandFailed("runuser", self.world.enrol_answer)
        claim = json.loads(self.path(f"{STATE}/claim.json").read_bytes())
        self.world.enrolled.append(claim["secret"])
        self.path(ENROLMENT).write_text("{}")

    def _systemctl(self, *argv: str) -> None:
        if argv[0] == "start":
            self.world.started.append(argv[1])
        if argv[0] == "is-active" and argv[-1] not in self.world.started:
            raise CommandFailed("systemctl", "inactive")

    def _append(self, absolute: str, line: str) -> None:
        path = self.path(absolute)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(line)


class StandInStep:
    """A step of the disk's layout, which has tests of its own: leaves a mark in the root."""

    def __init__(self, name: str) -> None:
        self.name = name

    def is_done(self, host: Host) -> bool:
        return host.exists(f"/etc/{self.name}")

    def do(self, host: Host) -> None:
        host.write(f"/etc/{self.name}", b"")


def set_board(root: Path, model: str) -> None:
    """Let the kernel name this board."""
    path = root / MODEL.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.encode() + b"\0")


def contents_of(root: Path) -> dict[str, bytes]:
    """Return every file and link below a folder, but for what lies in memory on a real machine."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if name.startswith(("run/", "dev/", "sys/", "proc/")):
            continue
        if path.is_symlink():
            found[name] = str(path.readlink()).encode()
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def _names(folder: Path) -> str:
    listed = subprocess.run(["ls", "-R"], cwd=folder, capture_output=True, check=True, text=True)
    return listed.stdout.replace("\n", " ")
