"""Codes pasted between another player's gateway (`doorward-view`) and the owner's app.

The code goes to the app: the player's public keys, which the owner's passkey signs like those of
any browser. The set-up text comes back: where the relay is, whose doorbell it is and by which key
it is known, and a token that carries signalling and opens nothing.
"""

from typing import Annotated, Literal

import msgspec

from firmware.protocol.browsers import BrowserKeys, check_browser_keys
from firmware.protocol.encoding import (
    DeviceId,
    Document,
    P256Key,
    WireError,
    b64u,
    decode_canonical,
    device_id_of,
    unb64u,
)
from firmware.protocol.passkeys import load_p256

CODE_PREFIX = "doorward-player:"
SETUP_PREFIX = "doorward-setup:"
MAX_TEXT_CHARS = 4096

RelayUrl = Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s/?#@\\]{1,253}\Z")]
"""An origin: scheme, host and port only."""
ViewerToken = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{20,200}\Z")]


class PlayerSetup(Document, frozen=True, kw_only=True):
    """A player's set-up for one doorbell: how to reach it, and its key."""

    v: Literal[1] = 1
    relay: RelayUrl
    device: DeviceId
    identity_key: P256Key
    """P-256, SubjectPublicKeyInfo; `device` is its id."""
    token: ViewerToken


def code_text(keys: BrowserKeys) -> str:
    """Return the code of a player's keys, for the owner's app."""
    return CODE_PREFIX + b64u(keys.encode())


def parse_code_text(text: str) -> BrowserKeys:
    """Parse a pasted code, or raise WireError."""
    keys = decode_canonical(BrowserKeys, _pasted(text, CODE_PREFIX, "a player's code"))
    check_browser_keys(keys)
    return keys


def setup_text(setup: PlayerSetup) -> str:
    """Return the set-up text of a player."""
    return SETUP_PREFIX + b64u(setup.encode())


def parse_setup_text(text: str) -> PlayerSetup:
    """Parse a pasted set-up text, or raise WireError."""
    setup = decode_canonical(PlayerSetup, _pasted(text, SETUP_PREFIX, "a set-up text"))
    spki = unb64u(setup.identity_key)
    load_p256(spki)
    if device_id_of(spki) != setup.device:
        raise WireError("the set-up text names another doorbell than its key belongs to")
    return setup


def _pasted(text: str, prefix: str, what: str) -> bytes:
    """Return what follows the prefix; people paste line breaks and blanks with it."""
    if len(text) > MAX_TEXT_CHARS:
        raise WireError(f"{what} has at most {MAX_TEXT_CHARS} characters")
    joined = "".join(text.split())
    if not joined.startswith(prefix):
        raise WireError(f"{what} begins with {prefix}")
    return unb64u(joined.removeprefix(prefix))
