"""The ledger of a batch: which claim went onto which card, and what became of it.

One JSON document a line, appended and synced before the next step, and locked while it is open. A
claim is written down as taken before any card has it: after a crash it is never issued again, for
nobody knows whether the card got it. The file has no secret: a claim is named by its digest.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from firmware.protocol.claims import Claim
from firmware.protocol.encoding import (
    Digest,
    Document,
    Line,
    WallTimeMs,
    WireError,
    decode,
    sha256_hex,
)
from provisioning.errors import LedgerRefused

MAX_BYTES = 64 * 1024 * 1024
Step = Literal["taken", "done", "failed"]


class LedgerRow(Document, frozen=True, kw_only=True):
    """One step of one card."""

    v: Literal[1] = 1
    at_ms: WallTimeMs
    step: Step
    serial: Line
    """The doorbell's, as on its label."""
    claim: Digest
    """SHA-256 of the claim's secret."""
    claim_ends_ms: WallTimeMs
    card: Annotated[str, msgspec.Meta(max_length=300)]
    """Size, maker and serial number of the card."""
    image: Digest | None = None
    why: Annotated[str, msgspec.Meta(max_length=500)] | None = None


class Ledger:
    """An open ledger. Make it with `open_ledger`."""

    def __init__(self, descriptor: int, rows: Iterable[LedgerRow]) -> None:
        self._descriptor = descriptor
        self._rows = list(rows)

    @property
    def rows(self) -> tuple[LedgerRow, ...]:
        """All rows, in order."""
        return tuple(self._rows)

    def is_taken(self, claim: Claim) -> bool:
        """Return whether a claim may be on some card."""
        digest = digest_of(claim)
        return any(row.claim == digest for row in self._rows)

    def is_used(self, serial: str) -> bool:
        """Return whether a card with this name was finished."""
        return any(row.serial == serial and row.step == "done" for row in self._rows)

    def add(self, row: LedgerRow) -> None:
        """Write a row down; it is on the disk when this returns. Raises LedgerRefused."""
        if row.step == "taken" and any(old.claim == row.claim for old in self._rows):
            raise LedgerRefused("this claim was taken for another card; it is never issued twice")
        data = row.encode() + b"\n"
        try:
            if os.write(self._descriptor, data) != len(data):
                raise LedgerRefused("the ledger's disk is full; nothing was issued")
            os.fsync(self._descriptor)
        except OSError as error:
            raise LedgerRefused(f"the ledger can't be written: {error.strerror}") from error
        self._rows.append(row)


@contextmanager
def open_ledger(path: Path) -> Iterator[Ledger]:
    """Open a ledger for this process alone, or raise LedgerRefused. A torn last line is dropped."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerRefused(f"the ledger {path} can't be opened: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise LedgerRefused(f"another batch is using the ledger {path}; wait for it") from error
        yield Ledger(descriptor, _read(descriptor, path))
    finally:
        os.close(descriptor)


def digest_of(claim: Claim) -> str:
    """Return how the ledger names a claim."""
    return sha256_hex(claim.secret.encode())


def _read(descriptor: int, path: Path) -> list[LedgerRow]:
    size = os.fstat(descriptor).st_size
    if size > MAX_BYTES:
        raise LedgerRefused(f"the ledger {path} has more than {MAX_BYTES} bytes; begin a new one")
    data = os.pread(descriptor, size, 0)
    whole, end, torn = data.rpartition(b"\n")
    if torn:
        os.ftruncate(descriptor, len(whole) + len(end))
    rows = []
    for number, line in enumerate(filter(None, whole.split(b"\n")), 1):
        try:
            rows.append(decode(LedgerRow, line))
        except WireError as error:
            raise LedgerRefused(
                f"line {number} of the ledger {path} is damaged ({error}); mend or move it first"
            ) from error
    return rows
