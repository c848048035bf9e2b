"""Message encryption for Web Push (RFC 8291) in the coding "aes128gcm" (RFC 8188), one record.

Every message is padded to one size. No maintained Python library does only this: http-ece had its
last release years before this was written and has no wheel (docs/decisions/0024).
"""

import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.protocol.encoding import WireError, unb64u
from firmware.protocol.live import SetPush

PLAIN_BYTES = 1200
"""Within the 3,993 bytes that a push service must take (RFC 8291 section 4)."""
AUTH_BYTES = 16
_LAST_RECORD = b"\x02"
_TAG_BYTES = 16
_UNCOMPRESSED = 0x04
"""The first byte of such a point (SEC 1 section 2.3.3)."""


def check_push_keys(push: SetPush) -> None:
    """Raise WireError unless messages can be encrypted with a browser's keys."""
    encrypt(b"", push)


def encrypt(
    plain: bytes,
    push: SetPush,
    *,
    private_key: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
    padded_bytes: int = PLAIN_BYTES,
) -> bytes:
    """Return the body of one push message; key and salt are fresh unless a test gives them."""
    if len(plain) > padded_bytes:
        raise WireError(f"a push message of {len(plain)} bytes, at most {padded_bytes}")
    receiver, auth = unb64u(push.p256dh), unb64u(push.auth)
    if len(auth) != AUTH_BYTES:
        raise WireError("the push secret `auth` isn't 16 bytes")
    private_key = private_key or ec.generate_private_key(ec.SECP256R1())
    salt = salt or secrets.token_bytes(16)
    sender = private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shared = private_key.exchange(ec.ECDH(), _point(receiver))
    secret = _hkdf(shared, auth, b"WebPush: info\x00" + receiver + sender, 32)
    key = _hkdf(secret, salt, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _hkdf(secret, salt, b"Content-Encoding: nonce\x00", 12)
    record = (plain + _LAST_RECORD).ljust(padded_bytes + 1, b"\x00")
    size = (len(record) + _TAG_BYTES).to_bytes(4, "big")
    header = salt + size + len(sender).to_bytes(1, "big") + sender
    return header + AESGCM(key).encrypt(nonce, record, b"")


def _point(data: bytes) -> ec.EllipticCurvePublicKey:
    if len(data) != 65 or data[0] != _UNCOMPRESSED:
        raise WireError("the push key `p256dh` isn't an uncompressed P-256 point of 65 bytes")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), data)
    except ValueError as error:
        raise WireError(f"the push key `p256dh` isn't a P-256 point: {error}") from error


def _hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)
