"""Sealed packages on their way out: `outgoing/{package_id}.*`, until they are delivered.

.bin         the sealed bytes
.json        the canonical PackageReady document; written last, so a package is whole
.parts.json  the parts that the bucket already holds, and of which multipart upload
"""

import hashlib
from pathlib import Path
from typing import Literal

from firmware.durable import write_atomic
from firmware.errors import StoreError, TicketRefused
from firmware.protocol.encoding import Document, Id, WireError, decode
from firmware.protocol.events import PackageReady, UploadedPart

PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 1000
MAX_FILE_BYTES = 1024 * 1024


class Progress(Document, frozen=True, kw_only=True):
    """Which parts of which multipart upload are finished."""

    v: Literal[1] = 1
    upload_id: str
    parts: list[UploadedPart]


class Outgoing:
    """The folder of sealed packages; each method is one durable step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def put(self, *, package_id: Id, request_id: Id, agency: str, sealed: bytes) -> PackageReady:
        """Keep a sealed package; return the event body that announces it."""
        pieces = [sealed[i : i + PART_BYTES] for i in range(0, len(sealed), PART_BYTES)]
        ready = PackageReady(
            package_id=package_id,
            request_id=request_id,
            agency=agency,
            size_bytes=len(sealed),
            part_bytes=PART_BYTES,
            part_sha256=[hashlib.sha256(piece).hexdigest() for piece in pieces],
        )
        if not 1 <= len(pieces) <= MAX_PARTS:
            raise StoreError(self._folder, f"a package has 1 to {MAX_PARTS} parts of 8 MiB")
        self._write(package_id, "bin", sealed)
        self._write(package_id, "json", ready.encode())
        return ready

    def announced(self, package_id: Id) -> PackageReady:
        """Return what was announced, or raise TicketRefused if there is no such package."""
        path = self._path(package_id, "json")
        try:
            return decode(PackageReady, path.read_bytes(), max_bytes=MAX_FILE_BYTES)
        except FileNotFoundError as error:
            raise TicketRefused(package_id, "this doorbell has no such package") from error
        except WireError as error:
            raise StoreError(path, f"damaged ({error})") from error

    def part(self, ready: PackageReady, number: int) -> bytes:
        """Return the bytes of part `number`, counted from 1."""
        with self._path(ready.package_id, "bin").open("rb") as file:
            file.seek((number - 1) * ready.part_bytes)
            return file.read(ready.part_bytes)

    def progress(self, package_id: Id, upload_id: str) -> dict[int, UploadedPart]:
        """Return the finished parts of this multipart upload by number."""
        known = self._progress(package_id)
        if known is None or known.upload_id != upload_id:
            return {}
        return {part.number: part for part in known.parts}

    def remember(self, package_id: Id, upload_id: str, parts: dict[int, UploadedPart]) -> None:
        """Write down which parts are finished."""
        progress = Progress(upload_id=upload_id, parts=[parts[n] for n in sorted(parts)])
        self._write(package_id, "parts.json", progress.encode())

    def waiting(self) -> list[PackageReady]:
        """Return the packages whose parts aren't all in the bucket: announce them again."""
        return [ready for ready in self._all() if not self._is_uploaded(ready)]

    def uploaded(self) -> list[Id]:
        """Return the packages that are wholly in the bucket but not yet discarded."""
        return [ready.package_id for ready in self._all() if self._is_uploaded(ready)]

    def uploaded_parts(self, package_id: Id) -> list[UploadedPart]:
        """Return the finished parts of a package, as the bucket acknowledged them."""
        known = self._progress(package_id)
        return [] if known is None else known.parts

    def discard(self, package_id: Id) -> None:
        """Delete a package that was delivered."""
        for kind in ("json", "bin", "parts.json"):
            self._path(package_id, kind).unlink(missing_ok=True)

    def _all(self) -> list[PackageReady]:
        names = sorted(path.name for path in self._folder.glob("*.json"))
        ids = [name.removesuffix(".json") for name in names if name.count(".") == 1]
        return [self.announced(package_id) for package_id in ids]

    def _is_uploaded(self, ready: PackageReady) -> bool:
        known = self._progress(ready.package_id)
        return known is not None and len(known.parts) == len(ready.part_sha256)

    def _progress(self, package_id: Id) -> Progress | None:
        try:
            data = self._path(package_id, "parts.json").read_bytes()
            return decode(Progress, data, max_bytes=MAX_FILE_BYTES)
        except (FileNotFoundError, WireError):
            return None  # unreadable progress costs sending parts twice, nothing else

    def _path(self, package_id: Id, kind: str) -> Path:
        return self._folder / f"{package_id}.{kind}"

    def _write(self, package_id: Id, kind: str, data: bytes) -> None:
        write_atomic(self._path(package_id, kind), data)
