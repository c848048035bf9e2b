"""The player's own keys: a session key that signs, a viewing key that opens.

They are made on this machine and are the only thing that opens live view; whoever can read the
file can watch until the owner ends them.
"""

from typing import Literal

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import Document, Line, ShortB64u, WireError, b64u, decode, unb64u
from firmware.protocol.live import LiveCandidates, LiveOffer, SignedLive
from firmware.protocol.notes import OwnerNote, open_note

_P256_BYTES = 32


class KeptKeys(Document, frozen=True, kw_only=True):
    """The file: private scalars in base64url."""

    v: Literal[1] = 1
    name: Line
    session_key: ShortB64u
    viewing_key: ShortB64u


class PlayerKeys:
    """One player's keys; to a doorbell it is a browser like any other."""

    def __init__(
        self, name: str, session_key: ec.EllipticCurvePrivateKey, viewing_key: X25519PrivateKey
    ) -> None:
        self._session_key = session_key
        self._viewing_key = viewing_key
        point = session_key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.public = BrowserKeys(
            name=name,
            session_key=b64u(point),
            viewing_key=b64u(viewing_key.public_key().public_bytes_raw()),
        )

    @classmethod
    def make(cls, name: str) -> "PlayerKeys":
        """Make new keys."""
        return cls(name, ec.generate_private_key(ec.SECP256R1()), X25519PrivateKey.generate())

    @classmethod
    def parse(cls, data: bytes) -> "PlayerKeys":
        """Return what `encode` kept, or raise WireError."""
        kept = decode(KeptKeys, data, max_bytes=4096)
        session, viewing = unb64u(kept.session_key), unb64u(kept.viewing_key)
        if len(session) != _P256_BYTES:
            raise WireError("not a P-256 private key of 32 bytes")
        try:
            return cls(
                kept.name,
                ec.derive_private_key(int.from_bytes(session, "big"), ec.SECP256R1()),
                X25519PrivateKey.from_private_bytes(viewing),
            )
        except ValueError as error:
            raise WireError(f"not a private key: {error}") from error

    def encode(self) -> bytes:
        """Return the file's content; it is secret."""
        scalar = self._session_key.private_numbers().private_value
        return KeptKeys(
            name=self.public.name,
            session_key=b64u(scalar.to_bytes(_P256_BYTES, "big")),
            viewing_key=b64u(self._viewing_key.private_bytes_raw()),
        ).encode()

    def sign(self, document: LiveOffer | LiveCandidates) -> SignedLive:
        """Sign one document for the doorbell."""
        text = document.encode()
        signature = self._session_key.sign(document.tag + text, ec.ECDSA(hashes.SHA256()))
        return SignedLive(text=text.decode(), signature=b64u(signature))

    def open_note(self, sealed: bytes, identity_key: bytes) -> OwnerNote:
        """Open what a doorbell (SubjectPublicKeyInfo) sealed to this player, or raise WireError."""
        return open_note(sealed, self._viewing_key.private_bytes_raw(), identity_key)
