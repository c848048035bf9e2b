"""The bundle on the card: what is in it, by whom it is signed, and whether it is whole.

`bundle.tar` is a plain ustar archive, as provisioning.release.bundle makes it. Its first member is
a C2SP signed note over canonical JSON. Here it is read by the standard library and the system's
`openssl`, which verifies Ed25519. A signature counts only for the purpose "bundle", and only by a
key of `signers.txt`.
"""

import base64
import binascii
import hashlib
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from provisioning.first_boot.errors import CommandFailed, DocumentRefused
from provisioning.first_boot.fields import Fields, parse_fields
from provisioning.first_boot.host import Host
from provisioning.first_boot.places import SCRATCH

NOTE = "bundle.note"
PURPOSE = b"doorward bundle\n"
MAX_NOTE_BYTES = 120 * 1024
MAX_SIGNATURES = 64
MAX_SIGNERS = 16
MAX_SIGNERS_BYTES = 16 * 1024
LEAST_QUORUM = 2
MAX_FILES = 512
MAX_FILE_BYTES = 300_000_000
MAX_MS = 253_402_300_799_999
BLOCK = 512
PIECE_BYTES = 1024 * 1024
ED25519 = b"\x01"
SPKI = bytes.fromhex("302a300506032b6570032100")
"""What stands before an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 section 4)."""
FILE_NAME = (
    r"(wheels/[A-Za-z0-9][A-Za-z0-9._+!-]{0,200}\.whl|debs/[A-Za-z0-9][A-Za-z0-9._+~%-]{0,200}\.deb"
    r"|requirements\.txt|first-boot\.pyz)"
)
VERSION = r"[0-9A-Za-z][0-9A-Za-z.+-]{0,62}"
TARGET = r"(aarch64|x86_64)-cp3[0-9]{1,2}"
PACKAGE_NAME = r"[a-z0-9][a-z0-9.+-]{1,100}"
PACKAGE_VERSION = r"[^\x00-\x1f\x7f]{1,200}"


