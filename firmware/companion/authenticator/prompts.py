"""Prompts and options that owners' and officers' commands share, and a FIDO2 key's PIN."""

import argparse
import getpass
from typing import TYPE_CHECKING

import msgspec

from firmware.protocol.players import RelayUrl

if TYPE_CHECKING:
    from firmware.companion.authenticator.fido_device import Person

MAX_NAME_CHARS = 60


class PinKeyboard:
    """The person at this terminal. Implements
    `firmware.companion.authenticator.fido_device.KeyPrompts`."""

    def say(self, text: str) -> None:
        """Show one line."""
        print(text)

    def ask_pin(self) -> str:
        """Return the key's PIN, as it was typed; empty: cancelled."""
        return getpass.getpass("PIN of the FIDO2 key: ")


def fido_person() -> "Person":
    """Return who touches the FIDO2 key and knows its PIN."""
    from firmware.companion.authenticator.fido_device import Person

    return Person(PinKeyboard())


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
