"""What an owner types in answer to a command; options are in `firmware.person.keyboard`."""

import getpass
import os
import sys
import time
from pathlib import Path

from firmware.owner.errors import OwnerError
from firmware.person.errors import KeyRefused


def ask(prompt: str) -> str:
    """Return what is typed, or raise OwnerError if nobody is there."""
    try:
        return input(prompt)
    except EOFError as error:
        raise OwnerError("nobody answers here; run this in a terminal") from error


def new_passphrase() -> str:
    """Return a passphrase for a key that is to be made; empty: none."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    passphrase = getpass.getpass("A passphrase for the key (empty: none): ")
    if getpass.getpass("Once more: ") != passphrase:
        raise KeyRefused("the two passphrases differ; begin again")
    return passphrase


def passphrase() -> str:
    """Return the passphrase of a key that there is."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return getpass.getpass("Passphrase of the key: ")


def wall_ms() -> int:
    """Return this machine's time."""
    return time.time_ns() // 1_000_000


def default_folder() -> Path:
    """Return the folder of `doorward-view`."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "doorward-view"
