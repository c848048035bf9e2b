"""Writes an image to a card, reads it back, and never leaves a card that boots by half.

The first piece, with the partition table, is written as zeros, and for real only when all else is
on the card: whoever pulls it, or presses Ctrl-C, has a blank card. Reading, unpacking and hashing
go on in a thread beside the writes; memory is a few pieces. Everything bypasses the page cache
(O_DIRECT), so what is read back comes from the card.
"""

import hashlib
import mmap
import os
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from provisioning.errors import Cancelled, CardFailed, ImageRefused, ProvisioningError
from provisioning.image import PIECE, Image

Stage = Literal["writing", "reading back", "customising"]
QUEUE = 4
SECTOR = 4096
"""O_DIRECT's pieces are multiples of it, on every card."""
WAIT_S = 0.2
"""How long nobody looks whether a person has stopped it."""
Progress = Callable[[Stage, int, float], None]
"""`progress(stage, bytes so far, part of the stage from 0 to 1)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What is on the card: how many bytes of an image, and their SHA-256."""

    size: int
    sha256: str


class Medium(Protocol):
    """What is written to: `Card`."""

    @property
    def size(self) -> int:
        """Its length in bytes."""
        ...

    def write(self, at: int, data: bytes) -> None:
        """Write a piece; what is missing to a whole sector is zeros. Raises CardFailed."""
        ...

    def read(self, at: int, count: int) -> bytes:
        """Return `count` bytes from the card itself; raise CardFailed if it gives fewer."""
        ...

    def sync(self) -> None:
        """Return once everything is on the card; raise CardFailed."""
        ...


