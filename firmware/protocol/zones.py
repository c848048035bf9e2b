"""A movement's zones and place: sealed to the owners' browsers, in one size whatever they are.

A name such as "Path to the safe" is its owner's, and the relay carries it with each movement.
Sealed is JSON, filled up with blanks. It isn't signed, nor is the event around it.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from firmware.protocol.browsers import BrowserId, BrowserKeys
from firmware.protocol.decisions import Permille
from firmware.protocol.encoding import Document, b64u, decode, unb64u
from firmware.protocol.sealing import open_sealed, seal_to

ZONES_INFO = b"doorward/zones/v1"
PLAIN_BYTES = 256
SEALED_CHARS = 406
"""base64url of HPKE's key (32 bytes), the names and the tag (16)."""
MAX_BROWSERS = 64


class SeenMotion(Document, frozen=True, kw_only=True):
    """A movement: the names of its zones, and its place when it was told.

    `box` is left, top, right, bottom, in thousandths of the picture.
    """

    names: Annotated[list[str], msgspec.Meta(max_length=8)] = msgspec.field(default_factory=list)
    box: tuple[Permille, Permille, Permille, Permille] | None = None


class SealedZones(Document, frozen=True, kw_only=True):
    """A `SeenMotion`, sealed to one browser's viewing key."""

    browser: BrowserId
    sealed: Annotated[str, msgspec.Meta(pattern=rf"^[A-Za-z0-9_-]{{{SEALED_CHARS}}}\Z")]


def seal_zones(seen: SeenMotion, browsers: Sequence[BrowserKeys]) -> list[SealedZones]:
    """Seal it to each browser; names that don't fit are left out. WireError for a bad key."""
    plain = _plain(seen)
    return [
        SealedZones(
            browser=browser.id,
            sealed=b64u(seal_to(unb64u(browser.viewing_key), plain, ZONES_INFO)),
        )
        for browser in browsers[:MAX_BROWSERS]
    ]


def open_zones(sealed: SealedZones, viewing_private_key: bytes) -> SeenMotion:
    """Return what is sealed, or raise WireError."""
    plain = open_sealed(viewing_private_key, unb64u(sealed.sealed), ZONES_INFO)
    return decode(SeenMotion, plain.rstrip(b" "), max_bytes=PLAIN_BYTES)


def _plain(seen: SeenMotion) -> bytes:
    while len(plain := seen.encode()) > PLAIN_BYTES:
        seen = msgspec.structs.replace(seen, names=seen.names[:-1])
    return plain.ljust(PLAIN_BYTES)
