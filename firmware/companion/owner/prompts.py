"""An owner's input: options of commands, and prompts (more in
`firmware.companion.authenticator.prompts`)."""

import argparse
import getpass
import os
import sys
import time
from pathlib import Path

from firmware.companion.authenticator.errors import KeyRefused
from firmware.companion.owner.errors import OwnerError


class Keyboard:
    """The person at this terminal. Implements `firmware.companion.owner.approval.Terminal`."""

    def say(self, text: str) -> None:
        """Show a text, which may have several lines."""
        print(text)

    def ask(self, prompt: str) -> str:
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


def add_folder(
    command: argparse.ArgumentParser, what: str = "the folder that `doorward pair` set up"
) -> None:
    """Let a command take the folder of keys that it works with."""
    command.add_argument(
        "--data", type=Path, default=default_folder(), metavar="DIR", help=f"{what} (%(default)s)"
    )


def add_key_file(
    command: argparse.ArgumentParser, what: str = "your passkey is in this file"
) -> None:
    """Let a command take a passkey that is in a file."""
    command.add_argument("--key-file", type=Path, metavar="FILE", help=what)
