"""A host of the first boot whose power goes before one of its changes.

After a change is before the next one: nothing of a step lasts in between.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from provisioning.first_boot.errors import CommandFailed
from provisioning.first_boot.host import COMMAND_S, Host

Result = TypeVar("Result")

READERS = ("blockdev", "findmnt", "lsblk", "tune2fs", "wipefs")
"""Programs that change nothing, as the first boot calls them."""


class PowerCut(BaseException):
    """The power is gone. No `except Exception` of a step may go on."""


class CutHost(Host):
    """Counts changes; `cut_at` says before which of them (from 0) the power goes."""

    def __init__(self, host: Host, cut_at: int | None = None) -> None:
        super().__init__(host.root)
        self.changes: list[str] = []
        self._host = host
        self._cut_at = cut_at

    def run(self, *argv: str, stdin: bytes | None = None, timeout_s: float = COMMAND_S) -> bytes:
        def go() -> bytes:
            return self._host.run(*argv, stdin=stdin, timeout_s=timeout_s)

        is_reading = argv[0] in READERS or argv[:2] in (("sfdisk", "--json"), ("sfdisk", "--dump"))
        return go() if is_reading else self._change(" ".join(argv), go)

    def write(self, absolute: str, data: bytes, mode: int = 0o644) -> None:
        self._change(f"write {absolute}", lambda: self._host.write(absolute, data, mode))

    def remove(self, absolute: str) -> None:
        self._change(f"remove {absolute}", lambda: self._host.remove(absolute))

    def remove_tree(self, absolute: str) -> None:
        self._change(f"remove {absolute}/", lambda: self._host.remove_tree(absolute))

    def rename(self, absolute: str, to: str) -> None:
        self._change(f"rename {absolute} {to}", lambda: self._host.rename(absolute, to))

    def link(self, absolute: str, target: str) -> None:
        self._change(f"link {absolute} {target}", lambda: self._host.link(absolute, target))

    def _change(self, what: str, go: Callable[[], Result]) -> Result:
        if self._cut_at == len(self.changes):
            raise PowerCut(what)
        self.changes.append(what)
        return go()


def enable(host: Host, units: Sequence[str]) -> None:
    """Do what `systemctl enable` does: link each unit where its target looks for it."""
    for unit in units:
        text = host.path(f"/etc/systemd/system/{unit}").read_text()
        wants = f"/etc/systemd/system/{text.split('WantedBy=')[1].split()[0]}.wants"
        host.path(wants).mkdir(exist_ok=True)
        host.link(f"{wants}/{unit}", f"/etc/systemd/system/{unit}")


class FolderHost(Host):
    """A folder as a machine's root, on which mounts are noted and not made."""

    def __init__(self, root: Path, mounts: dict[str, str] | None = None) -> None:
        super().__init__(root)
        self.mounts = {} if mounts is None else mounts
        self.calls: list[tuple[str, ...]] = []

    def run(
        self,
        *argv: str,
        stdin: bytes | None = None,  # noqa: ARG002
        timeout_s: float = COMMAND_S,  # noqa: ARG002
    ) -> bytes:
        self.calls.append(argv)
        match argv:
            case ("findmnt", *_, "--mountpoint", at) if at in self.mounts:
                return self.mounts[at].encode() + b"\n"
            case ("findmnt", *_):
                raise CommandFailed("findmnt", "exit code 1")
            case ("mount", "--bind", source, at):
                assert Path(source).is_dir()
                assert Path(at).is_dir()
                inner = "/" + str(Path(source).relative_to(self.path("/var/lib/doorward-data")))
                self.mounts[at] = f"/dev/mmcblk0p3[{inner}]"
            case ("systemctl", "mask", "--now", *units):
                for unit in units:
                    super().link(f"/etc/systemd/system/{unit}", "/dev/null")
            case ("systemctl", "enable", *units):
                enable(self, units)
            case ("sync" | "systemd-machine-id-setup", *_):
                pass
            case ("install", "-d", "-m", "0700", folder):
                Path(folder).mkdir(parents=True, exist_ok=True)
            case ("cp", "--archive", source, to):
                shutil.copytree(source, to, symlinks=True)
            case _:
                raise AssertionError(argv)
        return b""
