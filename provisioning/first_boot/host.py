"""The machine that is being set up: its files below one root, and its programs.

`root` is "/" on a doorbell; a test gives a folder, and a `run` that remembers. What changes a file
for good goes through here, so that a test can cut the power before and after each change.
"""

import os
import shutil
import subprocess
from pathlib import Path

from provisioning.first_boot.errors import CommandFailed

COMMAND_S = 300.0
MAX_MESSAGE = 400
MAX_READ_BYTES = 1024 * 1024


class Host:
    """Files and programs of the machine that is being set up."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, absolute: str) -> Path:
        """Return where an absolute path of the machine lies."""
        return self.root / absolute.lstrip("/")

    def run(self, *argv: str, stdin: bytes | None = None, timeout_s: float = COMMAND_S) -> bytes:
        """Run a program and return its output; raise CommandFailed if it fails or is too slow."""
        try:
            done = subprocess.run(
                argv,
                input=stdin,
                capture_output=True,
                timeout=timeout_s,
                env={**os.environ, "LC_ALL": "C.UTF-8"},  # what programs answer is read
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise CommandFailed(argv[0], str(error)[:MAX_MESSAGE]) from error
        if done.returncode != 0:
            said = done.stderr.strip() or done.stdout.strip()  # compileall complains on the latter
            message = said.decode(errors="replace")[-MAX_MESSAGE:]
            raise CommandFailed(argv[0], message or f"exit code {done.returncode}")
        return done.stdout

    def read(self, absolute: str, *, max_bytes: int = MAX_READ_BYTES) -> bytes | None:
        """Return a file's bytes, at most `max_bytes` + 1 of them; None if there is no such file."""
        try:
            with self.path(absolute).open("rb") as file:
                return file.read(max_bytes + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def exists(self, absolute: str) -> bool:
        """Return whether a file, folder or link is there."""
        return os.path.lexists(self.path(absolute))

    def write(self, absolute: str, data: bytes, mode: int = 0o644) -> None:
        """Replace a file durably: new bytes synced, renamed, folder synced."""
        path = self.path(absolute)
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f".{path.name}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        _sync_folder(path.parent)

    def remove(self, absolute: str) -> None:
        """Remove a file or link durably, if it is there."""
        path = self.path(absolute)
        path.unlink(missing_ok=True)
        if path.parent.exists():
            _sync_folder(path.parent)

    def remove_tree(self, absolute: str) -> None:
        """Remove a folder and all in it, if it is there."""
        path = self.path(absolute)
        if path.exists():
            shutil.rmtree(path)
            _sync_folder(path.parent)

    def rename(self, absolute: str, to: str) -> None:
        """Rename durably; a file of the new name is replaced."""
        path = self.path(to)
        self.path(absolute).rename(path)
        _sync_folder(path.parent)

    def link(self, absolute: str, target: str) -> None:
        """Make a symbolic link durably, or turn the one that is there, in one step."""
        path = self.path(absolute)
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(path)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
