"""The machine that is being set up: its files below one root, and its programs.

`root` is "/" on a doorbell; a test gives a folder, and a `run` that remembers.
"""

import os
import subprocess
from pathlib import Path

from provisioning.first_boot.errors import CommandFailed

COMMAND_S = 300.0
MAX_MESSAGE = 400


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
            done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout_s)
        except (OSError, subprocess.SubprocessError) as error:
            raise CommandFailed(argv[0], str(error)[:MAX_MESSAGE]) from error
        if done.returncode != 0:
            message = done.stderr.decode(errors="replace").strip()[-MAX_MESSAGE:]
            raise CommandFailed(argv[0], message or f"exit code {done.returncode}")
        return done.stdout

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
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
