"""Notes signed by one or more keys (c2sp.org/signed-note), and Ed25519 keys for them.

A note is text that ends with a newline, an empty line, and lines `— name base64(key id ‖
signature)`. Nothing here says whom to believe: `policy` does. Two kinds of key are used: a log's
signs the text itself, a witness's signs it with a time (`checkpoint`).
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.lines import b64, decode_text, unb64

MAX_NOTE_BYTES = 128 * 1024
MAX_SIGNATURES = 64
MAX_NAME_BYTES = 255
KEY_BYTES = 32
KEY_ID_BYTES = 4
SIGNATURE_BYTES = 64

KeyKind = Literal["ed25519", "cosignature"]
_BYTE_OF: dict[KeyKind, int] = {"ed25519": 0x01, "cosignature": 0x04}
_KIND_OF: dict[int, KeyKind] = {byte: kind for kind, byte in _BYTE_OF.items()}
_PRIVATE = "PRIVATE+KEY+"
_SIGN_OF_X = 1 << 255
_PRIME = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
"""The y of a point of order 8; the other is its negative."""
_NO_KEYS = frozenset({0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8, *range(_PRIME, 2**255)})
"""Values of y that are no key: points of low order, and second encodings (RFC 8032 section 5.1.3).
"""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
"""Any character below a space, but for the newline."""
_NOT_IN_NAMES = re.compile(r"[\s\x00-\x1f+]")


class NoteRefused(WireError):
    """A note isn't one, or isn't signed by whom it must be; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteKey:
    """A public key with the name that signs; as text, a *vkey*."""

    name: str
    kind: KeyKind
    public_key: bytes

    def __post_init__(self) -> None:
        """Refuse what no signature line could name."""
        if not _is_name(self.name):
            raise NoteRefused("a key's name has no space and no plus, and isn't empty")
        if len(self.public_key) != KEY_BYTES:
            raise NoteRefused(f"an Ed25519 key has {KEY_BYTES} bytes")
        if int.from_bytes(self.public_key, "little") & ~_SIGN_OF_X in _NO_KEYS:
            raise NoteRefused("not an Ed25519 key in its one form, or one of low order")

    @property
    def key_id(self) -> bytes:
        """The four bytes that a signature begins with."""
        typed = bytes([_BYTE_OF[self.kind]]) + self.public_key
        return hashlib.sha256(self.name.encode() + b"\n" + typed).digest()[:KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The key as text: `name+id+base64`."""
        typed = bytes([_BYTE_OF[self.kind]]) + self.public_key
        return f"{self.name}+{self.key_id.hex()}+{b64(typed)}"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether `signature` (64 bytes) over `message` is by this key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line: the claimed signer, and the bytes after the key id."""

    name: str
    key_id: bytes
    signature: bytes

    def is_of(self, key: NoteKey) -> bool:
        """Return whether this line claims to be by `key`; it isn't checked."""
        return self.name == key.name and self.key_id == key.key_id

    def line(self) -> str:
        """Return the line, with its newline."""
        return f"— {self.name} {b64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text and its signatures, of which none has been checked."""

    text: bytes
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """Return the note as it is sent and kept."""
        lines = "".join(signature.line() for signature in self.signatures)
        return self.text + b"\n" + lines.encode()

    def signed_by(self, keys: Iterable[NoteKey]) -> set[bytes]:
        """Return the public keys, of these, of which a signature holds; each counts once."""
        return {
            key.public_key
            for key in keys
            for signature in self.signatures
            if signature.is_of(key) and key.verifies(signature.signature, self.text)
        }

    def with_signatures(self, *more: NoteSignature) -> "Note":
        """Return the note with more signatures, each in the place of an old one by the same key."""
        new = {(signature.name, signature.key_id) for signature in more}
        kept = [old for old in self.signatures if (old.name, old.key_id) not in new]
        return replace(self, signatures=(*kept, *more))


class NoteSigner:
    """A private key with its name. It signs any text: the caller decides which."""

    def __init__(self, *, name: str, kind: KeyKind, private_key: bytes) -> None:
        if len(private_key) != KEY_BYTES:
            raise NoteRefused(f"an Ed25519 key has {KEY_BYTES} bytes")
        self._private = Ed25519PrivateKey.from_private_bytes(private_key)
        public = self._private.public_key().public_bytes_raw()
        self._key = NoteKey(name=name, kind=kind, public_key=public)

    @classmethod
    def generate(cls, name: str, kind: KeyKind) -> "NoteSigner":
        """Return a signer with a new key."""
        private = Ed25519PrivateKey.generate().private_bytes_raw()
        return cls(name=name, kind=kind, private_key=private)

    @classmethod
    def parse(cls, saved: str) -> "NoteSigner":
        """Read what `saved` gave, or raise NoteRefused; the error never repeats the key."""
        if not saved.startswith(_PRIVATE):
            raise NoteRefused(f"a signer's saved form begins with {_PRIVATE}")
        name, key_id, kind, private = _parse_key(saved.removeprefix(_PRIVATE))
        signer = cls(name=name, kind=kind, private_key=private)
        if signer.key.key_id != key_id:
            raise NoteRefused("the key id isn't that of this key and name")
        return signer

    @property
    def key(self) -> NoteKey:
        """The public half."""
        return self._key

    def saved(self) -> str:
        """Return the secret form, as Go's sumdb/note writes it: `PRIVATE+KEY+name+id+base64`."""
        typed = bytes([_BYTE_OF[self._key.kind]]) + self._private.private_bytes_raw()
        return f"{_PRIVATE}{self._key.name}+{self._key.key_id.hex()}+{b64(typed)}"

    def sign(self, message: bytes, *, prefix: bytes = b"") -> NoteSignature:
        """Sign `message`; `prefix` stands before the signature in its line."""
        signed = prefix + self._private.sign(message)
        return NoteSignature(name=self._key.name, key_id=self._key.key_id, signature=signed)


def parse_key(vkey: str) -> NoteKey:
    """Parse a vkey, or raise NoteRefused."""
    name, key_id, kind, public = _parse_key(vkey)
    key = NoteKey(name=name, kind=kind, public_key=public)
    if key.key_id != key_id:
        raise NoteRefused(f"the key id of {name} isn't that of this key and name")
    return key


def parse_note(data: bytes) -> Note:
    """Parse a note; no signature is checked."""
    if len(data) > MAX_NOTE_BYTES:
        raise NoteRefused(f"a note has at most {MAX_NOTE_BYTES} bytes, not {len(data)}")
    text, gap, lines = data.rpartition(b"\n\n")
    if not gap:
        raise NoteRefused("a note has an empty line between its text and its signatures")
    _decoded(text + b"\n")
    return Note(text=text + b"\n", signatures=parse_signatures(lines))


def parse_signatures(data: bytes) -> tuple[NoteSignature, ...]:
    """Parse signature lines, at least one: a note's, or a witness's answer."""
    lines = _decoded(data).split("\n")[:-1]
    if len(lines) > MAX_SIGNATURES:
        raise NoteRefused(f"a note has at most {MAX_SIGNATURES} signatures")
    return tuple(_parse_signature(line) for line in lines)


def sign_note(text: bytes, signers: Sequence[NoteSigner]) -> bytes:
    """Return the note of `text` with an Ed25519 signature by each signer."""
    if any(signer.key.kind != "ed25519" for signer in signers):
        raise ValueError("a witness's key signs cosignatures only")
    signatures = tuple(signer.sign(text) for signer in signers)
    return Note(text=text, signatures=signatures).encode()


def _parse_signature(line: str) -> NoteSignature:
    dash, _, rest = line.partition(" ")
    name, _, encoded = rest.partition(" ")
    if dash != "—" or not _is_name(name):
        raise NoteRefused("a signature's line is: em dash, space, name, space, base64")
    try:
        signed = unb64(encoded)
    except WireError as error:
        raise NoteRefused(f"the signature of {name} is {error}") from error
    if len(signed) <= KEY_ID_BYTES:
        raise NoteRefused(f"the signature of {name} is too short")
    return NoteSignature(name=name, key_id=signed[:KEY_ID_BYTES], signature=signed[KEY_ID_BYTES:])


def _parse_key(text: str) -> tuple[str, bytes, KeyKind, bytes]:
    """Split `name+id+base64`; the errors never repeat it, for it may be a secret."""
    name, _, rest = text.partition("+")
    id_, _, encoded = rest.partition("+")
    try:
        key_id, typed = bytes.fromhex(id_), unb64(encoded)
    except ValueError as error:  # WireError too
        raise NoteRefused("a key is written name+id+base64") from error
    if key_id.hex() != id_ or len(key_id) != KEY_ID_BYTES:
        raise NoteRefused("a key's id is eight hexadecimal digits in lower case")
    if not typed or typed[0] not in _KIND_OF:
        raise NoteRefused("only Ed25519 keys are understood: of logs (1) and of witnesses (4)")
    return name, key_id, _KIND_OF[typed[0]], typed[1:]


def _decoded(data: bytes) -> str:
    try:
        text = decode_text(data, what="note", max_bytes=MAX_NOTE_BYTES)
    except WireError as error:
        raise NoteRefused(str(error)) from error
    if _CONTROL.search(text):
        raise NoteRefused("a note has no control characters")
    return text


def _is_name(name: str) -> bool:
    """Return whether a signature line could name it (c2sp.org/signed-note: Format)."""
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size_bytes <= MAX_NAME_BYTES and not _NOT_IN_NAMES.search(name)
