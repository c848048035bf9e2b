"""A memory card with bad habits: full, failing, read-only, slow, just as a test says."""

import errno
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from firmware.vault.sealed_file import Kind, Purpose, SealedWriter, Vault
from firmware.vault.storage_key import StorageKey

LONGEST_STALL_S = 30.0


class BadCard:
    """What the card does at the moment, and how often it was asked to sync."""

    def __init__(self) -> None:
        self.error: int | None = None
        self.sync_error: int | None = None
        self.is_full: Callable[[], bool] = lambda: False
        self.stall_s = 0.0
        self.syncs = 0
        self.may_sync = threading.Event()
        """While it is cleared, a sync waits for it; after `LONGEST_STALL_S` it is set."""
        self.may_sync.set()
        self.is_stalled = False

    @property
    def may_stall(self) -> bool:
        """Whether a sync takes long now."""
        return self.stall_s > 0 or self.is_stalled or not self.may_sync.is_set()

    def touch(self) -> None:
        """Raise what a system call on this card would raise."""
        if self.is_full():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.error is not None:
            raise OSError(self.error, os.strerror(self.error))


class BadCardVault(Vault):
    """A vault on such a card: what gets through to the card is written for real."""

    def __init__(self, key: StorageKey, card: BadCard) -> None:
        super().__init__(key)
        self._card = card

    def create(self, path: Path, clip_id: str, purpose: Purpose = "clip") -> SealedWriter:
        self._card.touch()
        return BadCardWriter(super().create(path, clip_id, purpose), self._card)  # type: ignore[return-value]


class BadCardWriter:
    """Implements `firmware.vault.sealed_file.SealedWriter`."""

    def __init__(self, inner: SealedWriter, card: BadCard) -> None:
        self._inner = inner
        self._card = card
        self._unwritten: list[tuple[Kind, bytes]] = []

    @property
    def size_bytes(self) -> int:
        return self._inner.size_bytes

    def append(self, kind: Kind, plain: bytes) -> None:
        self._unwritten.append((kind, plain))
        self.write_rest()

    def write_rest(self) -> None:
        self._card.touch()
        unwritten, self._unwritten = self._unwritten, []
        for kind, plain in unwritten:
            self._inner.append(kind, plain)

    def sync(self) -> None:
        self.write_rest()
        self._card.syncs += 1
        time.sleep(self._card.stall_s)
        self._card.is_stalled = True
        if not self._card.may_sync.wait(LONGEST_STALL_S):
            self._card.may_sync.set()
        self._card.is_stalled = False
        self._card.touch()
        if self._card.sync_error is not None:
            raise OSError(self._card.sync_error, os.strerror(self._card.sync_error))
        self._inner.sync()

    def close(self) -> None:
        self._inner.close()
