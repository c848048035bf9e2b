"""A browser's own keys in software: what the owner's app keeps where nobody can read it out."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from firmware.protocol.browsers import BrowserKeys
from firmware.protocol.encoding import b64u, unb64u
from firmware.protocol.live import BrowserOrder, LiveCandidates, LiveOffer, SignedLive


class SoftBrowser:
    """One browser: a session key that signs, a viewing key that opens."""

    def __init__(
        self, name: str, session_key: ec.EllipticCurvePrivateKey, viewing_key: X25519PrivateKey
    ) -> None:
        self._session_key = session_key
        self._viewing_key = viewing_key
        point = session_key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.keys = BrowserKeys(
            name=name,
            session_key=b64u(point),
            viewing_key=b64u(viewing_key.public_key().public_bytes_raw()),
        )

    @classmethod
    def create(cls, name: str = "Phone") -> "SoftBrowser":
        """Make new keys."""
        return cls(name, ec.generate_private_key(ec.SECP256R1()), X25519PrivateKey.generate())

    @classmethod
    def load(cls, kept: dict[str, str]) -> "SoftBrowser":
        """Return what `save` kept."""
        session_key = load_pem_private_key(kept["session_key"].encode(), None)
        assert isinstance(session_key, ec.EllipticCurvePrivateKey)
        viewing_key = X25519PrivateKey.from_private_bytes(unb64u(kept["viewing_key"]))
        return cls(kept["name"], session_key, viewing_key)

    def save(self) -> dict[str, str]:
        """Return everything, as JSON."""
        pem = self._session_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return {
            "name": self.keys.name,
            "session_key": pem.decode(),
            "viewing_key": b64u(self.viewing_private_key),
        }

    @property
    def viewing_private_key(self) -> bytes:
        """The raw X25519 key that opens notes and thumbnails."""
        return self._viewing_key.private_bytes_raw()

    def sign(self, document: LiveOffer | LiveCandidates | BrowserOrder) -> SignedLive:
        """Sign one document with the session key."""
        text = document.encode()
        signature = self._session_key.sign(document.tag + text, ec.ECDSA(hashes.SHA256()))
        return SignedLive(text=text.decode(), signature=b64u(signature))
