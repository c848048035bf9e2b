"""Pairing: three messages with a commitment and four words; six words for pasted keys.

    1  app → doorbell, by QR code only: "DW2:" + base64url(pairing id ‖ commitment)
    2  doorbell → app: a signed `PairingAnswer` with a nonce that is drawn only now
    3  app → doorbell: the `PairingReveal` that the commitment is of, with the app's nonce

Both sides then compute four words over all three messages; the doorbell shows them, and the person
finds them in the app. Nobody can compute ahead: a side that is committed doesn't know the other's
nonce yet. So 32 bits suffice, and one that stands between has one try of 2⁻³².

A newcomer to a doorbell that has an owner, a further owner or a browser, sends the same three
messages through the relay; an owner's statement then names the commitment.

Keys that are pasted or printed have no round trip. For them six words are stretched by PBKDF2
(200,000 rounds), so that finding a look-alike costs about 2^65.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Annotated, Literal, TypeVar

import msgspec

from firmware.protocol.browsers import BrowserKeys, check_browser_keys
from firmware.protocol.decisions import RecoveryKeys
from firmware.protocol.encoding import (
    Digest,
    Document,
    Id,
    P256Key,
    Random32,
    ShortB64u,
    WireError,
    X25519Key,
    b64u,
    canonical,
    decode_canonical,
    device_id_of,
    sha256_hex,
    unb64u,
)
from firmware.protocol.grants import OwnerKeys, check_owner_keys
from firmware.protocol.passkeys import PasskeyKey, load_p256, verify_p256
from firmware.protocol.sealing import seal_to

QR_PREFIX = "DW2:"
OLD_QR_PREFIX = "DW1:"
COMMIT_TAG = b"doorward/pair-commit/v2\x00"
ANSWER_TAG = b"doorward/pair-answer/v2\x00"
WORDS_TAG = b"doorward/pair-words/v2\x00"
NONCE_BYTES = 32
WORD_COUNT = 4
MAX_REVEAL_BYTES = 4096
MAX_ANSWER_BYTES = 4096

WORDS_ROUNDS = 200_000
WORDS_SALT = b"doorward/six-words/v1"

_ID_BYTES = 26
_CODE_BYTES = _ID_BYTES + 32


class PairingInvalid(WireError):
    """A message of a pairing isn't what it must be; the text says what was wrong."""


class SecondAnswer(PairingInvalid):
    """Two different doorbells, or one twice, answered the same code: the pairing is over."""


class PairingCode(msgspec.Struct, frozen=True, kw_only=True):
    """The first message: the id of this pairing, and what its reveal will be the preimage of."""

    pairing_id: Id
    commitment: Digest

    @property
    def text(self) -> str:
        """The text of the QR code."""
        return QR_PREFIX + b64u(self.pairing_id.encode() + bytes.fromhex(self.commitment))


class PairingAnswer(Document, frozen=True, kw_only=True):
    """The second message: the doorbell's keys, what it follows, and its nonce."""

    v: Literal[2] = 2
    pairing_id: Id
    commitment: Digest
    identity_key: P256Key
    """SubjectPublicKeyInfo (DER) of the P-256 key that signs this answer."""
    sealing_key: X25519Key
    """Raw X25519."""
    nonce: Random32
    policy_digest: Digest
    """SHA-256 of the policy file of public logs; of nothing where there is none."""
    register_origin: Annotated[str, msgspec.Meta(max_length=200, pattern=r"^[!-~]*\Z")]
    """The origin of the register that this doorbell follows; empty: none."""
    is_recovery: bool
    """The doorbell has an owner: the printed recovery code is needed as well."""

    @property
    def device(self) -> str:
        """The doorbell's id, which its identity key makes."""
        return device_id_of(unb64u(self.identity_key))


class SignedPairingAnswer(Document, frozen=True, kw_only=True):
    """`answer` is the canonical text; the identity key signs ANSWER_TAG ‖ it (DER)."""

    answer: Annotated[str, msgspec.Meta(max_length=MAX_ANSWER_BYTES)]
    signature: ShortB64u


class _Reveal(Document, frozen=True, kw_only=True):
    v: Literal[2] = 2
    pairing_id: Id
    nonce: Random32

    @property
    def code(self) -> PairingCode:
        """The code that commits to this."""
        commitment = sha256_hex(COMMIT_TAG + self.encode())
        return PairingCode(pairing_id=self.pairing_id, commitment=commitment)


class PairingReveal(_Reveal, frozen=True, kw_only=True):
    """The third message: the owner's public keys and the app's nonce."""

    owner: OwnerKeys

    @property
    def keys(self) -> OwnerKeys:
        """The keys that this reveals."""
        return self.owner


class BrowserReveal(_Reveal, frozen=True, kw_only=True):
    """The third message of a further browser of an owner's."""

    browser: BrowserKeys

    @property
    def keys(self) -> BrowserKeys:
        """The keys that this reveals."""
        return self.browser


Reveal = PairingReveal | BrowserReveal
PairedKeys = OwnerKeys | BrowserKeys
R = TypeVar("R", PairingReveal, BrowserReveal)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredPairing:
    """An offer that a doorbell has answered: only now its reveal may leave the app."""

    signed: SignedPairingAnswer
    answer: PairingAnswer
    reveal: Reveal
    words: tuple[str, ...]


