"""The recovery secret as words, which an owner writes down once and types after a loss.

    18 words = 16 random bytes and two check bytes, each a word of protocol/words.json

The check bytes are the first of SHA-256(CHECK_TAG ‖ secret); they catch a wrong, missing or
swapped word. Two keys are HKDF-SHA256 of the secret: an X25519 key that opens clips, and a P-256
key that pairs a new passkey. 128 bits are as strong as the curves and half as long to write. Only
the text and the keys belong here; nothing is stored or logged.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from firmware.errors import VaultError
from firmware.protocol.decisions import RecoveryKeys
from firmware.protocol.encoding import b64u
from firmware.protocol.pairing import word_list
from firmware.protocol.passkeys import spki_of
from firmware.protocol.recovery import RecoveryUse, SignedRecoveryUse, recovery_message

SECRET_BYTES = 16
CHECK_BYTES = 2
WORD_COUNT = SECRET_BYTES + CHECK_BYTES
CHECK_TAG = b"doorward/recovery-words/v1\x00"
KEY_INFO = b"doorward/recovery-x25519/v1"
SIGNING_INFO = b"doorward/recovery-p256/v1"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
MAX_TEXT_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryKey:
    """A new recovery key: words for the owner, public keys for the doorbell."""

    words: tuple[str, ...] = field(repr=False)
    public: RecoveryKeys

    @property
    def public_text(self) -> str:
        """The sealing key, as `storage.recovery_key` takes it."""
        return self.public.sealing_key


def make_recovery_key() -> RecoveryKey:
    """Return a fresh recovery key."""
    secret = secrets.token_bytes(SECRET_BYTES)
    return RecoveryKey(words=_words(secret), public=_public_keys(secret))


def parse_recovery_secret(text: str) -> bytes:
    """Return the raw X25519 private key of these words, or raise VaultError saying what is wrong.

    Capitals, numbers, punctuation and line breaks don't matter.
    """
    return _private_key(_parse(text))


def recovery_keys_of_words(text: str) -> RecoveryKeys:
    """Return the public halves that belong to these words, or raise VaultError."""
    return _public_keys(_parse(text))


def sign_recovery_use(text: str, use: RecoveryUse) -> SignedRecoveryUse:
    """Sign with the key of these words, or raise VaultError if their checksum fails."""
    key = _signing_key(_parse(text))
    signature = key.sign(recovery_message(use), ec.ECDSA(hashes.SHA256()))
    return SignedRecoveryUse(use=use.encode().decode(), signature=b64u(signature))


def _parse(text: str) -> bytes:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise VaultError(f"the recovery secret is {WORD_COUNT} words; this is far longer")
    typed = re.findall("[a-z]+", text.lower())
    values = [_value(number, word) for number, word in enumerate(typed, 1)]
    if len(values) != WORD_COUNT:
        raise VaultError(f"the recovery secret is {WORD_COUNT} words; these are {len(values)}")
    raw = bytes(values)
    secret, check = raw[:SECRET_BYTES], raw[SECRET_BYTES:]
    if _check(secret) != check:
        raise VaultError("a word of the recovery secret is wrong, or two are swapped; look again")
    return secret


def public_text_of(private_key: bytes) -> str:
    """Return the public key, as `storage.recovery_key` takes it, of a raw X25519 private key."""
    public = X25519PrivateKey.from_private_bytes(private_key).public_key()
    return b64u(public.public_bytes_raw())


def _public_keys(secret: bytes) -> RecoveryKeys:
    spki = spki_of(_signing_key(secret).public_key())
    return RecoveryKeys(sealing_key=public_text_of(_private_key(secret)), signing_key=b64u(spki))


def _words(secret: bytes) -> tuple[str, ...]:
    return tuple(word_list()[byte] for byte in secret + _check(secret))


def _value(number: int, word: str) -> int:
    try:
        return word_list().index(word)
    except ValueError:
        raise VaultError(f"word {number} ({word!r}) isn't one of the recovery words") from None


def _check(secret: bytes) -> bytes:
    return hashlib.sha256(CHECK_TAG + secret).digest()[:CHECK_BYTES]


def _private_key(secret: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=KEY_INFO).derive(secret)


def _signing_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """Derive the scalar by FIPS 186-5 A.2.1: with enough extra bits that none is likelier."""
    raw = HKDF(algorithm=hashes.SHA256(), length=48, salt=None, info=SIGNING_INFO).derive(secret)
    scalar = int.from_bytes(raw, "big") % (P256_ORDER - 1) + 1
    return ec.derive_private_key(scalar, ec.SECP256R1())
