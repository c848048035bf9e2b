"""Blocks that somebody watches: each read and write is counted, and may be stopped before it.

What is written goes to the medium every few megabytes, so that a stop never waits long for the
kernel, and progress tells of the card rather than of its cache.
"""

from collections.abc import Callable

from provisioning.block_file import Blocks

SYNC_EACH_BYTES = 8 * 1024 * 1024


class WatchedBlocks:
    """`Blocks` over others; `on_bytes` gets each count before it is moved, and may raise."""

    def __init__(self, blocks: Blocks, on_bytes: Callable[[int], None]) -> None:
        self._blocks = blocks
        self._on_bytes = on_bytes
        self._unsynced = 0

    def read(self, at: int, count: int) -> bytes:
        """Return up to `count` bytes from byte `at`; fewer at the end."""
        self._on_bytes(count)
        return self._blocks.read(at, count)

    def write(self, at: int, data: bytes) -> None:
        """Write all of it from byte `at`."""
        self._on_bytes(len(data))
        self._blocks.write(at, data)
        self._unsynced += len(data)
        if self._unsynced >= SYNC_EACH_BYTES:
            self.sync()

    def sync(self) -> None:
        """Return once all that was written would survive the card being pulled."""
        self._unsynced = 0
        self._blocks.sync()
