"""A card in memory that fails as cards do; implements `provisioning.writer.Medium`."""

import errno
from collections.abc import Callable

from provisioning.errors import CardFailed


class FakeCard:
    """`real_size` is less than `size` on a fake card: what is beyond lies over its beginning."""

    def __init__(
        self,
        size: int,
        *,
        real_size: int | None = None,
        pulled_at: int | None = None,
        wrong_at: int | None = None,
        on_write: Callable[[int], None] = lambda _at: None,
    ) -> None:
        """`pulled_at` is the byte at which it is gone; at `wrong_at` a bit is always set."""
        self.data = bytearray(b"\xee" * (real_size or size))
        self._size = size
        self._pulled_at = pulled_at
        self._wrong_at = wrong_at
        self._on_write = on_write

    @property
    def size(self) -> int:
        return self._size

    def write(self, at: int, data: bytes) -> None:
        self._on_write(at)
        if self._pulled_at is not None and at + len(data) > self._pulled_at:
            raise CardFailed("the card was pulled")
        self._put(at, data)
        if self._wrong_at is not None and at <= self._wrong_at < at + len(data):
            self.data[self._wrong_at] |= 1

    def _put(self, at: int, data: bytes) -> None:
        real = len(self.data)
        for start in range(0, len(data), 4096):
            piece = data[start : start + 4096]
            place = (at + start) % real
            self.data[place : place + len(piece)] = piece

    def read(self, at: int, count: int) -> bytes:
        real = len(self.data)
        if at + count <= real:
            return bytes(self.data[at : at + count])
        return b"".join(
            bytes(self.data[(at + n) % real : (at + n) % real + min(4096, count - n)])
            for n in range(0, count, 4096)
        )

    def sync(self) -> None:
        pass


class UnreadableBlocks:
    """A fake card for those who only read: zeros, and an error from the byte `from_at` on."""

    def __init__(self, size: int, *, from_at: int) -> None:
        self.size = size
        self._from_at = from_at

    def read(self, at: int, count: int) -> bytes:
        if at + count > self._from_at:
            raise OSError(errno.EIO, "Input/output error")
        return bytes(count)

    def write(self, at: int, data: bytes) -> None:
        raise AssertionError(f"{len(data)} bytes are written at {at}")

    def sync(self) -> None:
        raise AssertionError("something was written")
