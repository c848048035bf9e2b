"""A loop device over a file, in a card's place."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def loop_of(file: Path) -> Iterator[Path]:
    """A loop device over a file, as root; skips where there is none."""
    done = subprocess.run(
        ["losetup", "--find", "--show", str(file)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("no loop device: not root, or none is left")
    device = Path(done.stdout.decode().strip())
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", str(device)], check=True)
