"""Reads a package, a folder of opened files and the small files beside them, with limits."""

import os
import stat
from pathlib import Path

from firmware.protocol.encoding import D, WireError, decode
from firmware.protocol.media.byte_source import ByteSource
from firmware.protocol.register.entries import SignedAgreement
from firmware.protocol.register.register_file import (
    MAX_REGISTER_FILE_BYTES,
    REGISTER_FILE,
    WholeRegister,
    parse_register,
)
from firmware.protocol.tlog.policy import Policy, parse_policy
from relay.verify.agency_key import AgencyKey, KnownAgency, OpeningKey
from relay.verify.evidence import (
    Evidence,
    evidence_of_folder,
    is_part_of_evidence,
    open_sealed_evidence,
)

MAX_SMALL_FILE_BYTES = 1024 * 1024
MAX_PACKAGE_BYTES = 4 * 1024**3
MAX_FILES = 1024


class FileSource(ByteSource):
    """A file, opened for each read: evidence may have more files than a process may hold open.

    A file that is changed or exchanged between two reads is refused.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self._path = path
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise WireError(f"{path} isn't a file")
        if found.st_size > max_bytes:
            raise WireError(f"{path} is larger than {max_bytes} bytes")
        super().__init__(found.st_size)
        self._identity = _identity(found)

    def _read(self, begin: int, size_bytes: int) -> bytes:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                data = os.pread(descriptor, size_bytes, begin)
                found = os.fstat(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise WireError(f"{self._path} can't be read: {error.strerror}") from error
        if len(data) != size_bytes or _identity(found) != self._identity:
            raise WireError(f"{self._path} was changed while it was read")
        return data


def _identity(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def read_evidence(path: Path, key: AgencyKey | OpeningKey | None) -> Evidence:
    """Read a sealed package or a folder of opened files; WireError says what is wrong with it."""
    if path.is_dir():
        return read_folder(path)
    if key is None:
        raise WireError(f"{path} is sealed: give the agency's key (--key agency-key.json)")
    return open_sealed_evidence(FileSource(path, max_bytes=MAX_PACKAGE_BYTES), key)


def read_folder(folder: Path) -> Evidence:
    """Read the files that were opened from a package; other files are only named."""
    names = sorted(entry.name for entry in folder.iterdir())
    if len(names) > MAX_FILES:
        raise WireError(f"{folder} holds more than {MAX_FILES} files: it's another folder")
    known = [name for name in names if is_part_of_evidence(name)]
    left = MAX_PACKAGE_BYTES
    files: dict[str, ByteSource] = {}
    for name in known:
        files[name] = FileSource(folder / name, max_bytes=left)
        left -= files[name].size_bytes
    return evidence_of_folder(files, tuple(name for name in names if name not in files))


def read_key(path: Path) -> AgencyKey | OpeningKey:
    """Read a key file that opens evidence: the agency's own, or one that can only open."""
    data = read_small(path)
    try:
        return decode(OpeningKey, data)
    except WireError:
        return read_document(AgencyKey, path)


def read_agreement(path: Path) -> KnownAgency:
    """Read the agency's public agreement."""
    return KnownAgency.of_agreement(read_document(SignedAgreement, path))


def read_policy(path: Path) -> Policy:
    """Read the policy of trusted logs and witnesses (c2sp.org/tlog-policy)."""
    return parse_policy(read_small(path))


def read_register(path: Path) -> WholeRegister:
    """Read a whole register."""
    return parse_register(_read(path, MAX_REGISTER_FILE_BYTES))


def register_of(evidence: Path, named: str | None) -> WholeRegister | None:
    """Read the whole register: the one that is named, else what lies beside the evidence."""
    if named is not None:
        return read_register(Path(named))
    beside = (evidence if evidence.is_dir() else evidence.parent) / REGISTER_FILE
    return read_register(beside) if beside.is_file() else None


def read_document(kind: type[D], path: Path) -> D:
    """Read one JSON file, or raise WireError naming it."""
    data = read_small(path)
    try:
        return decode(kind, data, max_bytes=MAX_SMALL_FILE_BYTES)
    except WireError as error:
        raise WireError(f"{path}: {error}") from error


def read_small(path: Path) -> bytes:
    """Read a small file, or raise WireError."""
    return _read(path, MAX_SMALL_FILE_BYTES)


def _read(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise WireError(f"{path} is larger than {max_bytes} bytes")
    return data
