"""Passkeys as Doorward stores and checks them: public keys and WebAuthn assertions.

Terms and checks follow Web Authentication Level 3, section 7.2. What counts is ES256 (P-256), and
RS256 (RSASSA-PKCS1-v1_5) because Windows Hello often has nothing else; which of them, the key
itself says, never the message. All other keys of Doorward are P-256: `load_p256`. A key has one
accepted form, and keys are compared as keys: `is_same_key`.
`check_assertion` is pure and raises `AssertionRefused` with a named reason.
"""

import hashlib
import json
from typing import Literal, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from firmware.protocol.encoding import (
    P256_HEAD,
    Document,
    Line,
    PasskeyPublicKey,
    ShortB64u,
    WireError,
    b64u,
    unb64u,
)

LOGIN_TAG = b"doorward/login/v1"
FLAG_USER_PRESENT = 0x01
FLAG_USER_VERIFIED = 0x04
MIN_RSA_BITS = 2048
MAX_RSA_BITS = 4096
"""What an authenticator makes; more would only cost whoever checks."""
RSA_EXPONENT = 65537
P256_SPKI_BYTES = 91
_RSA_BEGINNING = "MII"
"""A SEQUENCE of 256 bytes or more: no P-256 key."""

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class PasskeyKey(Document, frozen=True, kw_only=True):
    """The public half of one passkey, and the only site it may sign for."""

    credential_id: ShortB64u
    public_key: PasskeyPublicKey
    rp_id: Line
    origin: Line

    def __post_init__(self) -> None:
        """Refuse an RSA key in another than its one form, which no pattern can tell."""
        if self.public_key.startswith(_RSA_BEGINNING):
            _load_rsa(unb64u(self.public_key))


class Assertion(Document, frozen=True, kw_only=True):
    """An AuthenticatorAssertionResponse, each field as raw bytes in base64url."""

    credential_id: ShortB64u
    authenticator_data: ShortB64u
    client_data_json: ShortB64u
    signature: ShortB64u


AssertionReason = Literal[
    "credential", "client_data", "type", "challenge", "origin", "cross_origin", "rp_id",
    "user_present", "user_verified", "signature",
]  # fmt: skip


