"""Pairing: the QR code that an owner's app shows to the doorbell's camera, and the six words.

The QR text is `DW1:` and base64url of the canonical `PairingCode`. Both sides compute six
words over the keys of both; a relay that swaps any key makes them differ. 48 bits of words are
stretched by PBKDF2 (200,000 rounds), so that finding a look-alike in the pairing's ten minutes
is out of reach.
"""

import hashlib
import json
from functools import cache, lru_cache
from importlib import resources
from typing import Literal

from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.decisions import RecoveryKeys
from firmware.protocol.encoding import (
    Document,
    Id,
    WireError,
    b64u,
    canonical,
    decode_canonical,
    unb64u,
)
from firmware.protocol.grants import OwnerKeys
from firmware.protocol.passkeys import PasskeyKey

QR_PREFIX = "DW1:"
WORDS_ROUNDS = 200_000
WORDS_SALT = b"doorward/six-words/v1"


class PairingCode(Document, frozen=True, kw_only=True):
    """The content of the QR code: the owner's public keys, and the id of this pairing."""

    v: Literal[1] = 1
    pairing_id: Id
    owner: OwnerKeys


def qr_text(code: PairingCode) -> str:
    """Return the text of the QR code."""
    return QR_PREFIX + b64u(code.encode())


def parse_qr_text(text: str) -> PairingCode:
    """Parse a scanned text, or raise WireError."""
    if not text.startswith(QR_PREFIX):
        raise WireError("not a Doorward pairing code")
    return decode_canonical(PairingCode, unb64u(text[len(QR_PREFIX) :]), max_bytes=2048)


@cache
def word_list() -> list[str]:
    """Return the 256 words, in order."""
    text = resources.files("firmware.protocol").joinpath("words.json").read_text("utf-8")
    words: list[str] = json.loads(text)
    return words


def six_words(code: PairingCode, *, identity_key: str, sealing_key: str) -> list[str]:
    """Return the six words over the owner's keys and the doorbell's (both base64url)."""
    return list(
        _words(
            {
                "code": code.encode().decode(),
                "identity_key": identity_key,
                "sealing_key": sealing_key,
            }
        )
    )


@lru_cache(maxsize=64)
def browser_words(device: str, browser: BrowserKeys) -> tuple[str, ...]:
    """Return six words over the keys of a browser that an owner lets watch this doorbell.

    That browser and the doorbell's page show the same, unless somebody swapped keys.
    """
    return _words({"browser": browser.encode().decode(), "device": device})


@lru_cache(maxsize=64)
def newcomer_words(code: PairingCode) -> tuple[str, ...]:
    """Return six words over the keys of a newcomer, whom an owner's statement adds.

    The newcomer's own app and the doorbell's page show the same, unless somebody swapped keys.
    """
    return tuple(six_words(code, identity_key="", sealing_key=""))


@lru_cache(maxsize=64)
def recovery_key_words(keys: RecoveryKeys) -> tuple[str, ...]:
    """Return six words over the public halves of a recovery key: they stand on its paper, too."""
    return _words({"recovery": keys.encode().decode()})


@lru_cache(maxsize=64)
def approver_words(key: PasskeyKey) -> tuple[str, ...]:
    """Return six words over a key that is to confirm statements: its own program shows them too."""
    return _words({"approver": key.encode().decode()})


def _words(bound: dict[str, str]) -> tuple[str, ...]:
    raw = hashlib.pbkdf2_hmac("sha256", canonical(bound), WORDS_SALT, WORDS_ROUNDS, dklen=6)
    return tuple(word_list()[byte] for byte in raw)
