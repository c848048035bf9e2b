"""HPKE (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode, one shot.

Sealed bytes are enc (32) ‖ ciphertext ‖ tag (16), with an empty aad. Keys are raw 32 bytes, in the
one encoding that `check_x25519` takes.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from firmware.protocol.encoding import WireError

X25519_BYTES = 32
_PRIME = 2**255 - 19

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def seal_to(public_key: bytes, plain: bytes, info: bytes) -> bytes:
    """Seal `plain` to a raw X25519 public key."""
    check_x25519(public_key)
    try:
        recipient = X25519PublicKey.from_public_bytes(public_key)
        return _SUITE.encrypt(plain, recipient, info=info)
    except ValueError as error:  # a point of low order
        raise WireError(f"not an X25519 public key: {error}") from error


def check_x25519(public_key: bytes) -> None:
    """Raise WireError unless these bytes are the one encoding of an X25519 public key.

    X25519 ignores the highest bit, and takes u + p for u (RFC 7748 section 5).
    """
    if len(public_key) != X25519_BYTES:
        raise WireError(f"not an X25519 public key: {len(public_key)} bytes, not {X25519_BYTES}")
    if int.from_bytes(public_key, "little") >= _PRIME:
        raise WireError("not an X25519 public key in its one form: a number below 2^255 - 19")


def open_sealed(private_key: bytes, sealed: bytes, info: bytes) -> bytes:
    """Open what `seal_to` sealed, or raise WireError."""
    try:
        return _SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(private_key), info=info)
    except (InvalidTag, ValueError) as error:
        raise WireError("sealed to another key, or altered") from error
