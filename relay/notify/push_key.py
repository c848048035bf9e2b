"""The relay's key at the push services (VAPID, RFC 8292).

A browser subscribes for this one key, so that nobody who only learns its endpoint can push to it.
It says whose pushes these are and opens nothing.
"""

import json
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from firmware.protocol.encoding import b64u
from relay.errors import ConfigError
from relay.fleet.ca import key_pem

TOKEN_LIFE_S = 12 * 3600
"""At most 24 h are allowed; clocks differ."""


class PushKey:
    """A P-256 key, which signs VAPID tokens."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.public_key = b64u(point)
        """As `pushManager.subscribe` wants it (`applicationServerKey`)."""

    @classmethod
    def create(cls) -> "PushKey":
        """Make a fresh key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def load(cls, path: Path) -> "PushKey":
        """Read the file that `init` wrote, or raise ConfigError."""
        expected = "the P-256 key that `doorward-relay init` wrote"
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError("data_dir", str(path), f"{expected} ({error})") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
            raise ConfigError("data_dir", str(path), expected)
        return cls(key)

    @classmethod
    def load_or_create(cls, path: Path) -> "PushKey":
        """Read the file, or write it for a relay that is older than Web Push."""
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return cls.load(path)
        except OSError as error:
            expected = f"a folder that the relay may write to ({error.strerror})"
            raise ConfigError("data_dir", str(path), expected) from error
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(cls.create().pem())
        return cls.load(path)

    def pem(self) -> str:
        """Return the private key in PEM."""
        return key_pem(self._key)

    def authorization(self, *, audience: str, subject: str | None, now_ms: int) -> str:
        """Return the `Authorization` header for the push service at the origin `audience`."""
        claims: dict[str, object] = {"aud": audience, "exp": now_ms // 1000 + TOKEN_LIFE_S}
        if subject is not None:
            claims["sub"] = subject
        signed = f"{_part({'typ': 'JWT', 'alg': 'ES256'})}.{_part(claims)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = b64u(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return f"vapid t={signed}.{signature}, k={self.public_key}"


def _part(value: dict[str, object]) -> str:
    return b64u(json.dumps(value, separators=(",", ":")).encode())
