"""Sealed packages on their way out: `outgoing/{package_id}.*`, until they are delivered.

.bin         the sealed bytes
.json        the canonical PackageReady document; written last, so a package is whole
.parts.json  the parts that the bucket already holds, and of which multipart upload
.damaged     a document that the card spoilt, set aside: such a package never leaves

A .json without its .bin is no package, but damaged. What another version of Doorward wrote is kept
for that one.

No package is ever held in memory whole. A part is at least 8 MiB and so large that a ticket, with
a URL for each, fits into one MQTT message.
"""

import contextlib
import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import msgspec

from firmware.errors import (
    PackageDamaged,
    PackageOfAnotherVersion,
    StoreError,
    TicketRefused,
    UploadError,
)
from firmware.outbox.bucket import Span
from firmware.protocol.encoding import Document, Id, WireError, decode
from firmware.protocol.events import MAX_PACKAGE_BYTES, PackageReady, UploadedPart
from firmware.protocol.releases import ReleaseOpening
from firmware.system.durable_files import write_atomic, write_atomic_pieces

PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 100
READ_BYTES = 256 * 1024
MAX_FILE_BYTES = 1024 * 1024
KINDS = ("json", "bin", "parts.json", "damaged")
"""In the order in which they are deleted: what announces a package goes first."""
FIELDS = {"type", *PackageReady.__struct_fields__}

log = logging.getLogger(__name__)


class UploadProgress(Document, frozen=True, kw_only=True):
    """Which parts of which multipart upload are finished."""

    v: Literal[1] = 1
    upload_id: str
    parts: list[UploadedPart]


