"""Bytes that are read by range, so that nobody holds a whole recording in memory.

Who opens a file or a sealed package gives one of these; the readers of media take them. Nothing
here does input or output.
"""

import hashlib
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from firmware.protocol.encoding import WireError

PIECE_BYTES = 64 * 1024


class ByteSource(ABC):
    """A sequence of bytes of known size that is read by range."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._digest = ""

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""
        return self._size_bytes

    def read(self, begin: int, size_bytes: int) -> bytes:
        """Return exactly these bytes, or raise WireError."""
        if begin < 0 or size_bytes < 0 or begin + size_bytes > self._size_bytes:
            raise WireError("the file is cut off")
        return self._read(begin, size_bytes)

    def pieces(self) -> Iterator[bytes]:
        """Yield all bytes, a small piece at a time."""
        for begin in range(0, self._size_bytes, PIECE_BYTES):
            yield self.read(begin, min(PIECE_BYTES, self._size_bytes - begin))

    def sha256_hex(self) -> str:
        """Return SHA-256 over all bytes, in hexadecimal; they are read once."""
        if not self._digest:
            digest = hashlib.sha256()
            for piece in self.pieces():
                digest.update(piece)
            self._digest = digest.hexdigest()
        return self._digest

    @abstractmethod
    def _read(self, begin: int, size_bytes: int) -> bytes: ...


class MemorySource(ByteSource):
    """Bytes that are in memory anyway."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self._data = data

    def _read(self, begin: int, size_bytes: int) -> bytes:
        return self._data[begin : begin + size_bytes]


class RangeSource(ByteSource):
    """A part of another source."""

    def __init__(self, source: ByteSource, begin: int, size_bytes: int) -> None:
        if begin + size_bytes > source.size_bytes:
            raise WireError("the file is cut off")
        super().__init__(size_bytes)
        self._source = source
        self._begin = begin

    def _read(self, begin: int, size_bytes: int) -> bytes:
        return self._source.read(self._begin + begin, size_bytes)


class JoinedSource(ByteSource):
    """Several sources one after another."""

    def __init__(self, parts: Sequence[ByteSource]) -> None:
        self._parts = parts
        self._begins = [0, *accumulate(part.size_bytes for part in parts)]
        super().__init__(self._begins[-1])

    def _read(self, begin: int, size_bytes: int) -> bytes:
        found = []
        number = bisect_right(self._begins, begin) - 1
        while size_bytes:
            part, skipped = self._parts[number], begin - self._begins[number]
            taken = min(size_bytes, part.size_bytes - skipped)
            found.append(part.read(skipped, taken))
            begin, size_bytes, number = begin + taken, size_bytes - taken, number + 1
        return b"".join(found)


def is_same(one: ByteSource, other: ByteSource) -> bool:
    """Return whether two sources hold the same bytes, a small piece at a time."""
    if one.size_bytes != other.size_bytes:
        return False
    return all(a == b for a, b in zip(one.pieces(), other.pieces(), strict=True))
