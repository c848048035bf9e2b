"""How fast the memory card writes: a few megabytes into the data folder, synced, and deleted.

Bounded, so that it wears nothing: a clip of half a minute writes more. The bytes are random, as a
card's controller may squeeze others.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FILE = "storage-speed.tmp"
PIECE_BYTES = 512 * 1024
PIECES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageSpeed:
    """What was measured."""

    bytes_per_s: int
    slowest_ms: int
    """The longest that one piece took to be written and synced."""


def measure_storage(
    folder: Path, *, monotonic_ns: Callable[[], int] = time.monotonic_ns
) -> StorageSpeed:
    """Write and sync PIECES pieces in `folder`, and delete them. Blocks; OSError if it fails."""
    path = folder / FILE
    path.unlink(missing_ok=True)  # of a measurement that the power cut
    piece = os.urandom(PIECE_BYTES)
    took_ns: list[int] = []
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            for _ in range(PIECES):
                began_ns = monotonic_ns()
                _write_all(descriptor, piece)
                os.fdatasync(descriptor)
                took_ns.append(max(1, monotonic_ns() - began_ns))
        finally:
            os.close(descriptor)
    finally:
        path.unlink(missing_ok=True)
    return StorageSpeed(
        bytes_per_s=PIECE_BYTES * PIECES * 10**9 // sum(took_ns),
        slowest_ms=max(took_ns) // 10**6,
    )


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
