"""A verifier of transparency logs, written from the C2SP texts alone.

Nothing of Doorward is imported here: signed-note, tlog-checkpoint, tlog-tiles, tlog-cosignature,
tlog-proof and tlog-policy as https://c2sp.org has them, and RFC 6962 section 2.1 for the tree.
"""

import base64
import hashlib
import struct
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

ED25519, COSIGNATURE = 0x01, 0x04
TILE_WIDTH = 256


class Refused(Exception):
    """Something doesn't hold."""


@dataclass(frozen=True)
class Key:
    """A verifier key of a note: NAME+HASH+BASE64(TYPE || KEY)."""

    name: str
    hash: bytes
    kind: int
    public: bytes

    @classmethod
    def of(cls, vkey: str) -> "Key":
        name, digest, encoded = vkey.split("+", 2)
        blob = base64.b64decode(encoded, validate=True)
        key = cls(name, bytes.fromhex(digest), blob[0], blob[1:])
        if hashlib.sha256(name.encode() + b"\n" + blob).digest()[:4] != key.hash:
            raise Refused(f"{name}: the key's hash is another")
        return key

    def verify(self, text: bytes, signature: bytes) -> int | None:
        """Verify one signature; return the time of a cosignature."""
        message, when = text, None
        if self.kind == COSIGNATURE:
            when = struct.unpack(">Q", signature[:8])[0]
            message, signature = b"cosignature/v1\ntime %d\n" % when + text, signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature as error:
            raise Refused(f"{self.name}: the signature is wrong") from error
        return when


@dataclass
class Policy:
    """tlog-policy: logs, witnesses, groups, and the quorum that is wanted."""

    logs: list[Key] = field(default_factory=list)
    witnesses: dict[str, Key] = field(default_factory=dict)
    groups: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    quorum: str = "none"

    @classmethod
    def of(cls, text: str) -> "Policy":
        policy = cls()
        for line in text.splitlines():
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            match words[0]:
                case "log":
                    policy.logs.append(Key.of(words[1]))
                case "witness":
                    policy.witnesses[words[1]] = Key.of(words[2])
                case "group":
                    names = words[3:]
                    need = {"any": 1, "all": len(names)}.get(words[2]) or int(words[2])
                    policy.groups[words[1]] = (need, names)
                case "quorum":
                    policy.quorum = words[1]
                case other:
                    raise Refused(f"an unknown line: {other}")
        return policy

    def is_met(self, cosigned: set[str], name: str | None = None) -> bool:
        """Whether the witnesses that have cosigned satisfy the quorum."""
        name = self.quorum if name is None else name
        if name == "none":
            return True
        if name in self.witnesses:
            return name in cosigned
        need, members = self.groups[name]
        return sum(self.is_met(cosigned, member) for member in members) >= need


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose log signature and quorum hold."""

    origin: str
    size: int
    root: bytes
    times: tuple[int, ...]


def check_note(note: bytes, policy: Policy) -> Checkpoint:
    """Verify a checkpoint's note, or raise Refused."""
    text, separator, signatures = note.partition(b"\n\n")
    if not separator:
        raise Refused("no signatures")
    text += b"\n"
    origin, size, root = text.decode().split("\n")[:3]
    signed, cosigned, times = False, set(), []
    for line in signatures.decode().splitlines():
        dash, name, encoded = line.split(" ")
        if dash != "—":
            raise Refused("a signature line begins otherwise")
        blob = base64.b64decode(encoded, validate=True)
        for key in policy.logs:
            if (key.name, key.hash, origin) == (name, blob[:4], name):
                key.verify(text, blob[4:])
                signed = True
        for title, key in policy.witnesses.items():
            if (key.name, key.hash) == (name, blob[:4]):
                when = key.verify(text, blob[4:])
                assert when is not None
                cosigned.add(title)
                times.append(when)
    if not signed:
        raise Refused("the log hasn't signed it")
    if not policy.is_met(cosigned):
        raise Refused(f"only {sorted(cosigned)} have cosigned it")
    return Checkpoint(origin, int(size), base64.b64decode(root, validate=True), tuple(times))


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962 2.1, by recursion."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(root_of(hashes[:split]), root_of(hashes[split:]))


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """RFC 9162 2.1.3.2."""
    if index >= size:
        raise Refused("the index is beyond the tree")
    number, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise Refused("the proof is too long")
        if number % 2 or number == last:
            found = node_hash(sibling, found)
            while number % 2 == 0 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        number, last = number >> 1, last >> 1
    if last or found != root:
        raise Refused("the proof doesn't lead to the root")


def get(url: str) -> bytes:
    """Fetch a resource."""
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310
        return answer.read()


def numbered(number: int) -> str:
    """The path of a tile's number: x001/x234/067."""
    parts = [f"{number % 1000:03d}"]
    while number := number // 1000:
        parts.insert(0, f"x{number % 1000:03d}")
    return "/".join(parts)


class Log:
    """One log over HTTP (tlog-tiles)."""

    def __init__(self, url: str, policy: Policy) -> None:
        self.url, self.policy = url.rstrip("/"), policy

    def checkpoint(self) -> Checkpoint:
        return check_note(get(f"{self.url}/checkpoint"), self.policy)

    def tile(self, level: int, size: int, number: int) -> list[bytes]:
        """The hashes of one tile of a tree of `size` leaves."""
        data = get(f"{self.url}/tile/{level}/{self._name(level, size, number)}")
        return [data[at : at + 32] for at in range(0, len(data), 32)]

    def entries(self, size: int) -> list[bytes]:
        """Every entry, from the bundles."""
        found = []
        for number in range(-(-size // TILE_WIDTH)):
            data = get(f"{self.url}/tile/entries/{self._name(0, size, number)}")
            while data:
                (length,) = struct.unpack(">H", data[:2])
                found.append(data[2 : 2 + length])
                data = data[2 + length :]
        return found

    @staticmethod
    def _name(level: int, size: int, number: int) -> str:
        width = (size >> (8 * level)) - number * TILE_WIDTH
        name = numbered(number)
        return name if width >= TILE_WIDTH else f"{name}.p/{width}"


@dataclass(frozen=True)
class Proof:
    """A tlog-proof: where an entry stands, and the checkpoint that has it."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes


def parse_proof(text: bytes) -> Proof:
    """Parse c2sp.org/tlog-proof@v1."""
    head, _, checkpoint = text.partition(b"\n\n")
    first, *lines = head.decode().split("\n")
    if first != "c2sp.org/tlog-proof@v1":
        raise Refused("no tlog-proof")
    lines = [line for line in lines if not line.startswith("extra ")]
    word, index = lines[0].split(" ")
    if word != "index":
        raise Refused("no index")
    hashes = tuple(base64.b64decode(line, validate=True) for line in lines[1:])
    return Proof(int(index), hashes, checkpoint)
