"""Documents signed by n of several offline keys, as C2SP notes.

    doorward images              the purpose: a signature for one counts for no other
    {"images": […], "v": 1}      canonical JSON (RFC 8785), on one line
    (empty line)
    — release.example/a …        one line a signature

Source: c2sp.org/signed-note. The signers' file names the keys that count, one vkey a line, and how
many of them must have signed: `quorum 2`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from firmware.protocol.encoding import Document, WireError, decode_canonical
from firmware.protocol.tlog.signed_note import (
    Note,
    NoteKey,
    NoteSigner,
    parse_key,
    parse_note,
    sign_note,
)
from provisioning.errors import ReleaseRefused

MAX_BYTES = 120 * 1024
MAX_SIGNERS = 16
LEAST_QUORUM = 2
_PREFIX = b"doorward "

D = TypeVar("D", bound=Document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """The keys that count, and how many of them must have signed."""

    keys: tuple[NoteKey, ...]
    quorum: int


def parse_signers(text: str) -> Signers:
    """Read a signers' file, or raise ReleaseRefused."""
    keys: dict[bytes, NoteKey] = {}
    quorum = 0
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if words[0] == "quorum" and len(words) == 2 and words[1].isascii() and words[1].isdigit():
            quorum = int(words[1])
            continue
        try:
            key = parse_key(" ".join(words))
        except WireError as error:
            raise ReleaseRefused(
                f"line {number} of the signers' file is no key: {error}"
            ) from error
        if key.kind != "ed25519" or key.public_key in keys:
            raise ReleaseRefused(
                f"line {number} of the signers' file: a witness's key, or named twice"
            )
        keys[key.public_key] = key
    if not LEAST_QUORUM <= quorum <= len(keys) <= MAX_SIGNERS:
        raise ReleaseRefused(
            f"the signers' file has {len(keys)} keys and a quorum of {quorum}; it needs at least "
            f"{LEAST_QUORUM} of at most {MAX_SIGNERS}"
        )
    return Signers(keys=tuple(keys.values()), quorum=quorum)


def sign_document(document: Document, purpose: str, signers: Sequence[NoteSigner]) -> bytes:
    """Return the note of a document, signed by these."""
    return sign_note(_text(document.encode(), purpose), signers)


def unsigned_document(document: Document, purpose: str) -> bytes:
    """Return the text that signers sign, which counts for nobody before they do."""
    return _text(document.encode(), purpose)


def with_signature(data: bytes, signer: NoteSigner) -> bytes:
    """Return a note with one more signature, which takes the place of an older one by the key.

    `data` may be signed by nobody yet. Who signs has read what it says. Raises ReleaseRefused.
    """
    try:
        note = _parse(data)
    except WireError as error:
        raise ReleaseRefused(f"that is no document to sign: {error}") from error
    if not note.text.startswith(_PREFIX):
        raise ReleaseRefused("that is no document of Doorward's releases")
    return note.with_signatures(signer.sign(note.text)).encode()


def read_unverified(kind: type[D], data: bytes, purpose: str) -> D:
    """Return a document whoever signed it, or nobody; raise ReleaseRefused."""
    return _open(kind, data, purpose, None)


def open_document(kind: type[D], data: bytes, purpose: str, signers: Signers) -> D:
    """Return a document that enough signers have signed for this purpose, or ReleaseRefused."""
    return _open(kind, data, purpose, signers)


def _open(kind: type[D], data: bytes, purpose: str, signers: Signers | None) -> D:
    if len(data) > MAX_BYTES:
        raise ReleaseRefused(f"a signed list has at most {MAX_BYTES} bytes, not {len(data)}")
    try:
        note = _parse(data)
        first, _, rest = note.text.partition(b"\n")
        if first != _PREFIX + purpose.encode():
            raise ReleaseRefused(f"it was signed as {first[:60]!r}, not as Doorward's {purpose}")
        if signers is not None:
            _check_signatures(note, signers)
        return decode_canonical(kind, rest.removesuffix(b"\n"), max_bytes=MAX_BYTES)
    except WireError as error:
        raise ReleaseRefused(f"the signed list is damaged: {error}") from error


def _parse(data: bytes) -> Note:
    return parse_note(data) if b"\n\n" in data else Note(text=data, signatures=())


def _check_signatures(note: Note, signers: Signers) -> None:
    signed = note.signed_by(signers.keys)
    if len(signed) < signers.quorum:
        raise ReleaseRefused(
            f"{len(signed)} of the signers that count have signed it; {signers.quorum} must"
        )


def _text(document: bytes, purpose: str) -> bytes:
    return _PREFIX + purpose.encode() + b"\n" + document + b"\n"
