"""A block file: an image or a whole disk, read and written at positions.

Writes may be of any length. On a disk the kernel reads what a sector needs besides; `sync` returns
once all of it is on the medium.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Protocol


class Blocks(Protocol):
    """What a partition's reader needs of an image or a disk."""

    def read(self, at: int, count: int) -> bytes:
        """Return up to `count` bytes from byte `at`; fewer at the end."""
        ...

    def write(self, at: int, data: bytes) -> None:
        """Write all of it from byte `at`."""
        ...

    def sync(self) -> None:
        """Return once all that was written would survive the card being pulled."""
        ...


class BlockFile:
    """An image or a disk by its path; the context manager closes it."""

    def __init__(self, path: Path, *, is_writable: bool = False) -> None:
        """Open it; a disk that is in use (mounted, or opened so by another) raises OSError."""
        flags = os.O_RDWR if is_writable else os.O_RDONLY
        if path.is_block_device():
            flags |= os.O_EXCL
        self._descriptor = os.open(path, flags | os.O_CLOEXEC)

    def __enter__(self) -> "BlockFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._descriptor)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return os.lseek(self._descriptor, 0, os.SEEK_END)

    def read(self, at: int, count: int) -> bytes:
        """Return up to `count` bytes from byte `at`; fewer at the end."""
        pieces = []
        while count > 0:
            piece = os.pread(self._descriptor, count, at)
            if not piece:
                break
            pieces.append(piece)
            at += len(piece)
            count -= len(piece)
        return b"".join(pieces)

    def write(self, at: int, data: bytes) -> None:
        """Write all of it from byte `at`."""
        left = memoryview(data)
        while left:
            written = os.pwrite(self._descriptor, left, at)
            at += written
            left = left[written:]

    def sync(self) -> None:
        """Return once all that was written would survive the card being pulled."""
        os.fsync(self._descriptor)

    def forget_cached(self) -> None:
        """Have what is read next come from the medium, as far as the kernel lets go of it."""
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
