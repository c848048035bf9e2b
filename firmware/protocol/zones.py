"""Names of motion zones: sealed to the owners' browsers, in one size whatever and however many.

A name such as "Path to the safe" is its owner's, and the relay carries it with each movement.
Sealed is a JSON list of names, filled up with blanks. It isn't signed, nor is the event around it.
"""

import json
from collections.abc import Sequence
from typing import Annotated

import msgspec

from firmware.protocol.browsers import BrowserId, BrowserKeys
from firmware.protocol.encoding import Document, WireError, b64u, unb64u
from firmware.protocol.sealing import open_sealed, seal_to

ZONES_INFO = b"doorward/zones/v1"
PLAIN_BYTES = 256
SEALED_CHARS = 406
"""base64url of HPKE's key (32 bytes), the names and the tag (16)."""
MAX_BROWSERS = 64


class SealedZones(Document, frozen=True, kw_only=True):
    """The names of a movement's zones, sealed to one browser's viewing key."""

    browser: BrowserId
    sealed: Annotated[str, msgspec.Meta(pattern=rf"^[A-Za-z0-9_-]{{{SEALED_CHARS}}}\Z")]


def seal_zones(names: Sequence[str], browsers: Sequence[BrowserKeys]) -> list[SealedZones]:
    """Seal names to each browser; those that don't fit are left out. WireError for a bad key."""
    plain = _plain(list(names))
    return [
        SealedZones(
            browser=browser.id,
            sealed=b64u(seal_to(unb64u(browser.viewing_key), plain, ZONES_INFO)),
        )
        for browser in browsers[:MAX_BROWSERS]
    ]


def open_zones(sealed: SealedZones, viewing_private_key: bytes) -> list[str]:
    """Return the names, or raise WireError."""
    plain = open_sealed(viewing_private_key, unb64u(sealed.sealed), ZONES_INFO)
    try:
        return msgspec.json.decode(plain, type=list[str])
    except msgspec.DecodeError as error:
        raise WireError(f"not a list of zones: {error}") from error


def _plain(names: list[str]) -> bytes:
    while len(plain := json.dumps(names, ensure_ascii=False).encode()) > PLAIN_BYTES:
        names = names[:-1]
    return plain.ljust(PLAIN_BYTES)
