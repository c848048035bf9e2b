"""Prompts and options that owners' and officers' commands share, and a FIDO2 key's PIN."""

import argparse
import getpass
from typing import TYPE_CHECKING

import msgspec

from firmware.protocol.players import RelayUrl

if TYPE_CHECKING:
    from firmware.companion.authenticator.fido_device import Person

MAX_NAME_CHARS = 60


def fido_person() -> "Person":
    """Return who touches the FIDO2 key and knows its PIN."""
    from firmware.companion.authenticator.fido_device import Person

    return Person(say=print, ask_pin=lambda: getpass.getpass("PIN of the FIDO2 key: "))


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
