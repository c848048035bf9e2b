"""The encoding of all Doorward documents: canonical JSON, ids, digests and base64url.

What is signed is canonical JSON (RFC 8785). Documents are frozen `Document` structs; `decode`
parses bytes strictly and once (size limit, unknown fields refused, and for `decode_canonical`
the bytes must be the canonical ones, which also rules out duplicate keys).
"""

import base64
import binascii
import codecs
import hashlib
import secrets
from typing import Annotated, Any, TypeVar

import msgspec
import rfc8785

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
B64u = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]*\Z", max_length=MAX_DOCUMENT_BYTES)]
"""base64url without padding (RFC 4648 section 5)."""
ShortB64u = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]*\Z", max_length=4096)]
"""The same, for a key, a signature or an assertion's field."""
WallTimeMs = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
"""Milliseconds since 1970-01-01T00:00:00Z, up to the year 9999."""
MISLEADING = r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""What turns the direction of the text around it, or breaks a line, unseen (UAX #9, section 2).

No name needs them: letters that are written from right to left say so themselves.
"""
TEXT_PATTERN = rf"^[^{MISLEADING}]*\Z"
"""Text of several lines by others, that can't pass for other text."""
MAX_LINE_CHARS = 200
_LINE_PATTERN = rf"^[^\x00-\x1f\x7f-\x9f{MISLEADING}]*\Z"
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_LINE_CHARS, pattern=_LINE_PATTERN)]
"""One line of text for people: no control characters, nor any that turn what stands beside it."""
_IN_WORDS = {
    TEXT_PATTERN: "a text holds a sign that turns or hides what stands beside it",
    _LINE_PATTERN: "a line of text holds a line break, another control character, or a sign that "
    "turns or hides what stands beside it",
}
"""What people are told instead of the pattern, who mostly pasted such a sign without seeing it."""

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
        raise WireError(f"{kind.__name__}: {_in_words(error)}") from error


def _in_words(error: Exception) -> str:
    said = str(error)
    for pattern, words in _IN_WORDS.items():
        expected = f"Expected `str` matching regex {pattern!r}"
        if said.startswith(expected):
            where = said.removeprefix(expected).removeprefix(" - at ")
            return f"{words} (at {where})" if where else words
    return said


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
    return line or otherwise


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