class BundleRefused(DocumentRefused):
    """A bundle isn't what was signed, or not signed by enough; `code` says which."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleFile:
    """One file of a bundle."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianPackage:
    """A Debian package that the doorbell needs; `file` if the bundle carries it."""

    name: str
    version: str
    file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What a bundle's note says; enough have signed it."""

    note: bytes
    version: str
    made_ms: int
    target: str
    files: tuple[BundleFile, ...]
    debian: tuple[DebianPackage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerKey:
    """An Ed25519 key whose signature counts."""

    name: str
    key_id: bytes
    public_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Signers:
    """The keys that count, and how many of them must have signed."""

    keys: tuple[SignerKey, ...]
    quorum: int


def parse_signers(data: bytes) -> Signers:
    """Read a signers' file, or raise BundleRefused."""
    keys: dict[bytes, SignerKey] = {}
    quorum = 0
    if len(data) > MAX_SIGNERS_BYTES:
        raise _signers_refused("it is too long")
    for line in data.decode(errors="replace").split("\n"):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if words[0] == "quorum" and len(words) == 2 and re.fullmatch("[0-9]{1,3}", words[1]):
            quorum = int(words[1])
            continue
        key = _parse_key(words)
        if key.public_key in keys:
            raise _signers_refused("it names a key twice")
        keys[key.public_key] = key
    if not LEAST_QUORUM <= quorum <= len(keys) <= MAX_SIGNERS:
        raise _signers_refused(f"it has {len(keys)} keys and a quorum of {quorum}, not 2 or more")
    return Signers(keys=tuple(keys.values()), quorum=quorum)


def open_note(host: Host, note: bytes, signers: Signers) -> Bundle:
    """Return the bundle that a note describes if enough have signed it, or raise BundleRefused."""
    if len(note) > MAX_NOTE_BYTES:
        raise BundleRefused("bundle_damaged", "its list is too long")
    text, gap, lines = note.rpartition(b"\n\n")
    signed = text + b"\n"
    if not gap or not lines.endswith(b"\n") or lines.count(b"\n") > MAX_SIGNATURES:
        raise BundleRefused("bundle_damaged", "its list has no signatures")
    if not signed.startswith(PURPOSE):
        raise BundleRefused("bundle_damaged", "its list was signed for another purpose")
    count = len(_signed_by(host, signed, lines, signers))
    if count < signers.quorum:
        raise BundleRefused(
            "bundle_signatures",
            f"{count} of the signers that count have signed it; {signers.quorum} must",
        )
    return _parse_bundle(note, signed.removeprefix(PURPOSE))


@contextmanager
def open_bundle(host: Host, path: str) -> Iterator[BinaryIO]:
    """Open the archive for reading; raise BundleRefused if there is none."""
    try:
        file = host.path(path).open("rb")
    except FileNotFoundError as error:
        raise BundleRefused("bundle_missing", "doorward/bundle.tar isn't there") from error
    with file:
        yield file


def read_note(file: BinaryIO) -> bytes:
    """Return the first member, the note; nothing in it is verified."""
    block = file.read(BLOCK)
    try:
        size = tarfile.TarInfo.frombuf(block, "ascii", "strict").size
    except (tarfile.HeaderError, ValueError) as error:
        raise BundleRefused("bundle_damaged", "doorward/bundle.tar is no bundle") from error
    if not 0 < size <= MAX_NOTE_BYTES or block != _header(NOTE, size):
        raise BundleRefused("bundle_damaged", f"the archive doesn't begin with {NOTE}")
    note = file.read(size)
    _skip_padding(file, size)
    return note


def check_files(file: BinaryIO, bundle: Bundle) -> None:
    """Read every file behind the note; raise BundleRefused unless all are as the note says."""
    for _, content in files_of(file, bundle):
        for _ in content:
            pass


def files_of(file: BinaryIO, bundle: Bundle) -> Iterator[tuple[BundleFile, Iterator[bytes]]]:
    """Give each file and its bytes in pieces; after the last piece its digest was right.

    Each file has to be read to its end before the next. Every header has to be the one that a file
    of this name and size has, byte for byte: no path, link or owner can be said otherwise.
    """
    for expected in bundle.files:
        if file.read(BLOCK) != _header(expected.name, expected.size):
            raise BundleRefused("bundle_damaged", f"{expected.name} isn't where the list says")
        yield expected, _pieces(file, expected)
        _skip_padding(file, expected.size)
    if file.read(2 * BLOCK + 1) != bytes(2 * BLOCK):
        raise BundleRefused("bundle_damaged", "it doesn't end where its list does")


def _pieces(file: BinaryIO, expected: BundleFile) -> Iterator[bytes]:
    digest = hashlib.sha256()
    left = expected.size
    while left:
        piece = file.read(min(PIECE_BYTES, left))
        if not piece:
            raise BundleRefused("bundle_damaged", f"it was cut off in {expected.name}")
        left -= len(piece)
        digest.update(piece)
        yield piece
    if digest.hexdigest() != expected.sha256:
        raise BundleRefused("bundle_damaged", f"{expected.name} isn't what was signed")


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def _skip_padding(file: BinaryIO, size: int) -> None:
    padding = -size % BLOCK
    if file.read(padding) != bytes(padding):
        raise BundleRefused("bundle_damaged", "it was cut off, or hides something")


def _parse_bundle(note: bytes, document: bytes) -> Bundle:
    try:
        fields = parse_fields(document, NOTE, max_bytes=MAX_NOTE_BYTES)
        fields.version(1)
        bundle = Bundle(
            note=note,
            version=fields.text("version", VERSION),
            made_ms=fields.whole("made_ms", 0, MAX_MS),
            target=fields.text("target", TARGET),
            files=tuple(_parse_file(file) for file in fields.list("files", MAX_FILES)),
            debian=tuple(_parse_package(item) for item in fields.list("debian", MAX_FILES)),
        )
        fields.end()
    except DocumentRefused as error:
        raise BundleRefused("bundle_damaged", str(error)) from error
    names = [file.name for file in bundle.files]
    if len(set(names)) != len(names):
        raise BundleRefused("bundle_damaged", "its list names a file twice")
    carried = {package.file for package in bundle.debian if package.file is not None}
    if not carried <= set(names) or "requirements.txt" not in names:
        raise BundleRefused("bundle_damaged", "its list names a file that isn't in it")
    return bundle


def made_ms_unverified(note: bytes) -> int:
    """Return when a note says that it was made, by whomever; 0 if it says nothing."""
    document = note.rpartition(b"\n\n")[0].removeprefix(PURPOSE)
    try:
        fields = parse_fields(document, NOTE, max_bytes=MAX_NOTE_BYTES)
        return fields.whole("made_ms", 0, MAX_MS)
    except DocumentRefused:
        return 0


def _parse_file(fields: Fields) -> BundleFile:
    file = BundleFile(
        name=fields.text("name", FILE_NAME),
        size=fields.whole("size", 0, MAX_FILE_BYTES),
        sha256=fields.text("sha256", r"[0-9a-f]{64}"),
    )
    fields.end()
    return file


def _parse_package(fields: Fields) -> DebianPackage:
    package = DebianPackage(
        name=fields.text("name", PACKAGE_NAME),
        version=fields.text("version", PACKAGE_VERSION),
        file=fields.text_if_any("file", FILE_NAME),
    )
    fields.end()
    return package


def _signed_by(host: Host, text: bytes, lines: bytes, signers: Signers) -> set[bytes]:
    """Return the keys that count and have signed; one key counts once."""
    signed: set[bytes] = set()
    for line in lines.decode(errors="replace").split("\n")[:-1]:
        words = line.split(" ")
        if len(words) != 3 or words[0] != "—":
            raise BundleRefused("bundle_damaged", "a line of its signatures isn't one")
        blob = _unbase64(words[2])
        signed |= {
            key.public_key
            for key in signers.keys
            if words[1] == key.name
            and blob[:4] == key.key_id
            and len(blob) == 4 + 64
            and _verifies(host, key, blob[4:], text)
        }
    return signed


def _verifies(host: Host, key: SignerKey, signature: bytes, text: bytes) -> bool:
    folder = host.path(SCRATCH)
    folder.mkdir(parents=True, exist_ok=True)
    pem = base64.encodebytes(SPKI + key.public_key)
    (folder / "key.pem").write_bytes(
        b"-----BEGIN PUBLIC KEY-----\n" + pem + b"-----END PUBLIC KEY-----\n"
    )
    (folder / "signature").write_bytes(signature)
    (folder / "text").write_bytes(text)
    try:
        host.run(
            "openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(folder / "key.pem"), "-rawin",
            "-in", str(folder / "text"), "-sigfile", str(folder / "signature"),
        )  # fmt: skip
    except CommandFailed:
        return False
    return True


def _parse_key(words: list[str]) -> SignerKey:
    name, _, rest = " ".join(words).partition("+")
    key_id, _, encoded = rest.partition("+")
    typed = _unbase64(encoded)
    if len(typed) != 33 or typed[:1] != ED25519 or re.search(r"\s", name) or not name:
        raise _signers_refused("a line of it is no key")
    if hashlib.sha256(name.encode() + b"\n" + typed).digest()[:4].hex() != key_id:
        raise _signers_refused("a line of it is no key")
    return SignerKey(name=name, key_id=bytes.fromhex(key_id), public_key=typed[1:])


def _unbase64(text: str) -> bytes:
    """Return the bytes of base64 in its one form (RFC 4648 section 3.5), or none."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if base64.b64encode(data).decode() == text else b""


def _signers_refused(why: str) -> BundleRefused:
    return BundleRefused("bundle_signers", f"signers.txt can't be used: {why}")
