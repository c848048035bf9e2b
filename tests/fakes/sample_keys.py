"""Public keys as documents hold them, for any key's place: anybody knows their private halves."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from firmware.protocol.encoding import b64u
from firmware.protocol.passkeys import P256_HEAD, spki_of

_P256 = ec.derive_private_key(0xD00D, ec.SECP256R1()).public_key()
_X25519 = X25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()

P256_KEY = b64u(spki_of(_P256))
OTHER_P256_KEY = b64u(spki_of(ec.derive_private_key(0xBE11, ec.SECP256R1()).public_key()))
X25519_KEY = b64u(_X25519.public_bytes_raw())
OTHER_X25519_KEY = b64u((9).to_bytes(32, "little"))
SESSION_KEY = b64u(_P256.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))
PUSH_KEY = b64u(_P256.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))

NO_P256_KEY = b64u(P256_HEAD + bytes(64))
"""In the form of a key, and no point of the curve."""
NO_SESSION_KEY = b64u(b"\x02" + (1).to_bytes(32, "big"))
"""In the form of a key, and no point of the curve has this x."""
NO_X25519_KEY = b64u(bytes(32))
"""In the form of a key, and of low order: nothing can be sealed to it."""
