"""The bundle: all that a first boot installs, in one file whose list is signed 2 of n.

An uncompressed tar (POSIX ustar). Its first member is `bundle.note`, the signed list; the files of
the list follow, in its order. Every header has to be, byte for byte, the one that this module
writes for that name and size: no path, link, owner or second copy can be said otherwise, and
nothing is unpacked before it is known to be what was signed.

A published bundle leaves out what isn't ours to hand on (`is_fetched`); its list names it all the
same, with size and digest, and who flashes completes it from where that is published.
"""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, Protocol

import msgspec

from firmware.protocol.encoding import Digest, Document, Line, WallTimeMs
from provisioning.errors import ReleaseRefused
from provisioning.release.signed_document import (
    MAX_BYTES,
    Signers,
    open_document,
    read_unverified,
)

PURPOSE = "bundle"
NOTE, REQUIREMENTS, FIRST_BOOT = "bundle.note", "requirements.txt", "first-boot.pyz"
WHEELS, DEBS = "wheels", "debs"
MAX_BUNDLE_BYTES = 250_000_000
BLOCK = 512
END = bytes(2 * BLOCK)
PIECE = 1024 * 1024

Target = Literal["aarch64-cp313", "x86_64-cp313"]
Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9][0-9A-Za-z.+-]{0,39}\Z")]
"""Also the name of the folder that it is installed in."""
MemberName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?:wheels/[A-Za-z0-9][A-Za-z0-9_.+-]*\.whl"
        r"|debs/[A-Za-z0-9][A-Za-z0-9_.+~%-]*\.deb|requirements\.txt|first-boot\.pyz)\Z",
        max_length=140,
    ),
]


class BundleFile(Document, frozen=True, kw_only=True):
    """One file of a bundle."""

    name: MemberName
    size: Annotated[int, msgspec.Meta(ge=1, le=MAX_BUNDLE_BYTES)]
    sha256: Digest


class DebianPackage(Document, frozen=True, kw_only=True):
    """A package that the system must have; `file` None: it isn't carried, `version` may be any."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9+.-]{1,99}\Z")]
    version: Line
    file: MemberName | None


class BundleNote(Document, frozen=True, kw_only=True):
    """The signed list of a bundle."""

    v: Literal[1] = 1
    version: Version
    made_ms: WallTimeMs
    target: Target
    files: Annotated[tuple[BundleFile, ...], msgspec.Meta(min_length=3, max_length=512)]
    debian: Annotated[tuple[DebianPackage, ...], msgspec.Meta(max_length=512)] = ()


def is_fetched(name: str) -> bool:
    """Return whether a published bundle leaves a file out (docs/decisions/0076).

    PyAV's wheel has x264 and x265 in it; Debian's packages come from their own archives.
    """
    return name.startswith((f"{WHEELS}/av-", f"{DEBS}/"))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedBundle:
    """A bundle whose list is signed by enough, and whose files are those of the list."""

    path: Path
    size: int
    sha256: str
    """Of the whole file, as it was when it was checked."""
    note: BundleNote
    lacking: tuple[BundleFile, ...]
    """What a published bundle leaves out."""

    def read(self, name: str) -> bytes:
        """Return one of its files, which are checked once more."""
        return b"".join(piece for one, piece in self._pieces() if one.name == name)

    def unpack(self, folder: Path) -> dict[str, Path]:
        """Write its files into a folder, under numbers; return where each lies."""
        found: dict[str, Path] = {}
        for one, piece in self._pieces():
            path = found.setdefault(one.name, folder / str(len(found)))
            with path.open("ab") as file:
                file.write(piece)
        return found

    def _pieces(self) -> Iterator[tuple[BundleFile, bytes]]:
        with _opened(self.path) as file:
            _read_note_bytes(file, self.path)
            for one in self.note.files:
                if one not in self.lacking:
                    for piece in _member(file, self.path, one, file.read(BLOCK)):
                        yield one, piece


def write_bundle(out: Path, note: bytes, files: Mapping[str, Path]) -> None:
    """Write a bundle of a note, signed or not, and the files that it lists; raise ReleaseRefused.

    What is fetched may be left out. The file is there whole, or not at all.
    """
    listed = read_note(note).files
    left_out = {one.name for one in listed} - set(files)
    if set(files) - {one.name for one in listed} or not all(map(is_fetched, left_out)):
        raise ReleaseRefused("the bundle's list and its files differ")

    def copy(to: BinaryIO) -> None:
        for one in listed:
            if one.name in left_out:
                continue
            to.write(header(one.name, one.size))
            with files[one.name].open("rb") as source:
                while piece := source.read(PIECE):
                    to.write(piece)
            to.write(bytes(_padded(one.size) - one.size))

    _replace(out, note, copy)


def read_note(data: bytes) -> BundleNote:
    """Return a note's list; whoever signed it. Raises ReleaseRefused."""
    note = read_unverified(BundleNote, data, PURPOSE)
    _check_list(note)
    return note


