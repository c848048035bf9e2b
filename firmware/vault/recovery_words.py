"""The recovery secret as words: what an owner writes down once and types in when a doorbell died.

    18 words = 16 random bytes and two check bytes, each a word of protocol/words.json

The check bytes are the first of SHA-256(CHECK_TAG ‖ secret); they catch a wrong, missing or
swapped word. The X25519 key is HKDF-SHA256 of the secret: 128 bits are as strong as the curve
and half as long to write. Only the text and the keys belong here; nothing is stored or logged.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from firmware.errors import VaultError
from firmware.protocol.encoding import b64u
from firmware.protocol.pairing import word_list

SECRET_BYTES = 16
CHECK_BYTES = 2
WORD_COUNT = SECRET_BYTES + CHECK_BYTES
CHECK_TAG = b"doorward/recovery-words/v1\x00"
KEY_INFO = b"doorward/recovery-x25519/v1"
MAX_TEXT_CHARACTERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryKey:
    """A new recovery key: words for the owner's drawer, a public key for doorbell.toml."""

    words: tuple[str, ...] = field(repr=False)
    public_text: str
    """As `storage.recovery_key` takes it."""


def make_recovery_key() -> RecoveryKey:
    """Return a fresh recovery key."""
    secret = secrets.token_bytes(SECRET_BYTES)
    return RecoveryKey(words=_words(secret), public_text=public_text_of(_private_key(secret)))


def parse_recovery_secret(text: str) -> bytes:
    """Return the raw X25519 private key of these words, or raise VaultError saying what is wrong.

    Capitals, numbers, punctuation and line breaks don't matter.
    """
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
    return _private_key(secret)


def public_text_of(private_key: bytes) -> str:
    """Return the public key, as `storage.recovery_key` takes it, of a raw X25519 private key."""
    public = X25519PrivateKey.from_private_bytes(private_key).public_key()
    return b64u(public.public_bytes_raw())


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
