"""A browser's push subscription: keys to encrypt to, and what its push event would show."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.protocol.encoding import b64u
from firmware.protocol.live import PushKind, SetPush


class PushSubscription:
    """The browser's side: what a PushSubscription holds, and what its push event shows."""

    def __init__(self, kinds: tuple[PushKind, ...] = ("pressed", "motion")) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._point = self._key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        self._auth = b"a" * 16
        self.push = SetPush(
            p256dh=b64u(self._point),
            auth=b64u(self._auth),
            kinds=list(kinds),
            quiet=None,
            summary=None,
            silent_after_minutes=None,
        )

    def decrypt(self, body: bytes) -> bytes:
        salt, size = body[:16], int.from_bytes(body[16:20], "big")
        sender, record = body[21 : 21 + body[20]], body[21 + body[20] :]
        assert len(record) <= size
        shared = self._key.exchange(
            ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        )
        secret = hkdf(shared, self._auth, b"WebPush: info\x00" + self._point + sender, 32)
        key = hkdf(secret, salt, b"Content-Encoding: aes128gcm\x00", 16)
        nonce = hkdf(secret, salt, b"Content-Encoding: nonce\x00", 12)
        plain = AESGCM(key).decrypt(nonce, record, b"").rstrip(b"\x00")
        assert plain.endswith(b"\x02")
        return plain[:-1]


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)
