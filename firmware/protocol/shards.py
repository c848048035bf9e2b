"""Directory of shards: which independent relays a town's operator runs, signed by offline keys.

    doorward shards
    {"expires_ms": …, "number": …, "shards": […], "v": 1}    canonical JSON (RFC 8785), on one line
    (empty line)
    — shards.example/a …                                     one line a signature

A C2SP note (c2sp.org/signed-note). Whose signatures count is in the policy that comes with a
doorbell's card, in a line that every other reader of policies takes for a comment:

    #shards <k> <vkey> <vkey> …                                at least k of these have signed

A relay that leads a doorbell to another shard hands the directory over; it counts for what these
keys signed, and the relay's word for nothing but the choice among open shards.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from firmware.protocol.encoding import (
    Digest,
    Document,
    Line,
    WallTimeMs,
    WireError,
    b64u,
    decode_canonical,
    sha256_hex,
)
from firmware.protocol.tlog.policy import MAX_POLICY_BYTES
from firmware.protocol.tlog.signed_note import (
    Note,
    NoteKey,
    NoteSigner,
    parse_key,
    parse_note,
)

KEYWORD = "#shards"
MAX_DIRECTORY_BYTES = 32 * 1024
MAX_SHARDS = 64
MAX_SIGNERS = 16
LEAST_QUORUM = 2
LONGEST_LIFE_MS = 400 * 24 * 3600 * 1000
"""No directory counts for longer: it is signed anew each year at least."""
ARRIVAL_TAG = b"doorward/shard-arrival/v1\x00"
MISDIRECTED = 421
"""The HTTP status of an `Elsewhere` (RFC 9110 section 15.5.20)."""
_TEXT = b"doorward shards\n"
_BLANKS = re.compile("[ \t]+")
_NUMBER = re.compile(r"[1-9][0-9]?\Z")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

ShardId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9](-?[a-z0-9]){0,30}\Z")]


class DirectoryRefused(WireError):
    """A directory of shards doesn't count, or doesn't lead where a relay says; the text says why.

    `reason` is one word for it.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class ListedShard(Document, frozen=True, kw_only=True):
    """One shard: a relay with broker, database and register of its own."""

    id: ShardId
    relay_url: Line
    """Scheme, host and port of its relay, as `public_url` in relay.toml."""
    ca_sha256: Digest
    """Of its fleet CA's certificate: what a claim pins."""
    policy_sha256: Digest
    """Of its policy's text: which logs and witnesses its doorbells believe."""
    state: Literal["open", "closed"]
    """Whether it takes doorbells that it doesn't have."""


class ShardDirectory(Document, frozen=True, kw_only=True):
    """All shards of an operator. `number` rises with each edition."""

    v: Literal[1] = 1
    number: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
    made_ms: WallTimeMs
    expires_ms: WallTimeMs
    shards: Annotated[tuple[ListedShard, ...], msgspec.Meta(min_length=1, max_length=MAX_SHARDS)]

    def shard(self, shard_id: str) -> ListedShard | None:
        """Return a shard by its id, None if it isn't listed."""
        return next((one for one in self.shards if one.id == shard_id), None)


class Elsewhere(Document, frozen=True, kw_only=True):
    """The answer with HTTP status 421: this claim, or this doorbell, is another shard's."""

    v: Literal[1] = 1
    shard: ShardId
    directory: Annotated[str, msgspec.Meta(max_length=MAX_DIRECTORY_BYTES)]
    """The signed note, as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorySigners:
    """The keys that sign directories, and how many of them must have."""

    keys: tuple[NoteKey, ...]
    quorum: int


def parse_signers(policy: bytes) -> DirectorySigners | None:
    """Return a policy's signers of directories; None if it names none. WireError for bad ones."""
    if len(policy) > MAX_POLICY_BYTES:
        raise WireError(f"a policy has at most {MAX_POLICY_BYTES} bytes, not {len(policy)}")
    lines = [
        words
        for line in policy.decode("utf-8", "surrogateescape").split("\n")
        if (words := _BLANKS.split(line.strip(" \t")))[0] == KEYWORD
    ]
    if not lines:
        return None
    if len(lines) > 1:
        raise WireError(f"a policy has one line {KEYWORD}, not {len(lines)}")
    _, *words = lines[0]
    if not words or not _NUMBER.match(words[0]):
        raise WireError(f"expected: {KEYWORD} <number> <vkey> <vkey> …")
    keys = tuple(parse_key(word) for word in words[1:])
    if any(key.kind != "ed25519" for key in keys):
        raise WireError(f"a witness's key signs no directory: {KEYWORD} takes other keys")
    if len({key.public_key for key in keys}) != len(keys):
        raise WireError(f"a key stands twice in {KEYWORD}")
    quorum = int(words[0])
    if not LEAST_QUORUM <= quorum <= len(keys) <= MAX_SIGNERS:
        raise WireError(
            f"{KEYWORD} has {len(keys)} keys and wants {quorum} signatures: at least "
            f"{LEAST_QUORUM} of at most {MAX_SIGNERS} are needed"
        )
    return DirectorySigners(keys=keys, quorum=quorum)