def note_of(path: Path) -> bytes:
    """Return the bytes of a bundle's note."""
    with _opened(path) as file:
        return _read_note_bytes(file, path)


def replace_note(path: Path, note: bytes) -> None:
    """Give a bundle its note with other signatures; all else stays."""
    with _opened(path) as file:
        if read_note(_read_note_bytes(file, path)) != read_note(note):
            raise ReleaseRefused("that is the note of another bundle")
        left = os.fstat(file.fileno()).st_size - file.tell() - len(END)

        def copy(to: BinaryIO) -> None:
            for size in [*[PIECE] * (left // PIECE), left % PIECE]:
                to.write(file.read(size))

        _replace(path, note, copy)


def check_bundle(
    path: Path,
    signers: Signers,
    *,
    target: Target | None = None,
    may_lack: bool = False,
    progress: Callable[[int, float], None] = lambda _size, _part: None,
) -> CheckedBundle:
    """Check signatures, list, and every byte of a bundle; raise ReleaseRefused.

    `may_lack` takes one that isn't completed yet, too. `progress` is called with the bytes that
    were read, and which part of all that is.
    """
    note = open_document(BundleNote, note_of(path), PURPOSE, signers)
    if target is not None and note.target != target:
        raise ReleaseRefused(
            f"{path.name} is for {note.target}, not for {target}; take the bundle for that board"
        )
    return check_unverified(path, may_lack=may_lack, progress=progress)


def check_unverified(
    path: Path,
    *,
    may_lack: bool = False,
    progress: Callable[[int, float], None] = lambda _size, _part: None,
) -> CheckedBundle:
    """Check a bundle as `check_bundle` does, whoever has signed it: for its signers."""
    with _opened(path) as opened:
        file = _Hashed(opened)
        data = _read_note_bytes(file, path)
        note = read_note(data)
        size = os.fstat(opened.fileno()).st_size
        lacking = []
        block = file.read(BLOCK)
        for one in note.files:
            if block != header(one.name, one.size) and is_fetched(one.name):
                lacking.append(one)
                continue
            for _ in _member(file, path, one, block):
                pass
            progress(opened.tell(), opened.tell() / max(1, size))
            block = file.read(BLOCK)
        if block + file.read(BLOCK + 1) != END:
            raise ReleaseRefused(f"{path.name} doesn't end where its list does; download it anew")
    if lacking and not may_lack:
        raise ReleaseRefused(
            f"{path.name} lacks {lacking[0].name}, which isn't ours to hand on; complete it with "
            f"`doorward-release complete {path.name}`"
        )
    return CheckedBundle(
        path=path, size=size, sha256=file.hexdigest(), note=note, lacking=tuple(lacking)
    )


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Hashed:
    """A file that is read from its beginning, and the digest of what was read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        data = self._file.read(size)
        self._digest.update(data)
        return data

    def hexdigest(self) -> str:
        """Return the digest."""
        return self._digest.hexdigest()


def header(name: str, size: int) -> bytes:
    """Return the one header that a member of this name and size may have."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def file_of(name: str, path: Path) -> BundleFile:
    """Return a file's line in the list."""
    return BundleFile(name=name, size=path.stat().st_size, sha256=sha256_of(path))


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_list(note: BundleNote) -> None:
    """Raise ReleaseRefused for a list that no bundle of ours has."""
    names = [one.name for one in note.files]
    if len(set(names)) < len(names):
        raise ReleaseRefused("the bundle's list names a file twice")
    if not {REQUIREMENTS, FIRST_BOOT}.issubset(names):
        raise ReleaseRefused(f"the bundle's list lacks {REQUIREMENTS} or {FIRST_BOOT}")
    carried = {one.file for one in note.debian if one.file is not None}
    if carried != {name for name in names if name.startswith(f"{DEBS}/")}:
        raise ReleaseRefused("the bundle's Debian packages aren't those of its list")
    if _size_of(note) > MAX_BUNDLE_BYTES:
        raise ReleaseRefused(
            f"a bundle has at most {MAX_BUNDLE_BYTES / 1e6:.0f} MB; this would have "
            f"{_size_of(note) / 1e6:.0f}"
        )


def _member(file: _Readable, path: Path, one: BundleFile, block: bytes) -> Iterator[bytes]:
    """Yield a member's bytes, whose header was read; raise ReleaseRefused, sooner or at the end."""
    if block != header(one.name, one.size):
        raise ReleaseRefused(f"{path.name} doesn't hold {one.name} where its list says so")
    digest = hashlib.sha256()
    left = one.size
    while left:
        piece = file.read(min(PIECE, left))
        if not piece:
            raise ReleaseRefused(f"{path.name} is cut short in {one.name}; download it anew")
        digest.update(piece)
        left -= len(piece)
        yield piece
    if digest.hexdigest() != one.sha256:
        raise ReleaseRefused(f"{one.name} in {path.name} isn't what was signed; download it anew")
    if any(file.read(_padded(one.size) - one.size)):
        raise ReleaseRefused(f"{path.name} hides something behind {one.name}; download it anew")


def _read_note_bytes(file: _Readable, path: Path) -> bytes:
    size = _note_size(file, path)
    data = file.read(size)
    filling = file.read(_padded(size) - size)
    if len(data) < size or any(filling):
        raise ReleaseRefused(f"{path.name} is cut short; download it anew")
    return data


def _note_size(file: _Readable, path: Path) -> int:
    block = file.read(BLOCK)
    try:
        size = tarfile.TarInfo.frombuf(block, "ascii", "strict").size
    except (tarfile.HeaderError, ValueError) as error:
        raise ReleaseRefused(f"{path.name} is no bundle of Doorward's") from error
    if not 0 < size <= MAX_BYTES or block != header(NOTE, size):
        raise ReleaseRefused(f"{path.name} is no bundle of Doorward's: {NOTE} isn't its first file")
    return size


def _size_of(note: BundleNote) -> int:
    """Return how many bytes the files of a list have in a bundle, with their headers."""
    return sum(BLOCK + _padded(one.size) for one in note.files)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ReleaseRefused(f"the bundle {path} can't be read: {error.strerror}") from error
    with file:
        yield file


def _replace(out: Path, note: bytes, copy: Callable[[BinaryIO], None]) -> None:
    new = out.with_name(f".{out.name}.new")
    try:
        with new.open("wb") as to:
            to.write(header(NOTE, len(note)) + note.ljust(_padded(len(note)), b"\0"))
            copy(to)
            to.write(END)
            to.flush()
            os.fsync(to.fileno())
        new.replace(out)
    except OSError as error:
        raise ReleaseRefused(f"{out} can't be written: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)


def order_of(files: Sequence[BundleFile]) -> tuple[BundleFile, ...]:
    """Return files in the order of a bundle: wheels, requirements, packages, first boot."""
    folders = [f"{WHEELS}/", REQUIREMENTS, f"{DEBS}/", FIRST_BOOT]
    return tuple(
        one for folder in folders for one in sorted(files, key=_name) if one.name.startswith(folder)
    )


def _name(one: BundleFile) -> str:
    return one.name