class Card:
    """An opened card or, for tests, a file; the context manager closes it."""

    def __init__(self, path: Path) -> None:
        """Open it for nobody else; raise CardFailed if it is in use or gone."""
        self.path = path
        flags = os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC
        if path.is_block_device():
            flags |= os.O_EXCL
        try:
            self._descriptor = os.open(path, flags)
            self._size = os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            raise CardFailed(opened_words(path, error)) from error
        self._buffer = mmap.mmap(-1, PIECE)

    def __enter__(self) -> "Card":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._buffer.close()

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self._size

    def write(self, at: int, data: bytes) -> None:
        """Write a piece; what is missing to a whole sector is zeros. Raises CardFailed."""
        length = max(len(data), min(-(-len(data) // SECTOR) * SECTOR, self._size - at))
        self._buffer[: len(data)] = data
        self._buffer[len(data) : length] = bytes(length - len(data))
        done = 0
        try:
            while done < length:
                view = memoryview(self._buffer)[done:length]
                try:
                    written = os.pwrite(self._descriptor, view, at + done)
                finally:
                    view.release()
                if written == 0 or written % 512:
                    raise CardFailed(f"the card took only a part of what was written at {at}")
                done += written
        except OSError as error:
            raise CardFailed(_failed_words("written", at + done, error)) from error

    def read(self, at: int, count: int) -> bytes:
        """Return `count` bytes from the card itself; raise CardFailed if it gives fewer."""
        length = -(-count // SECTOR) * SECTOR
        view = memoryview(self._buffer)[:length]
        try:
            got = os.preadv(self._descriptor, [view], at)
        except OSError as error:
            raise CardFailed(_failed_words("read back", at, error)) from error
        finally:
            view.release()
        if got < count:
            raise CardFailed(
                f"the card ended at {at + got} when it was read back; it is fake or gone"
            )
        return bytes(self._buffer[:count])

    def sync(self) -> None:
        """Return once everything is on the card; raise CardFailed."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise CardFailed(_failed_words("written", self.size, error)) from error


class Writer:
    """Writes one image to one card. `cancel` may be called by a signal's handler."""

    def __init__(
        self,
        image: Image,
        card: Medium,
        progress: Progress,
        is_cancelled: threading.Event | None = None,
    ) -> None:
        """`is_cancelled` may be shared with what else is done for this card."""
        self._image = image
        self._card = card
        self._progress = progress
        self._is_cancelled = is_cancelled or threading.Event()

    def cancel(self) -> None:
        """Stop soon: `write`, `read_back` and `finish` raise Cancelled."""
        self._is_cancelled.set()

    def write(self, *, sha256: str | None = None) -> tuple[Written, bytes]:
        """Write all but the first piece, which is zeros for now; return that for `finish`.

        `sha256` is what a manifest promises of the unpacked image. Raises ImageRefused, CardFailed
        or Cancelled; the card is blank then.
        """
        first, position = b"", 0
        digest = hashlib.sha256()
        blank(self._card)  # from here on it is blank, whatever happens
        for piece, packed in self._pieces(digest):
            if position == 0:
                first = piece
            else:
                self._card.write(position, piece)
            position += len(piece)
            self._progress("writing", position, packed / max(1, self._image.packed_bytes))
            self._check()
        if not first:
            raise ImageRefused(f"{self._image.path.name} is empty")
        written = Written(size=position, sha256=digest.hexdigest())
        if sha256 is not None and written.sha256 != sha256:
            raise ImageRefused(
                f"{self._image.path.name} isn't what its manifest promises; download it anew"
            )
        self._card.sync()
        return written, first

    def read_back(self, written: Written, first: bytes) -> None:
        """Compare what the card gives with what was written, or raise CardFailed.

        The first piece is still missing on the card, and counts as it will be.
        """
        digest = hashlib.sha256(first)
        position = len(first)
        while position < written.size:
            count = min(PIECE, written.size - position)
            digest.update(self._card.read(position, count))
            position += count
            self._progress("reading back", position, position / written.size)
            self._check()
        if digest.hexdigest() != written.sha256:
            raise CardFailed("the card gives back other bytes than it was given; take another card")

    def finish(self, first: bytes) -> None:
        """Write the first piece, which makes it a card with partitions, and read it back."""
        self._check()
        self._card.write(0, first)
        self._card.sync()
        keeps_it = self._card.read(0, len(first)) == first
        if not keeps_it or self._is_cancelled.is_set():
            blank(self._card)
        self._check()
        if not keeps_it:
            raise CardFailed("the card doesn't keep its partition table; take another card")

    def _check(self) -> None:
        if self._is_cancelled.is_set():
            raise Cancelled("stopped; the card is blank and can be flashed again")

    def _pieces(self, digest: "hashlib._Hash") -> Iterator[tuple[bytes, int]]:
        """Yield pieces, and how much of the image's file was read, from another thread.

        `digest` is that thread's until the last piece: hashing goes on beside the writes.
        """
        ready: queue.Queue[tuple[bytes, int] | ProvisioningError | None] = queue.Queue(QUEUE)
        is_over = threading.Event()

        def put(item: tuple[bytes, int] | ProvisioningError | None) -> None:
            while not is_over.is_set():
                try:
                    return ready.put(item, timeout=WAIT_S)
                except queue.Full:
                    continue
            return None

        def unpack() -> None:
            try:
                for piece in self._image.pieces(limit=self._card.size):
                    digest.update(piece)
                    put((piece, self._image.packed_position))
                    if is_over.is_set():
                        return
            except ProvisioningError as error:
                put(error)
            else:
                put(None)

        thread = threading.Thread(target=unpack, name="unpacking", daemon=True)
        thread.start()
        try:
            while True:
                try:
                    item = ready.get(timeout=WAIT_S)
                except queue.Empty:
                    self._check()
                    continue
                if item is None:
                    return
                if isinstance(item, ProvisioningError):
                    raise item
                yield item
        finally:
            is_over.set()
            thread.join()


def blank(card: Medium) -> None:
    """Make a card visibly blank: no partition table, nothing that boots. Raises CardFailed."""
    card.write(0, bytes(PIECE))
    card.sync()


def verify(image: Image, card: Medium, progress: Progress) -> Written:
    """Compare a whole card with its image; raise CardFailed at the first piece that differs.

    A card that was customised since differs in its first partition.
    """
    digest, position = hashlib.sha256(), 0
    for piece in image.pieces(limit=card.size):
        if card.read(position, len(piece)) != piece:
            raise CardFailed(
                f"the card differs from {image.path.name} within 4 MB from {position / 1e6:.0f} MB"
            )
        digest.update(piece)
        position += len(piece)
        progress("reading back", position, image.packed_position / max(1, image.packed_bytes))
    return Written(size=position, sha256=digest.hexdigest())


def probe(card: Medium, places: int = 64, *, check: Callable[[], None] = lambda: None) -> None:
    """Raise CardFailed unless the card keeps what it is given at so many places over its length.

    A fake card claims more room than it has: it drops what is beyond, or writes it over its
    beginning, mostly at a power of two. So the places are the start, each power of two, and others
    spread evenly. What was there is lost. `check` is called before each, and may raise.
    """
    last = (card.size - SECTOR) // SECTOR * SECTOR
    powers = [1 << n for n in range(20, last.bit_length())]
    evenly = max(2, places - 1 - len(powers))
    spread = [n * last // (evenly - 1) // SECTOR * SECTOR for n in range(evenly)]
    marks = {at: os.urandom(32) * (SECTOR // 32) for at in sorted({0, *powers, *spread})}
    for at, mark in marks.items():
        check()
        card.write(at, mark)
    card.sync()
    for at, mark in marks.items():
        check()
        if card.read(at, SECTOR) != mark:
            raise CardFailed(
                f"the card doesn't keep what is written at {at / 1e9:.1f} GB: it is worn, or has "
                "less room than it claims; take another card"
            )
    for at in marks:
        card.write(at, bytes(SECTOR))


def opened_words(path: Path, error: OSError) -> str:
    """Return why a card can't be opened, and what to do."""
    reasons = {
        16: "it is in use; unmount it and close what uses it",
        13: "that needs root: run the command with sudo",
        30: "it is write-protected; look at the switch on the card or its adapter",
        2: "it isn't there any more",
        123: "there is no card in the reader",
    }
    return f"{path} can't be opened: {reasons.get(error.errno or 0, error.strerror)}"


def _failed_words(what: str, at: int, error: OSError) -> str:
    if error.errno in (5, 6, 19, 123):
        return f"the card was pulled or is worn ({error.strerror} at {at / 1e9:.2f} GB {what})"
    if error.errno == 28:
        return f"the card is full at {at / 1e9:.2f} GB: it has less room than it claims"
    return f"the card can't be {what} at {at / 1e9:.2f} GB: {error.strerror}"