def signers_line(keys: Sequence[NoteKey], quorum: int) -> str:
    """Return the line that names the signers in a policy."""
    return " ".join([KEYWORD, str(quorum), *(key.vkey for key in keys)])


def unsigned_directory(directory: ShardDirectory) -> bytes:
    """Return the text that signers sign, which counts for nobody before they do; WireError."""
    _check(directory)
    return _TEXT + directory.encode() + b"\n"


def with_signature(data: bytes, signer: NoteSigner) -> bytes:
    """Return a directory with one more signature, in the place of an older one by the key."""
    note = _parse(data)
    _read(note)
    return note.with_signatures(signer.sign(note.text)).encode()


def read_unverified(data: bytes) -> ShardDirectory:
    """Return a directory whoever signed it, or nobody, whatever its age; WireError."""
    return _read(_parse(data))


def open_directory(
    data: bytes, signers: DirectorySigners, *, now_ms: int, known_number: int
) -> ShardDirectory:
    """Return a directory that counts, or raise DirectoryRefused or WireError.

    `known_number` is that of the newest one that was seen before, or 0.
    """
    note = _parse(data)
    signed = note.signed_by(signers.keys)
    if len(signed) < signers.quorum:
        raise DirectoryRefused(
            "unsigned",
            f"{len(signed)} of the keys that the policy names have signed the directory of shards; "
            f"{signers.quorum} must",
        )
    directory = _read(note)
    if directory.number < known_number:
        raise DirectoryRefused(
            "rolled_back",
            f"the directory of shards is number {directory.number}, and number {known_number} was "
            "seen before",
        )
    if now_ms >= directory.expires_ms:
        raise DirectoryRefused(
            "expired",
            "the directory of shards has ended: the relay's operator makes the next edition "
            "(`doorward-relay shard directory make`), and has it signed",
        )
    return directory


def open_shard(directory: ShardDirectory, shard_id: str, *, from_url: str) -> ListedShard:
    """Return the shard that the relay at `from_url` leads to, or raise DirectoryRefused.

    That relay must be listed itself: it stays one of the operator's, though it may be closed.
    """
    urls = {one.relay_url for one in directory.shards}
    if from_url.rstrip("/") not in urls:
        raise DirectoryRefused("foreign", f"{from_url} is no relay of the directory of shards")
    shard = directory.shard(shard_id)
    if shard is None:
        raise DirectoryRefused("unlisted", f"the directory of shards has no shard {shard_id}")
    if shard.state != "open":
        raise DirectoryRefused("closed", f"shard {shard_id} takes no doorbells")
    if shard.relay_url == from_url.rstrip("/"):
        raise DirectoryRefused("itself", f"the relay at {from_url} leads to itself")
    return shard


def arrival_secret(device: str) -> str:
    """Return the secret of the claim by which a doorbell that was moved arrives at its new shard.

    It is no secret: that claim is bound to the doorbell, whose key the request shows.
    """
    return b64u(bytes.fromhex(sha256_hex(ARRIVAL_TAG + device.encode())))


def _parse(data: bytes) -> Note:
    if len(data) > MAX_DIRECTORY_BYTES:
        raise WireError(
            f"a directory of shards has at most {MAX_DIRECTORY_BYTES} bytes, not {len(data)}"
        )
    return parse_note(data) if b"\n\n" in data else Note(text=data, signatures=())


def _read(note: Note) -> ShardDirectory:
    if not note.text.startswith(_TEXT):
        raise WireError("it wasn't signed as a directory of shards")
    text = note.text.removeprefix(_TEXT).removesuffix(b"\n")
    directory = decode_canonical(ShardDirectory, text, max_bytes=MAX_DIRECTORY_BYTES)
    _check(directory)
    return directory


def _check(directory: ShardDirectory) -> None:
    """Raise WireError for a directory that says what can't be."""
    for name, values in (
        ("id", [one.id for one in directory.shards]),
        ("relay_url", [one.relay_url for one in directory.shards]),
        ("ca_sha256", [one.ca_sha256 for one in directory.shards]),
        ("policy_sha256", [one.policy_sha256 for one in directory.shards]),
    ):
        if len(set(values)) != len(values):
            raise WireError(f"two shards have the same {name}: each has its own")
    for one in directory.shards:
        if not _is_origin(one.relay_url):
            raise WireError(
                f"relay_url of shard {one.id} is {one.relay_url!r}: expected https://host[:port]"
            )
    life_ms = directory.expires_ms - directory.made_ms
    if not 0 < life_ms <= LONGEST_LIFE_MS:
        raise WireError("a directory of shards ends within 400 days after it was made")


def _is_origin(text: str) -> bool:
    """Return whether a text is scheme, host and port only: https, or this machine itself."""
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return False
    shown = f"[{host}]" if ":" in host else host
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    return is_safe and bool(host) and text == f"{parts.scheme}://{shown}{port}"