class Outgoing:
    """The folder of sealed packages; each method is one durable step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clear()

    def put(
        self,
        *,
        package_id: Id,
        request_id: Id,
        agency: str,
        opening: ReleaseOpening,
        sealed: bytes | Iterable[bytes],
    ) -> PackageReady:
        """Keep a sealed package, whole or piece by piece; return the event body that announces it.

        Of the `opening` it tells what opens to the package, and nothing of the grant.

        Raises StoreError if it is too large, OSError if the card doesn't take it; nothing of it
        stays then.
        """
        path = self._path(package_id, "bin")
        pieces = [sealed] if isinstance(sealed, bytes) else sealed
        try:
            write_atomic_pieces(path, self._within_limit(pieces))
            size_bytes = path.stat().st_size
            part_bytes = part_bytes_for(size_bytes)
            ready = PackageReady(
                package_id=package_id,
                request_id=request_id,
                agency=agency,
                size_bytes=size_bytes,
                part_bytes=part_bytes,
                part_sha256=[
                    _sha256(Span(path=path, offset=offset, size_bytes=part_bytes)).hex()
                    for offset in range(0, size_bytes, part_bytes)
                ],
                record=opening.record,
                salt_d=opening.salt_d,
            )
            self._write(package_id, "json", ready.encode())
            self._path(package_id, "damaged").unlink(missing_ok=True)
        except BaseException:
            for kind in ("json", "bin"):
                with contextlib.suppress(OSError):
                    self._path(package_id, kind).unlink(missing_ok=True)
            raise
        return ready

    def announced(self, package_id: Id) -> PackageReady:
        """Return what was announced; changes nothing.

        Raises TicketRefused if there is no such package, PackageDamaged if the card spoilt it,
        PackageOfAnotherVersion, or OSError if the card doesn't give it up.
        """
        try:
            data = self._path(package_id, "json").read_bytes()
        except FileNotFoundError as error:
            if self._path(package_id, "damaged").exists():
                raise PackageDamaged(package_id, "it is damaged on the memory card") from error
            raise TicketRefused(package_id, "this doorbell has no such package") from error
        if not self._path(package_id, "bin").exists():
            raise PackageDamaged(package_id, "its sealed bytes are gone from the memory card")
        try:
            return decode(PackageReady, data, max_bytes=MAX_FILE_BYTES)
        except WireError as error:
            if _is_of_another_version(data):
                detail = "another version of Doorward sealed it: install that one again"
                raise PackageOfAnotherVersion(package_id, detail) from error
            raise PackageDamaged(package_id, "it is damaged on the memory card") from error

    def has(self, package_id: Id) -> bool:
        """Tell whether anything of this package is here, damaged or not."""
        return any(self._path(package_id, kind).exists() for kind in KINDS)

    def here(self) -> list[Id]:
        """Return the packages that are here, damaged or not, or were written by another version."""
        names = [path.name.partition(".") for path in self._folder.iterdir()]
        return sorted({package_id for package_id, _, kind in names if kind in ("json", "damaged")})

    def damaged(self) -> frozenset[Id]:
        """Return the packages that never leave, for the card spoilt what announces them.

        What spoilt them is set aside: while nothing is being sealed, only.
        """
        found = set()
        for package_id in self.here():
            try:
                self.announced(package_id)
            except PackageDamaged as error:
                self._set_aside(package_id, error)
                if self._is_announced(package_id):  # else it has arrived, and is being deleted
                    found.add(package_id)
            except (UploadError, OSError) as error:  # one mustn't keep back the others
                log.error("a package can't be sent: %s", error)
        return frozenset(found)

    def span(self, ready: PackageReady, number: int) -> Span:
        """Return where the bytes of part `number` are, counted from 1."""
        offset = (number - 1) * ready.part_bytes
        return Span(
            path=self._path(ready.package_id, "bin"),
            offset=offset,
            size_bytes=min(ready.part_bytes, ready.size_bytes - offset),
        )

    def is_intact(self, ready: PackageReady, number: int) -> bool:
        """Read part `number` and tell whether it is still what was announced."""
        return _sha256(self.span(ready, number)).hex() == ready.part_sha256[number - 1]

    def progress(self, package_id: Id, upload_id: str) -> dict[int, UploadedPart]:
        """Return the finished parts of this multipart upload by number."""
        known = self._progress(package_id)
        if known is None or known.upload_id != upload_id:
            return {}
        return {part.number: part for part in known.parts}

    def remember(self, package_id: Id, upload_id: str, parts: dict[int, UploadedPart]) -> None:
        """Write down which parts are finished."""
        progress = UploadProgress(upload_id=upload_id, parts=[parts[n] for n in sorted(parts)])
        self._write(package_id, "parts.json", progress.encode())

    def is_uploaded(self, package_id: Id) -> bool:
        """Tell whether all parts are in the bucket, also of a package that is damaged by now."""
        known = self._progress(package_id)
        return known is not None and len(known.parts) == self._part_count(package_id)

    def uploaded_parts(self, package_id: Id) -> list[UploadedPart]:
        """Return the finished parts of a package, as the bucket acknowledged them."""
        known = self._progress(package_id)
        return [] if known is None else known.parts

    def discard(self, package_id: Id) -> None:
        """Delete a package: it was delivered, or taken back."""
        for kind in KINDS:
            self._path(package_id, kind).unlink(missing_ok=True)

    def _set_aside(self, package_id: Id, error: PackageDamaged) -> None:
        """What can't be read never leaves; where the card takes no new name, it is found again."""
        path = self._path(package_id, "json")
        with contextlib.suppress(OSError):
            if path.exists():
                log.error("a package can't be sent: %s", error)
                path.replace(self._path(package_id, "damaged"))

    def _is_announced(self, package_id: Id) -> bool:
        return any(self._path(package_id, kind).exists() for kind in ("json", "damaged"))

    def _part_count(self, package_id: Id) -> int | None:
        try:
            return len(self.announced(package_id).part_sha256)
        except (UploadError, OSError):
            pass  # then by the size of what was sealed
        try:
            size_bytes = self._path(package_id, "bin").stat().st_size
        except OSError:
            return None
        return -(-size_bytes // part_bytes_for(size_bytes))

    def _progress(self, package_id: Id) -> UploadProgress | None:
        try:
            data = self._path(package_id, "parts.json").read_bytes()
            return decode(UploadProgress, data, max_bytes=MAX_FILE_BYTES)
        except (OSError, WireError):
            return None  # unreadable progress costs sending parts twice, nothing else

    def _within_limit(self, pieces: Iterable[bytes]) -> Iterable[bytes]:
        size_bytes = 0
        for piece in pieces:
            size_bytes += len(piece)
            if size_bytes > MAX_PACKAGE_BYTES:
                raise StoreError(self._folder, "a package has at most 4 GiB: release fewer clips")
            yield piece
        if size_bytes == 0:
            raise StoreError(self._folder, "a package can't be empty")

    def _clear(self) -> None:
        """Delete what a crash left of packages that never became whole, and of damaged ones.

        Of a damaged one that is wholly in the bucket what says so is kept.
        """
        for beside in self._folder.glob("*.new"):
            beside.unlink(missing_ok=True)
        for package_id in {path.name.partition(".")[0] for path in self._folder.iterdir()}:
            if self._path(package_id, "json").exists():
                continue
            if self._path(package_id, "damaged").exists() and self.is_uploaded(package_id):
                continue
            for kind in ("bin", "parts.json"):
                self._path(package_id, kind).unlink(missing_ok=True)

    def _path(self, package_id: Id, kind: str) -> Path:
        return self._folder / f"{package_id}.{kind}"

    def _write(self, package_id: Id, kind: str, data: bytes) -> None:
        write_atomic(self._path(package_id, kind), data)


def part_bytes_for(size_bytes: int) -> int:
    """Return how large parts must be so that a package has at most MAX_PARTS, in whole MiB."""
    mib = 1024 * 1024
    needed = -(-size_bytes // MAX_PARTS)
    return max(PART_BYTES, -(-needed // mib) * mib)


def _is_of_another_version(data: bytes) -> bool:
    """Tell whether it is whole, and names other fields; what a card spoils is neither, mostly."""
    try:
        fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return fields.keys() != FIELDS


def _sha256(span: Span) -> bytes:
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(READ_BYTES))
    left = span.size_bytes
    with span.path.open("rb", buffering=0) as file:
        file.seek(span.offset)
        while left > 0 and (count := file.readinto(buffer[: min(left, READ_BYTES)])):
            digest.update(buffer[:count])
            left -= count
    return digest.digest()
