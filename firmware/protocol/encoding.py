"""The encoding of all Doorward documents: canonical JSON, ids, digests, base64url and keys.

What is signed is canonical JSON (RFC 8785). Documents are frozen `Document` structs; `decode`
parses bytes strictly and once (size limit, unknown fields refused, and for `decode_canonical`
the bytes must be the canonical ones, which also rules out duplicate keys).

A public key has one accepted text, so that no second text of it passes for another key. The types
of keys say which; `passkeys`, `sealing` and `browsers` load what they hold.
"""

import base64
import binascii
import codecs
import hashlib
import re
import secrets
from typing import Annotated, Any, TypeVar

import msgspec
import rfc8785

from firmware.protocol.schema_words import in_words

# rfc8785 sorts keys by it. Python loads it when it is first used, and remembers for ever if the
# card can't be read just then: nothing could be signed or told until a restart.
codecs.lookup("utf-16be")

MAX_MQTT_BYTES = 128 * 1024
MAX_DOCUMENT_BYTES = 64 * 1024

ID_PATTERN = "^[a-z2-7]{26}$"
DEVICE_ID_PATTERN = "^[a-z2-7]{20}$"

# In Python `$` also matches before a line feed at the end; what comes in is held to `\Z`.
Id = Annotated[str, msgspec.Meta(pattern=r"^[a-z2-7]{26}\Z")]
"""130 random bits, base32 in lower case: events, clips, requests, packages, sessions."""
DeviceId = Annotated[str, msgspec.Meta(pattern=r"^[a-z2-7]{20}\Z")]
"""The first 100 bits of SHA-256 over the identity key (SubjectPublicKeyInfo), base32."""
AgencyId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](-?[a-z0-9]){1,39}\Z")]
Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
"""SHA-256 in lower-case hexadecimal."""
_SIGN = "[A-Za-z0-9_-]"
_LAST_OF_TWO, _LAST_OF_THREE = "[AQgw]", "[AEIMQUYcgkosw048]"
"""The last signs of base64url whose unused bits are zero (RFC 4648 section 3.5)."""
_B64U_PATTERN = rf"^(?:{_SIGN}{{4}})*(?:{_SIGN}{_LAST_OF_TWO}|{_SIGN}{{2}}{_LAST_OF_THREE})?\Z"
B64u = Annotated[str, msgspec.Meta(pattern=_B64U_PATTERN, max_length=MAX_DOCUMENT_BYTES)]
"""base64url without padding (RFC 4648 section 5), its unused bits zero."""
ShortB64u = Annotated[str, msgspec.Meta(pattern=_B64U_PATTERN, max_length=4096)]
"""The same, for a signature, a credential id or an assertion's field."""

Random32 = Annotated[str, msgspec.Meta(pattern=rf"^{_SIGN}{{43}}\Z")]
"""32 random bytes in base64url: a nonce, or the salt of a commitment."""

P256_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""The beginning of each P-256 SubjectPublicKeyInfo with a named curve and an uncompressed point.