class PairingOffer:
    """The app's side of one pairing. Its nonce is never used again: make a new offer instead."""

    def __init__(self, keys: PairedKeys, *, pairing_id: str, nonce: bytes) -> None:
        """`nonce` is 32 fresh random bytes."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"a nonce is {NONCE_BYTES} bytes")
        self._reveal = _reveal_of(keys, pairing_id, b64u(nonce))
        self.code = self._reveal.code
        self._answered: AnsweredPairing | None = None
        self._is_over = False

    def take_answer(self, signed: SignedPairingAnswer) -> AnsweredPairing:
        """Freeze the first answer to this code; return it with the reveal and the words.

        The same answer again is no other. Raises PairingInvalid, and SecondAnswer for another one,
        after which nothing is taken any more.
        """
        answer = check_answer(signed, self.code)
        if self._answered is not None and self._answered.signed != signed:
            self._is_over = True
        if self._is_over:
            raise SecondAnswer("a second doorbell answered the same code, so the code is spent")
        if self._answered is None:
            self._answered = AnsweredPairing(
                signed=signed,
                answer=answer,
                reveal=self._reveal,
                words=pairing_words(signed, self._reveal),
            )
        return self._answered


def parse_qr_text(text: str) -> PairingCode:
    """Parse a scanned text, or raise PairingInvalid."""
    if text.startswith(OLD_QR_PREFIX):
        raise PairingInvalid("a pairing code of an older app, which no doorbell takes any more")
    if not text.startswith(QR_PREFIX):
        raise PairingInvalid("not a Doorward pairing code")
    if len(text) > len(QR_PREFIX) + 2 * _CODE_BYTES:
        raise PairingInvalid("a pairing code that is too long")
    raw = unb64u(text[len(QR_PREFIX) :])
    if len(raw) != _CODE_BYTES:
        raise PairingInvalid(f"a pairing code of {len(raw)} bytes instead of {_CODE_BYTES}")
    try:
        return msgspec.convert(
            {"pairing_id": raw[:_ID_BYTES].decode("ascii"), "commitment": raw[_ID_BYTES:].hex()},
            PairingCode,
        )
    except (UnicodeDecodeError, msgspec.ValidationError) as error:
        raise PairingInvalid("a pairing code whose id is none") from error


def check_answer(signed: SignedPairingAnswer, code: PairingCode) -> PairingAnswer:
    """Return the answer if it is a doorbell's own and to this code, or raise PairingInvalid."""
    answer = decode_canonical(PairingAnswer, signed.answer.encode(), max_bytes=MAX_ANSWER_BYTES)
    identity_key = unb64u(answer.identity_key)
    load_p256(identity_key)
    seal_to(unb64u(answer.sealing_key), b"", b"")
    if not verify_p256(identity_key, unb64u(signed.signature), ANSWER_TAG + signed.answer.encode()):
        raise PairingInvalid("the answer isn't signed by the key that it names")
    if (answer.pairing_id, answer.commitment) != (code.pairing_id, code.commitment):
        raise PairingInvalid("the answer is to another code")
    unb64u(answer.nonce)
    return answer


def parse_reveal(text: str) -> PairingReveal:
    """Parse an owner's third message, or raise WireError; its code isn't compared yet."""
    reveal = _parse_reveal(PairingReveal, text)
    check_owner_keys(reveal.owner)
    return reveal


def parse_browser_reveal(text: str) -> BrowserReveal:
    """Parse a browser's third message, or raise WireError; its code isn't compared yet."""
    reveal = _parse_reveal(BrowserReveal, text)
    check_browser_keys(reveal.browser)
    return reveal


def _parse_reveal(kind: type[R], text: str) -> R:
    reveal = decode_canonical(kind, text.encode(), max_bytes=MAX_REVEAL_BYTES)
    unb64u(reveal.nonce)
    return reveal


def _reveal_of(keys: PairedKeys, pairing_id: str, nonce: str) -> Reveal:
    match keys:
        case OwnerKeys():
            return PairingReveal(pairing_id=pairing_id, owner=keys, nonce=nonce)
        case BrowserKeys():
            return BrowserReveal(pairing_id=pairing_id, browser=keys, nonce=nonce)


def pairing_words(signed: SignedPairingAnswer, reveal: Reveal) -> tuple[str, ...]:
    """Return the four words over all three messages."""
    digest = pairing_digest(signed, reveal)
    return tuple(word_list()[byte] for byte in digest[:WORD_COUNT])


def pairing_digest(signed: SignedPairingAnswer, reveal: Reveal) -> bytes:
    """Return SHA-256 over all three messages, as they were sent."""
    messages = {
        "answer": signed.encode().decode(),
        "code": reveal.code.text,
        "reveal": reveal.encode().decode(),
    }
    return hashlib.sha256(WORDS_TAG + canonical(messages)).digest()


@cache
def word_list() -> list[str]:
    """Return the 256 words, in order."""
    text = resources.files("firmware.protocol").joinpath("words.json").read_text("utf-8")
    words: list[str] = json.loads(text)
    return words


@lru_cache(maxsize=64)
def browser_words(device: str, browser: BrowserKeys) -> tuple[str, ...]:
    """Return six words over the keys of a browser that an owner lets watch this doorbell.

    That browser and the doorbell's page show the same, unless somebody swapped keys.
    """
    return _words({"browser": browser.encode().decode(), "device": device})


@lru_cache(maxsize=64)
def recovery_key_words(keys: RecoveryKeys) -> tuple[str, ...]:
    """Return six words over the public halves of a recovery key: they stand on its paper, too."""
    return _words({"recovery": keys.encode().decode()})


@lru_cache(maxsize=64)
def approver_words(key: PasskeyKey) -> tuple[str, ...]:
    """Return six words over a key that is to confirm statements: its own program shows them too."""
    return _words({"approver": key.encode().decode()})


def _words(bound: dict[str, str]) -> tuple[str, ...]:
    raw = hashlib.pbkdf2_hmac("sha256", canonical(bound), WORDS_SALT, WORDS_ROUNDS, dklen=6)
    return tuple(word_list()[byte] for byte in raw)
