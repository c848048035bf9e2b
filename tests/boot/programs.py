"""Programs that the proof runs to make systems, images and bundles, for one process at a time."""

import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path


class Unavailable(Exception):
    """A card can't be booted here, and why."""


def run(*command: str, cwd: Path | None = None) -> str:
    """Run a program that must do well; raise Unavailable with what it said.

    Whatever stops this, Ctrl-C too, ends the program and what it started.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        raise Unavailable(f"{command[0]}: {error.strerror}") from error
    try:
        said, complaint = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        raise
    if process.returncode != 0:
        raise Unavailable(
            f"`{' '.join(command[:3])} …` failed: {(said + complaint).strip()[-2000:]}"
        )
    return said


@contextlib.contextmanager
def only_maker(state: Path) -> Iterator[None]:
    """Wait until nobody else makes what is kept in this folder."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
