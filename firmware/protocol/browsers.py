"""The keys of one browser: they live in that browser and can't be read out there.

The session key signs what asks the doorbell for live view (protocol/live.py), as long as its right
lasts (protocol/rights.py); never a statement. The viewing key opens what the doorbell seals to that
browser: notes and thumbnails. A doorbell knows the browser that its owner paired with; each further
one gets its right by a statement. A guest's browser, and any other player that does the same
(`doorward-view`), is a browser here.
"""

import base64
import hashlib
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from firmware.protocol.encoding import (
    Document,
    Line,
    SessionKey,
    WireError,
    X25519Key,
    unb64u,
)
from firmware.protocol.sealing import seal_to

BROWSER_ID_PATTERN = "^[a-z2-7]{20}$"
BrowserId = Annotated[str, msgspec.Meta(pattern=r"^[a-z2-7]{20}\Z")]
"""The first 100 bits of SHA-256 over the session key (SEC 1, compressed), base32."""


class BrowserKeys(Document, frozen=True, kw_only=True):
    """The public halves, and the owner's name for the browser."""

    name: Line
    session_key: SessionKey
    """P-256, a compressed point (SEC 1 section 2.3.3): 33 bytes."""
    viewing_key: X25519Key
    """X25519, raw."""

    @property
    def id(self) -> str:
        """The `BrowserId` that belongs to the session key."""
        return browser_id_of(unb64u(self.session_key))


def browser_id_of(session_key: bytes) -> str:
    """Return the `BrowserId` of a session key (compressed point)."""
    return base64.b32encode(hashlib.sha256(session_key).digest()).decode().lower()[:20]


def check_browser_keys(keys: BrowserKeys) -> None:
    """Raise WireError unless signatures can be checked and notes sealed with these keys."""
    load_session_key(unb64u(keys.session_key))
    seal_to(unb64u(keys.viewing_key), b"", b"")


def load_session_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """Load a compressed P-256 point, or raise WireError."""
    if len(point) != 33:
        raise WireError("not a compressed P-256 point of 33 bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise WireError(f"not a P-256 point: {error}") from error


def verify_session_key(session_key: bytes, signature: bytes, data: bytes) -> bool:
    """Return whether `signature` (DER, ECDSA with SHA-256) over `data` is by this session key."""
    try:
        load_session_key(session_key).verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
