"""Writes keys.json: keys in their one text, and second texts that every side refuses.

    python -m tests.vectors.make_keys

Read by tests/js/assertions.test.mjs, and compared by tests/firmware/test_one_key_one_text.py.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.protocol.encoding import b64u
from firmware.protocol.passkeys import spki_of
from firmware.protocol.tlog.lines import b64
from firmware.protocol.tlog.signed_note import NoteSigner
from tests.fakes.second_texts import (
    X25519_PRIME,
    Form,
    p256_forms,
    rsa_forms,
    text_forms,
    x25519_forms,
)

PATH = Path(__file__).parent / "keys.json"
P256 = ec.derive_private_key(0xD00D, ec.SECP256R1()).public_key()
RSA = rsa.RSAPublicNumbers(
    e=65537, n=int.from_bytes(hashlib.shake_256(b"modulus").digest(256), "big") | 1 << 2047 | 1
).public_key()
"""Nobody has its private half, and nobody needs it."""
X25519 = X25519PrivateKey.from_private_bytes(bytes(range(32))).public_key().public_bytes_raw()
BASE_POINT = (9).to_bytes(32, "little")
LOW_ORDER = (0, 1, X25519_PRIME - 1,
             0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
             0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7)  # fmt: skip
"""The y of the Ed25519 points of low order."""


def key_vectors() -> dict[str, Any]:
    """Return all of the file."""
    return {
        "keys": [
            _vector("p256", spki_of(P256), p256_forms(P256)),
            _vector("passkey", spki_of(P256), p256_forms(P256)),
            _vector("passkey", spki_of(RSA), rsa_forms(RSA)),
            _vector("x25519", X25519, x25519_forms(X25519)),
            _vector("x25519", BASE_POINT, x25519_forms(BASE_POINT)),
        ],
        "policy": _policy(),
    }


def _vector(kind: str, right: bytes, forms: Any) -> dict[str, Any]:
    second: list[Form] = list(forms)
    texts = [(what, b64u(form)) for what, form in second]
    texts += [(what, text) for what, text in text_forms(b64u(right)) if text != b64u(right)]
    return {
        "kind": kind,
        "right": b64u(right),
        "second": [{"what": what, "text": text} for what, text in texts],
    }


def _policy() -> dict[str, Any]:
    log = NoteSigner(name="log.example", kind="ed25519", private_key=bytes(range(32)))
    witness = NoteSigner(name="one.example", kind="cosignature", private_key=bytes(range(1, 33)))
    ys = [*LOW_ORDER, *range(X25519_PRIME, 2**255)]
    bad = [y | sign << 255 for y in ys for sign in (0, 1)]
    return {
        "log": log.key.vkey,
        "witness": witness.key.vkey,
        "renamed": _vkey("two.example", witness.key.public_key),
        "bad": [_vkey("one.example", key.to_bytes(32, "little")) for key in bad],
    }


def _vkey(name: str, key: bytes) -> str:
    """Return a witness's key as text, whatever it is."""
    typed = b"\x04" + key
    key_id = hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4]
    return f"{name}+{key_id.hex()}+{b64(typed)}"


if __name__ == "__main__":
    PATH.write_text(json.dumps(key_vectors(), indent=1) + "\n")