class AssertionRefused(WireError):
    """An assertion doesn't hold; `reason` names the first check that failed."""

    def __init__(self, reason: AssertionReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: AssertionReason = reason


def challenge(tag: bytes, document: bytes) -> bytes:
    """Return the 32-byte challenge that signs `document` (canonical bytes) under `tag`."""
    return hashlib.sha256(tag + b"\x00" + document).digest()


def login_challenge(given: bytes) -> bytes:
    """Return the challenge that a passkey signs to log in, for the server's challenge `given`.

    Signed as it is, a challenge that a relay chooses could be that of a statement.
    """
    return challenge(LOGIN_TAG, b64u(given).encode())


def load_p256(spki: bytes) -> ec.EllipticCurvePublicKey:
    """Load a P-256 key in its one accepted form, or raise WireError.

    That is SubjectPublicKeyInfo (DER) with the named curve and an uncompressed point. Compressed
    and hybrid points, explicit curve parameters and BER lengths are other texts of the same key.
    """
    if len(spki) != P256_SPKI_BYTES or not spki.startswith(P256_HEAD):
        raise WireError(
            "not a P-256 public key in its one form: SubjectPublicKeyInfo with an uncompressed "
            f"point, {P256_SPKI_BYTES} bytes"
        )
    point = spki[len(P256_HEAD) - 1 :]
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as error:
        raise WireError(f"not a P-256 public key: {error}") from error


def load_passkey(spki: bytes) -> PublicKey:
    """Load a passkey, P-256 as in `load_p256` or RSA in its one accepted form, or raise WireError.

    An RSA key's form is the SubjectPublicKeyInfo (DER) that RFC 3279 section 2.3.1 gives it.
    """
    if spki.startswith(P256_HEAD):
        return load_p256(spki)
    key = _load_rsa(spki)
    if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise WireError(
            f"an RSA passkey has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, not {key.key_size}"
        )
    if key.public_numbers().e != RSA_EXPONENT:
        raise WireError(f"an RSA passkey has the public exponent {RSA_EXPONENT}")
    return key


def spki_of(key: PublicKey) -> bytes:
    """Return a key's one accepted form: SubjectPublicKeyInfo (DER), a P-256 point uncompressed.

    A key of another curve has none: WireError.
    """
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name != "secp256r1":
            raise WireError(f"a key of the curve {key.curve.name}: only P-256 counts")
        point = key.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return P256_HEAD[:-1] + point
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def is_same_key(one: str, other: str) -> bool:
    """Return whether two texts are one public key (P-256, or a passkey's); WireError: one is none.

    Compared are the keys, not their texts.
    """
    return load_passkey(unb64u(one)) == load_passkey(unb64u(other))


def is_same_passkey(one: PasskeyKey, other: PasskeyKey) -> bool:
    """Return whether two passkeys are one, under whichever name: nobody signs a credential id."""
    return one.credential_id == other.credential_id or is_same_key(one.public_key, other.public_key)


def verify_p256(spki: bytes, signature: bytes, data: bytes) -> bool:
    """Return whether `signature` (DER, ECDSA with SHA-256) over `data` is by `spki`."""
    try:
        load_p256(spki).verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def verify_passkey(spki: bytes, signature: bytes, data: bytes) -> bool:
    """Return whether `signature` over `data` is by a passkey: ES256 or RS256, as its key is."""
    key = load_passkey(spki)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def check_assertion(assertion: Assertion, key: PasskeyKey, expected_challenge: bytes) -> None:
    """Check one assertion against the one passkey that may have made it."""
    if assertion.credential_id != key.credential_id:
        raise AssertionRefused("credential", "made by another passkey")
    client_data_bytes = unb64u(assertion.client_data_json)
    client_data = _parse_client_data(client_data_bytes)
    if client_data.get("type") != "webauthn.get":
        raise AssertionRefused("type", "not an assertion (webauthn.get)")
    if client_data.get("challenge") != b64u(expected_challenge):
        raise AssertionRefused("challenge", "signs something else")
    if client_data.get("origin") != key.origin:
        raise AssertionRefused("origin", f"made on another page than {key.origin}")
    if client_data.get("crossOrigin", False) is not False:
        raise AssertionRefused("cross_origin", "made inside another site's frame")
    authenticator_data = unb64u(assertion.authenticator_data)
    if len(authenticator_data) < 37:
        raise AssertionRefused("rp_id", "authenticator data is too short")
    if authenticator_data[:32] != hashlib.sha256(key.rp_id.encode()).digest():
        raise AssertionRefused("rp_id", f"made for another site than {key.rp_id}")
    if not authenticator_data[32] & FLAG_USER_PRESENT:
        raise AssertionRefused("user_present", "nobody touched the authenticator")
    if not authenticator_data[32] & FLAG_USER_VERIFIED:
        raise AssertionRefused("user_verified", "the authenticator didn't verify its user")
    signed = authenticator_data + hashlib.sha256(client_data_bytes).digest()
    if not verify_passkey(unb64u(key.public_key), unb64u(assertion.signature), signed):
        raise AssertionRefused("signature", "the signature doesn't match")


def _load_rsa(spki: bytes) -> rsa.RSAPublicKey:
    """Load an RSA key of any size in its one form, or raise WireError."""
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise WireError(f"not a public key: {error}") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise WireError("neither an RSA public key nor a P-256 one in its one form")
    if spki_of(key) != spki:
        raise WireError("not an RSA public key in its one form: DER with no byte to spare")
    return key


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} isn't JSON")


def _parse_client_data(data: bytes) -> dict[str, object]:
    try:
        parsed = json.loads(data.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise AssertionRefused("client_data", "not JSON") from error
    if not isinstance(parsed, dict):
        raise AssertionRefused("client_data", "not an object")
    return parsed
