"""What a person types: options of the commands, and answers to what a command asks."""

import argparse
import getpass
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from firmware.owner.errors import KeyRefused, OwnerError
from firmware.protocol.players import RelayUrl

if TYPE_CHECKING:
    from firmware.owner.fido_key import Person

MAX_NAME_CHARS = 60


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


def fido_person() -> "Person":
    """Return who touches the FIDO2 key and knows its PIN."""
    from firmware.owner.fido_key import Person

    return Person(say=print, ask_pin=lambda: getpass.getpass("PIN of the FIDO2 key: "))


def wall_ms() -> int:
    """Return this machine's time."""
    return time.time_ns() // 1_000_000


def name_option(text: str) -> str:
    """Check what somebody or something is called."""
    if not 1 <= len(text) <= MAX_NAME_CHARS or not text.isprintable():
        raise argparse.ArgumentTypeError(f"one line of at most {MAX_NAME_CHARS} characters")
    return text


def origin_option(text: str) -> str:
    """Check the address of a relay or an app."""
    try:
        return msgspec.convert(text.rstrip("/"), RelayUrl)
    except msgspec.ValidationError as error:
        raise argparse.ArgumentTypeError("https://, a name, and nothing behind it") from error


def default_folder() -> Path:
    """Return the folder of `doorward-view`."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "doorward-view"