RFC 5480 section 2; the coordinates follow, of 32 bytes each.
"""
_P256 = base64.urlsafe_b64encode(P256_HEAD).decode() + rf"{_SIGN}{{85}}{_LAST_OF_TWO}"
_P256_PATTERN = rf"^{_P256}\Z"
_PASSKEY_PATTERN = rf"^(?:{_P256}|MII{_SIGN}{{389,731}})\Z"
_TOO_LARGE = "(?!(?:7[fv_]|[89_-][Pfv_])_{39}38)"
"""Not 2^255 - 19 or more, which X25519 takes for less."""
_X25519_PATTERN = rf"^{_TOO_LARGE}{_SIGN}{{41}}[A-HQ-Xg-nw-z0-3]{_LAST_OF_THREE}\Z"
_SESSION_KEY_PATTERN = rf"^A[g-z0-9_-]{_SIGN}{{42}}\Z"
_PUSH_KEY_PATTERN = rf"^B[A-P]{_SIGN}{{84}}{_LAST_OF_THREE}\Z"
P256Key = Annotated[str, msgspec.Meta(pattern=_P256_PATTERN)]
"""A P-256 key: base64url of its SubjectPublicKeyInfo with an uncompressed point, 91 bytes."""
PasskeyPublicKey = Annotated[str, msgspec.Meta(pattern=_PASSKEY_PATTERN)]
"""A `P256Key`, or the same of an RSA key of 2048 to 4096 bits; `load_passkey` checks the latter."""
X25519Key = Annotated[str, msgspec.Meta(pattern=_X25519_PATTERN)]
"""An X25519 key: base64url of its 32 bytes, a number below 2^255 - 19 (RFC 7748 section 5)."""
SessionKey = Annotated[str, msgspec.Meta(pattern=_SESSION_KEY_PATTERN)]
"""A browser's session key: base64url of a compressed P-256 point (SEC 1, 2.3.3), 33 bytes."""
PushKey = Annotated[str, msgspec.Meta(pattern=_PUSH_KEY_PATTERN)]
"""A push subscription's key (RFC 8291): base64url of an uncompressed P-256 point, 65 bytes."""
WallTimeMs = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
"""Milliseconds since 1970-01-01T00:00:00Z, up to the year 9999."""
MISLEADING = r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""What turns the direction of the text around it, or breaks a line, unseen (UAX #9, section 2).

No name needs them: letters that are written from right to left say so themselves.
"""
BLANK = (
    r"\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0"
)
"""What leaves no mark on a page: spaces, control characters, fillers, joiners.

Text of nothing else says nothing, though it isn't empty. (Listed, since the two languages' own
classes of white space differ.)
"""
_SAYS = rf"(?=[{BLANK}]*[^{BLANK}])"
SAID_PATTERN = rf"^{_SAYS}[^{MISLEADING}]*\Z"
"""Text of several lines by others, that isn't blank and can't pass for other text."""
TEXT_PATTERN = rf"^(?:{_SAYS}[^{MISLEADING}]*)?\Z"
"""The same, or nothing at all."""
MAX_LINE_CHARS = 200
LINE_PATTERN = rf"^{_SAYS}[^\x00-\x1f\x7f-\x9f{MISLEADING}]*\Z"
OPTIONAL_LINE_PATTERN = rf"^(?:{_SAYS}[^\x00-\x1f\x7f-\x9f{MISLEADING}]*)?\Z"
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LINE_CHARS, pattern=LINE_PATTERN)]
"""One line of text for people: not blank, no control characters, nor any that turn others."""
_IN_WORDS = {
    **dict.fromkeys(
        (SAID_PATTERN, TEXT_PATTERN),
        "a text is blank, or holds a sign that turns or hides what stands beside it",
    ),
    **dict.fromkeys(
        (LINE_PATTERN, OPTIONAL_LINE_PATTERN),
        "a line of text is blank, or holds a line break, another control character, or a sign that "
        "turns or hides what stands beside it",
    ),
    _B64U_PATTERN: "not base64url without padding, its unused bits zero",
    _P256_PATTERN: "not a P-256 key as its uncompressed SubjectPublicKeyInfo of 91 bytes, the one "
    "form that counts",
    _PASSKEY_PATTERN: "not a passkey's public key in the one form that counts: an uncompressed "
    "P-256 SubjectPublicKeyInfo, or an RSA one of 2048 to 4096 bits",
    _X25519_PATTERN: "not an X25519 key of 32 bytes, a number below 2^255 - 19, the one form that "
    "counts",
    _SESSION_KEY_PATTERN: "not a session key: a compressed P-256 point of 33 bytes",
    _PUSH_KEY_PATTERN: "not a push key: an uncompressed P-256 point of 65 bytes",
}
"""What people are told instead of the pattern."""

_IS_BLANK = re.compile(rf"[{BLANK}]*\Z")
D = TypeVar("D", bound="Document")


class WireError(ValueError):
    """A document from outside is not what it must be; the text says what was expected."""


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of every document on the wire. Encoded, it is canonical JSON."""

    def encode(self) -> bytes:
        """Return the canonical bytes (RFC 8785)."""
        return rfc8785.dumps(msgspec.to_builtins(self))

    def digest(self) -> str:
        """Return SHA-256 over the canonical bytes, in hexadecimal."""
        return sha256_hex(self.encode())


def decode(kind: type[D], data: bytes, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> D:
    """Parse `data` as one document of `kind`, or raise WireError saying what was wrong."""
    if len(data) > max_bytes:
        raise WireError(f"{kind.__name__}: {len(data)} bytes, at most {max_bytes} are allowed")
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"{kind.__name__}: {in_words(str(error), _IN_WORDS)}") from error


def decode_canonical(kind: type[D], data: bytes, *, max_bytes: int = MAX_DOCUMENT_BYTES) -> D:
    """Like `decode`, but refuse bytes that are not in canonical form."""
    document = decode(kind, data, max_bytes=max_bytes)
    try:
        encoded = document.encode()
    except ValueError as error:  # a number beyond RFC 8785
        raise WireError(f"{kind.__name__}: has no canonical form: {error}") from error
    if encoded != data:
        raise WireError(f"{kind.__name__}: not in canonical form (RFC 8785)")
    return document


def canonical(value: Any) -> bytes:  # Any: whatever JSON can hold
    """Return the canonical JSON of plain builtins."""
    return rfc8785.dumps(value)


def new_id() -> str:
    """Return a fresh random `Id`."""
    return base64.b32encode(secrets.token_bytes(17)).decode().lower()[:26]


def as_line(text: str, *, otherwise: str) -> str:
    """Return any text as a `Line`: on one line, cut, and `otherwise` if nothing is left."""
    line = "".join(char if char.isprintable() else " " for char in text)[:MAX_LINE_CHARS]
    return otherwise if is_blank(line) else line


def is_blank(text: str) -> bool:
    """Return whether a text says nothing: it is empty, or leaves no mark on a page."""
    return _IS_BLANK.match(text) is not None


def device_id_of(identity_spki: bytes) -> str:
    """Return the `DeviceId` that belongs to an identity key (SubjectPublicKeyInfo, DER)."""
    return base64.b32encode(hashlib.sha256(identity_spki).digest()).decode().lower()[:20]


def sha256_hex(data: bytes) -> str:
    """Return SHA-256 of `data` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def new_salt(random_bytes: bytes) -> str:
    """Return 32 random bytes as a record's salt."""
    if len(random_bytes) != 32:
        raise WireError("a salt is 32 bytes")
    return b64u(random_bytes)


def b64u(data: bytes) -> str:
    """Encode base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text: str) -> bytes:
    """Decode base64url without padding; raise WireError unless it is the one canonical text."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise WireError(f"not base64url: {error}") from error
    if b64u(data) != text:
        raise WireError("not base64url in canonical form")
    return data
